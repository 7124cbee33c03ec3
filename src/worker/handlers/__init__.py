"""One file per task type. A handler validates its input, calls services and says what to publish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..models import Task
from ..queue_commands import Command


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """A part of a task that could not be used: dead-lettered on its own while the rest goes on."""

    document: Mapping[str, Any]
    """A task of its own that can be replayed once its fault is mended."""
    reason: str


@dataclass(frozen=True, slots=True)
class HandlerResult:
    """`result` goes into the task's record; `outputs` are written in the transaction that acknowledges the task."""

    result: Any
    outputs: tuple[Command, ...] = ()
    rejected: tuple[RejectedItem, ...] = ()


Handle = Callable[[Task], Awaitable[HandlerResult]]
"""Raises `InvalidTask` for input that can never work, other `WorkerError`s by their own rules."""


def accept_anything(task: Task) -> None:
    """The check of a type whose fields are free."""


@dataclass(frozen=True, slots=True)
class TaskType:
    """One task type. `check` is the cheap part of its validation, for doors that can refuse at once."""

    handle: Handle
    check: Callable[[Task], None] = accept_anything


Registry = Mapping[str, TaskType]
