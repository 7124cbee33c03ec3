"""How many calls one provider gets at a time: a limit that grows while all goes well and shrinks at a rate limit.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), with a slow start: providers do not publish how many
calls at once they take, and the limit changes with the hour.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

START: Final = 8
"""Calls at once before anything is known: few enough that a provider that refuses everything is hit eight times, and
no matter what the load is, enough to be busy."""
DECREASE: Final = 0.5
SETTLE_SEC: Final = 5.0
"""Rate limits that come within this time belong to the same overload: the limit shrinks once."""


class AdaptiveLimit:
    """First come, first served. Cancelling a waiter never loses a place."""

    def __init__(self, maximum: int, clock: Callable[[], float]) -> None:
        self._maximum = maximum
        self._clock = clock
        self._limit = float(min(START, maximum))
        self._slow_start = True
        self._shrunk_at = float("-inf")
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    @property
    def inside(self) -> int:
        return self._inside

    def leave(self) -> None:
        self._inside -= 1
        self._wake()

    async def enter(self) -> None:
        """Take a place among the calls; waits for one as long as the caller's own deadline lets it."""
        if self._inside < self.limit and not self._waiting:
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place was given in the moment of the cancellation
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        while self._waiting and self._inside < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)

    def succeeded(self) -> None:
        """Grow, but only while the limit is what holds calls back."""
        if self._inside < 0.8 * self.limit or self._limit >= self._maximum:
            return
        # Slow start: one more per success doubles the limit in a round; later one more per round.
        self._limit = min(self._maximum, self._limit + (1.0 if self._slow_start else 1.0 / self._limit))
        self._wake()

    def refused(self) -> None:
        """A rate limit: half as many from now on."""
        now = self._clock()
        self._slow_start = False
        if now - self._shrunk_at >= SETTLE_SEC:
            self._shrunk_at = now
            self._limit = max(1.0, self._limit * DECREASE)
