"""What the queue's sizes say to folding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from ..queue_entries import Depth
from ..times import to_ms

_OLD_MS: Final = 600_000
"""Mentions that wait ten minutes are far within the hour in which late ones are still judged."""


class QueueSizes:
    """`insight_folds.QueueView` over the native queue. Lists of the platform are drained into it as it empties."""

    def __init__(
        self,
        depth: Callable[[], Awaitable[Depth]],
        *,
        clock: Callable[[], datetime],
        active: Callable[[], bool] = lambda: True,
    ) -> None:
        """`active`: whether this worker is at work at all. While a primary is, mentions go to that one, and what looks
        like silence here is none."""
        self._depth = depth
        self._clock = clock
        self._active = active

    async def idle(self) -> bool:
        depth = await self._depth()
        return not depth.in_flight and not depth.parked and not any(depth.waiting.values())

    async def caught_up(self) -> bool:
        if not self._active():
            return False
        depth = await self._depth()
        oldest = [ms for ms in depth.oldest_ms.values() if ms is not None]
        return not oldest or to_ms(self._clock()) - min(oldest) < _OLD_MS
