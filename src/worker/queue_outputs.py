"""What is written when an execution is over: result record, event, retry, dead letter. Commands only, no I/O.

The queue writes them in the transaction that acknowledges the task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from . import keys
from .errors import WorkerError
from .models import Task, TaskStatus
from .queue_commands import Command, Word
from .queue_entries import DeadLetter, Delivery
from .secrecy import without_secrets
from .times import iso_ms
from .trace_context import outgoing

_OVER: Final = frozenset((TaskStatus.SUCCEEDED, TaskStatus.FAILED))
_TEXT: Final = {status: status.value for status in TaskStatus}
"""Looked up: the attribute `value` of an enumeration costs ten times as much."""
_WORDS_KEPT: Final = 1_000
_WORDS_READ: Final = 4 * _WORDS_KEPT
"""Masked before they are cut, so that no key is cut short of being known; megabytes of words are not looked through."""


def wall_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class QueueOutputs:
    """Builds the commands; its settings are the same for every task of a process."""

    def __init__(
        self,
        *,
        worker_id: str,
        dead_letters_max: int,
        result_ttl_sec: int,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._worker_id = worker_id
        self.now_ms = now_ms
        self._dead_max = dead_letters_max
        self._result_ttl = result_ttl_sec

    def record(
        self,
        task: Task,
        status: TaskStatus,
        *,
        started_ms: int | None,
        result: Any = None,
        error: Mapping[str, Any] | None = None,
        wait_sec: float = 0,
    ) -> list[Command]:
        """The result record, and the event when the task is over.

        Args:
            wait_sec: how long the task still waits for its time: the record must outlive that, or the same id could be
                enqueued a second time.
        """
        over = status in _OVER
        ttl = self._result_ttl + int(wait_sec)
        finished = iso_ms(self.now_ms()) if over else None
        record: dict[str, Any] = {
            "id": task.id,
            "type": task.type,
            "status": _TEXT[status],
            "attempts": task.attempt,
            "queuedAt": iso_ms(task.received_ms),
            "startedAt": None if started_ms is None else iso_ms(started_ms),
            "finishedAt": finished,
        }
        if result is not None:
            record["result"] = result
        if error is not None:
            record["error"] = error
        commands: list[Command] = [(b"SET", keys.result(task.id), orjson.dumps(record), b"EX", ttl)]
        if over:
            event = {
                "id": task.id,
                "type": task.type,
                "brand": task.brand,
                "status": _TEXT[status],
                "attempts": task.attempt,
                "finishedAt": finished,
                # Inside an execution its own span; of what never ran, the producer's.
                **(outgoing() or ({} if task.trace is None else task.trace.fields())),
            }
            commands.append((b"PUBLISH", keys.EVENTS, orjson.dumps(event)))
        return commands

    def retry(self, delivery: Delivery, *, due_ms: float, attempts: int, history: Sequence[Any]) -> Command:
        """The task again at `due_ms`, remembering its id, first arrival, attempts and errors."""
        fields: list[bytes] = [b"task", delivery.raw or b"", b"id", delivery.task_id.encode(), b"first", delivery.first]
        fields += [b"attempts", str(attempts).encode(), b"history", orjson.dumps(list(history))]
        for name in (b"door", b"replayed"):
            if name in delivery.fields:
                fields += [name, delivery.fields[name]]
        member = delayed_member(keys.STREAMS[delivery.priority], fields)
        return ("ZADD", keys.DELAYED, f"{due_ms / 1000:.3f}", member)

    def dead_letter(self, letter: DeadLetter) -> Command:
        words: list[Word] = [
            "XADD", keys.DEAD, "MAXLEN", "~", self._dead_max, "*",
            "task", letter.task, "type", letter.type, "brand", letter.brand,
            "reason", letter.reason.encode("utf-8", "backslashreplace"), "error", orjson.dumps(dict(letter.error)),
            "attempts", letter.attempts, "at", iso_ms(self.now_ms()), "worker", self._worker_id,
        ]  # fmt: skip
        for name, value in (("id", letter.task_id), ("stream", letter.stream), ("door", letter.door)):
            if value:
                words += [name, value]
        if letter.history:
            words += ["history", orjson.dumps(list(letter.history))]
        return tuple(words)


def delayed_member(stream: str, fields: Sequence[bytes]) -> bytes:
    """A member of `worker:delayed`: the entry to add when its time comes."""
    return orjson.dumps({"stream": stream, "fields": [value.decode("utf-8", "replace") for value in fields]})


def failure(error: BaseException) -> dict[str, Any]:
    """An exception as a record. Errors that are not the worker's own are faults of the code: worth another try."""
    if isinstance(error, WorkerError):
        return error.as_dict()
    words = without_secrets(f"{type(error).__name__}: {error}"[:_WORDS_READ])[:_WORDS_KEPT]
    return {"code": "INTERNAL", "message": words, "retryable": True}
