"""Dead letters as data: reading their fields, choosing among them, showing them. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from . import strictjson
from .errors import InvalidTask
from .keys import PRIORITY_OF_STREAM, STREAMS
from .models import TaskPriority
from .tasks import ALIASES, brand_field, slug_of

_ENTRY_ID: Final = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
_ID_PART_MAX: Final = 2**64 - 1
_REPLACED: Final = "replaced"
_ORCHESTRATOR_ERROR: Final = "invalid_chunk_result"
"""What the orchestrator writes into its own records of `failed:brand:*`: results (outputs) it has rejected."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One entry of `worker:dead`. `fields[b"task"]` may be cut off; `task_bytes` is its whole length.

    Fields are read leniently: an entry may be from an earlier version, or somebody else's.
    """

    entry_id: str
    fields: Mapping[bytes, bytes]
    task_bytes: int

    def text(self, name: str) -> str:
        return self.fields.get(name.encode(), b"").decode("utf-8", "replace")

    @property
    def task_id(self) -> str | None:
        return self.text("id") or None

    @property
    def stream(self) -> str:
        """Where a replay puts it: the native stream of its priority, which is normal when it is not known."""
        return STREAMS[self.priority]

    @property
    def priority(self) -> TaskPriority:
        return PRIORITY_OF_STREAM.get(self.fields.get(b"stream", b""), TaskPriority.NORMAL)

    @property
    def error(self) -> Any:
        return _json(self.fields.get(b"error", b""))

    @property
    def code(self) -> str:
        error = self.error
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, str) else ""

    def shown(self, brand: str) -> dict[str, Any]:
        """The letter for people and clients, without its task."""
        attempts = self.text("attempts")
        history = _json(self.fields.get(b"history", b"[]"))
        return {
            "id": self.entry_id,
            "taskId": self.task_id,
            "type": self.text("type"),
            "brand": brand,
            "reason": self.text("reason"),
            "error": self.error,
            "attempts": int(attempts) if attempts.isascii() and attempts.isdigit() and len(attempts) < 10 else None,
            "at": self.text("at"),
            "worker": self.text("worker"),
            "stream": self.stream,
            "door": self.text("door") or None,
            "history": history if isinstance(history, list) else [],
        }

    def shown_task(self, *, exact: bool = False) -> dict[str, Any]:
        """`{task, taskBytes}`: the parsed JSON where it is JSON, else its text and `taskEncoding`.

        `taskEncoding` is `utf-8` for text that is not JSON, `replaced` where bytes that are not UTF-8 were replaced
        (`exact` adds them all as `taskBase64`). A task that was cut off is text and says `taskTruncated`.
        """
        raw = self.fields.get(b"task", b"")
        size = {"taskBytes": self.task_bytes}
        if len(raw) < self.task_bytes:
            text, encoding = _text(_whole_characters(raw))
            return {"task": text, "taskEncoding": encoding, "taskTruncated": True, **size}
        try:
            return {"task": strictjson.loads(raw), **size}
        except InvalidTask:
            text, encoding = _text(raw)
        out = {"task": text, "taskEncoding": encoding, **size}
        if exact and encoding == _REPLACED:
            out["taskBase64"] = base64.b64encode(raw).decode()
        return out


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are meant; a field that is None does not matter.

    `brand` may be a name or a slug, `type` an alias, `code` is the error's, e.g. `VALIDATION_ERROR`.
    """

    brand: str | None = None
    type: str | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        """Raises InvalidTask: an empty value, which would choose other letters than was meant."""
        for name in ("brand", "type", "code"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise InvalidTask(name, "is empty")
        brand_field(self.brand)

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.brand, self.type, self.code))

    def matches(self, letter: Letter, brand: str) -> bool:
        """`brand` is the letter's as far as it is known."""
        if self.brand is not None and slug_of(brand) != slug_of(self.brand):
            return False
        if self.type is not None and letter.text("type") not in (self.type, ALIASES.get(self.type)):
            return False
        return self.code is None or letter.code == self.code


def checked_id(entry_id: str, field: str = "id") -> str:
    """Raises InvalidTask: not the id of a stream entry, e.g. `1700000000000-0`."""
    found = _ENTRY_ID.fullmatch(entry_id)
    if found is None or max(int(found[1]), int(found[2])) > _ID_PART_MAX:
        raise InvalidTask(field, "must be the id of a dead letter, e.g. 1700000000000-0")
    return entry_id


def unwrap_failure(raw: bytes) -> bytes | None:
    """What a worker's failure record of `failed:brand:*` wraps: the input that had failed, to be tried again.

    The record is `{worker_id, brand, chunk_id, reason, payload}` (or camelCase), its payload JSON or the text of it.
    None for anything else: the orchestrator's records (whose payload is an output), what cannot be read, what wraps
    nothing that could be read as a task.
    """
    try:
        record = strictjson.loads(raw)
        if not isinstance(record, dict) or record.get("error") == _ORCHESTRATOR_ERROR:
            return None
        if not isinstance(record.get("reason"), str):
            return None
        payload = record.get("payload")
        inner = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        return inner if _is_input(strictjson.loads(inner)) else None
    except InvalidTask:
        return None


def _is_input(payload: Any) -> bool:
    """A result of a chunk has clusters where a chunk has mentions."""
    return isinstance(payload, dict) and not ("clusters" in payload and "mentions" not in payload)


def _json(raw: bytes) -> Any:
    """A field that is JSON; its text where it is not."""
    try:
        return strictjson.loads(raw) if raw else None
    except InvalidTask:
        return raw.decode("utf-8", "replace")


def _text(raw: bytes) -> tuple[str, str]:
    """Text and `taskEncoding`."""
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), _REPLACED


def _whole_characters(raw: bytes) -> bytes:
    """Without the part of a character that a cut has left at the end."""
    for back in range(1, min(4, len(raw)) + 1):
        lead = raw[-back]
        if lead & 0xC0 != 0x80:  # the byte that begins the last character, and says how many it has
            length = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return raw[:-back] if length > back else raw
    return raw
