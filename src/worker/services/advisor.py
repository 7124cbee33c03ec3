"""A language model's advice for a task, or the reason why there is none.

A task of the queue waits for advice: what another try can mend is raised, so that the queue tries again, as long as
the task has attempts and time left and nobody asks for a wait of more than some minutes. Then, and for whatever
another try cannot mend, the caller goes on with what the local analysis knows, and says so. Who cannot wait (a person
at a screen) never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from ..config import Settings
from ..errors import QueueUnavailable, WorkerError
from ..llm.errors import LLMError
from ..llm.operation import Operation
from ..llm_adapter import Answer, LLMAdapter
from ..logging import get_logger
from ..models import Task
from ..queue_outputs import wall_ms

log = get_logger(__name__)

T = TypeVar("T")

LOCAL_TIER: Final = 2
_SHARE: Final = 0.8
"""Of the time a task has: the rest is for the local analysis, the database and the answer."""
_PATIENCE_SEC: Final = 300.0
"""Longest wait, by a provider's own word, that is worth it: a rate limit per minute is waited out, a rest of an hour is
not, because alarms and leads age."""
_NOT_CONFIGURED: Final = "MISSING_API_KEY: no language model is configured"


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """An operation with its inputs; `read` gives the answer in a model's text, as `Operation.read` does."""

    operation: Operation[Any]
    inputs: Any
    read: Callable[[str], T]


@dataclass(frozen=True, slots=True)
class Advice(Generic[T]):
    """`value` is None when there is none, for `reason` (`CODE: what happened`)."""

    value: T | None
    reason: str | None = None
    llm: Mapping[str, Any] | None = None
    """Provider, model and `cost_usd`, null where the price is unknown."""

    def marks(self) -> dict[str, Any]:
        """The fields by which a result says who decided."""
        return {
            "degraded": self.value is None,
            "reason": self.reason,
            "tier": LOCAL_TIER if self.value is None else 3,
            "llm": None if self.llm is None else dict(self.llm),
        }


class Advisor:
    """Stateless; as many as are needed."""

    def __init__(
        self, llm: LLMAdapter, *, max_attempts: int, longest_sec: float, now_ms: Callable[[], int] = wall_ms
    ) -> None:
        """
        Args:
            max_attempts: of a task, as the queue counts them.
            longest_sec: for one question, all tries at all providers included.
        """
        self._llm = llm
        self._max_attempts = max_attempts
        self._longest_sec = longest_sec
        self._now_ms = now_ms

    @classmethod
    def build(cls, llm: LLMAdapter, settings: Settings) -> Advisor:
        longest = min(settings.llm_deadline_sec, _SHARE * settings.task_timeout_sec)
        return cls(llm, max_attempts=settings.queue_max_attempts, longest_sec=longest)

    @property
    def available(self) -> bool:
        """Is there a model to be asked at all?"""
        return bool(self._llm.targets)

    async def ask(
        self,
        question: Callable[[], Asked[T]],
        *,
        brand: str | None,
        task: Task | None = None,
        patient: bool = True,
        deadline_sec: float | None = None,
    ) -> Advice[T]:
        """Ask, or say why nobody could be asked.

        Args:
            question: makes the question; called in a thread, because the form of an operation takes long to load.
            patient: another try of the task is worth waiting for.

        Raises:
            LLMError: worth another try, and the task has one. QueueUnavailable: the same, for the budget's store.
        """
        if not self.available:
            return Advice(None, _NOT_CONFIGURED)
        asked = await asyncio.to_thread(question)
        seconds = self._seconds(task) if deadline_sec is None else deadline_sec
        try:
            answer = await self._llm.run(
                asked.operation,
                asked.inputs,
                asked.read,
                brand=brand,
                task_id=None if task is None else task.id,
                deadline_sec=seconds,
            )
        except (LLMError, QueueUnavailable) as error:
            if patient and task is not None and self._may_come_back(task, error):
                raise
            log.warning("no advice of a model, the local analysis decides", problem=error.message, code=error.code)
            return Advice(None, f"{error.code}: {error.message}")
        return Advice(answer.value, llm=_source(answer))

    def _seconds(self, task: Task | None) -> float:
        if task is None or task.deadline_ms is None:
            return self._longest_sec
        return max(0.1, min(self._longest_sec, _SHARE * (task.deadline_ms - self._now_ms()) / 1000))

    def _may_come_back(self, task: Task, error: WorkerError) -> bool:
        if not error.retryable or (error.counts_attempt and task.attempt >= self._max_attempts):
            return False
        wait_sec = error.not_before_sec or 0.0
        if wait_sec > _PATIENCE_SEC:
            return False
        return task.deadline_ms is None or self._now_ms() + 1000 * wait_sec < task.deadline_ms


def _source(answer: Answer[Any]) -> dict[str, Any]:
    target = answer.reply.target
    cost = None if answer.cost_usd is None else float(answer.cost_usd)
    return {"provider": target.provider, "model": target.model, "cost_usd": cost}
