"""The run loop: keeps the slots full, acknowledges in batches, renews leases, takes over, drains.

Loops that must go on for ever are supervised: an outage of Redis is said once when it begins and once when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .errors import QueueUnavailable, StorageUnavailable, WorkerError
from .list_doors import ListDoors
from .logging import get_logger
from .metrics import Metrics
from .models import Task
from .processor import Execution, Outcome, Processor
from .queue_consumer import TaskQueue
from .queue_entries import Delivery

log = get_logger(__name__)

_IDLE_POLL_SEC: Final = 0.1
"""How often the platform's lists are looked at. Reading many lists cannot block atomically, so this one is a poll."""
_TICK_SEC: Final = 0.25
_RECLAIM_EVERY_SEC: Final = 1.0
_DEPTH_EVERY_SEC: Final = 5.0
_MARK_AFTER_SEC: Final = 0.5
_FINISH_BATCH: Final = 100
_BACKOFF_MAX_SEC: Final = 5.0
_STORAGE_PAUSE_SEC: Final = 1.0
"""How long claiming rests after MongoDB failed, before one task is tried again."""
_MAX_BACKLOG_FOR_LISTS: Final = 1_000
"""Items stay in their producers' lists while this many tasks wait: order between brands is kept there."""


class WorkerState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    REDIS_LOST = "redis_lost"
    STORAGE_LOST = "storage_lost"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(slots=True)
class _Slot:
    delivery: Delivery
    job: asyncio.Task[None]
    task: Task | None = None
    marked: bool = False


class QueueWorker:
    """Runs until `stop()`; then `run()` returns after the drain."""

    def __init__(
        self,
        queue: TaskQueue,
        processor: Processor,
        lists: ListDoors,
        metrics: Metrics,
        *,
        concurrency: int,
        lease_sec: float,
        heartbeat_sec: float,
        drain_sec: float,
        storage_ping: Callable[[], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._processor = processor
        self._lists = lists
        self._metrics = metrics
        self._concurrency = concurrency
        self._lease_sec = lease_sec
        self._heartbeat_sec = heartbeat_sec
        self._drain_sec = drain_sec
        self._storage_ping = storage_ping
        self._slots: dict[tuple[bytes, bytes], _Slot] = {}
        self._done: list[Execution] = []
        self._done_event = asyncio.Event()
        self._slot_free = asyncio.Event()
        self._stopping = asyncio.Event()
        self._storage_down = False
        self._outages: set[str] = set()
        self._started = False
        self._flushing = asyncio.Lock()

    @property
    def state(self) -> WorkerState:
        if self._stopping.is_set():
            return WorkerState.DRAINING
        if self._outages:
            return WorkerState.REDIS_LOST
        if self._storage_down:
            return WorkerState.STORAGE_LOST
        return WorkerState.RUNNING if self._started else WorkerState.STARTING

    @property
    def in_flight(self) -> int:
        return len(self._slots)

    def stop(self) -> None:
        """Stop claiming; what runs is finished or given back within the drain time."""
        self._stopping.set()
        self._slot_free.set()

    async def stopped_early(self) -> None:
        """Returns when `stop()` was called."""
        await self._stopping.wait()

    async def run(self) -> None:
        loops = {
            "claim": self._claim_once,
            "finish": self._finish_once,
            "running": self._mark_once,
            "leases": self._renew_once,
            "reclaim": self._reclaim_once,
            "promote": self._promote_once,
            "lists": self._lists_once,
            "heartbeat": self._beat_once,
            "depth": self._depth_once,
        }
        jobs = [asyncio.create_task(self._for_ever(name, step), name=name) for name, step in loops.items()]
        try:
            await self._stopping.wait()
            # Loops that only bring work end at once; leases and acknowledgements go on during the drain.
            ending = [job for job in jobs if job.get_name() not in ("finish", "leases", "heartbeat")]
            await _cancel(ending)
            await self._drain()
        finally:
            await _cancel(jobs)
            await self._leave()

    # -- the loops ---------------------------------------------------------------------------------------------

    async def _for_ever(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await step()
            except QueueUnavailable as error:
                failures += 1
                self._lost(name, error)
            except Exception as error:  # noqa: BLE001 - supervision: said loudly, and the loop goes on
                failures += 1
                log.error("a loop of the worker failed and goes on", exc=error, loop=name)
            else:
                if failures:
                    failures = 0
                    self._back(name)
                continue
            await asyncio.sleep(min(_BACKOFF_MAX_SEC, 0.1 * 2 ** min(failures, 6)))

    def _lost(self, loop: str, error: QueueUnavailable) -> None:
        if not self._outages:
            self._metrics.redis_outages.inc()
            log.warning("Redis is not available, trying again until it is", problem=error.message)
        self._outages.add(loop)

    def _back(self, loop: str) -> None:
        if loop in self._outages:
            self._outages.discard(loop)
            if not self._outages:
                log.info("Redis is available again")

    async def _claim_once(self) -> None:
        if not self._started:
            await self._queue.ensure_groups()
            self._started = True
        if self._storage_down:
            await self._await_storage()
        free = self._concurrency - len(self._slots)
        if free <= 0:
            self._slot_free.clear()
            await self._slot_free.wait()
            return
        deliveries = await self._queue.claim(free)
        if not deliveries:
            deliveries = await self._queue.wait(free)
        self._start(deliveries)

    async def _await_storage(self) -> None:
        try:
            await self._storage_ping()
        except StorageUnavailable:
            await asyncio.sleep(_STORAGE_PAUSE_SEC)
            return
        self._storage_down = False
        log.info("MongoDB is available again")

    def _start(self, deliveries: Sequence[Delivery]) -> None:
        now = time.time()
        for delivery in deliveries:
            key = (delivery.stream, delivery.entry_id)
            if key in self._slots:  # our own lease ran out while it runs here: the running execution keeps it
                continue
            waited = max(0.0, now - delivery.received_at.timestamp())
            self._metrics.wait_seconds.labels(delivery.priority.value).observe(waited)
            self._slots[key] = _Slot(delivery, asyncio.create_task(self._execute(delivery)))
        self._metrics.in_flight.set(len(self._slots))

    async def _execute(self, delivery: Delivery) -> None:
        began = time.monotonic()
        try:
            execution = await self._processor.process(delivery, self._begin)
        except Exception as error:  # noqa: BLE001
            # A fault of the processor itself: the entry stays pending, and the next lease counts as an attempt.
            log.error("an execution broke, its lease will run out", exc=error, task_id=delivery.task_id)
            self._forget(delivery)
            return
        self._metrics.task_seconds.labels(execution.type).observe(time.monotonic() - began)
        if isinstance(execution.error, StorageUnavailable) and not self._storage_down:
            self._storage_down = True
            log.warning("MongoDB is not available, claiming rests", problem=execution.error.message)
        self._done.append(execution)
        self._done_event.set()

    def _begin(self, delivery: Delivery, task: Task) -> None:
        slot = self._slots.get((delivery.stream, delivery.entry_id))
        if slot is not None:
            slot.task = task

    async def _mark_once(self) -> None:
        """Say "running" of tasks that take a while; for the others a second write per task would be waste."""
        await asyncio.sleep(_MARK_AFTER_SEC)
        async with self._flushing:  # never after the final record of the same task
            busy = [slot for slot in self._slots.values() if slot.task is not None and not slot.marked]
            over = {id(one.finished.delivery) for one in self._done}
            busy = [slot for slot in busy if id(slot.delivery) not in over]
            await self._queue.mark_running([slot.task for slot in busy if slot.task is not None])
            for slot in busy:
                slot.marked = True

    async def _finish_once(self) -> None:
        await self._done_event.wait()
        self._done_event.clear()
        await self._flush()

    async def _flush(self) -> None:
        async with self._flushing:
            while self._done:
                batch = self._done[:_FINISH_BATCH]
                answers = await self._acknowledge(batch)
                del self._done[: len(batch)]
                for execution, answer in zip(batch, answers, strict=True):
                    self._settle(execution, answer)

    async def _acknowledge(self, batch: Sequence[Execution]) -> list[str]:
        try:
            return await self._queue.finish([execution.finished for execution in batch])
        except QueueUnavailable:
            self._done_event.set()  # still to be acknowledged: repeating is safe, forgetting is not
            raise

    def _settle(self, execution: Execution, answer: str) -> None:
        delivery = execution.finished.delivery
        self._slots.pop((delivery.stream, delivery.entry_id), None)
        self._slot_free.set()
        self._metrics.in_flight.set(len(self._slots))
        if answer == "ok":
            self._metrics.tasks.labels(execution.type, execution.outcome.value).inc()
            if execution.outcome is Outcome.FAILED and execution.error is not None:
                log.warning(
                    "task dead-lettered", task_id=delivery.task_id, type=execution.type, reason=execution.error.message
                )
            elif execution.outcome is Outcome.RETRIED and execution.error is not None:
                log.info("task will be tried again", task_id=delivery.task_id, reason=execution.error.message)
        elif answer == "lost":
            self._metrics.tasks.labels(execution.type, "superseded").inc()
            log.warning("another worker has finished this task first", task_id=delivery.task_id)
        else:
            self._metrics.tasks.labels(execution.type, "failed").inc()
            self._metrics.dead_letters.labels("OUTPUT_FAILED").inc()
            log.error("Redis refused an output, the task is in the dead letters", task_id=delivery.task_id, why=answer)

    async def _renew_once(self) -> None:
        await asyncio.sleep(self._lease_sec / 3)
        lost = await self._queue.renew([slot.delivery for slot in self._slots.values()])
        for delivery in lost:
            slot = self._slots.get((delivery.stream, delivery.entry_id))
            if slot is not None and not slot.job.done():
                log.warning("a lease was lost, the execution is stopped", task_id=delivery.task_id)
                slot.job.cancel()
                self._forget(delivery)

    def _forget(self, delivery: Delivery) -> None:
        self._slots.pop((delivery.stream, delivery.entry_id), None)
        self._slot_free.set()

    async def _reclaim_once(self) -> None:
        await asyncio.sleep(_RECLAIM_EVERY_SEC)
        free = self._concurrency - len(self._slots)
        if free <= 0 or self._storage_down:
            return
        taken = await self._queue.reclaim(free)
        if taken:
            self._metrics.reclaimed.inc(len(taken))
            log.info("took over tasks whose worker is gone", count=len(taken))
            self._start(taken)

    async def _promote_once(self) -> None:
        await asyncio.sleep(_TICK_SEC)
        while await self._queue.promote():
            pass

    async def _lists_once(self) -> None:
        await asyncio.sleep(_IDLE_POLL_SEC)
        await self._lists.take(self._queue, limit=_MAX_BACKLOG_FOR_LISTS)

    async def _beat_once(self) -> None:
        # Lives over one missed beat, as the platform's own workers do.
        await self._queue.beat(max(2 * self._heartbeat_sec, self._heartbeat_sec + 5))
        await asyncio.sleep(self._heartbeat_sec)

    async def _depth_once(self) -> None:
        depth = await self._queue.depth()
        self._metrics.set_depths(depth.waiting, depth.delayed, depth.dead)
        await asyncio.sleep(_DEPTH_EVERY_SEC)

    # -- the end -----------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        jobs = [slot.job for slot in self._slots.values()]
        if jobs:
            log.info("draining", running=len(jobs), seconds=self._drain_sec)
            _, unfinished = await asyncio.wait(jobs, timeout=self._drain_sec)
            await _cancel(unfinished)

    async def _leave(self) -> None:
        """Acknowledge what is done, give back the rest, sign off. A Redis that is down cannot keep us from ending."""
        try:
            await self._flush()
            given_back = await self._queue.release_everything()
            if given_back:
                log.info("gave tasks back to the queue", count=given_back)
            await self._queue.forget_consumer()
            await self._queue.stop_beating()
        except WorkerError as error:
            log.warning("could not sign off; leases will run out instead", problem=error.message)
        self._slots.clear()


async def _cancel(jobs: Sequence[asyncio.Task[None]] | set[asyncio.Task[None]]) -> None:
    for job in jobs:
        job.cancel()
    for job in jobs:
        with contextlib.suppress(asyncio.CancelledError):
            await job
