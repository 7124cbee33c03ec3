"""The run loop: keeps the slots full, lets nobody wait behind a crowd, acknowledges in batches, takes over, drains.

Loops that must go on for ever are supervised: an outage of Redis is said once when it begins and once when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Final

from .admission import Admission
from .errors import QueueUnavailable, StorageUnavailable, WorkerError
from .gates import Gates
from .lease_keeper import LeaseKeeper
from .list_doors import ListDoors
from .logging import get_logger
from .metrics import Metrics
from .processor import Execution, Outcome, Processor, Run
from .queue_consumer import TaskQueue
from .queue_entries import Delivery
from .slots import Slots
from .standby import Standby

log = get_logger(__name__)

_DRAINING: Final = ("finish", "watch")
"""Loops that go on while what runs is being finished."""
_FIRST: Final = asyncio.FIRST_COMPLETED
_LISTS_EVERY_SEC: Final = 0.1
"""How often the platform's lists are looked at. Many lists cannot be waited for atomically, so this is a poll."""
_PROMOTE_EVERY_SEC: Final = 0.1
_WATCH_EVERY_SEC: Final = 0.1
_MARK_AFTER_MS: Final = 500
"""A task that takes longer is shown as running; for the others a second write per task would be waste."""
_RECLAIM_EVERY_SEC: Final = 1.0
_DEPTH_EVERY_SEC: Final = 2.0
_TIDY_EVERY: Final = 30
"""Looks at the sizes between two looks at names of consumers that are gone and at the room dead letters take."""
_DEAD_LOOP_SEC: Final = 120.0
"""An event loop that has not come round for so long will not: its tasks are better off elsewhere."""
_FINISH_BATCH: Final = 200
_FINISHED_MAX: Final = 2_000
"""Executions that wait for their acknowledgement before claiming rests: Redis is slower than the tasks."""
_BACKOFF_MAX_SEC: Final = 1.0
_LOOK_AHEAD: Final = 100
_LOOK_AHEAD_REST: Final = 3
"""Looking past a crowd may take a quarter of the claim loop's time: it rests three times as long as it took."""
_NOBODY_ELSE_SEC: Final = 0.1
"""How long to go on without another look past the crowd when the last one found nobody."""
_PARKED_POLL_SEC: Final = 0.5
"""Blocking reads see new tasks, not lanes that another worker has filled: while there are some, look again."""
_AHEAD_SEC: Final = 0.002
"""Work to have at hand per slot: about two round trips, so that slots of short tasks do not wait for Redis."""


class WorkerState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    STANDBY = "standby"
    REDIS_LOST = "redis_lost"
    STORAGE_LOST = "storage_lost"
    MEMORY_FULL = "memory_full"
    DRAINING = "draining"


class QueueWorker:
    """Runs until `stop()`; then `run()` returns after the drain."""

    def __init__(
        self,
        queue: TaskQueue,
        processor: Processor,
        lists: ListDoors,
        metrics: Metrics,
        admission: Admission,
        gates: Gates,
        keeper: Callable[[Callable[[], list[Delivery]], Callable[[list[Delivery]], None]], LeaseKeeper],
        *,
        concurrency: int,
        drain_sec: float,
        standby: Standby | None = None,
    ) -> None:
        self._queue = queue
        self._processor = processor
        self._lists = lists
        self._metrics = metrics
        self._admission = admission
        self._gates = gates
        self._make_keeper = keeper
        self._drain_sec = drain_sec
        self._standby = standby
        self._slots = Slots(concurrency, self._execute)
        self._held: dict[tuple[bytes, bytes], Delivery] = {}
        """All that Redis holds under our name: waiting here, running, or over and not yet acknowledged."""
        self._runs: dict[tuple[bytes, bytes], Run] = {}
        self._done: list[Execution] = []
        self._done_event = asyncio.Event()
        self._room_event = asyncio.Event()
        self._stopping = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._outages: set[str] = set()
        self._started = False
        self._reading: asyncio.Task[list[Delivery]] | None = None
        self._alive_at = time.monotonic()
        self._mean_sec = 0.05
        self._parked = 0
        self._looks = 0

    @property
    def state(self) -> WorkerState:
        if self._stopping.is_set():
            return WorkerState.DRAINING
        if self._outages:
            return WorkerState.REDIS_LOST
        if self._gates.closed is not None:
            return WorkerState(self._gates.closed)
        return WorkerState.RUNNING if self._started else WorkerState.STARTING

    @property
    def in_flight(self) -> int:
        return len(self._slots.running)

    def stop(self) -> None:
        """Stop claiming; what runs is finished or given back within the drain time."""
        self._stopping.set()
        self._room_event.set()

    async def stopped_early(self) -> None:
        """Returns when `stop()` was called."""
        await self._stopping.wait()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        keeper = self._make_keeper(self._claimed, lambda lost: _to_loop(loop, self._leases_lost, lost))
        loops = {
            "claim": self._claim_once,
            "finish": self._finish_once,
            "watch": self._watch_once,
            "reclaim": self._reclaim_once,
            "promote": self._promote_once,
            "lists": self._lists_once,
            "depth": self._depth_once,
            "gates": self._gates.look,
        }
        if self._standby is not None:
            loops["standby"] = partial(self._standby_once, self._standby)
        self._slots.start()
        keeper.start()
        jobs = {name: asyncio.create_task(self._for_ever(name, step), name=name) for name, step in loops.items()}
        try:
            await self._stopping.wait()
            # Loops that only bring work end at once; acknowledgements go on during the drain.
            await _cancel([job for name, job in jobs.items() if name not in _DRAINING])
            await self._drain()
        finally:
            await _cancel([*jobs.values(), *([self._reading] if self._reading else [])])
            await self._leave(keeper)

    async def _for_ever(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while name in _DRAINING or not self._stopping.is_set():
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
            await asyncio.sleep(min(_BACKOFF_MAX_SEC, 0.05 * 2 ** min(failures, 5)))

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

    # -- claiming ----------------------------------------------------------------------------------------------

    async def _claim_once(self) -> None:
        if not self._started:
            await self._queue.ensure_groups()
            self._started = True
        if self._gates.closed is not None:
            await self._rest()
            return
        room = self._room()
        if room <= 0:
            await self._without_room()
            return
        full = self._admission.full_lanes()
        self._room_event.clear()
        deliveries = await self._queue.claim(room, full_lanes=full) or await self._arrivals(room, bool(full))
        if self._gates.closed is None:
            await self._admit(deliveries)
        else:  # closed while we waited
            await self._queue.put_back(deliveries)

    async def _arrivals(self, room: int, full: bool) -> list[Delivery]:
        """Wait for something new; while tasks wait in lanes also for a slot that becomes free for them.

        A blocking read that has begun goes on in the meantime: what it brings is taken by a later call.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._queue.wait(room), name="blocking read")
        waits: set[asyncio.Task[Any]] = {self._reading}
        freed = None
        if full or self._parked:
            freed = asyncio.create_task(self._room_event.wait())
            waits.add(freed)
        try:
            await asyncio.wait(waits, timeout=_PARKED_POLL_SEC if self._parked else None, return_when=_FIRST)
        finally:
            if freed is not None:
                freed.cancel()
        if not self._reading.done():
            return []
        reading, self._reading = self._reading, None
        return reading.result()

    async def _rest(self) -> None:
        """Claim nothing until the gates open. What a read that had begun still brings is given back."""
        if self._reading is not None:
            reading, self._reading = self._reading, None
            await self._queue.put_back(await reading)
        await self._gates.opened()

    def _room(self) -> int:
        if len(self._done) >= _FINISHED_MAX:
            return 0
        size = self._slots.size
        ahead = min(size, int(size * _AHEAD_SEC / self._mean_sec))
        return size + ahead - self._slots.inside

    async def _without_room(self) -> None:
        """All slots are taken. Look past those who wait for them, in case somebody else stands behind a crowd."""
        self._room_event.clear()
        if self._admission.sees_brands and len(self._done) < _FINISHED_MAX:
            began = time.monotonic()
            deliveries = await self._queue.claim(_LOOK_AHEAD, lanes=False)
            if deliveries:
                await self._admit(deliveries, room=False)
                rest = _LOOK_AHEAD_REST * (time.monotonic() - began)
            else:
                rest = _NOBODY_ELSE_SEC
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(rest, 0.005)):  # not wait_for: up to Python 3.11 it loses cancellations
                    await self._room_event.wait()
            return
        await self._room_event.wait()

    async def _admit(self, deliveries: Sequence[Delivery], *, room: bool = True) -> None:
        parking: list[tuple[Delivery, str]] = []
        keyed: list[Run] = []
        for delivery in deliveries:
            key = (delivery.stream, delivery.entry_id)
            if key in self._held:  # our own lease ran out while we hold it: what is here goes on
                continue
            prepared = self._processor.prepare(delivery)
            if isinstance(prepared, Execution):
                self._held[key] = delivery
                self._over(prepared)
                continue
            lane = self._admission.lane(prepared.task, room=room)
            if lane is not None:
                parking.append((delivery, lane))
            elif prepared.task.dedup_key is not None:
                self._held[key] = delivery
                keyed.append(prepared)
            else:
                self._enter(prepared, first=not room)
        if keyed:
            await self._admit_first(keyed)
        if parking:
            self._parked += len(parking)
            self._metrics.parked.inc(await self._queue.park(parking))

    async def _admit_first(self, runs: Sequence[Run]) -> None:
        """Of tasks with one dedupKey only the first is run."""
        try:
            firsts = await self._queue.firsts([run.task for run in runs])
        except QueueUnavailable:
            for run in runs:  # left pending: the lease brings them back
                self._held.pop((run.delivery.stream, run.delivery.entry_id), None)
            raise
        for run, first in zip(runs, firsts, strict=True):
            if first == run.task.id:
                self._enter(run)
            else:
                self._over(self._processor.duplicate(run, first))

    def _enter(self, run: Run, *, first: bool = False) -> None:
        key = (run.delivery.stream, run.delivery.entry_id)
        self._held[key] = run.delivery
        self._runs[key] = run
        self._admission.enter(run.task)
        self._slots.add(run, first=first)

    # -- executing ---------------------------------------------------------------------------------------------

    async def _execute(self, run: Run) -> None:
        key = (run.delivery.stream, run.delivery.entry_id)
        began = time.perf_counter()
        try:
            execution = await self._processor.perform(run)
        except asyncio.CancelledError:
            # The lease was lost (another worker has the task) or the drain is over (it is given back).
            if key not in self._held and not self._stopping.is_set():
                current = asyncio.current_task()
                if current is not None:
                    current.uncancel()
                return
            raise
        except Exception as error:  # noqa: BLE001
            # A fault of the processor itself: the entry stays pending, and the next lease counts as an attempt.
            log.error("an execution broke, its lease will run out", exc=error, task_id=run.task.id)
            self._held.pop(key, None)
            return
        finally:
            self._runs.pop(key, None)
            self._admission.leave(run.task)
            self._room_event.set()
        seconds = time.perf_counter() - began
        self._mean_sec += 0.02 * (seconds - self._mean_sec)
        tasks = self._metrics.tasks
        tasks.ran(run.task.type, seconds)
        tasks.waited(run.task.priority, max(0, run.started_ms - run.task.received_ms) / 1000)
        if isinstance(execution.error, StorageUnavailable):
            self._gates.storage_failed(execution.error)
        self._over(execution)

    def _over(self, execution: Execution) -> None:
        self._done.append(execution)
        self._done_event.set()

    async def _watch_once(self) -> None:
        """Stop what has run too long; say "running" of what takes a while."""
        await asyncio.sleep(_WATCH_EVERY_SEC)
        self._alive_at = time.monotonic()
        now = self._queue.now_ms()
        slow: list[Run] = []
        for run in self._slots.running:
            age = now - run.started_ms
            if run.started_ms and age > run.seconds * 1000 and not run.expired:
                run.expired = True
                self._slots.cancel(run)
            elif run.started_ms and age > _MARK_AFTER_MS and not run.marked:
                slow.append(run)
        self._metrics.tasks.in_flight = dict(self._admission.types)
        if slow:
            async with self._flushing:  # never after the final record of the same task
                over = {id(one.finished.delivery) for one in self._done}
                slow = [run for run in slow if id(run.delivery) not in over and self._is_held(run.delivery)]
                await self._queue.mark_running([(run.task, run.started_ms) for run in slow])
                for run in slow:
                    run.marked = True

    def _claimed(self) -> list[Delivery]:
        """What the thread that renews leases keeps for us: nothing any more when the event loop seems dead."""
        if time.monotonic() - self._alive_at > _DEAD_LOOP_SEC:
            return []
        return list(self._held.values())

    def _is_held(self, delivery: Delivery) -> bool:
        return (delivery.stream, delivery.entry_id) in self._held

    def _leases_lost(self, lost: Sequence[Delivery]) -> None:
        over = {id(one.finished.delivery) for one in self._done}
        for delivery in lost:
            key = (delivery.stream, delivery.entry_id)
            run = self._runs.get(key)
            if key not in self._held or id(delivery) in over or run is None:
                continue  # acknowledged in the meantime, or about to be: the script decides who was first
            log.warning("a lease was lost, the execution is stopped", task_id=run.task.id)
            self._held.pop(key, None)
            self._slots.cancel(run)

    # -- acknowledging -----------------------------------------------------------------------------------------

    async def _finish_once(self) -> None:
        await self._done_event.wait()
        self._done_event.clear()
        await self._flush()

    async def _flush(self) -> None:
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
                self._room_event.set()

    def _settle(self, execution: Execution, answer: str) -> None:
        delivery = execution.finished.delivery
        self._held.pop((delivery.stream, delivery.entry_id), None)
        if answer == "ok":
            self._metrics.tasks.ended(execution.type, execution.outcome)
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

    # -- housekeeping ------------------------------------------------------------------------------------------

    async def _reclaim_once(self) -> None:
        await asyncio.sleep(_RECLAIM_EVERY_SEC)
        free = self._slots.size - self._slots.inside
        if free <= 0 or not self._started or not self._gates.may_finish:
            return
        taken = await self._queue.reclaim(free)
        if taken:
            self._metrics.reclaimed.inc(len(taken))
            log.info("took over tasks whose worker is gone or has given them back", count=len(taken))
            await self._admit(taken)

    async def _promote_once(self) -> None:
        await asyncio.sleep(_PROMOTE_EVERY_SEC)
        while await self._queue.promote():
            pass

    async def _lists_once(self) -> None:
        await asyncio.sleep(_LISTS_EVERY_SEC)
        if self._gates.closed is None:
            await self._lists.take(self._queue, limit=max(20, 4 * self._slots.size))

    async def _depth_once(self) -> None:
        depth = await self._queue.depth()
        self._parked = depth.parked
        now = self._queue.now_ms()
        ages = {
            priority: 0.0 if oldest is None else max(0.0, (now - oldest) / 1000)
            for priority, oldest in depth.oldest_ms.items()
        }
        self._metrics.set_depths(depth.waiting, ages, parked=depth.parked, delayed=depth.delayed, dead=depth.dead)
        self._looks += 1
        if self._looks % _TIDY_EVERY == 1:
            await self._tidy()
        await asyncio.sleep(_DEPTH_EVERY_SEC)

    async def _tidy(self) -> None:
        forgotten, trimmed = await self._queue.tidy()
        if forgotten:
            log.info("removed consumers that are gone from the group", count=forgotten)
        if trimmed:
            log.warning("dead letters took more room than they may, the oldest were dropped", count=trimmed)

    async def _standby_once(self, standby: Standby) -> None:
        await standby.look()
        self._gates.stand_by(standby.active)
        if not standby.active:
            await standby.hand_over()
        await asyncio.sleep(standby.pause_sec)

    # -- the end -----------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        for run in self._slots.withdraw():
            self._runs.pop((run.delivery.stream, run.delivery.entry_id), None)
        if self.in_flight:
            log.info("draining", running=self.in_flight, seconds=self._drain_sec)
        await self._slots.finish(self._drain_sec)

    async def _leave(self, keeper: LeaseKeeper) -> None:
        """Acknowledge what is done, give back the rest, sign off. A Redis that is down cannot keep us from ending."""
        keeper.stop()
        try:
            await self._flush()
            given_back = await self._queue.release_everything()
            if given_back:
                log.info("gave tasks back to the queue", count=given_back)
            await self._queue.forget_consumer()
            await asyncio.to_thread(keeper.join)
            await self._queue.stop_beating()
            if self._standby is not None:
                await self._standby.leave()
        except WorkerError as error:
            log.warning("could not sign off; leases will run out instead", problem=error.message)
        self._held.clear()


def _to_loop(loop: asyncio.AbstractEventLoop, call: Callable[[list[Delivery]], None], lost: list[Delivery]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to tell
        loop.call_soon_threadsafe(call, lost)


async def _cancel(jobs: Sequence[asyncio.Task[Any]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
