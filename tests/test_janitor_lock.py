"""One janitor at a time, also when one was killed, suspended, or when Redis forgot everything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from src.worker.errors import QueueUnavailable, StorageUnavailable
from src.worker.janitor_seams import LockLost
from src.worker.redis_client import RedisClient
from src.worker.services.janitor_holder import Holder
from src.worker.services.janitor_lock import CONTROL, LOCK, TOKEN, Busy, HighestToken, JanitorLock, at_work
from src.worker.storage import Storage
from tests.helpers import until

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent

# A janitor to be killed: takes the lock, says its token, and waits.
OWNER = """
import asyncio, sys
from datetime import UTC, datetime
from src.worker.redis_client import RedisClient
from src.worker.services.janitor_lock import JanitorLock
from src.worker.storage import Storage
async def main():
    lock = JanitorLock(RedisClient(sys.argv[1]), Storage(sys.argv[2]), clock=lambda: datetime.now(UTC))
    print(await lock.acquire() or lock.token, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


class Place:
    """One Redis and one MongoDB, and locks over them."""

    def __init__(self, redis_url: str, mongo_uri: str) -> None:
        self.urls = redis_url, mongo_uri
        self.client = RedisClient(redis_url, max_connections=8)
        self.storage = Storage(mongo_uri)

    def lock(self, ttl_sec: float = 30.0, **more: Any) -> JanitorLock:
        return JanitorLock(self.client, self.storage, clock=lambda: datetime.now(UTC), ttl_sec=ttl_sec, **more)

    async def put(self, holder: Holder, ttl_ms: int, token: int = 1) -> bytes:
        """A lock as a janitor elsewhere has taken it."""
        value = f"{token}|{holder.text()}".encode()
        await self.client.call("SET", LOCK, value, "PX", ttl_ms)
        return value


@pytest.fixture
async def place(redis_url: str, mongo_uri: str) -> AsyncIterator[Place]:
    place = Place(redis_url, mongo_uri)
    yield place
    await place.client.close()
    place.storage.close()


def elsewhere() -> Holder:
    return replace(Holder.this_process("2026-01-01T00:00:00.000Z"), host="another", pid=77, space="another machine")


async def test_one_has_the_lock_the_other_is_told_who_and_it_is_free_again_afterwards(place: Place) -> None:
    first, second = place.lock(), place.lock()
    assert await first.acquire() is None
    await first.hold()
    busy = await second.acquire()
    assert isinstance(busy, Busy)
    assert "process" in busy.holder
    assert await at_work(place.client) == busy.holder
    await second.release()  # it has none: the first keeps its own
    await first.hold()
    await first.release()
    assert await at_work(place.client) is None
    assert await second.acquire() is None
    assert second.token == first.token + 1
    with pytest.raises(LockLost):
        await first.hold()
    await second.release()


async def test_the_lock_is_renewed_as_long_as_it_is_held(place: Place) -> None:
    found: list[tuple[float, int]] = []

    async def passes(seconds: float) -> None:
        """Takes no time, and leaves little of the lock's life."""
        found.append((seconds, await place.client.call("PTTL", LOCK)))
        await place.client.call("PEXPIRE", LOCK, 5_000)

    lock = place.lock(sleep=passes)
    await lock.acquire()

    async def renewed() -> bool:
        return len(found) > 3

    await until(renewed)
    assert all(seconds <= 10 and left > 5_000 for seconds, left in found), "30 s each time, long before its end"
    await lock.hold()
    await lock.release()


async def test_of_many_at_once_one_gets_it(place: Place) -> None:
    locks = [place.lock() for _ in range(8)]
    answers = await asyncio.gather(*(lock.acquire() for lock in locks))
    assert sum(answer is None for answer in answers) == 1
    for lock in locks:
        await lock.release()


async def test_a_killed_janitor_of_this_machine_is_replaced_at_once(place: Place) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, *place.urls], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert owner.stdout is not None
        assert await asyncio.to_thread(owner.stdout.readline) == "1\n"
        busy = await place.lock().acquire()
        assert isinstance(busy, Busy)
        assert f"process {owner.pid} " in busy.holder
    finally:
        owner.kill()
        owner.communicate()
    lock = place.lock()
    began = asyncio.get_running_loop().time()
    assert await lock.acquire() is None
    assert asyncio.get_running_loop().time() - began < 15, "its lock lives for 30 s"
    assert lock.token == 2
    await lock.release()


async def test_a_killed_janitor_of_another_machine_is_waited_for_until_its_lock_runs_out(place: Place) -> None:
    await place.put(elsewhere(), 900)
    lock = place.lock()
    assert await lock.acquire() is None
    await lock.hold()
    await lock.release()


async def test_a_janitor_elsewhere_that_renews_its_lock_is_at_work(place: Place) -> None:
    value = await place.put(elsewhere(), 20_000)

    async def renewing(_: float) -> None:
        await place.client.call("SET", LOCK, value, "PX", 30_000)

    busy = await place.lock(sleep=renewing).acquire()
    assert isinstance(busy, Busy)
    assert "process 77 on another" in busy.holder


@pytest.mark.parametrize("value", [b"nonsense", b"1|{}", b'1|{"pid": "x"}', b"1|[]", b"\xff|\xff"])
async def test_a_lock_nobody_can_read_is_respected_until_it_runs_out(place: Place, value: bytes) -> None:
    await place.client.call("SET", LOCK, value)
    assert isinstance(await place.lock().acquire(), Busy)
    await place.client.call("PEXPIRE", LOCK, 500)
    lock = place.lock()
    assert await lock.acquire() is None
    await lock.release()


async def test_one_that_was_suspended_past_its_lock_may_destroy_nothing_more(place: Place) -> None:
    frozen = place.lock()
    await frozen.acquire()
    await place.client.call("DEL", LOCK)  # it ran out while nothing renewed it
    other = place.lock()
    assert await other.acquire() is None
    with pytest.raises(LockLost):
        await frozen.hold()
    await frozen.release()
    await other.hold()  # the release of the first has not taken it away
    await other.release()


async def test_a_lock_that_ran_out_is_lost_even_if_nobody_else_took_it(place: Place) -> None:
    lock = place.lock()
    await lock.acquire()
    await place.client.call("DEL", LOCK)
    with pytest.raises(LockLost):
        await lock.hold()
    await lock.release()


async def test_mongodb_refuses_an_older_token_even_if_redis_says_the_lock_is_ours(place: Place) -> None:
    old = place.lock()
    await old.acquire()
    value = await place.client.call("GET", LOCK)
    await place.client.call("DEL", LOCK)
    new = place.lock()
    await new.acquire()
    await place.client.call("SET", LOCK, value)  # a Redis that lost its newest writes
    with pytest.raises(LockLost):
        await old.hold()
    await old.release()
    await new.release()


async def test_tokens_grow_although_redis_forgot_them(place: Place) -> None:
    tokens = []
    for _ in range(3):
        lock = place.lock()
        assert await lock.acquire() is None
        tokens.append(lock.token)
        await lock.release()
        await place.client.call("DEL", TOKEN)
    assert tokens == [1, 2, 3]
    document = await place.storage.collection(CONTROL).find_one({"_id": "fence"})
    assert document is not None
    assert document["token"] == 3


async def test_mongodb_takes_only_higher_tokens(place: Place) -> None:
    highest = HighestToken(place.storage)
    now = datetime.now(UTC)
    await highest.raise_to(5, "a", now)
    for token in (5, 4, 1):
        with pytest.raises(LockLost):
            await highest.raise_to(token, "b", now)
    await highest.raise_to(6, "c", now)
    assert await highest.read() == 6


async def test_without_redis_or_mongodb_there_is_no_lock(place: Place, redis_url: str, mongo_uri: str) -> None:
    now = lambda: datetime.now(UTC)  # noqa: E731 - one line is enough for a clock
    nowhere = Storage("mongodb://127.0.0.1:1/worker", timeout_sec=0.3)
    lock = JanitorLock(place.client, nowhere, clock=now)
    with pytest.raises(StorageUnavailable):
        await lock.acquire()
    await lock.release()
    nowhere.close()
    assert await at_work(place.client) is None
    no_redis = RedisClient("redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        await JanitorLock(no_redis, place.storage, clock=now).acquire()
    await no_redis.close()


async def test_while_redis_is_away_nothing_may_be_destroyed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = place.lock()
    await lock.acquire()

    async def away(*_: Any) -> Any:
        raise QueueUnavailable("GET: away")

    with monkeypatch.context() as patch:
        patch.setattr(place.client, "call", away)
        with pytest.raises(QueueUnavailable):
            await lock.hold()
    await lock.hold()
    await lock.release()


async def test_a_lock_taken_by_force_is_noticed_by_the_renewal(place: Place) -> None:
    lock = place.lock(ttl_sec=0.6)
    await lock.acquire()
    value = await place.put(elsewhere(), 60_000, token=9)

    async def lost() -> bool:
        return lock._lost

    await until(lost)
    await lock.release()
    assert await place.client.call("GET", LOCK) == value, "somebody else's lock was removed"


def test_a_holder_reads_what_it_wrote_and_knows_whether_it_lives() -> None:
    here = Holder.this_process("2026-01-01T00:00:00.000Z")
    assert Holder.read(here.text().encode()) == here
    assert here.alive() is (True if sys.platform == "linux" else None)
    assert elsewhere().alive() is None
    if sys.platform == "linux":
        assert here.began is not None
        assert replace(here, began=here.began - 1).alive() is False, "another process has the number now"
    assert json.loads(here.text())["pid"] == here.pid
