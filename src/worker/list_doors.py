"""The platform's lists: which exist, and taking their items into custody fairly.

Brands are found through `brands:set`. A brand that is missing there (or a deployment without the set) is found by a
scan that goes one small step per second, never a whole scan per look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from .keys import PlatformKeys
from .logging import get_logger
from .metrics import Metrics
from .queue_consumer import TaskQueue
from .redis_client import RedisClient

log = get_logger(__name__)

_BRANDS_EVERY_SEC: Final = 2.0
_SCAN_EVERY_SEC: Final = 1.0
_SCAN_COUNT: Final = 500
_FORGET_AFTER_SEC: Final = 600.0
"""A list found by the scan is looked at this long after it last had items."""
_PER_LIST: Final = 10
"""Items per brand and turn: a brand with a long list does not delay the others' one."""
_LISTS_PER_CALL: Final = 500


class ListDoors:
    """Remembers the lists worth looking at."""

    def __init__(
        self, client: RedisClient, keys: PlatformKeys, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._from_set: list[str] = []
        self._from_scan: dict[str, float] = {}
        self._brands_at = float("-inf")
        self._scan_at = float("-inf")
        self._scan_cursor = b"0"
        self._wrong_type: set[str] = set()

    async def take(self, queue: TaskQueue, *, limit: int) -> int:
        """Move waiting items onto the worker's stream until it holds about `limit`. Returns how many were moved."""
        await self._look_for_brands()
        lists = list(dict.fromkeys([*self._from_set, *self._from_scan]))
        moved = 0
        while lists:
            room = limit - sum((await queue.depth()).waiting.values())
            if room <= 0:
                break
            moved_now = 0
            for start in range(0, len(lists), _LISTS_PER_CALL):
                moved_now += await self._take(queue, lists[start : start + _LISTS_PER_CALL])
            if not moved_now:
                break
            moved += moved_now
        return moved

    async def _take(self, queue: TaskQueue, lists: list[str]) -> int:
        taken = await queue.take_from_lists(lists, _PER_LIST)
        for name, count in taken.items():
            if count > 0 and name in self._from_scan:
                self._from_scan[name] = self._clock()
            if count < 0 and name not in self._wrong_type:
                self._wrong_type.add(name)
                log.error("a queue key is not a list and is left alone", key=name)
        total = sum(count for count in taken.values() if count > 0)
        if total:
            self._metrics.door_items.labels("chunks").inc(total)
        return total

    async def _look_for_brands(self) -> None:
        now = self._clock()
        if now - self._brands_at >= _BRANDS_EVERY_SEC:
            self._brands_at = now
            slugs = await self._client.call("SMEMBERS", self._keys.brands)
            self._from_set = sorted(self._keys.chunks(slug.decode("utf-8", "replace")) for slug in slugs)
        if now - self._scan_at >= _SCAN_EVERY_SEC:
            self._scan_at = now
            await self._scan_step(now)

    async def _scan_step(self, now: float) -> None:
        pattern = self._keys.chunks("*")
        self._scan_cursor, found = await self._client.call(
            "SCAN", self._scan_cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT, "TYPE", "list"
        )
        for key in found:
            self._from_scan.setdefault(key.decode("utf-8", "replace"), now)
        for key, seen in list(self._from_scan.items()):
            if now - seen > _FORGET_AFTER_SEC:
                del self._from_scan[key]
