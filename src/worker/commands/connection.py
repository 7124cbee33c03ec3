"""Finding the queue: REDIS_URL, else the servers a worker runs under DATA_DIR. And staying with it when it moves."""

from __future__ import annotations

from typing import Any, Final, Self

from ..config import Settings
from ..errors import QueueUnavailable
from ..keys import heartbeat
from ..keys import result as result_key
from ..queue_producer import QueueClient
from ..redis_client import RedisClient
from ..secrecy import masked_url
from . import CommandProblem

RESULT_TTL_SEC: Final = 86_400
"""Shortest life of the records of tasks we push: one that vanishes while its task waits looks like a lost task."""
_READ_TTL_SEC: Final = 60
_SCAN_COUNT: Final = 1_000
_SCANS_MAX: Final = 300
"""Looks at 300,000 keys at most for a sign of life; a larger database is not searched to its end for one."""


def redis_url(settings: Settings) -> str:
    """Where the queue is now.

    Raises:
        CommandProblem: no URL is set and no worker runs here.
    """
    if settings.redis_url:
        return settings.redis_url
    from ..embedded import read_state  # only where there is no URL

    endpoints = read_state(settings.data_dir)
    if endpoints is None or not endpoints.redis_url:
        where = settings.data_dir if settings.data_dir.is_absolute() else f"./{settings.data_dir}"
        raise CommandProblem(f"no worker is running under {where}: start one with `make run`, or set REDIS_URL")
    return endpoints.redis_url


class QueueLink:
    """The queue as a client of it sees it. Its methods raise `QueueUnavailable`; `find_again()` before the next try."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = redis_url(settings)
        self._connect()

    async def __aenter__(self) -> Self:
        """Raises CommandProblem when nobody answers: at the start that is a mistake, later it is an outage."""
        try:
            await self._client.ping()
        except (QueueUnavailable, TimeoutError) as error:
            await self._client.close()
            mend = "correct REDIS_URL or start that server" if self._settings.redis_url else "is the worker starting?"
            raise CommandProblem(f"Redis at {masked_url(self._url)} does not answer ({error}): {mend}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    @property
    def queue(self) -> QueueClient:
        return self._queue

    @property
    def client(self) -> RedisClient:
        """Another one after `find_again()`."""
        return self._client

    async def find_again(self) -> None:
        """Look where the servers are now: a worker that is started again may have them on other ports.

        Raises:
            QueueUnavailable: there are none at the moment.
        """
        try:
            url = redis_url(self._settings)
        except CommandProblem as problem:
            raise QueueUnavailable(problem.message) from problem
        if url != self._url:
            await self._client.close()
            self._url = url
            self._connect()

    async def records(self, task_ids: list[str]) -> list[bytes | None]:
        """The result records as they are stored, None where there is none."""
        return list(await self._client.call("MGET", *(result_key(one) for one in task_ids)))

    async def let_go(self, task_ids: list[str]) -> None:
        """Records that were read need not stay for a day: those of a large file would fill Redis."""
        await self._client.batch([("EXPIRE", result_key(one), _READ_TTL_SEC) for one in task_ids])

    async def workers_alive(self) -> bool | None:
        """Does any worker beat? None when that could not be found out."""
        cursor: Any = 0
        for _ in range(_SCANS_MAX):
            cursor, found = await self._client.call("SCAN", cursor, "MATCH", heartbeat("*"), "COUNT", _SCAN_COUNT)
            if found:
                return True
            if int(cursor) == 0:
                return False
        return None

    def _connect(self) -> None:
        settings = self._settings
        self._client = RedisClient(self._url, max_connections=4)
        ttl = max(RESULT_TTL_SEC, settings.task_result_ttl_sec)
        self._queue = QueueClient(self._client, result_ttl_sec=ttl)
