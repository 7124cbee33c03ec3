"""What makes a worker rest from claiming: MongoDB that is away, memory that is full, a primary worker that is alive.

Running tasks go on; tasks that fail because of MongoDB come back without having lost an attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from .errors import StorageUnavailable
from .logging import get_logger
from .metrics import Metrics

log = get_logger(__name__)

_LOOK_EVERY_SEC: Final = 0.5
_OPEN_BELOW: Final = 0.9
"""Memory has to fall to this share of its limit before claiming goes on: no flapping at the edge."""
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = 4096

STORAGE: Final = "storage_lost"
MEMORY: Final = "memory_full"
STANDBY: Final = "standby"


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system does not say (not Linux)."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


class Gates:
    """`closed` names why claiming rests, None while it does not."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        storage_ping: Callable[[], Awaitable[None]],
        memory_limit_bytes: int | None,
        memory: Callable[[], int | None] = resident_bytes,
        standing_by: bool = False,
    ) -> None:
        self._metrics = metrics
        self._ping = storage_ping
        self._limit = memory_limit_bytes
        self._memory = memory
        self._reasons: set[str] = set()
        self._open = asyncio.Event()
        self._open.set()
        if standing_by:  # until a look has shown that nobody else is at work
            self._reasons.add(STANDBY)
            self._open.clear()

    @property
    def closed(self) -> str | None:
        return next((reason for reason in (STANDBY, STORAGE, MEMORY) if reason in self._reasons), None)

    @property
    def may_finish(self) -> bool:
        """May tasks that workers of ours have begun be taken over? A standby's, too: nobody else sees them."""
        return not self._reasons - {STANDBY}

    async def opened(self) -> None:
        """Returns when claiming may go on."""
        await self._open.wait()

    def storage_failed(self, error: StorageUnavailable) -> None:
        self.close(STORAGE, "MongoDB is not available, claiming rests", problem=error.message)

    async def look(self) -> None:
        """One look at what may have changed; to be called again and again."""
        await asyncio.sleep(_LOOK_EVERY_SEC)
        if STORAGE in self._reasons:
            try:
                await self._ping()
            except StorageUnavailable:
                return
            self.open(STORAGE, "MongoDB is available again")
        used = self._memory() if self._limit is not None else None
        if used is not None and self._limit is not None:
            if used > self._limit:
                self.close(MEMORY, "memory is over its limit, claiming rests", used_mb=used >> 20)
            elif used < self._limit * _OPEN_BELOW:
                self.open(MEMORY, "memory is below its limit again", used_mb=used >> 20)

    def stand_by(self, active: bool) -> None:
        """Follow the standby's decision; it has said so itself."""
        self._metrics.standby_active.set(active)
        if active and STANDBY in self._reasons:
            self._metrics.standby_changes.labels("active").inc()
            self._reasons.discard(STANDBY)
            if not self._reasons:
                self._open.set()
        elif not active and STANDBY not in self._reasons:
            self._metrics.standby_changes.labels("standby").inc()
            self._reasons.add(STANDBY)
            self._open.clear()

    def close(self, reason: str, message: str, **fields: object) -> None:
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._open.clear()
            self._metrics.pauses.labels(reason).inc()
            log.warning(message, **fields)

    def open(self, reason: str, message: str, **fields: object) -> None:
        if reason in self._reasons:
            self._reasons.discard(reason)
            log.info(message, **fields)
            if not self._reasons:
                self._open.set()
