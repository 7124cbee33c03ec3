"""The slots of a worker: a fixed number of coroutines that take runs from one deque and execute them.

A task per run would cost more than most short tasks; a slot goes on with the next run without a turn of the event loop
when the handler did not wait, and lets the loop have a turn after every few.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from .processor import Run

_BURST: Final = 32
"""Runs in a row before the event loop has a turn: under a millisecond of short tasks."""


class Slots:
    """Execute runs, `size` at a time."""

    def __init__(self, size: int, execute: Callable[[Run], Awaitable[None]]) -> None:
        self._execute = execute
        self._size = size
        self._ready: deque[Run] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[Run, asyncio.Task[None]] = {}
        self._stopping = False
        self._empty = asyncio.Event()

    @property
    def size(self) -> int:
        return self._size

    @property
    def running(self) -> list[Run]:
        return list(self._running)

    @property
    def inside(self) -> int:
        """Runs being executed or waiting for a slot of this process."""
        return len(self._running) + len(self._ready)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._slot(), name="slot") for _ in range(self._size)]

    def add(self, run: Run, *, first: bool = False) -> None:
        if first:
            self._ready.appendleft(run)
        else:
            self._ready.append(run)
        self._wake()

    def cancel(self, run: Run) -> None:
        """Cancel one execution; the slot itself goes on when its `execute` swallows the cancellation."""
        task = self._running.get(run)
        if task is not None:
            task.cancel()

    def withdraw(self) -> list[Run]:
        """Take back the runs that no slot has begun."""
        waiting = list(self._ready)
        self._ready.clear()
        return waiting

    async def finish(self, seconds: float) -> None:
        """Let the running ones end, at most `seconds`, then cancel them. No slot is left."""
        self._stopping = True
        if self._running:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wake(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _slot(self) -> None:
        me = asyncio.current_task()
        while True:
            try:
                await self._work()
            except asyncio.CancelledError:
                # A run was cancelled in the moment in which it ended: the slot itself is not meant.
                if self._stopping or me is None:
                    raise
                me.uncancel()

    async def _work(self) -> None:
        me = asyncio.current_task()
        loop = asyncio.get_running_loop()
        burst = 0
        while me is not None:
            while not self._ready:
                burst = 0
                waiter = loop.create_future()
                self._idle.append(waiter)
                await waiter
            run = self._ready.popleft()
            if self._ready and self._idle:
                self._wake()  # the handler may wait: somebody else then goes on with the rest
            self._running[run] = me
            try:
                await self._execute(run)
            finally:
                del self._running[run]
                if self._stopping and not self._running:
                    self._empty.set()
            burst += 1
            if burst >= _BURST:
                burst = 0
                await asyncio.sleep(0)
