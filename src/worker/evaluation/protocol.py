"""JSON on standard input and output: one strict document whatever happens, exit code 0, before the deadline.

Standard output belongs to that one document. File descriptor 1 is pointed at standard error before anything is
imported, so that what a library prints is a log line at worst. A thread watches the deadline and the signals: it needs
neither the event loop nor the main thread to come round.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from ..errors import InvalidTask, WorkerError
from .compat.errors import ErrorCode
from .compat.logging import get_logger
from .environment import DEFAULT_TIMEOUT_SEC, read_environment, worker_timeout
from .outcome import error_object
from .redaction import redacted, redactor
from .validation import InvalidInput

log = get_logger("protocol")

MAX_INPUT_BYTES: Final = 256 * 2**20
"""A run of a hundred thousand transcripts has 30 MB; more than this is not meant for one process."""
_WRITE_GRACE_SEC: Final = 5.0
"""How long an answer that is being written when the end comes may still take."""


@dataclass(slots=True)
class Context:
    """What a script may know of its process."""

    environ: Mapping[str, str]
    deadline: float
    """When the answer has to be there, by `time.monotonic`; a little before the process gives up itself."""
    arguments: tuple[str, ...] = ()
    partial: Callable[[], Mapping[str, Any] | None] = field(default=lambda: None)
    """What is done already, for the error that ends an unfinished script. Set by the script."""
    exits: bool = False
    """The process ends after the answer: nothing has to be taken apart before it is written."""


class Script(Protocol):
    @property
    def reads_input(self) -> bool:
        """False: what stands on standard input does not matter."""
        ...

    def __call__(self, payload: dict[str, Any], context: Context) -> dict[str, Any]:
        """The whole document. Raises `WorkerError`s; everything else is a fault of ours."""
        ...


def answer(script: Script, raw: bytes, context: Context) -> dict[str, Any]:
    """One document for one input: never raises, never holds a key."""
    try:
        payload = read_payload(raw) if script.reads_input else {}
        document = script(payload, context)
        return _clean(document, context.environ)
    except Exception as error:  # noqa: BLE001 - the last line of defence: every fault becomes a document
        if not isinstance(error, WorkerError | ImportError):
            log.error("unexpected error", error=type(error).__name__, at=_places(error))
        return _clean({"success": False, "error": error_object(error)}, context.environ)


def read_payload(raw: bytes) -> dict[str, Any]:
    """The input object.

    A lone surrogate, which a text cut by its producer may end with, becomes U+FFFD; NaN and the like are refused.

    Raises:
        InvalidInput: nothing there ("No input"), no strict JSON ("Invalid JSON"), no object.
    """
    if not raw.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        raise InvalidInput("input", "is missing", message="No input on stdin: send one JSON object")
    if len(raw) > MAX_INPUT_BYTES:
        raise InvalidInput("input", f"has {len(raw):,} bytes, at most {MAX_INPUT_BYTES:,} are allowed")
    from .. import strictjson
    from .validation import an_object

    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return an_object(strictjson.loads(raw))
    except InvalidInput:
        raise
    except InvalidTask as error:
        mended = _mended(raw) if "surrogate" in error.problem else None
        if mended is not None:
            log.warn("a lone surrogate was replaced by U+FFFD", field=error.field)
            return an_object(mended)
        where = "" if error.field == strictjson.ROOT else f"{error.field}: "
        raise InvalidInput("input", "is no JSON", message=f"Invalid JSON: {where}{error.problem}") from None


def _mended(raw: bytes) -> Any:
    """The tree with its lone surrogates replaced; None when more than those is wrong."""
    from .. import strictjson

    tree = redacted(json.loads(raw), lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16", "replace"))
    try:
        return strictjson.loads(json.dumps(tree).encode())
    except InvalidTask:
        return None


def _clean(document: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    cleaned: dict[str, Any] = redacted(document, redactor(environ))
    return cleaned


def _places(error: BaseException) -> list[str]:
    """Where it happened, without the error's text or any value: those may be prompts."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


class Channel:
    """The real standard output. The first document is the only one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, document: Mapping[str, Any]) -> bool:
        """Write the document, unless another one was or is being written: False."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            text = json.dumps(document, allow_nan=False, separators=(", ", ": "))
        except ValueError as error:  # NaN or Infinity in a result of ours
            log.error("the result is no strict JSON", error=type(error).__name__)
            text = json.dumps({"success": False, "error": error_object(error)})
        data = memoryview(f"{text}\n".encode("ascii"))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:  # nobody reads any more, or the disk is full: the log is all that is left
            log.error("the answer could not be written", error=type(error).__name__)
        return True


def main(name: str, script: Script, arguments: tuple[str, ...] = ()) -> NoReturn:
    """Run a script as a process: read, answer, end with 0. Never returns."""
    started = time.monotonic()
    _fill_standard()
    woken = _listen()  # before the next line, after which the door's own answer would not reach the caller
    channel = Channel(_own_standard_output())
    warnings.simplefilter("ignore")  # libraries' advice to developers; some quotes the values it is about
    context = Context({}, started + DEFAULT_TIMEOUT_SEC, arguments, exits=True)
    document: dict[str, Any]
    try:
        context.environ = read_environment()
        seconds = worker_timeout(context.environ)
        context.deadline = started + seconds - min(5.0, seconds * 0.1)
        _watch(channel, context, woken, started + seconds)
        raw = _read_all(0) if script.reads_input else _drain(0)
        document = answer(script, raw, context)
    except Exception as error:  # noqa: BLE001 - also a setting that cannot be used is told as a document
        document = _clean({"success": False, "error": error_object(error)}, os.environ)
    _log_end(name, document, time.monotonic() - started)
    if not channel.send(document):
        time.sleep(_WRITE_GRACE_SEC)  # the watcher is writing its own
    _leave()


def _log_end(name: str, document: Mapping[str, Any], seconds: float) -> None:
    """One line on how it went: no prompt, no answer, no figure of the result."""
    error = document.get("error") or {}
    fields = {"success": document["success"], "durationMs": round(seconds * 1000)}
    if error:
        get_logger(name).error("failed", **fields, code=error["code"], retryable=error["retryable"])
    else:
        get_logger(name).info("done", **fields)


def _fill_standard() -> None:
    """A descriptor that was closed by the caller must not become somebody's socket or pipe."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)


def _own_standard_output() -> int:
    """A private copy of standard output; whatever else is written to it from here on goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return own


def _listen() -> int:
    """Descriptor that becomes readable the moment SIGTERM or SIGINT arrives, whatever the main thread does."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return woken


def _watch(channel: Channel, context: Context, woken: int, deadline: float) -> None:
    def wait() -> None:
        ready, _, _ = select.select([woken], [], [], max(0.0, deadline - time.monotonic()))
        reason = "The worker was asked to stop before it was done" if ready else "The worker ran out of time"
        if not channel.send(stopped(reason, context)):
            time.sleep(_WRITE_GRACE_SEC)
        _leave()

    threading.Thread(target=wait, name="deadline", daemon=True).start()


def stopped(reason: str, context: Context) -> dict[str, Any]:
    """The document of a script that was cut short, with what it had done."""
    error: dict[str, Any] = {"message": reason, "code": str(ErrorCode.TIMEOUT), "retryable": True}
    try:
        done = context.partial()
    except RuntimeError:  # a list that changed while it was being read: the reason alone must do
        done = None
    if done:
        error["details"] = dict(done)
    return _clean({"success": False, "error": error}, context.environ)


def _leave() -> NoReturn:
    """End at once: threads that still import or wait for a name server must not hold the answer back."""
    for stream in (sys.stdout, sys.stderr):  # both lead to standard error by now
        with contextlib.suppress(OSError, ValueError, AttributeError):  # None where the caller had closed it
            stream.flush()
    os._exit(0)


def _read_all(descriptor: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MAX_INPUT_BYTES and (part := os.read(descriptor, 2**20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _drain(descriptor: int, longest_sec: float = 0.5) -> bytes:
    """Take what the caller writes, so that its pipe does not break, but do not wait for it."""
    if os.isatty(descriptor):
        return b""
    deadline = time.monotonic() + longest_sec
    while (left := deadline - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        if not os.read(descriptor, 2**20):
            break
    return b""
