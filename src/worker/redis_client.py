"""Redis: how the worker connects, and the scripts that run inside it. Nothing here knows what a task means."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from .errors import QueueUnavailable
from .queue_commands import Command, Word

CONNECT_TIMEOUT_SEC: Final = 5.0
CALL_TIMEOUT_SEC: Final = 10.0
"""Longest wait for one reply. Blocking reads wait less (`MAX_BLOCK_SEC`): a later reply is a dead connection."""
MAX_BLOCK_SEC: Final = 2.0


class RedisRefused(QueueUnavailable):
    """Redis answered with an error. `reply` is its text, beginning with the error's name, e.g. `NOGROUP …`."""

    def __init__(self, command: str, reply: str) -> None:
        super().__init__(f"{command}: {reply}")
        self.reply = reply


class RedisClient:
    """A pool of connections. They are made by the first command, never by the constructor.

    The driver never tries again by itself: the worker's own loops do, because only they know what may run twice.
    Replies come as the server sends them (RESP2, bytes), without the driver's conversions per command.
    All methods raise `QueueUnavailable` when Redis cannot be reached, `RedisRefused` when it answers with an error.
    """

    def __init__(self, url: str, *, max_connections: int = 64) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=2,
            decode_responses=False,
            socket_timeout=CALL_TIMEOUT_SEC,
            socket_connect_timeout=CONNECT_TIMEOUT_SEC,
            socket_keepalive=True,
            max_connections=max_connections,
            timeout=CALL_TIMEOUT_SEC,
            retry=Retry(NoBackoff(), 0),
            client_name="brand-eval-worker",
        )
        self._driver = Redis.from_pool(pool)
        self._driver.response_callbacks.clear()

    async def call(self, *words: Word) -> Any:
        """Run one command."""
        try:
            with _cancellable():
                return await self._driver.execute_command(*words)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            raise RedisRefused(str(words[0]), _reply(error)) from error
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"{words[0]!r}: {type(error).__name__}: {error}") from error

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """Run several in one round trip, not as a transaction. Refused ones stand in the replies as `RedisRefused`."""
        pipe = self._driver.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        try:
            with _cancellable():
                replies = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"{commands[0][0]!r}: {type(error).__name__}: {error}") from error
        return [
            RedisRefused(str(command[0]), _reply(reply)) if isinstance(reply, ResponseError) else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    async def ping(self) -> None:
        async with asyncio.timeout(CALL_TIMEOUT_SEC):
            await self.call("PING")

    async def close(self) -> None:
        await self._driver.aclose()


class Script:
    """A Lua script, called by its hash; sent when the server does not know it (yet, or any more)."""

    def __init__(self, name: str) -> None:
        self._source = _source(name)
        self._sha = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: RedisClient, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        try:
            return await client.call("EVALSHA", self._sha, len(keys), *keys, *args)
        except RedisRefused as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        await client.call("SCRIPT LOAD", self._source)
        return await client.call("EVALSHA", self._sha, len(keys), *keys, *args)


@contextmanager
def _cancellable() -> Iterator[None]:
    """Let a cancellation through that the driver loses.

    It writes under `asyncio.wait_for`, which up to Python 3.11 returns its result when the write is done at the moment
    of the cancellation, and the task goes on as if nobody had cancelled it.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


def _reply(error: ResponseError) -> str:
    """The server's own words: the driver strips the name of errors it has a class for."""
    return f"{type(error).__name__}: {error}" if type(error) is not ResponseError else str(error)


@cache
def _source(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
