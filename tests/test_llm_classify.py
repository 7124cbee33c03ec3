"""Promises of the classification: kinds, waits and keys, for exceptions as nine packages raise them."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime
from typing import Any

import pytest

from src.worker.llm.classify import DETAIL_CHARS, classify
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.evidence import Evidence, HttpError, from_exception
from src.worker.llm.exchange import Target, Usage
from src.worker.llm.retry_after import retry_after
from src.worker.secrecy import without_secrets

TARGET = Target("openai", "gpt-4o-mini")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def answer(status: int, body: Any = None, **headers: str) -> Evidence:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Evidence(status, named, body, json.dumps(body) if body is not None else "")


def kind_of(evidence: Evidence) -> Kind:
    return classify(Exception("x"), TARGET, heard=evidence, now=NOW).kind


def openai_error(message: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, **more}}


def google_error(status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"status": status, "message": message, "details": list(details)}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.INVALID),
        (401, Kind.AUTH),
        (402, Kind.QUOTA),
        (403, Kind.AUTH),
        (404, Kind.NOT_FOUND),
        (405, Kind.INVALID),
        (408, Kind.TIMEOUT),
        (409, Kind.SERVER),
        (413, Kind.CONTEXT_LENGTH),
        (422, Kind.INVALID),
        (425, Kind.SERVER),
        (429, Kind.RATE_LIMITED),
        (500, Kind.SERVER),
        (502, Kind.SERVER),
        (503, Kind.SERVER),
        (504, Kind.SERVER),
        (529, Kind.SERVER),
        (301, Kind.MALFORMED),
    ],
)
def test_a_status_alone_decides(status: int, kind: Kind) -> None:
    assert kind_of(answer(status)) is kind


RETRYABLE = {408, 409, 425, 429, 500, 503, 529}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, *sorted(RETRYABLE)])
def test_what_may_be_tried_again_is_exactly_what_time_can_mend(status: int) -> None:
    assert classify(Exception(), TARGET, heard=answer(status), now=NOW).retryable is (status in RETRYABLE)


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        # money and quota
        (answer(429, openai_error("Slow down", "insufficient_quota")), Kind.QUOTA),
        (answer(429, openai_error("You exceeded your current quota, please check your plan")), Kind.QUOTA),
        (
            answer(400, {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}}),
            Kind.QUOTA,
        ),
        (answer(403, {"error": "Your newly created team doesn't have any credits yet."}), Kind.QUOTA),
        (answer(402, openai_error("Insufficient Balance", "invalid_request_error")), Kind.QUOTA),
        # Gemini's ordinary 429 uses OpenAI's words for an empty account
        (
            answer(
                429, google_error("RESOURCE_EXHAUSTED", "You exceeded your current quota, check your plan and billing")
            ),
            Kind.RATE_LIMITED,
        ),
        (
            answer(
                429,
                google_error(
                    "RESOURCE_EXHAUSTED", "Quota exceeded", {"violations": [{"quotaId": "RequestsPerMinute"}]}
                ),
            ),
            Kind.RATE_LIMITED,
        ),
        (
            answer(
                429,
                google_error(
                    "RESOURCE_EXHAUSTED", "Quota exceeded", {"violations": [{"quotaId": "RequestsPerDayFree"}]}
                ),
            ),
            Kind.QUOTA,
        ),
        # length
        (answer(400, openai_error("Too long", "context_length_exceeded")), Kind.CONTEXT_LENGTH),
        (answer(400, {"code": "context_length_exceeded", "message": "m"}), Kind.CONTEXT_LENGTH),
        (
            answer(400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}),
            Kind.CONTEXT_LENGTH,
        ),
        (
            answer(
                400, google_error("INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens")
            ),
            Kind.CONTEXT_LENGTH,
        ),
        (
            answer(413, openai_error("Request too large for model on tokens per minute", "rate_limit_exceeded")),
            Kind.CONTEXT_LENGTH,
        ),
        # keys, models, filters behind a 400
        (answer(400, google_error("INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"})), Kind.AUTH),
        (answer(400, {"error": "Incorrect API key provided: xa***. "}), Kind.AUTH),
        (answer(400, openai_error("The model has been decommissioned", "model_decommissioned")), Kind.NOT_FOUND),
        (answer(400, openai_error("Model Not Exist", "invalid_request_error")), Kind.NOT_FOUND),
        (answer(400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model"}), Kind.NOT_FOUND),
        (answer(400, openai_error("Filtered", "content_filter")), Kind.REFUSED),
        (answer(400, openai_error("Failed to generate JSON", "json_validate_failed")), Kind.MALFORMED),
        # words that mislead: the status knows better
        (answer(401, openai_error("Rate limit reached, too many requests")), Kind.AUTH),
        (answer(503, openai_error("insufficient quota", "insufficient_quota")), Kind.SERVER),
        (answer(429, openai_error("maximum context length")), Kind.RATE_LIMITED),
        (answer(400, openai_error("Invalid 'messages': empty")), Kind.INVALID),
    ],
)
def test_codes_and_where_there_are_none_words_refine_a_status(evidence: Evidence, kind: Kind) -> None:
    assert kind_of(evidence) is kind


def test_the_rejected_parameter_is_named_by_the_field_that_names_it() -> None:
    for body, parameter in (
        (openai_error("Unsupported value", "unsupported_value", param="temperature"), "temperature"),
        (openai_error("Unsupported", param="body.seed"), "seed"),
        (openai_error("`temperature` is deprecated for this model"), "temperature"),
        (openai_error("temperatures are unknown"), None),
    ):
        assert classify(Exception(), TARGET, heard=answer(400, body), now=NOW).rejected_parameter == parameter


# --- exceptions without an answer ----------------------------------------------------------------------------------


def caused(outer: Exception, inner: BaseException, *, hidden: bool = False) -> Exception:
    try:
        try:
            raise inner
        except BaseException as error:
            if hidden:
                raise outer from None
            raise outer from error
    except Exception as error:
        return error


class APIConnectionError(Exception):
    """Named and built as the SDKs' own: no status, the reason in the cause."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), Kind.TIMEOUT),
        (caused(APIConnectionError("Connection error."), TimeoutError()), Kind.CONNECTION),
        (ConnectionRefusedError(111, "refused"), Kind.CONNECTION),
        (ConnectionResetError(104, "reset"), Kind.CONNECTION),
        (socket.gaierror(-2, "Name or service not known"), Kind.CONNECTION),
        (ssl.SSLCertVerificationError("certificate verify failed"), Kind.CONNECTION),
        (APIConnectionError("Connection error."), Kind.CONNECTION),
        (json.JSONDecodeError("Expecting value", "<html>", 0), Kind.MALFORMED),
        (caused(ValueError("No data received"), json.JSONDecodeError("x", "y", 0)), Kind.MALFORMED),
        (KeyError("choices"), Kind.MALFORMED),
        (IndexError("list index out of range"), Kind.MALFORMED),
        (AttributeError("'str' object has no attribute 'model_dump'"), Kind.MALFORMED),
        (RuntimeError("something new"), Kind.UNKNOWN),
    ],
)
def test_without_a_status_the_class_decides(error: Exception, kind: Kind) -> None:
    found = classify(error, TARGET, now=NOW)
    assert (found.kind, found.status) == (kind, None)


def test_a_mistake_before_anything_was_sent_is_no_malformed_body() -> None:
    assert classify(KeyError("x"), TARGET, heard=Evidence(), now=NOW).kind is Kind.UNKNOWN
    assert classify(KeyError("x"), TARGET, heard=Evidence(status=200), now=NOW).kind is Kind.MALFORMED


def test_an_error_that_is_classified_stays_as_it_is() -> None:
    error = LLMError(Kind.BUDGET, "none left", target=TARGET)
    assert classify(error, TARGET, now=NOW) is error


def test_status_headers_and_body_are_found_wherever_a_package_keeps_them() -> None:
    import anthropic
    import groq
    import httpx
    import httpx2
    import ollama
    import openai
    from google.genai import errors as google

    body = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    options: dict[str, Any] = {"headers": {"Retry-After": "7"}, "json": body}
    old = httpx.Response(429, request=httpx.Request("POST", "http://h"), **options)
    new = httpx2.Response(429, request=httpx2.Request("POST", "http://h"), **options)
    status_error = httpx.HTTPStatusError("429", request=old.request, response=old)
    for error in (
        openai.RateLimitError("m", response=new, body=body),
        anthropic.RateLimitError("m", response=new, body=body),
        groq.RateLimitError("m", response=old, body=body),
        status_error,
        caused(ollama.ResponseError("slow down", 429), status_error, hidden=True),
        caused(RuntimeError("wrapped"), openai.RateLimitError("m", response=new, body=body)),
        HttpError(429, {"Retry-After": "7"}, json.dumps(body).encode()),
    ):
        found = classify(error, TARGET, now=NOW)
        assert (found.kind, found.status, found.retry_after_sec) == (Kind.RATE_LIMITED, 429, 7.0), repr(error)
    details = google_error("RESOURCE_EXHAUSTED", "m", {"retryDelay": "27s"})
    found = classify(google.ClientError(429, details, None), TARGET, now=NOW)
    assert (found.kind, found.retry_after_sec) == (Kind.RATE_LIMITED, 27.0)
    found = classify(Exception("[503] Service Unavailable\nmodel is busy"), TARGET, now=NOW)
    assert (found.kind, found.status) == (Kind.SERVER, 503)


def test_a_chain_that_bites_its_own_tail_ends() -> None:
    one, two = ValueError("a"), ValueError("b")
    one.__cause__, two.__cause__ = two, one
    assert from_exception(one).status is None


def test_a_completion_that_was_cut_off_keeps_its_tokens() -> None:
    import openai
    from openai.types.chat import ChatCompletion

    completion = ChatCompletion.model_validate(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    )
    error = openai.LengthFinishReasonError(completion=completion)
    found = classify(error, TARGET, heard=Evidence(status=200), now=NOW)
    assert (found.kind, found.usage) == (Kind.TRUNCATED, Usage(11, 7))
    assert classify(openai.ContentFilterFinishReasonError(), TARGET, now=NOW).kind is Kind.REFUSED


# --- Retry-After ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "text", "seconds"),
    [
        ({"retry-after": "7"}, None, "", 7.0),
        ({"retry-after": "0"}, None, "", 0.0),
        ({"retry-after": "1.5"}, None, "", 1.5),
        ({"retry-after": "12s"}, None, "", 12.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, None, "", 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:59:00 GMT"}, None, "", 0.0),
        ({"retry-after": str(int(NOW.timestamp()) + 45)}, None, "", 45.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, None, "", 0.25),
        ({"x-ratelimit-reset-requests": "1m30s"}, None, "", 90.0),
        ({"x-ratelimit-reset-tokens": "120ms"}, None, "", 0.12),
        (
            {
                "x-ratelimit-reset-requests": "2h",
                "x-ratelimit-remaining-requests": "14",
                "x-ratelimit-reset-tokens": "7.66s",
                "x-ratelimit-remaining-tokens": "0",
            },
            None,
            "",
            7.66,
        ),
        ({"anthropic-ratelimit-requests-reset": "2026-03-01T12:00:20Z"}, None, "", 20.0),
        ({}, google_error("RESOURCE_EXHAUSTED", "m", {"retryDelay": "27s"}), "", 27.0),
        ({}, [google_error("RESOURCE_EXHAUSTED", "m", {"retryDelay": "27.5s"})], "", 27.5),
        ({}, None, "Please try again in 20s. Visit", 20.0),
        ({}, None, "Please try again in 1m4.5s.", 64.5),
        ({}, None, "retry after 3 seconds", 3.0),
        ({"retry-after": "5"}, google_error("x", "m", {"retryDelay": "27s"}), "try again in 20s", 5.0),
        ({"retry-after": "soon"}, None, "", None),
        ({"retry-after": "nan"}, None, "", None),
        ({"retry-after": "-3"}, None, "", None),
        ({}, None, "There are 3 models; try again in a moment", None),
        ({}, {"error": {"details": "none"}}, "", None),
    ],
)
def test_a_wait_is_read_in_every_notation_and_never_invented(
    headers: dict[str, str], body: Any, text: str, seconds: float | None
) -> None:
    found = retry_after(headers, body, text, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_only_an_answer_that_is_an_error_asks_for_a_wait() -> None:
    wait = {"retry-after": "7"}
    assert classify(Exception(), TARGET, heard=Evidence(503, wait), now=NOW).retry_after_sec == 7.0
    assert classify(KeyError("x"), TARGET, heard=Evidence(200, wait), now=NOW).retry_after_sec is None
    assert classify(Exception("try again in 20s"), TARGET, now=NOW).retry_after_sec is None


# --- what is said about it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijklmnop",
        "sk-proj-abc_defghijklmnop",
        "sk-ant-api03-abcdefghijklmnop",
        "AIzaSyAbcdefghijklmnopqrstuvwxyz12345",
        "gsk_abcdefghijklmnop",
        "nvapi-abcdefghijklmnop",
        "xai-abcdefghijklmnop",
        "Bearer abc.def-ghi",
        "https://host/v1?key=plainkey123",
        "https://host/v1?a=b&api_key=plainkey123",
        "https://user:plainkey123@host/v1",
        '{"x-api-key": "plainkey123"}',
        "Authorization: Bearer plainkey123",
        "authorization: Basic plainkey123",
        "Incorrect API key provided: plainkey123.",
    ],
)
def test_keys_are_taken_out_of_every_text(secret: str) -> None:
    text = without_secrets(f"failed with {secret} at once")
    assert "***" in text
    assert text.startswith("failed with ")
    assert text.endswith(" at once")
    for part in ("abcdefgh", "plainkey123", "abc.def"):
        assert part not in text


@pytest.mark.parametrize(
    "text", ["sk-learn is fine", "the key to success", "http://host:80/path@v1", "ask-me", "monkey=4"]
)
def test_texts_without_keys_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


def test_the_providers_words_are_kept_short_and_without_keys_apart_from_the_message() -> None:
    words = "Incorrect API key provided: sk-abcdefghijklmnop. " + "long " * 200
    error = classify(Exception(), TARGET, heard=answer(401, openai_error(words)), now=NOW)
    assert error.detail is not None
    assert error.detail.startswith("Incorrect API key provided: ***")
    assert len(error.detail) == DETAIL_CHARS
    assert error.message == "openai does not accept the API key"


def test_a_body_that_repeats_the_prompt_is_not_repeated() -> None:
    complaint = {"loc": ["body", "seed"], "msg": "Input should be an integer", "input": "my secret diary"}
    for body in ({"detail": [complaint]}, {"message": {"detail": [complaint]}}, {"request": "my secret diary"}):
        error = classify(Exception(), TARGET, heard=answer(422, body), now=NOW)
        assert "diary" not in str(error.as_dict())
    body = {"detail": [{"loc": ["body", "temperature"], "msg": "Input should be less than 1.5", "input": 2}]}
    error = classify(Exception(), TARGET, heard=answer(422, body), now=NOW)
    assert error.detail == "body.temperature: Input should be less than 1.5"
    assert error.rejected_parameter == "temperature"
    weather = {"request": "What is the temperature?"}
    assert classify(Exception(), TARGET, heard=answer(400, weather), now=NOW).rejected_parameter is None


def test_the_text_of_an_unknown_exception_is_not_repeated_because_it_may_quote_the_prompt() -> None:
    for error in (RuntimeError("prompt: my secret diary"), ValueError("answer was: my secret diary")):
        for heard in (Evidence(), Evidence(status=200, text="my secret diary")):
            found = classify(error, TARGET, heard=heard, now=NOW)
            assert "diary" not in str(found.as_dict())
            assert found.detail == type(error).__name__
