"""Structured logs of the evaluation scripts: one JSON object per line on standard error, flushed.

log = get_logger("probe")
log.info("Starting probe", runId=run_id, modelId=model_id)

`level` and `msg` are what the orchestrator forwards to its own log; `ts` is ISO 8601 in UTC. `LOG_LEVEL` filters.
Prompts and answers are nobody's to log, at any level.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from ..redaction import Redact, redacted, redactor
from .config import is_debug

if TYPE_CHECKING:
    import logging

_LEVELS: Final = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40}
_ALIASES: Final = {"warning": "warn", "critical": "error", "fatal": "error"}
_RESERVED: Final = frozenset({"level", "msg", "ts", "context"})
_LONGEST: Final = 2_000
"""A field longer than this is cut: a log line must not carry a whole payload."""


def level_number(name: str) -> int:
    """The number of a level's name; an unknown name is `info`, as a log setting must not stop a paid run."""
    lower = name.strip().lower()
    return _LEVELS.get(_ALIASES.get(lower, lower), _LEVELS["info"])


def threshold(environ: Mapping[str, str]) -> int:
    """Lowest level that is written: LOG_LEVEL, else `debug` with PYTHON_WORKER_DEBUG and `info` without."""
    named = environ.get("LOG_LEVEL", "").strip()
    return level_number(named or ("debug" if is_debug(environ) else "info"))


class Logger:
    """`child()` gives a logger whose fields stand in every line."""

    __slots__ = ("_clock", "_context", "_fields", "_redact", "_stream")

    def __init__(
        self,
        context: str,
        fields: Mapping[str, Any] | None = None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
        redact: Redact | None = None,
    ) -> None:
        self._context = context
        self._fields = dict(fields or {})
        self._stream = stream
        self._clock = clock
        self._redact = redact

    def trace(self, message: str, **fields: Any) -> None:
        self._log("trace", message, fields)

    def debug(self, message: str, **fields: Any) -> None:
        self._log("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._log("info", message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        self._log("warn", message, fields)

    warning = warn

    def error(self, message: str, **fields: Any) -> None:
        self._log("error", message, fields)

    def child(self, **fields: Any) -> Logger:
        merged = self._fields | fields
        return Logger(self._context, merged, stream=self._stream, clock=self._clock, redact=self._redact)

    def _log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        if _LEVELS[level] < threshold(os.environ):
            return
        entry: dict[str, Any] = {"level": level, "ts": _iso(self._clock()), "context": self._context, "msg": message}
        for name, value in {**self._fields, **fields}.items():
            entry[f"field_{name}" if name in _RESERVED else name] = _plain(value)
        line = json.dumps(redacted(entry, self._redact or redactor(os.environ)))
        stream = self._stream or sys.stderr
        if stream is None:  # standard error was closed by whoever started the process
            return
        with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more: no reason to stop a paid run
            stream.write(f"{line}\n")
            stream.flush()


_loggers: dict[str, Logger] = {}


def get_logger(context: str) -> Logger:
    """The logger of a part of the program; the same one for the same name."""
    if context not in _loggers:
        _loggers[context] = Logger(context)
    return _loggers[context]


def route_standard_logging() -> None:
    """Send the standard library's logging through here: our modules by LOG_LEVEL, libraries from errors on only.

    Libraries of providers log whole requests at `debug`, prompts included, so LOG_LEVEL does not open them.
    """
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = dict(getattr(record, "structured_fields", {}))
            if record.exc_info and record.exc_info[1] is not None:
                fields["err"] = record.exc_info[1]
            message = record.getMessage() if _is_ours(record.name) else f"a message of {record.name}"
            get_logger(record.name)._log(_name_of(record), message, fields)

    root = logging.getLogger()
    root.handlers[:] = [Handler()]
    root.setLevel(logging.ERROR)
    package = __name__.partition(".evaluation")[0]
    logging.getLogger(package).setLevel(threshold(os.environ))


def _is_ours(name: str) -> bool:
    return name.startswith(__name__.partition(".evaluation")[0])


def _name_of(record: logging.LogRecord) -> str:
    return "error" if record.levelno >= 40 else "warn" if record.levelno >= 30 else record.levelname.lower()


def _plain(value: Any) -> Any:
    """A value JSON can carry; an exception as its type and message."""
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": _plain(str(value))}
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(child) for child in value]
    return _plain(str(value))


def _iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
