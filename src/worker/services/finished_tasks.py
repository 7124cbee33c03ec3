"""Tasks that have ended anywhere, as `worker:events` tells of them: how many per second, and the last few.

Listening costs this process some microseconds per event, and there may be thousands per second. So a window that has
heard enough stops listening until the next one begins; its rate is then a lower bound and says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from .. import keys
from ..logging import get_logger
from ..redis_client import CALL_TIMEOUT_SEC, CONNECT_TIMEOUT_SEC

log = get_logger(__name__)

_ENOUGH: Final = 2_000
"""Events per window. Reading one takes about 30 microseconds, so a busy second costs a live view 6 % of a core."""
_SHOWN: Final = 20
"""Of a window: more lines than that in a second nobody reads."""
_AGAIN_SEC: Final = 2.0
_LOOK_SEC: Final = 0.5
"""Longest wait for one message: so often the reader looks whether it is to end."""
_TEXTS: Final = ("id", "type", "brand", "status", "finishedAt")


@dataclass(frozen=True, slots=True)
class Finished:
    """One window. `per_sec` is None while nobody listens, which `problem` explains."""

    per_sec: float | None
    at_least: bool
    """There were more events than were listened to: the rate is a lower bound."""
    newest: tuple[dict[str, Any], ...]
    unseen: int
    """Events of the window that are not among the newest."""
    problem: str | None


class FinishedTasks:
    """`run()` listens until it is cancelled, `take()` ends a window and begins the next. One reader, one taker."""

    def __init__(
        self,
        url: str,
        *,
        enough: int = _ENOUGH,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._enough = enough
        self._sleep = sleep
        self._count = 0
        self._newest: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._since: float | None = None
        self._problem: str | None = "not yet connected to Redis"
        self._next_window = asyncio.Event()
        self._ended = False

    def take(self) -> Finished:
        """What was heard since the last call."""
        now = asyncio.get_running_loop().time()
        since, full = self._since, self._count >= self._enough
        found = Finished(
            per_sec=None if since is None else self._count / max(now - since, 0.001),
            at_least=full,
            newest=tuple(self._newest),
            unseen=self._count - len(self._newest),
            problem=self._problem,
        )
        self._count = 0
        self._newest.clear()
        if since is not None:
            self._since = now
        self._next_window.set()
        return found

    def end(self) -> None:
        """Let `run()` return soon, also where its cancellation should be lost in the driver."""
        self._ended = True
        self._next_window.set()

    async def run(self) -> None:
        """Listen; after an outage again."""
        while not self._ended:
            client = Redis.from_url(
                self._url,
                protocol=2,
                socket_timeout=CALL_TIMEOUT_SEC,
                socket_connect_timeout=CONNECT_TIMEOUT_SEC,
                client_name="brand-eval-worker-live",
            )
            try:
                async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
                    await self._listen(channel)
            except (RedisError, OSError) as error:
                self._problem = f"Redis: {type(error).__name__}: {error}"
                log.debug("finished tasks are not heard of", problem=self._problem)
            finally:
                self._since = None
            if not self._ended:
                await self._sleep(_AGAIN_SEC)

    async def _listen(self, channel: PubSub) -> None:
        while True:
            await channel.subscribe(keys.EVENTS)
            if self._since is None:
                self._since = asyncio.get_running_loop().time()
            self._problem = None
            while self._count < self._enough:
                message = await channel.get_message(timeout=_LOOK_SEC)
                if message is not None:
                    self._heard(message["data"])
                if self._ended:
                    return
            await channel.unsubscribe(keys.EVENTS)
            self._next_window.clear()
            await self._next_window.wait()

    def _heard(self, data: Any) -> None:
        self._count += 1
        event = _event(data)
        if event is not None:
            self._newest.append(event)


def _event(data: Any) -> dict[str, Any] | None:
    """The event's own fields; anybody may publish on the channel, so nothing else goes on."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    event: dict[str, Any] = {name: str(found[name])[:200] if found.get(name) else None for name in _TEXTS}
    attempts = found.get("attempts")
    return {**event, "attempts": attempts if isinstance(attempts, int) else None}
