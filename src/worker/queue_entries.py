"""What goes through the queue: claimed entries, finished executions, dead letters. Data only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from . import keys
from .errors import WorkerLost
from .models import TaskPriority
from .queue_commands import Command

_ID_PREFIX: Final = {stream: f"{priority.value}-" for stream, priority in keys.PRIORITY_OF_STREAM.items()}
_LOST: Final = {
    "code": WorkerLost.code,
    "message": "the worker died or lost its lease while it ran this task",
    "retryable": True,
    "at": None,
}
_NO_FIELDS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Delivery:
    """One claimed stream entry. `deliveries` counts this one and the ones before it; `raw` is None without a task."""

    stream: bytes
    entry_id: bytes
    raw: bytes | None
    fields: Mapping[bytes, bytes] = field(default_factory=dict)
    """The entry's other fields: what the worker itself noted on a retry, or what a producer added."""
    deliveries: int = 1
    lane: str = ""
    """The lane it waited in, empty when it came straight from its stream."""

    @property
    def priority(self) -> TaskPriority:
        return keys.PRIORITY_OF_STREAM[self.stream]

    @property
    def door(self) -> str | None:
        door = self.fields.get(b"door")
        return door.decode("utf-8", "replace") if door else None

    @property
    def is_suspect(self) -> bool:
        """Cut short twice before: perhaps by itself."""
        return self.deliveries > 2

    @property
    def attempt(self) -> int:
        """Number of this execution, earlier retries and executions cut short included."""
        return self.attempts_before + self.deliveries

    @property
    def attempts_before(self) -> int:
        """Attempts under earlier entries of the same task."""
        if not self.fields:
            return 0
        value = self.fields.get(b"attempts", b"0")
        return int(value) if value.isdigit() and len(value) < 6 else 0

    @property
    def task_id(self) -> str:
        """Id of a task that names none: the same at every delivery, retry and wait in a lane."""
        given = self.fields.get(b"id")
        if given:
            return given.decode("utf-8", "replace")
        return f"{_ID_PREFIX[self.stream]}{self.entry_id.decode()}"

    @property
    def first(self) -> bytes:
        """Id of the task's first entry."""
        return self.fields.get(b"first") or self.entry_id

    @property
    def received_ms(self) -> int:
        """Epoch milliseconds at which the task first reached the queue: stream ids begin with them."""
        head = self.first.partition(b"-")[0]
        if not head.isdigit() or len(head) > 14:  # a producer's own field of that name
            head = self.entry_id.partition(b"-")[0]
        return int(head)

    @property
    def history(self) -> list[Any]:
        """Errors of earlier attempts, oldest first; executions that were cut short have left no time."""
        try:
            past = orjson.loads(self.fields.get(b"history", b"[]"))
        except orjson.JSONDecodeError:  # a producer's own field of that name
            past = []
        lost = [{**_LOST, "attempt": self.attempts_before + one} for one in range(1, self.deliveries)]
        return [*past, *lost] if isinstance(past, list) else lost


def read_entry(stream: bytes, entry_id: bytes, flat: Sequence[bytes], deliveries: int = 1, lane: str = "") -> Delivery:
    """A delivery from an entry's fields as Redis sends them."""
    if len(flat) == 2 and flat[0] == b"task":
        return Delivery(stream, entry_id, flat[1], _NO_FIELDS, deliveries, lane)
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Delivery(stream, entry_id, fields.pop(b"task", None), fields, deliveries, lane)


class Finished(NamedTuple):
    """An execution that is over, with everything to write when it is acknowledged."""

    delivery: Delivery
    commands: Sequence[Command]
    task_id: str = ""
    """The task's own id, where it is known; else the one it got from its place in the queue."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What goes to `worker:dead`. `task` is the original document, byte for byte."""

    task: bytes
    reason: str
    error: Mapping[str, Any]
    type: str = ""
    brand: str = ""
    attempts: int = 1
    stream: str = ""
    door: str | None = None
    task_id: str = ""
    history: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Depth:
    """Sizes of the queue now. `waiting` (in streams and lanes) does not count what is being executed."""

    waiting: Mapping[TaskPriority, int]
    parked: int
    in_flight: int
    delayed: int
    dead: int
    oldest_ms: Mapping[TaskPriority, int | None]
    """Epoch milliseconds at which the oldest waiting entry of a stream arrived."""
