"""Answers about tasks and dead letters."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .common import Count, Cursor, answer

TaskStatus = Literal["queued", "running", "succeeded", "failed"]


@answer
class Accepted(TypedDict):
    id: Annotated[str, Field(description="the task's own id, or the one that was made for it")]
    status: TaskStatus


class TaskError(TypedDict):
    code: str
    message: str
    retryable: bool


@answer
class TaskRecord(TypedDict):
    id: str
    type: str
    status: TaskStatus
    attempts: Count
    result: NotRequired[Any]
    error: NotRequired[TaskError | None]
    queuedAt: str
    startedAt: NotRequired[str | None]
    finishedAt: NotRequired[str | None]


class Waiting(TypedDict):
    critical: Count
    high: Count
    normal: Count
    low: Count


@answer
class QueueState(TypedDict):
    waiting: Waiting
    parked: Annotated[int, Field(ge=0, description="waiting in lanes, to let others pass")]
    inFlight: Count
    delayed: Annotated[int, Field(ge=0, description="waiting for their time")]
    dead: Count


@answer
class DeadLetter(TypedDict):
    id: str
    taskId: str | None
    type: str
    brand: str
    reason: str
    error: Annotated[Any, Field(description="code, message, retryable; as text where it is not ours")]
    attempts: int | None
    at: str
    worker: str
    stream: str
    door: str | None
    history: list[Any]
    task: Annotated[Any, Field(description="the task; text where it is no JSON or was cut off")]
    taskBytes: Count
    taskEncoding: NotRequired[Literal["utf-8", "replaced"]]
    taskTruncated: NotRequired[bool]
    taskBase64: NotRequired[str]


@answer
class DeadLetters(TypedDict):
    items: list[DeadLetter]
    next: Cursor


@answer
class ReplayedMany(TypedDict):
    replayed: Count


@answer
class Replayed(TypedDict):
    id: str
    taskId: str
    status: Literal["queued"]


@answer
class Dropped(TypedDict):
    dropped: Count


@answer
class Retried(TypedDict):
    status: Literal["ok"]
    retried: Count
    brand: str
