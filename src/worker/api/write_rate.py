"""How many requests that write one key may send per minute, at all replicas together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..llm.rate import Meter, RateLimit, SharedMeter
from ..redis_client import RedisClient

FAMILY: Final = "worker:http:rate"


class WriteRate:
    """A meter per key (generic cell rate, in Redis: one round trip per write). A sixth of a minute's allowance may come
    at once. While Redis is away each process allows the whole rate by itself: a limit that could not be asked must not
    become an outage, and without Redis little can be written anyway."""

    def __init__(self, redis: RedisClient, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_minute`: 0 = no limit."""
        self._redis = redis
        self._limit = RateLimit(requests=per_minute)
        self._clock = clock
        self._meters: dict[str, Meter] = {}

    async def wait_sec(self, name: str) -> float | None:
        """None: this one may be executed, and is counted. Else: seconds until one could be."""
        if not self._limit.requests:
            return None
        meter = self._meters.get(name)
        if meter is None:  # names are those of keys: as many as a file of keys may hold
            meter = self._meters[name] = SharedMeter(self._redis, name, self._limit, self._clock, family=FAMILY)
        turn = await meter.take(0, longest_sec=0)
        return None if turn.granted else turn.wait_sec
