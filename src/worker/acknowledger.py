"""Acknowledges executions in batches, with their outputs. Repeating is safe, forgetting is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from .custody import Custody
from .errors import InvalidTask, QueueUnavailable
from .logging import get_logger
from .metrics import Metrics
from .processor import Execution, Outcome
from .queue_consumer import TaskQueue
from .queue_entries import Delivery

log = get_logger(__name__)

_FINISH_BATCH: Final = 200
_FINISHED_MAX: Final = 2_000
"""Executions that wait for their acknowledgement before claiming rests: Redis is slower than the tasks."""


class Acknowledger:
    """Takes executions that are over; a failed acknowledgement stays and is tried again."""

    def __init__(self, queue: TaskQueue, metrics: Metrics, custody: Custody) -> None:
        self._queue = queue
        self._metrics = metrics
        self._custody = custody
        self._done: list[Execution] = []
        self._done_event = asyncio.Event()
        self._flushing = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """So much waits to be acknowledged that no more should be begun."""
        return len(self._done) >= _FINISHED_MAX

    def over(self, execution: Execution) -> None:
        self._done.append(execution)
        self._done_event.set()

    def is_over(self, delivery: Delivery) -> bool:
        """Has its execution ended, though it is not acknowledged yet?"""
        return any(one.finished.delivery is delivery for one in self._done)

    @asynccontextmanager
    async def between(self) -> AsyncIterator[None]:
        """A moment in which nothing is being acknowledged: what is written in it cannot overwrite a final record."""
        async with self._flushing:
            yield

    async def step(self) -> None:
        """Wait for executions that are over and acknowledge them."""
        await self._done_event.wait()
        self._done_event.clear()
        await self.flush()

    async def flush(self) -> None:
        """Acknowledge all executions that have ended, in batches, and free their places.

        Raises:
            QueueUnavailable: what was not acknowledged stays to be.
        """
        async with self._flushing:
            while self._done:
                batch = self._done[:_FINISH_BATCH]
                try:
                    answers = await self._queue.finish([execution.finished for execution in batch])
                except QueueUnavailable:
                    self._done_event.set()  # still to be acknowledged: repeating is safe, forgetting is not
                    raise
                del self._done[: len(batch)]
                for execution, answer in zip(batch, answers, strict=True):
                    self._settle(execution, answer)
                self._custody.room.set()

    def _settle(self, execution: Execution, answer: str) -> None:
        delivery = execution.finished.delivery
        self._custody.give_up(delivery)
        if answer == "ok":
            invalid = isinstance(execution.error, InvalidTask)
            self._metrics.tasks.ended(execution.type, execution.outcome, invalid=invalid)
            for code in execution.dead:
                self._metrics.dead_letters.labels(code).inc()
            if execution.error is not None:
                say = log.warning if execution.outcome is Outcome.FAILED else log.info
                what = "task dead-lettered" if execution.outcome is Outcome.FAILED else "task will be tried again"
                say(what, task_id=delivery.task_id, type=execution.type, reason=str(execution.error))
        elif answer == "lost":
            self._metrics.tasks.ended(execution.type, "superseded")
            log.warning("another worker has finished this task first", task_id=delivery.task_id)
        else:
            self._metrics.tasks.ended(execution.type, Outcome.FAILED.value)
            self._metrics.dead_letters.labels("OUTPUT_FAILED").inc()
            log.error("Redis refused an output, the task is in the dead letters", task_id=delivery.task_id, why=answer)
