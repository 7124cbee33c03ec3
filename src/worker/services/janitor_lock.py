"""One janitor at a time: a lock in Redis that is renewed, and a token that only grows (a fencing token).

The lock alone is not enough: a janitor that was suspended wakes up and believes that it holds it. So every destructive
step asks `hold()` first: the lock must have our value in Redis, and MongoDB must not have seen a higher token. The
token survives a Redis that was emptied, because MongoDB remembers the highest (compare and set, never lower).
(Kleppmann: How to do distributed locking, 2016.)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import QueueUnavailable
from ..janitor_seams import LockLost
from ..logging import get_logger
from ..redis_client import RedisClient, Script
from ..storage import Storage, call
from ..times import iso
from .janitor_holder import Holder

log = get_logger(__name__)

LOCK: Final = "worker:janitor:lock"
TOKEN: Final = "worker:janitor:token"  # noqa: S105 - the name of a key
CONTROL: Final = "janitor_control"
"""Collection with one document: the highest token that any janitor has had."""
_DOCUMENT: Final = "fence"

TTL_SEC: Final = 30.0
"""Longer than the event loop is ever held up; who is killed on another machine delays the next run by this."""
_RENEWALS: Final = 6
"""Renewals within one life: five may fail. Also how soon somebody else sees that the holder is alive: 5 s."""
_LOOK_SEC: Final = 0.2
_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Busy:
    """Another janitor is at work."""

    holder: str


async def at_work(client: RedisClient) -> str | None:
    """Who holds the lock at this moment, in words; None for nobody. Raises QueueUnavailable."""
    value: bytes | None = await client.call("GET", LOCK)
    return None if value is None else _who(value)


def _who(value: bytes) -> str:
    holder = Holder.read(value.partition(b"|")[2])
    return str(holder) if holder is not None else value.decode("utf-8", "replace")[:200]


class HighestToken:
    """What MongoDB knows of tokens."""

    def __init__(self, storage: Storage) -> None:
        self._documents = storage.collection(CONTROL)

    async def read(self) -> int:
        """0 when there never was a janitor."""
        async with call("read the janitor's token"):
            document = await self._documents.find_one({"_id": _DOCUMENT})
        return int(document["token"]) if document else 0

    async def raise_to(self, token: int, holder: str, at: datetime) -> None:
        """Raises `LockLost` when a token as high as this has been there."""
        async with call("write the janitor's token"):
            # Two steps, so that a document that is there is never an error of the driver's.
            await self._documents.update_one({"_id": _DOCUMENT}, {"$setOnInsert": {"token": 0}}, upsert=True)
            changed = await self._documents.update_one(
                {"_id": _DOCUMENT, "token": {"$lt": token}}, {"$set": {"token": token, "holder": holder, "at": at}}
            )
        if changed.matched_count != 1:
            raise LockLost(f"MongoDB knows a janitor with a token of {token} or more")


class JanitorLock:
    """`acquire()`, then `hold()` before every destructive step, `release()` at the end. For one run of one process."""

    def __init__(
        self,
        client: RedisClient,
        storage: Storage,
        *,
        clock: Callable[[], datetime],
        ttl_sec: float = TTL_SEC,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._highest = HighestToken(storage)
        self._clock = clock
        self._ttl_ms = int(ttl_sec * 1000)
        self._sleep = sleep
        self._script = Script("janitor_lock")
        self._value = ""
        self._token = 0
        self._lost = False
        self._renewing: asyncio.Task[None] | None = None

    @property
    def token(self) -> int:
        return self._token

    async def acquire(self) -> Busy | None:
        """None when the lock is ours. Takes as long as it needs to see whether a holder elsewhere is alive: 5 s for
        one that is, the rest of the lock's life for one that is not.

        Raises:
            QueueUnavailable, StorageUnavailable: no lock without both.
        """
        for _ in range(_TRIES):
            holder = Holder.this_process(iso(self._clock()))
            floor = await self._highest.read()
            won, number, held = await self._run("acquire", holder.text(), self._ttl_ms, floor)
            if won:
                await self._begin(holder, number)
                return None
            busy = await self._watch(held, number)
            if busy is not None:
                return busy
        raise LockLost("others took the lock whenever it was free")

    async def hold(self) -> None:
        """Raises `LockLost` when the lock is not ours any more, `QueueUnavailable` or `StorageUnavailable` when that
        cannot be found out: nothing may be destroyed then either."""
        if not self._lost:
            held = await self._client.call("GET", LOCK)
            self._lost = held != self._value.encode()
        if not self._lost:
            self._lost = await self._highest.read() != self._token
        if self._lost:
            raise LockLost(f"the janitor's lock (token {self._token}) has run out or is another's")

    async def release(self) -> None:
        """Safe in any state. What cannot be removed runs out by itself."""
        renewing, self._renewing = self._renewing, None
        if renewing is None:
            return
        renewing.cancel()
        await asyncio.wait({renewing})
        try:
            await self._run("release", self._value)
        except QueueUnavailable as error:
            log.warning("the janitor's lock is left to run out", problem=error.message)

    async def _begin(self, holder: Holder, token: int) -> None:
        self._token, self._value, self._lost = token, f"{token}|{holder.text()}", False
        self._renewing = asyncio.create_task(self._renew(), name="janitor-lock")
        try:
            await self._highest.raise_to(token, str(holder), self._clock())
        except BaseException:
            await self.release()
            raise

    async def _renew(self) -> None:
        while True:
            await self._sleep(self._ttl_ms / 1000 / _RENEWALS)
            with contextlib.suppress(QueueUnavailable):  # the next turn tries again; hold() says what is wrong
                (ours,) = await self._run("renew", self._value, self._ttl_ms)
                if not ours:
                    self._lost = True
                    log.warning("the janitor's lock is another's, or has run out", token=self._token)
                    return

    async def _watch(self, value: bytes, left_ms: int) -> Busy | None:
        """Is the holder alive? None when the lock is free, or was a dead one's and has been removed."""
        holder = Holder.read(value.partition(b"|")[2])
        who, alive = _who(value), holder.alive() if holder is not None else None
        if alive:
            return Busy(who)
        if alive is False:
            log.warning("taking over from a janitor that was killed", holder=who)
            await self._run("release", value)
            return None
        while True:
            await self._sleep(_LOOK_SEC)
            now, left = await self._client.batch([("GET", LOCK), ("PTTL", LOCK)])
            if now is None:
                return None
            if now != value or left > left_ms or left < 0:  # another one, renewed, or one that never runs out
                return Busy(who)
            left_ms = left

    async def _run(self, *words: str | bytes | int) -> list[Any]:
        answer: list[Any] = await self._script(self._client, [LOCK, TOKEN], words)
        return answer
