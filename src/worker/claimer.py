"""Brings work: claims as much as there is room for, and lets nobody wait behind a crowd."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

from .acknowledger import Acknowledger
from .admission import Admission
from .custody import Custody, key_of
from .errors import QueueUnavailable
from .gates import Gates
from .metrics import Metrics
from .processor import Execution, Processor, Run
from .queue_consumer import TaskQueue
from .queue_entries import Delivery
from .slots import Slots

_FIRST: Final = asyncio.FIRST_COMPLETED
_LOOK_AHEAD: Final = 100
_LOOK_AHEAD_REST: Final = 3
"""Looking past a crowd may take a quarter of the claim loop's time: it rests three times as long as it took."""
_NOBODY_ELSE_SEC: Final = 0.1
"""How long to go on without another look past the crowd when the last one found nobody."""
_PARKED_POLL_SEC: Final = 0.5
"""Blocking reads see new tasks, not lanes that another worker has filled: while there are some, look again."""
_AHEAD_SEC: Final = 0.002
"""Work to have at hand per slot: about two round trips, so that slots of short tasks do not wait for Redis."""
_LIKELY_SEC: Final = 0.05
"""Run time assumed before any task has run."""


class Claimer:
    """One per worker; `step()` is called again and again."""

    def __init__(
        self,
        queue: TaskQueue,
        processor: Processor,
        admission: Admission,
        gates: Gates,
        slots: Slots,
        metrics: Metrics,
        custody: Custody,
        acknowledger: Acknowledger,
    ) -> None:
        self._queue = queue
        self._processor = processor
        self._admission = admission
        self._gates = gates
        self._slots = slots
        self._metrics = metrics
        self._custody = custody
        self._acknowledger = acknowledger
        self._reading: asyncio.Task[list[Delivery]] | None = None
        self.started = False
        """The group is there: Redis has answered at least once."""
        self.mean_sec = _LIKELY_SEC
        """Moving average of the run time of tasks; short ones are claimed ahead."""
        self.parked = 0
        """Tasks waiting in lanes, as far as known."""

    async def close(self) -> None:
        """End the blocking read; what it may have brought is still pending under our name."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def step(self) -> None:
        """Claim once, or wait for a reason to."""
        if not self.started:
            await self._queue.ensure_groups()
            self.started = True
        if self._gates.closed is not None:
            await self._rest()
            return
        if self._reading is not None and self._reading.done():  # it brought something while others were being claimed
            await self.admit(self._read())
            return
        room = self._room()
        if room <= 0:
            await self._without_room()
            return
        full = self._admission.full_lanes()
        self._custody.room.clear()
        deliveries = await self._queue.claim(room, full_lanes=full) or await self._arrivals(room, bool(full))
        if self._gates.closed is None:
            await self.admit(deliveries)
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
        if full or self.parked:
            freed = asyncio.create_task(self._custody.room.wait())
            waits.add(freed)
        try:
            await asyncio.wait(waits, timeout=_PARKED_POLL_SEC if self.parked else None, return_when=_FIRST)
        finally:
            if freed is not None:
                freed.cancel()
        return self._read() if self._reading.done() else []

    def _read(self) -> list[Delivery]:
        """What the blocking read has brought; the next one may begin."""
        reading, self._reading = self._reading, None
        return reading.result() if reading is not None else []

    async def _rest(self) -> None:
        """Claim nothing until the gates open. What a read that had begun still brings is given back."""
        if self._reading is not None:
            reading, self._reading = self._reading, None
            await self._queue.put_back(await reading)
        await self._gates.opened()

    def _room(self) -> int:
        if self._acknowledger.behind:
            return 0
        size = self._slots.size
        ahead = min(size, int(size * _AHEAD_SEC / self.mean_sec))
        return size + ahead - self._slots.inside

    async def _without_room(self) -> None:
        """All slots are taken. Look past those who wait for them, in case somebody else stands behind a crowd."""
        self._custody.room.clear()
        if self._admission.sees_brands and not self._acknowledger.behind:
            began = time.monotonic()
            deliveries = await self._queue.claim(_LOOK_AHEAD, lanes=False)
            if deliveries:
                await self.admit(deliveries, room=False)
                rest = _LOOK_AHEAD_REST * (time.monotonic() - began)
            else:
                rest = _NOBODY_ELSE_SEC
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(rest, 0.005)):  # not wait_for: up to Python 3.11 it loses cancellations
                    await self._custody.room.wait()
            return
        await self._custody.room.wait()

    async def admit(self, deliveries: Sequence[Delivery], *, room: bool = True, first: bool = False) -> None:
        """Begin what may begin; park the rest. `room`: are slots to be had? `first`: before those that wait here."""
        parking: list[tuple[Delivery, str]] = []
        keyed: list[Run] = []
        for delivery in deliveries:
            key = key_of(delivery)
            if key in self._custody.held:  # our own lease ran out while we hold it: what is here goes on
                continue
            prepared = self._processor.prepare(delivery)
            if isinstance(prepared, Execution):
                self._custody.held[key] = delivery
                self._acknowledger.over(prepared)
                continue
            lane = self._admission.lane(prepared.task, room=room)
            if lane is not None:
                parking.append((delivery, lane))
            elif prepared.task.dedup_key is not None:
                self._custody.held[key] = delivery
                keyed.append(prepared)
            else:
                self._enter(prepared, first=first or not room)
        if keyed:
            await self._admit_first(keyed)
        if parking:
            self.parked += len(parking)
            self._metrics.parked.inc(await self._queue.park(parking))

    async def _admit_first(self, runs: Sequence[Run]) -> None:
        """Of tasks with one dedupKey only the first is run."""
        try:
            firsts = await self._queue.firsts([run.task for run in runs])
        except QueueUnavailable:
            for run in runs:  # left pending: the lease brings them back
                self._custody.give_up(run.delivery)
            raise
        for run, first in zip(runs, firsts, strict=True):
            if first == run.task.id:
                self._enter(run)
            else:
                self._acknowledger.over(self._processor.duplicate(run, first))

    def _enter(self, run: Run, *, first: bool = False) -> None:
        key = key_of(run.delivery)
        self._custody.held[key] = run.delivery
        self._custody.runs[key] = run
        self._admission.enter(run.task)
        self._slots.add(run, first=first)
