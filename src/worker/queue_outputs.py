"""What is written when an execution is over: result record, event, retry, dead letter. Commands only, no I/O.

The queue writes them in the transaction that acknowledges the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from . import keys
from .errors import WorkerError
from .models import Task, TaskStatus
from .queue_commands import Command, Word
from .queue_entries import DeadLetter, Delivery
from .times import iso


class QueueOutputs:
    """Builds the commands; its settings are the same for every task of a process."""

    def __init__(
        self, *, worker_id: str, clock: Callable[[], datetime], dead_letters_max: int, result_ttl_sec: int
    ) -> None:
        self._worker_id = worker_id
        self._clock = clock
        self._dead_max = dead_letters_max
        self._result_ttl = result_ttl_sec

    def record(
        self,
        task: Task,
        status: TaskStatus,
        *,
        started_at: datetime | None,
        result: Any = None,
        error: Mapping[str, Any] | None = None,
    ) -> list[Command]:
        """The result record, and the event when the task is over."""
        now = self._clock()
        over = status in (TaskStatus.SUCCEEDED, TaskStatus.FAILED)
        record: dict[str, Any] = {
            "id": task.id,
            "type": task.type,
            "status": status,
            "attempts": task.attempt,
            "queuedAt": iso(task.received_at),
            "startedAt": iso(started_at) if started_at else None,
            "finishedAt": iso(now) if over else None,
        }
        if result is not None:
            record["result"] = result
        if error is not None:
            record["error"] = error
        commands: list[Command] = [("SET", keys.result(task.id), orjson.dumps(record), "EX", self._result_ttl)]
        if over:
            event = {name: record[name] for name in ("id", "type", "status", "attempts", "finishedAt")}
            commands.append(("PUBLISH", keys.EVENTS, orjson.dumps({**event, "brand": task.brand})))
        return commands

    def retry(self, delivery: Delivery, *, due: datetime, attempts: int, history: Sequence[Any]) -> Command:
        """The task again at `due`, remembering its id, first arrival, attempts and errors."""
        first = delivery.fields.get(b"first", delivery.entry_id)
        fields: list[bytes] = [b"task", delivery.raw, b"id", delivery.task_id.encode(), b"first", first]
        fields += [b"attempts", str(attempts).encode(), b"history", orjson.dumps(list(history))]
        if delivery.door:
            fields += [b"door", delivery.door.encode()]
        member = delayed_member(delivery.stream.decode(), fields)
        return ("ZADD", keys.DELAYED, f"{due.timestamp():.3f}", member)

    def dead_letter(self, letter: DeadLetter) -> Command:
        words: list[Word] = [
            "XADD", keys.DEAD, "MAXLEN", "~", self._dead_max, "*",
            "task", letter.task, "type", letter.type, "brand", letter.brand,
            "reason", letter.reason.encode("utf-8", "backslashreplace"), "error", orjson.dumps(dict(letter.error)),
            "attempts", letter.attempts, "at", iso(self._clock()), "worker", self._worker_id,
        ]  # fmt: skip
        for name, value in (("id", letter.task_id), ("door", letter.door)):
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
    return {"code": "INTERNAL", "message": f"{type(error).__name__}: {error}"[:1000], "retryable": True}
