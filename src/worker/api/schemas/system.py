"""Answers about the service itself: probes, audit log, janitor."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .common import Cursor, Time, answer


@answer
class Health(TypedDict):
    status: Literal["ok"]
    workerId: str
    version: str


class Dependency(TypedDict):
    ok: bool
    ms: NotRequired[Annotated[float, Field(ge=0, description="how long it took to answer")]]
    problem: NotRequired[str]


class Dependencies(TypedDict):
    redis: Dependency
    mongodb: Dependency


class WorkerState(TypedDict):
    id: str
    state: str


@answer
class Ready(TypedDict):
    status: Literal["ready", "not_ready"]
    dependencies: Dependencies
    worker: WorkerState
    standby: NotRequired[Any]


class AuditEntry(TypedDict):
    id: str
    at: Time
    worker: str
    action: Annotated[str, Field(description="method and path as declared, or a word such as keys.reload")]
    outcome: Literal["done", "refused", "failed"]
    actor: Annotated[str | None, Field(description="name of the key; null: none that is known")]
    target: str | None
    status: int | None
    client: str | None
    requestId: str | None
    details: dict[str, Any]
    lostBefore: Annotated[int, Field(ge=0, description="records before this one that are in the log only")]


@answer
class AuditPage(TypedDict):
    items: list[AuditEntry]
    next: Cursor


@answer
class JanitorState(TypedDict):
    last: Annotated[dict[str, Any] | None, Field(description="report of the last run")]
    atWork: Annotated[Any, Field(description="who holds the lock now, or null")]
