"""One claimed entry from bytes to its outcome: check, route to the handler, decide between done, again and dead.

Nothing here writes to Redis. The outcome is a list of commands that the queue writes together with the acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any, Final

import orjson

from . import strictjson
from .errors import DeadlinePassed, InvalidTask, TaskTimeout, WorkerError, WorkerLost
from .handlers import HandlerResult, Registry
from .logging import get_logger
from .metrics import Metrics
from .models import Task, TaskStatus
from .queue_commands import Command
from .queue_entries import DeadLetter, Delivery, Finished
from .queue_outputs import QueueOutputs, failure
from .retry_policy import RetryPolicy
from .tasks import parse_task, task_id
from .times import iso, parse_time

log = get_logger(__name__)

_HISTORY_MAX: Final = 20
"""Errors kept per task; more attempts than that are never allowed by default."""
DOOR_TASK: Final = "analyze_mentions"
"""What items of the platform's chunk lists are."""


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution that is over, and what is to be said of it."""

    finished: Finished
    outcome: Outcome
    type: str
    error: WorkerError | None = None


class Processor:
    """Routes tasks to handlers. Holds no state of its own between tasks."""

    def __init__(
        self,
        handlers: Registry,
        outputs: QueueOutputs,
        metrics: Metrics,
        *,
        policy: RetryPolicy,
        clock: Callable[[], datetime],
        rng: Random,
        task_timeout_sec: float,
        max_task_bytes: int,
        brand_of_door: Callable[[str], str | None],
    ) -> None:
        self._handlers = handlers
        self._outputs = outputs
        self._metrics = metrics
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._timeout = task_timeout_sec
        self._max_bytes = max_task_bytes
        self._brand_of_door = brand_of_door

    @property
    def task_types(self) -> list[str]:
        return sorted(self._handlers)

    async def process(self, delivery: Delivery, begin: Callable[[Delivery, Task], None]) -> Execution:
        """Run one execution to its end; `begin` is called when the task is known and its handler starts.

        Cancellation leaves the entry pending.
        """
        started = self._clock()
        document: Any = None
        task: Task | None = None
        try:
            document = self._document(delivery)
            task = self._task(delivery, document)
            due = self._due(delivery, document, started)
            if due is not None:
                return self._postponed(delivery, task, due)
            self._check_turn(delivery, task, started)
            begin(delivery, task)
            result = await self._handle(task, started)
            return self._succeeded(delivery, task, result, started)
        except InvalidTask as error:
            return self._dead(delivery, task, document, error, started)
        except WorkerError as error:
            return self._failed(delivery, task, document, error, started)
        except Exception as error:  # noqa: BLE001 - a fault in a handler is the task's outcome, logged and retried
            log.error("handler failed", exc=error, task_id=delivery.task_id, type=task.type if task else "?")
            return self._failed(delivery, task, document, error, started)

    # -- reading -----------------------------------------------------------------------------------------------

    def _document(self, delivery: Delivery) -> Any:
        if b"task" not in delivery.fields:
            raise InvalidTask("task", "the stream entry has no field `task`")
        size = len(delivery.raw)
        if size > self._max_bytes:
            raise InvalidTask("task", f"has {size:,} bytes, at most {self._max_bytes:,} are allowed")
        return strictjson.loads(delivery.raw)

    def _task(self, delivery: Delivery, document: Any) -> Task:
        door = delivery.door
        if door is None:
            task = parse_task(
                document,
                fallback_id=delivery.task_id,
                received_at=delivery.received_at,
                stream_priority=delivery.priority,
                attempt=delivery.attempt,
            )
            if task.type not in self._handlers:
                raise InvalidTask("type", f"unknown type {task.type[:50]!r}, known: {', '.join(self.task_types)}")
            return task
        if not isinstance(document, dict):
            raise InvalidTask("task", "must be a JSON object (an envelope, a chunk or a mention)")
        return Task(
            id=delivery.task_id,
            type=DOOR_TASK,
            payload=document,
            brand=self._brand_of_door(door),
            priority=delivery.priority,
            attempt=delivery.attempt,
            received_at=delivery.received_at,
            door=door,
        )

    def _due(self, delivery: Delivery, document: Any, now: datetime) -> datetime | None:
        """The moment a task asks for, when it is still to come."""
        wanted = document.get("runAt") if delivery.door is None else None
        if wanted is None:
            return None
        due = parse_time(wanted)
        if due is None:
            raise InvalidTask("runAt", "must be an ISO 8601 time or epoch milliseconds")
        return due if due > now else None

    def _check_turn(self, delivery: Delivery, task: Task, now: datetime) -> None:
        if task.deadline is not None and now >= task.deadline:
            raise DeadlinePassed(f"deadline: {iso(task.deadline)} was over before the task could start")
        if task.attempt > self._policy.max_attempts:
            raise WorkerLost(
                f"the worker died or lost its lease {delivery.deliveries - 1} times while it ran this task"
            )

    async def _handle(self, task: Task, now: datetime) -> HandlerResult:
        seconds = self._timeout
        if task.deadline is not None:
            seconds = min(seconds, (task.deadline - now).total_seconds())
        try:
            async with asyncio.timeout(seconds):
                return await self._handlers[task.type].handle(task)
        except TimeoutError:
            raise TaskTimeout(f"ran longer than {seconds:.0f} s") from None

    # -- outcomes ----------------------------------------------------------------------------------------------

    def _succeeded(self, delivery: Delivery, task: Task, result: HandlerResult, started: datetime) -> Execution:
        commands: list[Command] = [*result.outputs]
        for item in result.rejected:
            error = {"code": InvalidTask.code, "message": item.reason, "retryable": False}
            letter = DeadLetter(
                task=orjson.dumps(item.document),
                reason=item.reason,
                error=error,
                type=task.type,
                brand=task.brand or "",
                attempts=task.attempt,
                door=delivery.door,
                task_id=task.id,
            )
            commands.append(self._outputs.dead_letter(letter))
            self._metrics.dead_letters.labels(InvalidTask.code).inc()
        try:
            strictjson.check(result.result)
        except ValueError as error:
            raise RuntimeError(f"handler {task.type} returned no strict JSON: {error}") from error
        commands += self._outputs.record(task, TaskStatus.SUCCEEDED, started_at=started, result=result.result)
        return Execution(Finished(delivery, tuple(commands)), Outcome.SUCCEEDED, task.type)

    def _postponed(self, delivery: Delivery, task: Task, due: datetime) -> Execution:
        commands = [
            self._outputs.retry(delivery, due=due, attempts=task.attempt - 1, history=delivery.history),
            *self._outputs.record(task, TaskStatus.QUEUED, started_at=None),
        ]
        return Execution(Finished(delivery, tuple(commands)), Outcome.POSTPONED, task.type)

    def _failed(
        self, delivery: Delivery, task: Task | None, document: Any, error: Exception, started: datetime
    ) -> Execution:
        """Again, where the error says that this can help and the task has attempts left; else dead."""
        record = failure(error)
        counts = not isinstance(error, WorkerError) or error.counts_attempt
        if task is None or not record["retryable"] or (counts and self._policy.exhausted(task.attempt)):
            return self._dead(delivery, task, document, error, started)
        attempts = task.attempt if counts else task.attempt - 1
        due = self._clock() + timedelta(seconds=self._policy.delay_sec(max(1, task.attempt), self._rng))
        history = [*delivery.history, {**record, "at": iso(started), "attempt": task.attempt}][-_HISTORY_MAX:]
        commands = [
            self._outputs.retry(delivery, due=due, attempts=attempts, history=history),
            *self._outputs.record(task, TaskStatus.QUEUED, started_at=started, error=record),
        ]
        return Execution(Finished(delivery, tuple(commands)), Outcome.RETRIED, task.type, _worker_error(error))

    def _dead(
        self, delivery: Delivery, task: Task | None, document: Any, error: Exception, started: datetime
    ) -> Execution:
        record = failure(error)
        attempt = task.attempt if task else delivery.attempt
        letter = DeadLetter(
            task=delivery.raw,
            reason=record["message"],
            error=record,
            type=task.type if task else _hint(document, "type", 100),
            brand=(task.brand if task else None) or self._hinted_brand(delivery, document),
            attempts=attempt,
            door=delivery.door,
            task_id=task.id if task else delivery.task_id,
            history=delivery.history,
        )
        task = task or _nameless(delivery, document, letter.brand)
        commands = (
            self._outputs.dead_letter(letter),
            *self._outputs.record(task, TaskStatus.FAILED, started_at=started, error=record),
        )
        self._metrics.dead_letters.labels(record["code"]).inc()
        return Execution(Finished(delivery, commands), Outcome.FAILED, task.type, _worker_error(error))

    def _hinted_brand(self, delivery: Delivery, document: Any) -> str:
        if delivery.door is not None:
            return self._brand_of_door(delivery.door) or ""
        return _hint(document, "brand", 200)


def _nameless(delivery: Delivery, document: Any, brand: str) -> Task:
    """A stand-in for a task that could not be read, so that its failure has a record all the same."""
    identity = delivery.task_id
    if isinstance(document, dict):
        with contextlib.suppress(InvalidTask):
            identity = task_id(document, identity)
    return Task(
        id=identity,
        type="invalid",
        payload={},
        brand=brand or None,
        priority=delivery.priority,
        attempt=delivery.attempt,
        received_at=delivery.received_at,
        door=delivery.door,
    )


def _hint(document: Any, name: str, limit: int) -> str:
    """A field of a document that failed its check, for the operator's eyes; empty when it is of no use."""
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, str):
        return ""
    with contextlib.suppress(UnicodeEncodeError):
        return value[:limit].encode("utf-8").decode("utf-8")
    return ""


def _worker_error(error: Exception) -> WorkerError | None:
    return error if isinstance(error, WorkerError) else None
