"""Automatic runs of competitor discovery: a task of its own per brand, once a week, begun by whoever looks first.

Nothing is decided by which replica looks: a run's id names its brand and ISO week date, so that two of them enqueue one
task. The marker that ends the looking for a week is set by the successful run itself. One that fails leaves no marker
and is asked for again a day later at the earliest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from ..errors import WorkerError
from ..logging import get_logger
from ..models import TaskPriority
from ..redis_client import RedisClient

log = get_logger(__name__)

MENTIONS_MIN: Final = 50
"""Mentions from which a brand's rivals are looked for: below, hardly any name is set against it by two people."""
FIRST_LOOK_SEC: Final = 120.0
"""A worker that has just started has older work to do, and one that crashes every minute never gets here."""
LOOK_SEC: Final = 600.0
"""A weekly run may begin ten minutes late."""
_AGAIN_SEC: Final = 86_400
_PAGE: Final = 200
_SLUG_MAX: Final = 120
"""Longer slugs are named by their hash, so that a task's id stays within its 200 characters."""


class Brands(Protocol):
    """Brands with what is known of them, as `insight_store.InsightStore` lists them."""

    async def states(self, *, limit: int, after: str | None) -> list[dict[str, Any]]: ...


class Enqueues(Protocol):
    """The queue, as `queue_producer.QueueClient` is it."""

    async def enqueue(self, task: dict[str, Any], *, task_id: str) -> bytes | None: ...


def run_name(brand: str, now: datetime) -> str:
    """What all tries of one brand and week have in common.

    >>> run_name("acme", datetime(2026, 11, 21))
    'competitors-acme-2026-W47'
    """
    year, week, _ = now.isocalendar()
    short = brand if len(brand) <= _SLUG_MAX else hashlib.sha256(brand.encode()).hexdigest()[:32]
    return f"competitors-{short}-{year}-W{week:02d}"


class DiscoverySchedule:
    """`run` until cancelled. `active`: False while this worker stands by for a primary."""

    def __init__(
        self,
        brands: Brands,
        queue: Enqueues,
        redis: RedisClient,
        *,
        clock: Callable[[], datetime],
        marker_key: Callable[[str], str],
        active: Callable[[], bool] = lambda: True,
        mentions_min: int = MENTIONS_MIN,
    ) -> None:
        self._brands = brands
        self._queue = queue
        self._redis = redis
        self._clock = clock
        self._marker_key = marker_key
        self._active = active
        self._mentions_min = mentions_min

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look every ten minutes. An outage is said once and outlived; so is a brand nobody foresaw."""
        said = False
        await sleep(FIRST_LOOK_SEC)
        while True:
            try:
                if self._active():
                    await self.look()
                said = False
            except WorkerError as error:
                if not said:
                    said = True
                    log.warning("automatic competitor discovery waits", problem=error.message)
            except Exception as error:  # noqa: BLE001 - it must go on next time; said with its cause
                log.error("automatic competitor discovery failed", exc=error)
            await sleep(LOOK_SEC)

    async def look(self) -> int:
        """Enqueue a run for every brand that is due; returns how many were.

        Raises:
            StorageUnavailable, QueueUnavailable: some may have been enqueued; those are known next time.
        """
        begun = 0
        after: str | None = None
        while True:
            page = await self._brands.states(limit=_PAGE, after=after)
            for brand in await self._due([one["_id"] for one in page[:_PAGE] if self._enough(one)]):
                begun += await self._begin(brand)
            if len(page) <= _PAGE:
                return begun
            after = page[_PAGE - 1]["_id"]

    def _enough(self, state: dict[str, Any]) -> bool:
        stored = state.get("totals", {}).get("stored", 0)
        return isinstance(stored, int) and stored >= self._mentions_min

    async def _due(self, brands: Sequence[str]) -> list[str]:
        """Those without a run within a week and without a try within a day."""
        if not brands:
            return []
        keys = [key for brand in brands for key in (self._marker_key(brand), tried_key(brand))]
        found = await self._redis.call("MGET", *keys)
        return [
            brand for place, brand in enumerate(brands) if found[2 * place] is None and found[2 * place + 1] is None
        ]

    async def _begin(self, brand: str) -> bool:
        """Enqueue first, note the try after: a crash in between costs a refused id, not a day."""
        now = self._clock()
        name = run_name(brand, now)
        task = {
            "type": "competitor_detection",
            "brand": brand,
            "priority": TaskPriority.LOW.value,
            "dedupKey": name,
            "automatic": True,
        }
        known = await self._queue.enqueue(task, task_id=f"{name}-{now.isoweekday()}")
        await self._redis.call("SET", tried_key(brand), name, "EX", _AGAIN_SEC)
        if known is None:
            log.info("automatic competitor discovery begun", brand=brand, run=name)
        return known is None


def tried_key(brand: str) -> str:
    """Holds the name of the last try for a day."""
    return f"worker:competitors:tried:{brand}"
