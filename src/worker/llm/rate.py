"""Requests and tokens per minute. Shared by all workers through Redis; without it, or while it is away, by one process.

A generic cell rate meter (ITU-T I.371) tells each call at once when its turn is: no polling, first come first served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import QueueUnavailable
from ..logging import get_logger
from ..redis_client import RedisClient, Script

log = get_logger(__name__)

MINUTE_US: Final = 60_000_000
AT_ONCE: Final = 6
"""A sixth of a minute's allowance may come at once: small enough that the rest of the minute still runs evenly."""
REDIS_RETRY_SEC: Final = 5.0
"""While Redis is away it is asked again this often; meanwhile each process keeps the whole limit by itself."""
PATIENCE_SEC: Final = 1.0
"""A Redis that hangs is as good as away after this: the driver's own ten seconds would be taken from every call."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Per minute; 0 = no limit. What may come at once and the pace after it together never exceed the limit in any
    sixty seconds: a burst of b and then one every 60 / (limit - b + 1) seconds."""

    requests: int = 0
    tokens: int = 0

    @property
    def request_burst(self) -> int:
        return max(1, self.requests // AT_ONCE)

    @property
    def request_us(self) -> float:
        return MINUTE_US / (self.requests - self.request_burst + 1) if self.requests else 0.0

    @property
    def token_burst(self) -> int:
        return max(1, self.tokens // AT_ONCE)

    @property
    def token_us(self) -> float:
        return MINUTE_US / (self.tokens - self.token_burst + 1) if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """`granted`: the call's turn is in `wait_sec` seconds. Otherwise that is how long it would have had to wait."""

    granted: bool
    wait_sec: float


class Meter(Protocol):
    async def take(self, tokens: int, *, longest_sec: float) -> Turn:
        """The turn of a call of so many tokens; nothing is taken where it would have to wait for longer than that."""
        ...

    async def settle(self, reserved: int, used: int) -> None:
        """The call took `used` tokens where `reserved` had been taken."""
        ...


class Unlimited:
    async def take(self, tokens: int, *, longest_sec: float) -> Turn:
        return Turn(True, 0.0)

    async def settle(self, reserved: int, used: int) -> None:
        return None


class LocalMeter:
    """The same arithmetic as `lua/llm_rate.lua`, for one process."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._requests_reach = self._tokens_reach = 0.0

    async def take(self, tokens: int, *, longest_sec: float) -> Turn:
        now = self._clock() * 1e6
        limit = self._limit
        by_requests, by_tokens = max(now, self._requests_reach), max(now, self._tokens_reach)
        wait = 0.0
        if limit.requests:
            wait = max(wait, by_requests - (limit.request_burst - 1) * limit.request_us - now)
        if limit.tokens:
            wait = max(wait, by_tokens - max(0, limit.token_burst - tokens) * limit.token_us - now)
        if wait > longest_sec * 1e6:
            return Turn(False, wait / 1e6)
        self._requests_reach = by_requests + limit.request_us
        self._tokens_reach = by_tokens + tokens * limit.token_us
        return Turn(True, wait / 1e6)

    async def settle(self, reserved: int, used: int) -> None:
        self._tokens_reach += (used - reserved) * self._limit.token_us


class SharedMeter:
    """One provider's meter in Redis. While Redis is away, this process counts alone, and says so once.

    `family` begins its keys: whatever is limited by the same arithmetic has one of its own.
    """

    def __init__(
        self,
        redis: RedisClient,
        provider: str,
        limit: RateLimit,
        clock: Callable[[], float],
        *,
        family: str = "worker:llm:rate",
    ) -> None:
        self._redis = redis
        self._keys = [f"{family}:{{{provider}}}:requests", f"{family}:{{{provider}}}:tokens"]
        self._provider = provider
        self._limit = limit
        self._clock = clock
        self._alone = LocalMeter(limit, clock)
        self._alone_until = float("-inf")
        self._script = Script("llm_rate")

    async def take(self, tokens: int, *, longest_sec: float) -> Turn:
        if self._clock() < self._alone_until:
            return await self._alone.take(tokens, longest_sec=longest_sec)
        limit = self._limit
        words = (
            "take",
            f"{limit.request_us:.3f}",
            limit.request_burst,
            f"{limit.token_us:.6f}",
            limit.token_burst,
            tokens,
            int(longest_sec * 1e6),
        )
        try:
            async with asyncio.timeout(PATIENCE_SEC):
                granted, wait_us = await self._script(self._redis, self._keys, words)
        except (QueueUnavailable, TimeoutError) as error:
            self._go_alone(error)
            return await self._alone.take(tokens, longest_sec=longest_sec)
        return Turn(bool(granted), wait_us / 1e6)

    async def settle(self, reserved: int, used: int) -> None:
        if used == reserved or not self._limit.tokens:
            return
        if self._clock() < self._alone_until:
            await self._alone.settle(reserved, used)
            return
        try:
            async with asyncio.timeout(PATIENCE_SEC):
                await self._script(self._redis, self._keys, ("settle", f"{self._limit.token_us:.6f}", used - reserved))
        except (QueueUnavailable, TimeoutError) as error:
            self._go_alone(error)

    def _go_alone(self, error: QueueUnavailable | TimeoutError) -> None:
        self._alone_until = self._clock() + REDIS_RETRY_SEC
        problem = error.message if isinstance(error, QueueUnavailable) else f"no answer in {PATIENCE_SEC:.0f} s"
        log.warning("rate limit is not shared: Redis does not answer", provider=self._provider, problem=problem)
