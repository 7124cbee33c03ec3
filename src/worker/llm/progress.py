"""The state of one question on its way through its targets, and the error that ends it when nobody answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from .errors import Kind, LLMError
from .exchange import Attempt, Reply, Request, Target, Usage
from .seams import Question

T = TypeVar("T")

FAIR_SHARE: Final = 0.5
"""Under load a place comes free at any moment of a turn. A request that got less than half of it and times out would
open the breaker of a target that answers as ever."""


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
    turn_sec: float
    """The target's share of the question's time, waiting for a place included."""
    time_sec: float | None = None
    """What was left of it when the request went out; None: it has not."""
    trial: bool = False
    """It is the one call by which a half-open breaker decides."""
    reply: Reply | None = None
    usage: Usage | None = None

    @property
    def late(self) -> bool:
        """Did waiting for our own limits eat most of the turn? Then running out of time says nothing of the target."""
        return self.time_sec is None or self.time_sec < FAIR_SHARE * self.turn_sec


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
    repair_due: bool = False
    """The repair turn has been granted and not been taken."""

    def request_for(self, candidate: Candidate) -> Request:
        """Whoever gave the answer of the wrong form is asked to mend it; everybody else gets the question."""
        return self.request if self.repairing is None or self.repairing is candidate else self.question.request

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
