"""From the bytes of a claimed entry to its outcome: check, route to the handler, decide between done, again and dead.

Nothing here writes to Redis. The outcome is a list of commands that the queue writes together with the acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from . import strictjson, trace_context
from .doors import door_of
from .errors import DeadlinePassed, InvalidTask, TaskTimeout, WorkerError, WorkerLost
from .handlers import HandlerResult, Registry
from .keys import DEDUP_PREFIX, PlatformKeys
from .logging import get_logger
from .models import Task, TaskStatus
from .pipeline.intake import batch_of
from .queue_commands import Command
from .queue_entries import DeadLetter, Delivery, Finished
from .queue_outputs import QueueOutputs, failure
from .retry_policy import RetryPolicy
from .tasks import brand_field, json_kind, parse_task, run_at, task_id
from .times import iso_ms, to_ms
from .trace_context import Scope, Span, SpanKind
from .tracing import OFF, Tracing, span

log = get_logger(__name__)

_HISTORY_MAX: Final = 20
"""Errors kept per task; more attempts than that are never allowed by default."""


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    POSTPONED = "postponed"
    DUPLICATE = "duplicate"


class Execution(NamedTuple):
    """An execution that is over, and what is to be said of it."""

    finished: Finished
    outcome: Outcome
    type: str
    error: Exception | None = None
    dead: tuple[str, ...] = ()
    """Codes of the dead letters written with it."""


class Run:
    """A checked task on its way through a slot. The worker watches it; `expired` says why it was cancelled."""

    __slots__ = ("delivery", "document", "expired", "marked", "seconds", "started_ms", "task")

    def __init__(self, delivery: Delivery, document: Any, task: Task, seconds: float) -> None:
        self.delivery = delivery
        self.document = document
        self.task = task
        self.seconds = seconds
        """Longest time it may run."""
        self.started_ms = 0
        self.expired = False
        self.marked = False


class Processor:
    """Routes tasks to handlers. Holds no state of its own between tasks."""

    def __init__(
        self,
        handlers: Registry,
        outputs: QueueOutputs,
        keys: PlatformKeys,
        *,
        policy: RetryPolicy,
        rng: Random,
        task_timeout_sec: float,
        max_task_bytes: int,
        tracing: Tracing = OFF,
    ) -> None:
        self._handlers = handlers
        self._outputs = outputs
        self._keys = keys
        self._policy = policy
        self._rng = rng
        self._timeout = task_timeout_sec
        self._max_bytes = max_task_bytes
        self._tracing = tracing
        self._said_of_traces = False

    @property
    def task_types(self) -> list[str]:
        return sorted(self._handlers)

    # -- before: is it a task, and is it its time? ---------------------------------------------------------------

    def prepare(self, delivery: Delivery) -> Run | Execution:
        """Read and check a claimed entry: a run, or its outcome where it need not run. Never raises."""
        document: Any = None
        task: Task | None = None
        now = self._outputs.now_ms()
        try:
            document = self._document(delivery)
            task = self._task(delivery, document)
            if task.trace is None and trace_context.PARENT in document:
                self._no_trace(task)
            if "runAt" in document:
                due = run_at(document)
                if due is not None and to_ms(due) > now:
                    return self._postponed(delivery, task, to_ms(due))
            seconds = self._timeout
            if task.deadline_ms is not None:
                if now >= task.deadline_ms:
                    raise DeadlinePassed(f"deadline: {iso_ms(task.deadline_ms)} was over before the task could start")
                seconds = min(seconds, (task.deadline_ms - now) / 1000)
            if task.attempt > self._policy.max_attempts:
                raise WorkerLost(
                    f"the worker died or lost its lease {delivery.deliveries - 1} times while it ran this task"
                )
            return Run(delivery, document, task, seconds)
        except WorkerError as error:
            return self._dead(delivery, task, document, error, None)

    def _document(self, delivery: Delivery) -> Any:
        raw = delivery.raw
        if raw is None:
            raise InvalidTask("task", "the stream entry has no field `task`")
        if len(raw) > self._max_bytes:
            raise InvalidTask("task", f"has {len(raw):,} bytes, at most {self._max_bytes:,} are allowed")
        document = strictjson.loads_mended(raw)
        if not isinstance(document, dict):
            raise InvalidTask("task", f"must be a JSON object, not {json_kind(document)}")
        return document

    def _task(self, delivery: Delivery, document: dict[str, Any]) -> Task:
        key = delivery.door
        found = None if key is None else door_of(key, self._keys)
        if found is not None and not found[0].typed:
            return Task(
                id=delivery.task_id,
                type=found[0].task_type or "",
                payload=document,
                brand=found[1],
                priority=delivery.priority,
                attempt=delivery.attempt,
                received_ms=delivery.received_ms,
                door=key,
                entry=f"{delivery.priority.value}-{delivery.first.decode()}",
                replayed=b"replayed" in delivery.fields,
                trace=trace_context.of(document),
            )
        task = parse_task(
            document,
            fallback_id=delivery.task_id,
            received_ms=delivery.received_ms,
            stream_priority=delivery.priority,
            attempt=delivery.attempt,
            door=key,
            door_type=found[0].task_type if found is not None else None,
            entry=f"{delivery.priority.value}-{delivery.first.decode()}",
            replayed=b"replayed" in delivery.fields,
        )
        if task.type not in self._handlers:
            raise InvalidTask("type", f"unknown type {task.type[:50]!r}, known: {', '.join(self.task_types)}")
        return task

    # -- during ------------------------------------------------------------------------------------------------

    async def perform(self, run: Run) -> Execution:
        """Run the handler. Cancellation leaves the entry pending, unless the run has expired: that is an outcome."""
        run.started_ms = self._outputs.now_ms()
        task = run.task
        if self._tracing is OFF:  # the usual case costs a context variable, no more
            token = trace_context.enter(Scope(task.id, task.trace))
            try:
                return await self._performed(run)
            finally:
                trace_context.leave(token)
        # The producer's span is the parent, so that it is one trace, and linked: retries and replays come long after.
        links = () if task.trace is None else (task.trace,)
        name = f"process {task.type}"
        with self._tracing.begin(name, SpanKind.CONSUMER, parent=task.trace, task_id=task.id, links=links) as here:
            execution = await self._performed(run)
            _describe(here, run, execution)
            return execution

    async def _performed(self, run: Run) -> Execution:
        try:
            with span("handle"):
                result = await self._handlers[run.task.type].handle(run.task)
            return self._succeeded(run, result)
        except asyncio.CancelledError:
            if not run.expired:
                raise
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            return self._failed(run, TaskTimeout(f"ran longer than {run.seconds:g} s"))
        except InvalidTask as error:
            return self._dead(run.delivery, run.task, run.document, error, run.started_ms)
        except WorkerError as error:
            return self._failed(run, error)
        except Exception as error:  # noqa: BLE001 - a fault in a handler is the task's outcome, logged and retried
            log.error("handler failed", exc=error, task_id=run.task.id, type=run.task.type)
            return self._failed(run, error)

    def _no_trace(self, task: Task) -> None:
        """Said once: a producer that writes its traces wrongly does so in each of its tasks."""
        if not self._said_of_traces:
            self._said_of_traces = True
            log.warning(
                "a task's traceparent is none of W3C Trace Context and is not used; further ones are not mentioned",
                task_id=task.id,
                type=task.type,
            )

    # -- after -------------------------------------------------------------------------------------------------

    def _succeeded(self, run: Run, result: HandlerResult) -> Execution:
        task, delivery = run.task, run.delivery
        if result.result is not None:
            try:
                strictjson.check(result.result)
            except ValueError as error:
                raise RuntimeError(f"handler {task.type} returned no strict JSON: {error}") from error
        commands: list[Command] = [*result.outputs]
        for item in result.rejected:
            letter = DeadLetter(
                task=orjson.dumps(item.document),
                reason=item.reason,
                error={"code": InvalidTask.code, "message": item.reason, "retryable": False},
                type=task.type,
                brand=task.brand or "",
                attempts=task.attempt,
                stream=delivery.stream.decode(),
            )
            commands.append(self._outputs.dead_letter(letter))
        commands += self._counted_down(run.document, delivery)
        commands += self._outputs.record(task, TaskStatus.SUCCEEDED, started_ms=run.started_ms, result=result.result)
        if task.dedup_key is not None:  # what has failed for good may be sent again, also for an output of its own
            commands.append(("IF_REFUSED", "DEL", f"{DEDUP_PREFIX}{task.dedup_key}"))
        dead = (InvalidTask.code,) * len(result.rejected)
        return Execution(Finished(delivery, commands, task.id), Outcome.SUCCEEDED, task.type, None, dead)

    def duplicate(self, run: Run, first: str) -> Execution:
        """The outcome of a task whose dedupKey another task had first."""
        started = self._outputs.now_ms()
        commands = self._outputs.record(
            run.task, TaskStatus.SUCCEEDED, started_ms=started, result={"duplicateOf": first}
        )
        return Execution(Finished(run.delivery, commands, run.task.id), Outcome.DUPLICATE, run.task.type)

    def _postponed(self, delivery: Delivery, task: Task, due_ms: int) -> Execution:
        wait_sec = (due_ms - self._outputs.now_ms()) / 1000
        commands = [
            self._outputs.retry(delivery, due_ms=due_ms, attempts=task.attempt - 1, history=delivery.history),
            *self._outputs.record(task, TaskStatus.QUEUED, started_ms=None, wait_sec=wait_sec),
        ]
        return Execution(Finished(delivery, commands, task.id), Outcome.POSTPONED, task.type)

    def _failed(self, run: Run, error: Exception) -> Execution:
        """Again, where the error says that this can help and the task has attempts left; else dead."""
        delivery, task = run.delivery, run.task
        record = failure(error)
        counts = not isinstance(error, WorkerError) or error.counts_attempt
        if not record["retryable"] or (counts and self._policy.exhausted(task.attempt)):
            return self._dead(delivery, task, run.document, error, run.started_ms)
        wait = self._policy.delay_sec(task.attempt, self._rng)
        if isinstance(error, WorkerError) and error.not_before_sec is not None:
            wait = max(wait, error.not_before_sec)
        due_ms = self._outputs.now_ms() + wait * 1000
        past = {**record, "at": iso_ms(run.started_ms), "attempt": task.attempt}
        commands = [
            self._outputs.retry(
                delivery,
                due_ms=due_ms,
                attempts=task.attempt if counts else task.attempt - 1,
                history=[*delivery.history, past][-_HISTORY_MAX:],
            ),
            *self._outputs.record(task, TaskStatus.QUEUED, started_ms=run.started_ms, error=record, wait_sec=wait),
        ]
        return Execution(Finished(delivery, commands, task.id), Outcome.RETRIED, task.type, error)

    def _dead(
        self, delivery: Delivery, task: Task | None, document: Any, error: Exception, started_ms: int | None
    ) -> Execution:
        record = failure(error)
        letter = DeadLetter(
            task=delivery.raw or b"",
            reason=record["message"],
            error=record,
            type=task.type if task else _hint(document, "type", 100),
            brand=(task.brand if task else None) or self._hinted_brand(delivery, document),
            attempts=delivery.attempt,
            stream=delivery.stream.decode(),
            door=delivery.door,
            task_id=task.id if task else delivery.task_id,
            history=delivery.history,
        )
        task = task or _nameless(delivery, document, letter.brand)
        commands = [
            self._outputs.dead_letter(letter),
            *self._counted_down(document, delivery),
            *self._outputs.record(task, TaskStatus.FAILED, started_ms=started_ms, error=record),
        ]
        if task.dedup_key is not None:  # what has failed for good may be sent again
            commands.append(("DEL", f"{DEDUP_PREFIX}{task.dedup_key}"))
        return Execution(Finished(delivery, commands, task.id), Outcome.FAILED, task.type, error, (record["code"],))

    def _counted_down(self, document: Any, delivery: Delivery) -> list[Command]:
        """An envelope that has ended, well or not, is one less of its aggregator's batch: once, with its outcome."""
        batch = batch_of(document) if delivery.door and b"replayed" not in delivery.fields else None
        return [] if batch is None else [("COUNT_DOWN", self._keys.batch_remaining(batch))]

    def _hinted_brand(self, delivery: Delivery, document: Any) -> str:
        found = None if delivery.door is None else door_of(delivery.door, self._keys)
        if found is not None and found[1] is not None:
            return found[1]
        with contextlib.suppress(InvalidTask):
            return (brand_field(document.get("brand")) if isinstance(document, dict) else None) or ""
        return ""


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
        received_ms=delivery.received_ms,
    )


def _describe(here: Span, run: Run, execution: Execution) -> None:
    """Attributes under the names of OpenTelemetry's conventions for messaging, ours under `worker.`."""
    task, delivery = run.task, run.delivery
    here.set("messaging.system", "redis")
    here.set("messaging.operation.name", "process")
    here.set("messaging.operation.type", "process")
    here.set("messaging.destination.name", delivery.stream.decode())
    here.set("messaging.message.id", task.id)
    here.set("worker.task.type", task.type)
    here.set("worker.task.door", task.door)
    here.set("worker.task.attempt", task.attempt)
    here.set("worker.task.wait_ms", max(0, run.started_ms - task.received_ms))
    here.set("worker.task.outcome", execution.outcome.value)
    here.set("worker.brand", task.brand)
    if execution.error is not None:
        here.fail(failure(execution.error)["code"])


def _hint(document: Any, name: str, limit: int) -> str:
    """A field of a document that failed its check, for the operator's eyes; empty when it is of no use."""
    value = document.get(name) if isinstance(document, dict) else None
    return value[:limit] if isinstance(value, str) else ""
