"""The life of a worker: its loops, what runs too long, what others left behind, and the orderly end.

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

from .acknowledger import Acknowledger
from .admission import Admission
from .claimer import Claimer
from .custody import Custody, key_of
from .errors import QueueUnavailable, StorageUnavailable, WorkerError
from .gates import Gates
from .lease_keeper import LeaseKeeper
from .list_doors import ListDoors
from .logging import get_logger
from .metrics import Metrics
from .processor import Processor, Run
from .queue_consumer import RECLAIM_BATCH, TaskQueue
from .queue_entries import Delivery
from .slots import Slots
from .standby import Standby

log = get_logger(__name__)

_DRAINING: Final = ("finish", "watch")
"""Loops that go on while what runs is being finished."""
_LISTS_EVERY_SEC: Final = 0.1
"""How often the platform's lists are looked at. Many lists cannot be waited for atomically, so this is a poll."""
_PROMOTE_EVERY_SEC: Final = 0.1
_WATCH_EVERY_SEC: Final = 0.1
_MARK_AFTER_MS: Final = 500
"""A task that takes longer is shown as running; for the others a second write per task would be waste."""
_RECLAIM_EVERY_SEC: Final = 1.0
_RECLAIM_AGAIN_SEC: Final = 0.05
"""Until the next look, where the last one left something."""
_DANGER_MS: Final = 10_000
"""What kills its worker does so early, mostly; a task that runs longer does not keep others from being taken over."""
_DEPTH_EVERY_SEC: Final = 2.0
_TIDY_EVERY: Final = 30
"""Looks at the sizes between two looks at names of consumers that are gone and at the room dead letters take."""
_DEAD_LOOP_SEC: Final = 120.0
"""An event loop that has not come round for so long will not: its tasks are better off elsewhere."""
_BACKOFF_MAX_SEC: Final = 1.0


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
        self._custody = Custody()
        self._acknowledger = Acknowledger(queue, metrics, self._custody)
        self._claimer = Claimer(
            queue, processor, admission, gates, self._slots, metrics, self._custody, self._acknowledger
        )
        self._stopping = asyncio.Event()
        self._outages: set[str] = set()
        self._alive_at = time.monotonic()
        self._looks = 0
        self._reclaimed_all = True
        metrics.watch_state([one.value for one in WorkerState], lambda: self.state.value)

    @property
    def state(self) -> WorkerState:
        if self._stopping.is_set():
            return WorkerState.DRAINING
        if self._outages:
            return WorkerState.REDIS_LOST
        if self._gates.closed is not None:
            return WorkerState(self._gates.closed)
        return WorkerState.RUNNING if self._claimer.started else WorkerState.STARTING

    @property
    def in_flight(self) -> int:
        return len(self._slots.running)

    def stop(self) -> None:
        """Stop claiming; what runs is finished or given back within the drain time."""
        self._stopping.set()
        self._custody.room.set()

    async def stopped_early(self) -> None:
        """Returns when `stop()` was called."""
        await self._stopping.wait()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        keeper = self._make_keeper(self._claimed, lambda lost: _to_loop(loop, self._leases_lost, lost))
        loops = {
            "claim": self._claimer.step,
            "finish": self._acknowledger.step,
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
            await _cancel(list(jobs.values()))
            await self._claimer.close()
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

    # -- executing ---------------------------------------------------------------------------------------------

    async def _execute(self, run: Run) -> None:
        began = time.perf_counter()
        try:
            execution = await self._processor.perform(run)
        except asyncio.CancelledError:
            # The lease was lost (another worker has the task) or the drain is over (it is given back).
            if not self._custody.holds(run.delivery) and not self._stopping.is_set():
                current = asyncio.current_task()
                if current is not None:
                    current.uncancel()
                return
            raise
        except Exception as error:  # noqa: BLE001
            # A fault of the processor itself: the entry stays pending, and the next lease counts as an attempt.
            log.error("an execution broke, its lease will run out", exc=error, task_id=run.task.id)
            self._custody.give_up(run.delivery)
            return
        finally:
            self._custody.runs.pop(key_of(run.delivery), None)
            self._admission.leave(run.task)
            self._custody.room.set()
        seconds = time.perf_counter() - began
        self._claimer.mean_sec += 0.02 * (seconds - self._claimer.mean_sec)
        tasks = self._metrics.tasks
        tasks.ran(run.task.type, seconds)
        tasks.waited(run.task.priority, max(0, run.started_ms - run.task.received_ms) / 1000)
        if isinstance(execution.error, StorageUnavailable):
            self._gates.storage_failed(execution.error)
        self._acknowledger.over(execution)

    async def _watch_once(self) -> None:
        """Stop what has run too long; say "running" of what takes a while."""
        asked = time.monotonic() + _WATCH_EVERY_SEC
        await asyncio.sleep(_WATCH_EVERY_SEC)
        self._alive_at = time.monotonic()
        self._metrics.loop_lag.observe(max(0.0, self._alive_at - asked))
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
            async with self._acknowledger.between():
                over = self._acknowledger.is_over
                slow = [run for run in slow if self._custody.holds(run.delivery) and not over(run.delivery)]
                await self._queue.mark_running([(run.delivery, run.task, run.started_ms) for run in slow])
                for run in slow:
                    run.marked = True

    def _claimed(self) -> list[Delivery]:
        """What the thread that renews leases keeps for us: nothing any more when the event loop seems dead."""
        if time.monotonic() - self._alive_at > _DEAD_LOOP_SEC:
            return []
        return self._custody.snapshot()

    def _leases_lost(self, lost: Sequence[Delivery]) -> None:
        for delivery in lost:
            run = self._custody.runs.get(key_of(delivery))
            if run is None or not self._custody.holds(delivery) or self._acknowledger.is_over(delivery):
                continue  # acknowledged in the meantime, or about to be: the script decides who was first
            log.warning("a lease was lost, the execution is stopped", task_id=run.task.id)
            self._custody.give_up(delivery)
            self._slots.cancel(run)

    # -- housekeeping ------------------------------------------------------------------------------------------

    async def _reclaim_once(self) -> None:
        """Take over what others left behind, also while all slots are taken: it has waited for a lease already."""
        await asyncio.sleep(_RECLAIM_EVERY_SEC if self._reclaimed_all else _RECLAIM_AGAIN_SEC)
        self._reclaimed_all = True
        room = self._slots.size + RECLAIM_BATCH - self._slots.inside
        if room <= 0 or not self._claimer.started or not self._gates.may_finish:
            return
        # One suspect at a time; the others go on, or a row of suspects would keep everybody waiting.
        suspects = [run for run in self._custody.runs.values() if run.delivery.is_suspect]
        taken = await self._queue.reclaim(room, alone=not any(map(self._is_young, suspects)))
        if taken:
            # A full hand, or one that had to come alone: there may be more.
            self._reclaimed_all = len(taken) < RECLAIM_BATCH and not taken[0].is_suspect
            self._metrics.reclaimed.inc(len(taken))
            log.info("took over tasks whose worker is gone or has given them back", count=len(taken))
            await self._claimer.admit(taken, first=True)

    def _is_young(self, run: Run) -> bool:
        """Begun so short ago, or not at all yet, that it may still take this worker with it."""
        return not run.started_ms or self._queue.now_ms() - run.started_ms < _DANGER_MS

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
        self._claimer.parked = depth.parked
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
            self._custody.runs.pop(key_of(run.delivery), None)
        if self.in_flight:
            log.info("draining", running=self.in_flight, seconds=self._drain_sec)
        await self._slots.finish(self._drain_sec)

    async def _leave(self, keeper: LeaseKeeper) -> None:
        """Acknowledge what is done, give back the rest, sign off. A Redis that is down cannot keep us from ending."""
        keeper.stop()
        try:
            await self._acknowledger.flush()
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
        self._custody.held.clear()


def _to_loop(loop: asyncio.AbstractEventLoop, call: Callable[[list[Delivery]], None], lost: list[Delivery]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to tell
        loop.call_soon_threadsafe(call, lost)


async def _cancel(jobs: Sequence[asyncio.Task[Any]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
