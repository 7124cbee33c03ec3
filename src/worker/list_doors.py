"""The platform's lists: which exist, and taking their items into custody fairly.

Brands are found through `brands:set`. A brand that is missing there (or a deployment without the set) is found by a
scan that goes one small step per second, never a whole scan per look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from .doors import CHUNKS, LIVE, TASK_LISTS, Door
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
"""Most items per list and turn: a brand with a long list does not delay the others' one."""
_LISTS_PER_CALL: Final = 500


class ListDoors:
    """Remembers the lists worth looking at."""

    def __init__(
        self,
        client: RedisClient,
        keys: PlatformKeys,
        metrics: Metrics,
        *,
        live_lists: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._patterns = {CHUNKS: keys.chunks} | ({LIVE: keys.live} if live_lists else {})
        self._from_set: dict[Door, list[str]] = {door: [] for door in self._patterns}
        self._from_scan: dict[Door, dict[str, float]] = {door: {} for door in self._patterns}
        self._cursors: dict[Door, bytes] = dict.fromkeys(self._patterns, b"0")
        self._brands_at = float("-inf")
        self._scan_at = float("-inf")
        self._turn = 0
        self._wrong_type: set[str] = set()

    async def take(self, queue: TaskQueue, *, limit: int) -> int:
        """Move waiting items onto the worker's streams until each holds about `limit`. Returns how many were moved."""
        await self._look_for_brands()
        moved = 0
        for name, door in TASK_LISTS.items():
            moved += await self._take(queue, door, [name], limit)
        for door in self._patterns:
            moved += await self._take(queue, door, self._lists(door), limit)
        return moved

    def _lists(self, door: Door) -> list[str]:
        """All lists of a kind, beginning with another one at every look, so that none is always the last."""
        lists = list(dict.fromkeys([*self._from_set[door], *self._from_scan[door]]))
        self._turn += 1
        start = self._turn % len(lists) if lists else 0
        return lists[start:] + lists[:start]

    async def _take(self, queue: TaskQueue, door: Door, lists: list[str], limit: int) -> int:
        moved = 0
        while lists:
            room = limit - (await queue.new_waiting())[door.priority]
            if room <= 0:
                break
            per_list = max(1, min(_PER_LIST, room // len(lists)))
            count = 0
            for start in range(0, len(lists), _LISTS_PER_CALL):
                count += await self._take_turn(queue, door, lists[start : start + _LISTS_PER_CALL], per_list)
            if not count:
                break
            moved += count
        return moved

    async def _take_turn(self, queue: TaskQueue, door: Door, lists: list[str], per_list: int) -> int:
        taken = await queue.take_from_lists(lists, per_list, door.priority)
        total = 0
        for name, count in taken.items():
            if count > 0:
                total += count
                if name in self._from_scan.get(door, ()):
                    self._from_scan[door][name] = self._clock()
            elif count < 0 and name not in self._wrong_type:
                self._wrong_type.add(name)
                log.error("a queue key is not a list and is left alone", key=name)
        if total:
            self._metrics.door_items.labels(door.name).inc(total)
        return total

    async def _look_for_brands(self) -> None:
        now = self._clock()
        if now - self._brands_at >= _BRANDS_EVERY_SEC:
            self._brands_at = now
            slugs = sorted(
                slug.decode("utf-8", "replace") for slug in await self._client.call("SMEMBERS", self._keys.brands)
            )
            for door, name in self._patterns.items():
                self._from_set[door] = [name(slug) for slug in slugs]
        if now - self._scan_at >= _SCAN_EVERY_SEC:
            self._scan_at = now
            for door, name in self._patterns.items():
                await self._scan_step(door, name("*"), now)

    async def _scan_step(self, door: Door, pattern: str, now: float) -> None:
        cursor, found = await self._client.call(
            "SCAN", self._cursors[door], "MATCH", pattern, "COUNT", _SCAN_COUNT, "TYPE", "list"
        )
        self._cursors[door] = cursor
        known = self._from_scan[door]
        for key in found:
            known.setdefault(key.decode("utf-8", "replace"), now)
        for key, seen in list(known.items()):
            if now - seen > _FORGET_AFTER_SEC:
                del known[key]
