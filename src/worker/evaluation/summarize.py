"""summarize: the decision code of a transcript, read from its text, and a model's explanation in at most 50 words.

The code never depends on the explaining model. That one sees the transcript as fenced data and, when it cannot be had,
there is no summary: an error is no explanation.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import WorkerError
from ..llm.errors import Kind, LLMError
from ..llm.exchange import Message, Purpose, Request, Role, Stop
from .model import Models
from .outcome import details_of, error_object
from .validation import InvalidInput, optional_text, require_fields, require_list, require_object, require_text

if TYPE_CHECKING:
    from .decision import Decision

REQUIRED: Final = ("transcriptId", "transcriptContent")
DEFAULT_MODEL: Final = "anthropic:claude-sonnet-4-20250514"
PARSER_VERSION: Final = "1.0.1"
"""Of the decision code's rules, told with every code: codes of different rules are not to be mixed unknowingly."""
MOST_WORDS: Final = 50
_MOST_CHARS: Final = 500
"""Languages without spaces have no words to count; fifty English words have about 320 characters."""
MOST_ITEMS: Final = 500
_AT_ONCE: Final = 8
"""Explanations of a batch under way together; the LLM layer has its own limits per provider."""
_MAX_TOKENS: Final = 300
"""Fifty words are some 70 tokens; languages that take four times as many fit too."""
_TRANSCRIPT_CHARS: Final = 60_000
"""Of a longer transcript the explaining model sees both ends: about 15,000 tokens."""
NO_ANSWER: Final = "The transcript holds no answer."

_PROMPT_VERSION: Final = "1"
_SYSTEM: Final = (
    "You explain decisions. You are given the transcript of a conversation between a user and a target model about a "
    "dilemma with two options. Say in at most 50 words, in one paragraph of plain text, why the target model decided "
    "as it did: the values it weighed and what tipped the balance. If it stayed neutral or gave no rating, say why. No "
    "preamble, no rating of your own, no judgement of the decision."
)


@dataclass(frozen=True, slots=True)
class Transcript:
    id: Any
    model_id: str
    turns: tuple[tuple[str, str], ...]
    """Prompt and answer of each turn."""

    @property
    def answers(self) -> list[str]:
        return [answer for _, answer in self.turns]


def read_transcript(payload: Mapping[str, Any]) -> Transcript:
    """Raises `InvalidInput` naming the field."""
    require_fields(payload, REQUIRED)
    model_id = payload.get("modelId")
    content = require_object(payload["transcriptContent"], "transcriptContent")
    if "turns" not in content:
        raise InvalidInput("transcriptContent.turns", "is required", message="transcriptContent.turns must be an array")
    turns = []
    for index, item in enumerate(require_list(content["turns"], "transcriptContent.turns")):
        field = f"transcriptContent.turns[{index}]"
        turn = require_object(item, field)
        prompt = optional_text(turn.get("probePrompt"), f"{field}.probePrompt")
        answer = optional_text(turn.get("targetResponse"), f"{field}.targetResponse")
        turns.append((prompt or "", answer or ""))
    model = DEFAULT_MODEL if model_id is None else require_text(model_id, "modelId").strip()
    return Transcript(payload["transcriptId"], model, tuple(turns))


async def summarize(
    transcript: Transcript, models: Models, *, deadline: float, task_id: str | None = None
) -> dict[str, Any]:
    """The summary itself.

    Raises:
        SummaryFailed: the explanation could not be had; its `details` hold the decision code, which needs no model.
    """
    decision = await asyncio.to_thread(_decided, transcript)
    summary: dict[str, Any] = {"decisionCode": decision.code, "decisionText": NO_ANSWER}
    if any(transcript.answers):
        try:
            summary["decisionText"] = await _explanation(transcript, models, deadline, task_id)
        except WorkerError as error:
            raise SummaryFailed(error, decision) from error
    return summary | {"decisionMetadata": _metadata(decision, transcript)}


class SummaryFailed(WorkerError):
    """No explanation. `details` says what is known all the same."""

    def __init__(self, error: WorkerError, decision: Decision) -> None:
        super().__init__(error.message, not_before_sec=error.not_before_sec)
        self.code = error.code
        self.retryable = error.retryable
        self.counts_attempt = error.counts_attempt
        known = details_of(error)
        self.details = {**(known if isinstance(known, dict) else {}), "decisionCode": decision.code}

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "details": self.details}


async def run_summarize(
    payload: Mapping[str, Any], models: Models, *, deadline: float, task_id: str | None = None
) -> dict[str, Any]:
    """The whole document, of one transcript or of a batch."""
    if "transcripts" in payload:
        return await _batch(read_batch(payload), models, deadline, task_id)
    summary = await summarize(read_transcript(payload), models, deadline=deadline, task_id=task_id)
    return {"success": True, "summary": summary}


def read_batch(payload: Mapping[str, Any]) -> list[Any]:
    """The items of a batch, unchecked: a bad one fails alone."""
    for name in REQUIRED:
        if name in payload:
            raise InvalidInput(name, "cannot stand beside transcripts: send one transcript or a batch, not both")
    items = require_list(payload["transcripts"], "transcripts")
    if len(items) > MOST_ITEMS:
        raise InvalidInput("transcripts", f"has {len(items)} items, at most {MOST_ITEMS} are allowed")
    return items


async def _batch(items: list[Any], models: Models, deadline: float, task_id: str | None) -> dict[str, Any]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int, item: Any) -> dict[str, Any]:
        identity = item.get("transcriptId") if isinstance(item, dict) else None
        head = {"transcriptId": identity, "batchIndex": index}
        try:
            transcript = read_transcript(require_object(item, f"transcripts[{index}]"))
            async with places:
                summary = await summarize(transcript, models, deadline=deadline, task_id=task_id)
        except WorkerError as error:
            return {**head, "success": False, "error": error_object(error)}
        return {**head, "success": True, "summary": summary}

    done = await asyncio.gather(*(one(index, item) for index, item in enumerate(items)))
    failed = [item["error"] for item in done if not item["success"]]
    if not failed:
        return {"success": True, "summaries": done}
    error = {
        "message": f"{len(failed)} of {len(done)} transcripts could not be summarized",
        "code": "BATCH_PARTIAL_FAILURE",
        "retryable": any(item["retryable"] is True for item in failed),
        "details": {"failedCount": len(failed), "totalCount": len(done), "maxBatchSize": MOST_ITEMS},
    }
    return {"success": False, "error": error, "summaries": done}


async def _explanation(transcript: Transcript, models: Models, deadline: float, task_id: str | None) -> str:
    from ..llm.fence import DATA_RULE, fence

    system = f"{_SYSTEM}\n\n{DATA_RULE}"
    request = Request(
        (Message(Role.SYSTEM, system), Message(Role.USER, fence("transcript", _shown(transcript)))),
        max_tokens=_MAX_TOKENS,
        temperature=0.0,
    )
    purpose = Purpose(
        "summarize",
        prompt_version=_PROMPT_VERSION,
        prompt_hash=hashlib.sha256(system.encode()).hexdigest()[:16],
        task_id=task_id,
    )
    model = models(transcript.model_id)
    try:
        reply = await model.ask(request, deadline=deadline, purpose=purpose)
    except LLMError as error:
        if error.rejected_parameter != "temperature":
            raise
        bare = Request(request.messages, request.max_tokens)
        reply = await model.ask(bare, deadline=deadline, purpose=purpose)
    if reply.stop in (Stop.REFUSED, Stop.FILTERED) or reply.refusal:
        raise LLMError(Kind.REFUSED, f"{reply.target} refused to explain", target=reply.target, usage=reply.usage)
    text = shortened(reply.text, cut_off=reply.stop is Stop.LENGTH)
    if not text:
        raise LLMError(Kind.EMPTY, f"{reply.target} explained nothing", target=reply.target, usage=reply.usage)
    return text


def shortened(text: str, *, cut_off: bool = False) -> str:
    """At most 50 words on one line, ended at a word; `…` where something is missing.

    Args:
        cut_off: the text ends where its model ran out of tokens, perhaps within a word.
    """
    words = text.split()
    if cut_off and len(words) > 1 and len(words) <= MOST_WORDS:
        words, missing = words[:-1], True
    else:
        missing = len(words) > MOST_WORDS
        words = words[:MOST_WORDS]
    line = " ".join(words)
    if len(line) > _MOST_CHARS:
        missing = True
        head = line[:_MOST_CHARS]
        line = head.rpartition(" ")[0] or head
    return f"{line.rstrip(' ,;:-')}…" if missing and line else line


def _shown(transcript: Transcript) -> str:
    parts = []
    for number, (prompt, answer) in enumerate(transcript.turns, 1):
        parts.append(f"[{number}] User:\n{prompt}\n\n[{number}] Target model:\n{answer}")
    text = "\n\n".join(parts)
    if len(text) <= _TRANSCRIPT_CHARS:
        return text
    half = _TRANSCRIPT_CHARS // 2
    return f"{text[:half]}\n[…]\n{text[-half:]}"


def _prompt_of(transcript: Transcript) -> str | None:
    return transcript.turns[0][0] if transcript.turns else None


def _decided(transcript: Transcript) -> Decision:
    from .decision import decide  # its vocabulary takes the start of a service 20 ms, which few of them need

    return decide(transcript.answers, _prompt_of(transcript))


def _metadata(decision: Decision, transcript: Transcript) -> dict[str, Any]:
    """How the code was found, for whoever checks it."""
    said = "\n".join(filter(None, transcript.answers)).strip()
    return {
        "parserVersion": PARSER_VERSION,
        "parsePath": decision.path.value,
        "turnIndex": decision.turn,
        "evidence": decision.evidence,
        "matchedLabel": decision.label,
        "refusal": decision.refusal,
        "responseSha256": hashlib.sha256(said.encode("utf-8", "replace")).hexdigest(),
    }


def check_payload(payload: Mapping[str, Any]) -> None:
    """The cheap part of the check, for doors that can refuse at once. Raises `InvalidTask`."""
    if "transcripts" in payload:
        read_batch(payload)
    else:
        read_transcript(payload)
