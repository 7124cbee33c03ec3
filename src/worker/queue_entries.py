"""What goes through the queue: claimed entries, finished executions, dead letters. Data only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from . import keys
from .models import TaskPriority
from .queue_commands import Command
from .tasks import entry_time


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed stream entry. `deliveries` counts this one and the ones before it."""

    stream: bytes
    entry_id: bytes
    fields: Mapping[bytes, bytes]
    deliveries: int = 1

    @property
    def priority(self) -> TaskPriority:
        return keys.PRIORITY_OF_STREAM[self.stream]

    @property
    def raw(self) -> bytes:
        return self.fields.get(b"task", b"")

    @property
    def door(self) -> str | None:
        door = self.fields.get(b"door")
        return door.decode("utf-8", "replace") if door else None

    @property
    def attempt(self) -> int:
        """Number of this execution, earlier retries and executions cut short included."""
        return self._count(b"attempts") + self.deliveries

    @property
    def task_id(self) -> str:
        """Id of a task that names none: the same at every delivery and retry."""
        given = self.fields.get(b"id")
        if given:
            return given.decode("utf-8", "replace")
        return f"{self.priority.value}-{self.entry_id.decode()}"

    @property
    def received_at(self) -> datetime:
        """When the task first reached the queue (a retry carries the time of the first entry along)."""
        first = self.fields.get(b"first", self.entry_id)
        try:
            return entry_time(first.decode())
        except (ValueError, OverflowError, OSError):  # a producer's own field "first"
            return entry_time(self.entry_id.decode())

    @property
    def history(self) -> list[Any]:
        """Errors of earlier attempts, oldest first."""
        try:
            past = orjson.loads(self.fields.get(b"history", b"[]"))
        except orjson.JSONDecodeError:  # a producer's own field of that name
            past = []
        return past if isinstance(past, list) else []

    def _count(self, name: bytes) -> int:
        value = self.fields.get(name, b"0")
        return int(value) if value.isdigit() and len(value) < 6 else 0


@dataclass(frozen=True, slots=True)
class Finished:
    """An execution that is over, with everything to write when it is acknowledged."""

    delivery: Delivery
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What goes to `worker:dead`. `task` is the original document, byte for byte."""

    task: bytes
    reason: str
    error: Mapping[str, Any]
    type: str = ""
    brand: str = ""
    attempts: int = 1
    door: str | None = None
    task_id: str = ""
    history: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Depth:
    """Sizes of the queue now. `waiting` does not count what is being executed."""

    waiting: Mapping[TaskPriority, int]
    in_flight: int
    delayed: int
    dead: int
