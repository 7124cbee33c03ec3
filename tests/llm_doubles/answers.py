"""Bodies of the four wire formats, as their documentation gives them: answers, truncations, refusals and errors."""

from __future__ import annotations

from typing import Any

import orjson

TEXT = "It rains."
SERVED = "model-as-served-001"
FENCED = '```json\n{"a": 1}\n```'
REFUSAL = "I cannot help with that."


def openai(mode: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    usage: dict[str, Any] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    finish = {"length": "length", "filtered": "content_filter"}.get(mode, "stop")
    if mode == "refusal":
        message |= {"content": None, "refusal": REFUSAL}
    if mode in ("empty", "filtered"):
        message["content"] = ""
    if mode == "fenced":
        message["content"] = FENCED
    if mode == "cache":
        usage["prompt_tokens_details"] = {"cached_tokens": 5}
    if mode == "thoughts":  # counted inside, as OpenAI does
        usage["completion_tokens_details"] = {"reasoning_tokens": 2}
    if mode == "thoughts_beside":  # counted beside, as xAI says it does
        usage |= {"completion_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 20}
    body: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": SERVED,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    return body if mode == "nousage" else body | {"usage": usage}


def anthropic(mode: str) -> dict[str, Any]:
    text = {"empty": "", "fenced": FENCED, "refusal": REFUSAL}.get(mode, TEXT)
    content: list[dict[str, Any]] = [] if mode == "empty" else [{"type": "text", "text": text}]
    if mode == "thoughts":
        content.insert(0, {"type": "thinking", "thinking": "Clouds.", "signature": "s"})
    usage: dict[str, Any] = {"input_tokens": 11, "output_tokens": 7}
    if mode == "cache":
        usage |= {"cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
    stop = {"length": "max_tokens", "refusal": "refusal", "filtered": "refusal"}.get(mode, "end_turn")
    body: dict[str, Any] = {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": SERVED,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    return body if mode == "nousage" else body | {"usage": usage}


def gemini(mode: str) -> dict[str, Any]:
    if mode in ("refusal", "filtered"):
        return {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": SERVED}
    parts: list[dict[str, Any]] = [{"text": FENCED if mode == "fenced" else TEXT}]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    if mode == "thoughts":
        parts.insert(0, {"text": "Clouds.", "thought": True})
        usage |= {"thoughtsTokenCount": 5, "totalTokenCount": 23}
    if mode == "cache":
        usage["cachedContentTokenCount"] = 5
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": [] if mode == "empty" else parts},
        "finishReason": "MAX_TOKENS" if mode == "length" else "STOP",
        "index": 0,
    }
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": SERVED}
    return body if mode == "nousage" else body | {"usageMetadata": usage}


def ollama(mode: str) -> dict[str, Any]:
    text = {"empty": "", "fenced": FENCED}.get(mode, TEXT)
    body: dict[str, Any] = {
        "model": SERVED,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": True,
        "done_reason": "length" if mode == "length" else "stop",
    }
    return body if mode == "nousage" else body | {"prompt_eval_count": 11, "eval_count": 7}


_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_OVERFLOW = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
_KEY = "Incorrect API key provided: sk-verysecret12345678."
_WORDS = {
    "quota": _QUOTA,
    "overflow": _OVERFLOW,
    "temperature": "Unsupported value: 'temperature' does not support 0.2 with this model.",
    "401": _KEY,
    "404": "The model `nope` does not exist",
    "429": "Rate limit reached, please slow down.",
}
_ANTHROPIC = {
    "overflow": "prompt is too long: 9000 tokens > 8192 maximum",
    "quota": "Your credit balance is too low to access the Anthropic API.",
    "temperature": "`temperature` is deprecated for this model.",
}


def error(wire: str, mode: str, status: int) -> bytes:
    """The body of an error in a wire's own form."""
    words = _WORDS.get(mode, "Something is wrong.")
    code = {"quota": "insufficient_quota", "overflow": "context_length_exceeded", "401": "invalid_api_key"}.get(mode)
    if mode == "temperature":
        code = "unsupported_value"
    if wire == "anthropic":
        kinds = {"401": "authentication_error", "404": "not_found_error", "429": "rate_limit_error"}
        kind = "invalid_request_error" if status == 400 else kinds.get(mode, "api_error")
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": _ANTHROPIC.get(mode, words)}})
    if wire == "gemini":
        status_word = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        if mode == "overflow":
            words = "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."
        details: list[dict[str, Any]] = []
        if mode == "429":
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
        if mode == "quota":
            violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
            details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
        word = status_word.get(status, "UNAVAILABLE")
        return orjson.dumps({"error": {"code": status, "message": words, "status": word, "details": details}})
    if wire == "ollama":
        return orjson.dumps({"error": words})
    parameter = "temperature" if mode == "temperature" else None
    return orjson.dumps({"error": {"message": words, "type": "error", "param": parameter, "code": code}})
