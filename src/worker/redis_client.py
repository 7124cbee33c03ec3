"""Redis: how the worker connects, and the scripts that run inside it. Nothing here knows what a task means."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, Final

from hiredis import pack_command

from .errors import ConfigError, QueueUnavailable
from .imports import absent
from .queue_commands import Command, Word
from .trace_context import SpanKind
from .tracing import span

# The driver loads OpenTelemetry's metrics (70 modules) for figures that nobody here asks it for.
with absent("opentelemetry.sdk.metrics"):
    import redis
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError, ResponseError

CONNECT_TIMEOUT_SEC: Final = 5.0
CALL_TIMEOUT_SEC: Final = 10.0
"""Longest wait for one reply. Blocking reads wait less (`MAX_BLOCK_SEC`): a later reply is a dead connection."""
MAX_BLOCK_SEC: Final = 2.0


_STATES: Final = re.compile(
    r"(?:^|: -?)(?:LOADING|BUSY|MASTERDOWN|READONLY|OOM|MISCONF|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNKILLABLE"
    r"|(?:BusyLoading|MasterDown|ReadOnly|OutOfMemory|ClusterDown|TryAgain)Error)\b"
)
"""Refusals for a state of the server, which passes: by their names, those of the driver's classes, and inside of what
Redis 6 says of a script (`ERR Error running script (…): -OOM …`)."""


class RedisRefused(QueueUnavailable):
    """Redis answered with an error. `reply` is its text, beginning with the error's name, e.g. `NOGROUP …`.

    Where it is about the command (`WRONGTYPE`, `NOPERM`), no outage is to blame: it counts against the task, or one
    that asks for what is always refused would be tried for ever.
    """

    def __init__(self, command: str, reply: str) -> None:
        super().__init__(f"{command}: {reply}")
        self.reply = reply
        if not _STATES.search(reply):
            self.code = "QUEUE_REFUSED"
            self.counts_attempt = True


class RedisClient:
    """A pool of connections. They are made by the first command, never by the constructor.

    The driver never tries again by itself: the worker's own loops do, because only they know what may run twice.
    Replies come as the server sends them (RESP2, bytes), without the driver's conversions per command.
    All methods raise `QueueUnavailable` when Redis cannot be reached, `RedisRefused` when it answers with an error.
    """

    def __init__(self, url: str, *, max_connections: int = 64) -> None:
        """Raises `ConfigError` for a URL that cannot be used."""
        try:
            self._pool = BlockingConnectionPool.from_url(
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
        except ValueError:  # whose words may repeat a part of the password
            raise ConfigError("REDIS_URL: is no URL of a server") from None

    async def call(self, *words: Word) -> Any:
        """Run one command."""
        (reply,) = await self._exchange([words])
        if isinstance(reply, RedisRefused):
            raise reply
        return reply

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """Run several in one round trip, not as a transaction. Refused ones stand in the replies as `RedisRefused`."""
        return await self._exchange(commands) if commands else []

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        # The driver's own way packs every word in Python, which for a batch of acknowledgements costs more than all
        # else. Its connections and its parser are used, hiredis packs.
        try:
            with _cancellable():
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
                try:
                    packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]
                    await connection.send_packed_command(packed)
                    return [await _read(connection, command) for command in commands]
                finally:
                    await self._pool.release(connection)
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"{_shown(commands[0][0])}: {type(error).__name__}: {error}") from error

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SEC):
                await self.call("PING")
        except TimeoutError as error:
            raise QueueUnavailable(f"PING: no answer in {CALL_TIMEOUT_SEC:.0f} s") from error

    async def close(self) -> None:
        await self._pool.aclose()


class Script:
    """A Lua script, called by its hash; sent when the server does not know it (yet, or any more)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._source = _source(name)
        self._sha = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: RedisClient, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        with span(f"redis {self._name}", SpanKind.CLIENT) as here:
            here.set("db.system.name", "redis")
            here.set("db.operation.name", "EVALSHA")
            here.set("db.stored_procedure.name", self._name)
            return await self._call(client, keys, args)

    async def _call(self, client: RedisClient, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        try:
            return await client.call("EVALSHA", self._sha, len(keys), *keys, *args)
        except RedisRefused as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        await client.call("SCRIPT", "LOAD", self._source)
        return await client.call("EVALSHA", self._sha, len(keys), *keys, *args)

    def run_sync(self, client: redis.Redis, args: Sequence[Word]) -> Any:
        """The same over the driver's blocking client, for threads; raises the driver's own errors."""
        try:
            return client.evalsha(self._sha, 0, *args)
        except NoScriptError:
            return client.eval(self._source, 0, *args)


async def _read(connection: Any, command: Command) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        refused = RedisRefused(_shown(command[0]), _reply(error))
        refused.__cause__ = error
        return refused


def _shown(word: Word) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


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
