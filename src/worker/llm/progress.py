"""The state of one question on its way through its targets, and the error that ends it when nobody answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from .errors import Kind, LLMError
from .exchange import Attempt, Reply, Request, Target, Usage
from .seams import Question

T = TypeVar("T")


@dataclass(slots=True)
class Candidate:
    """A target within one question."""

    target: Target
    failures: dict[Kind, int] = field(default_factory=dict)
    not_before: float = float("-inf")
    done: bool = False


@dataclass(slots=True)
class Sent:
    """One request and what became of it."""

    target: Target
    started_at: datetime
    began: float
    reply: Reply | None = None
    usage: Usage | None = None


@dataclass(slots=True)
class Progress(Generic[T]):
    """What has become of a question so far."""

    question: Question[T]
    call_id: str
    candidates: list[Candidate]
    request: Request
    attempts: list[Attempt] = field(default_factory=list)
    last: LLMError | None = None
    mended: bool = False
    """The one repair turn has been used."""
    repairing: Candidate | None = None

    def final(self, kind: Kind, message: str, *, retry_after_sec: float | None = None) -> LLMError:
        """The error that ends the question: of the kind of the last failure, with every attempt and what was spent.
        `kind` and `message` stand where nothing was tried at all."""
        last = self.last
        if last is None:
            error = LLMError(kind, message, retry_after_sec=retry_after_sec)
        else:
            asked = len({one.target for one in self.attempts})
            waits = [value for value in (retry_after_sec, last.retry_after_sec) if value is not None]
            error = LLMError(
                last.kind,
                last.message if asked < 2 else f"{asked} models asked, last: {last.message}",
                target=last.target,
                status=last.status,
                retry_after_sec=max(waits, default=None),
                detail=last.detail,
            )
            error.__cause__ = last
        error.attempts = tuple(self.attempts)
        spent = [one.usage for one in self.attempts if one.usage is not None]
        error.usage = sum(spent[1:], spent[0]) if spent else None
        return error
