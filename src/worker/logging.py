"""Structured logs on standard error: one JSON object per line, or readable lines on a terminal.

log = get_logger(__name__)
log.info("chunk stored", brand="acme", stored=28)

A line written inside a task has its `task_id`, and `trace_id` and `span_id` where it belongs to a trace: a producer's
ids too when this process records none.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from .trace_context import current

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the HTTP request that is being answered; stands in every line that is written meanwhile."""
_FIELDS = "structured_fields"
_MAX_VALUE_CHARS = 2_000
"""A field longer than this is cut: a log line must not carry a whole payload."""
_EXCEPTION_CHARS = 8_000
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON need not escape, though terminals obey it (C1 controls) and some readers of lines break lines at it."""
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", _FIELDS))
"""Attributes that every record has; others are extras, which libraries hand over without our front."""


class StructuredLogger:
    """A thin front of the standard library's logger that takes fields as keywords."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, **fields: Any) -> None:
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, *, exc: BaseException | None = None, **fields: Any) -> None:
        self._log(logging.ERROR, message, fields, exc)

    def _log(self, level: int, message: str, fields: dict[str, Any], exc: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={_FIELDS: fields}, exc_info=exc)


def get_logger(name: str) -> StructuredLogger:
    return StructuredLogger(logging.getLogger(name))


class JsonFormatter(logging.Formatter):
    """`timestamp` (UTC, ISO 8601), `level`, `logger`, `message`, the fields, `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _bounded(record.getMessage()),
        }
        for name, value in _fields(record).items():
            entry[name if name not in entry else f"field_{name}"] = _bounded(value)
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = _encodable("".join(traceback.format_exception(record.exc_info[1]))[-_EXCEPTION_CHARS:])
        try:
            line = orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # half a surrogate pair deep inside, an integer of over 64 bits: said as text
            plain = {_encodable(str(name)): _bounded(str(value)) for name, value in entry.items()}
            line = orjson.dumps(plain).decode()
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


class TextFormatter(logging.Formatter):
    """For a person at a terminal. Whatever the values hold, one record is one line; a traceback's lines are marked."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{_one_line(name)}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{_utc(record.created)[11:19]} {record.levelname.lower():7} {_one_line(record.getMessage())}"
        if fields:
            line = f"{line}  {fields}"
        if record.exc_info and record.exc_info[1] is not None:
            shown = "".join(traceback.format_exception(record.exc_info[1]))[-_EXCEPTION_CHARS:]
            # An error's message may hold line breaks: each of its lines is marked, so that none passes for a record.
            line += "".join(f"\n    | {_one_line(one)}" for one in shown.rstrip().splitlines())
        return line


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send everything, libraries included, through one handler. `form`: auto (text on a terminal), json or text."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    text = form == "text" or (form == "auto" and stream.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("pymongo", "asyncio", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What is said beside the message: our fields or a library's extras, and where it was said."""
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    fields |= getattr(record, _FIELDS, {})
    if (request := request_id.get()) is not None:
        fields.setdefault("request_id", request)
    scope = current()
    if scope.task_id is not None:
        fields.setdefault("task_id", scope.task_id)
    if scope.trace is not None:
        fields |= {"trace_id": scope.trace.trace_id, "span_id": scope.trace.span_id}
    return fields


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return _encodable(value if len(value) <= _MAX_VALUE_CHARS else value[:_MAX_VALUE_CHARS] + "…")
    return value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _quoted(value: Any) -> str:
    """In quotation marks where it could be taken for more than one field."""
    text = str(value)[:_MAX_VALUE_CHARS]
    if text and text.isprintable() and not set(text) & set(' ="\\'):
        return text
    marked = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_one_line(marked)}"'


def _one_line(value: Any) -> str:
    # Hostile text must not be able to forge a second log line or drive the terminal.
    text = str(value)[: 2 * _MAX_VALUE_CHARS]
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
