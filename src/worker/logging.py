"""Structured logs on standard error: one JSON object per line, or readable lines on a terminal.

log = get_logger(__name__)
log.info("chunk stored", brand="acme", stored=28)

Keys, tokens and passwords are masked in every line, whoever wrote it: a driver's error may repeat any of them.
A line written inside a task has its `task_id`, and `trace_id` and `span_id` where it belongs to a trace: a producer's
ids too when this process records none.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import orjson

from .secrecy import without_known, without_secrets
from .trace_context import current

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the HTTP request that is being answered; stands in every line that is written meanwhile."""
_FIELDS = "structured_fields"
_MAX_VALUE_CHARS = 2_000
"""A field longer than this is cut: a log line must not carry a whole payload."""
_EXCEPTION_CHARS = 8_000
_MASK_AHEAD: Final = 2
"""So many times what is kept is masked before it is cut: a key at the cut is still known for one."""
_WARNING_CHARS: Final = 200
_DEPTH_MAX: Final = 6
"""Fields of fields that are looked into; what is deeper is said as text."""
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
            entry["exception"] = _encodable(_traceback(record.exc_info[1]))
        try:
            line = orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # half a surrogate pair deep inside, an integer of over 64 bits: said as text
            plain = {_encodable(str(name)): _bounded(str(value)) for name, value in entry.items()}
            line = orjson.dumps(plain).decode()
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", without_known(line))


class TextFormatter(logging.Formatter):
    """For a person at a terminal. Whatever the values hold, one record is one line; a traceback's lines are marked."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{_one_line(name)}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{_utc(record.created)[11:19]} {record.levelname.lower():7} {_one_line(_bounded(record.getMessage()))}"
        if fields:
            line = f"{line}  {fields}"
        if record.exc_info and record.exc_info[1] is not None:
            # An error's message may hold line breaks: each of its lines is marked, so that none passes for a record.
            line += "".join(f"\n    | {_one_line(one)}" for one in _traceback(record.exc_info[1]).rstrip().splitlines())
        return line


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send everything, libraries included, through one handler: Python's warnings and what nobody caught as well, which
    else would stand between the lines as they are. `form`: auto (text on a terminal), json or text."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    text = form == "text" or (form == "auto" and stream.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("pymongo", "asyncio", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    warnings.showwarning = _warned
    sys.excepthook = _uncaught


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Its first line: pydantic's others show values, which may be what a provider has sent."""
    words = next(iter(str(message).splitlines()), "")[:_WARNING_CHARS]
    place = f"{Path(filename).parent.name}/{Path(filename).name}:{lineno}"
    get_logger("python").warning("Python warns", category=category.__name__, problem=words, place=place)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        get_logger("python").error("ended by a fault that nobody caught", exc=error.with_traceback(trace))


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


def _traceback(error: BaseException) -> str:
    """The end of it, which says what happened."""
    shown = "".join(traceback.format_exception(error))
    return without_secrets(shown[-_MASK_AHEAD * _EXCEPTION_CHARS :])[-_EXCEPTION_CHARS:]


def _bounded(value: Any, depth: int = 0) -> Any:
    """Without secrets, and cut where it is long; fields of fields as well."""
    if isinstance(value, str):
        masked = without_secrets(value[: _MASK_AHEAD * _MAX_VALUE_CHARS])
        return _encodable(masked if len(masked) <= _MAX_VALUE_CHARS else masked[:_MAX_VALUE_CHARS] + "…")
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == _DEPTH_MAX or not isinstance(value, dict | list | tuple):
        return _bounded(str(value))
    if isinstance(value, dict):
        return {_bounded(name, depth + 1): _bounded(child, depth + 1) for name, child in value.items()}
    return [_bounded(child, depth + 1) for child in value]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _quoted(value: Any) -> str:
    """In quotation marks where it could be taken for more than one field."""
    text = str(_bounded(value))[:_MAX_VALUE_CHARS]
    if text and text.isprintable() and not set(text) & set(' ="\\'):
        return text
    marked = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_one_line(marked)}"'


def _one_line(value: Any) -> str:
    # Hostile text must not be able to forge a second log line or drive the terminal.
    text = str(value)[: 2 * _MAX_VALUE_CHARS]
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
