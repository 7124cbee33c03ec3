"""Structured logs on standard error: one JSON object per line, or readable lines on a terminal.

log = get_logger(__name__)
log.info("chunk stored", brand="acme", stored=28)
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_FIELDS = "structured_fields"
_MAX_VALUE_CHARS = 2_000
"""A field longer than this is cut: a log line must not carry a whole payload."""


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
            "message": record.getMessage(),
        }
        for name, value in getattr(record, _FIELDS, {}).items():
            entry[name if name not in entry else f"field_{name}"] = _bounded(value)
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = "".join(traceback.format_exception(record.exc_info[1]))[-8_000:]
        return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class TextFormatter(logging.Formatter):
    """For a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_one_line(value)}" for name, value in getattr(record, _FIELDS, {}).items())
        line = f"{_utc(record.created)[11:19]} {record.levelname.lower():7} {_one_line(record.getMessage())}"
        if fields:
            line = f"{line}  {fields}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
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


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        text = value if len(value) <= _MAX_VALUE_CHARS else value[:_MAX_VALUE_CHARS] + "…"
        return text.encode("utf-8", "backslashreplace").decode()
    return value


def _one_line(value: Any) -> str:
    # Hostile text must not be able to forge a second log line or drive the terminal.
    text = str(value)[:_MAX_VALUE_CHARS]
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
