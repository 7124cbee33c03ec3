"""The standby: takes over when no primary is alive, gives back when one returns, and never flaps."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from src.worker import give_back as giving_back
from src.worker import keys, standby_primaries
from src.worker.embedded import EmbeddedServers
from src.worker.errors import ConfigError, QueueUnavailable
from src.worker.give_back import give_back
from src.worker.models import TaskPriority
from src.worker.queue_consumer import TaskQueue
from src.worker.queue_outputs import QueueOutputs
from src.worker.redis_client import RedisClient
from src.worker.standby import Standby

pytestmark = pytest.mark.anyio
NORMAL = keys.STREAMS[TaskPriority.NORMAL]
LIST = "queue:brand:acme:chunks"
RUST = "workers:heartbeat:rust-1"
GLOB = "workers:heartbeat:rust-*"
BROAD = "workers:heartbeat:*"
INTERVAL = 10.0
"""Of the fake clock; nothing waits for it."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A standby on a clock that only moves from look to look."""

    def __init__(self, client: RedisClient, pattern: str = GLOB, name: str = "py-1") -> None:
        self.clock = Clock()
        self.standby = Standby(client, pattern, worker_id=name, interval_sec=INTERVAL, clock=self.clock)

    async def look(self, after: float = INTERVAL / 2) -> bool | None:
        self.clock.now += after
        return await self.standby.look()

    async def looks(self, count: int) -> list[bool | None]:
        return [await self.look() for _ in range(count)]

    async def take_over(self) -> None:
        assert True in await self.looks(4)

    async def see(self) -> None:
        await self.look()
        assert not self.standby.active
        assert self.standby.state["primary"]


class Broken(RedisClient):
    """A connection that can be cut."""

    down = False

    async def call(self, *words: Any) -> Any:
        if self.down:
            raise QueueUnavailable("cut")
        return await super().call(*words)


class Counting(RedisClient):
    """Counts the commands called one by one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.calls: list[str] = []

    async def call(self, *words: Any) -> Any:
        self.calls.append(str(words[0]))
        return await super().call(*words)


@pytest.fixture
def watch(client: RedisClient) -> Callable[..., Watched]:
    return lambda pattern=GLOB, name="py-1": Watched(client, pattern, name)


async def _beat(client: RedisClient, key: str = RUST, seconds: float = 60) -> None:
    await client.call("SET", key, "alive", "PX", int(seconds * 1000))


# -- when ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [RUST, GLOB, BROAD])
async def test_takes_over_and_gives_back_within_two_intervals_of_a_real_clock(
    client: RedisClient, pattern: str
) -> None:
    interval = 0.4
    watched = Standby(client, pattern, worker_id="py-1", interval_sec=interval)
    looks = 0
    changes: list[tuple[bool, int]] = []

    async def run() -> None:
        nonlocal looks
        while True:
            changed = await watched.look()
            looks += 1
            if changed is not None:
                changes.append((changed, looks))
            await asyncio.sleep(watched.pause_sec)

    async def until(count: int) -> None:
        async with asyncio.timeout(30):
            while len(changes) < count:
                await asyncio.sleep(0.005)

    await _beat(client)
    job = asyncio.create_task(run())
    await asyncio.sleep(3 * interval)
    assert changes == []
    await _beat(client, seconds=0.05)
    await asyncio.sleep(0.06)
    died = looks
    await until(1)
    await _beat(client)
    returned = looks
    await until(2)
    job.cancel()
    assert [change for change, _ in changes] == [True, False]
    # Counted, not timed: on a busy machine looks come late. Four are two intervals; one may have been under way.
    assert changes[0][1] - died <= 5
    assert changes[1][1] - returned <= 2


@pytest.mark.parametrize("pattern", [RUST, GLOB])
async def test_does_not_take_over_while_a_primary_is_alive(
    client: RedisClient, watch: Callable[..., Watched], pattern: str
) -> None:
    await _beat(client)
    one, before = watch(pattern), datetime.now(UTC)
    assert await one.looks(20) == [None] * 20
    assert not one.standby.active
    assert one.standby.state == {
        "role": "standby", "for": pattern, "primary": ["rust-1"], "since": one.standby.state["since"]
    }  # fmt: skip
    since = datetime.fromisoformat(str(one.standby.state["since"]))
    assert before - timedelta(minutes=1) <= since <= datetime.now(UTC)


@pytest.mark.parametrize("pattern", [RUST, GLOB])
async def test_the_second_look_without_a_primary_takes_over_and_the_first_with_one_gives_back(
    client: RedisClient, watch: Callable[..., Watched], pattern: str
) -> None:
    one = watch(pattern)
    await _beat(client)
    await one.see()
    await client.call("DEL", RUST)
    assert await one.looks(3) == [None, True, None]
    assert one.standby.state["role"] == "active"
    assert one.standby.state["primary"] == []
    await _beat(client)
    assert await one.looks(2) == [False, None]
    assert one.standby.state["role"] == "standby"


async def test_a_worker_that_starts_waits_longer_than_a_primary_that_starts_with_it_needs_to_its_first_beat(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    alone, second = watch(), watch(name="py-2")
    assert await alone.looks(4) == [None, None, None, True]  # the fourth look: 1.5 intervals after the first
    assert await second.looks(3) == [None, None, None]
    await _beat(client)
    assert await second.looks(3) == [None, None, None]


async def test_one_look_that_sees_nobody_changes_nothing(client: RedisClient, watch: Callable[..., Watched]) -> None:
    one = watch()
    for _ in range(5):
        await _beat(client)
        await one.see()
        await client.call("DEL", RUST)
        assert await one.look() is None
    assert not one.standby.active


async def test_looks_in_quick_succession_are_one_look(client: RedisClient, watch: Callable[..., Watched]) -> None:
    one = watch()
    await _beat(client)
    await one.see()
    await client.call("DEL", RUST)
    await one.look()
    assert [await one.look(after=0.001) for _ in range(10)] == [None] * 10
    assert await one.look() is True


async def test_a_lost_look_still_leaves_two_intervals(redis_url: str) -> None:
    client = Broken(redis_url)
    for lost in range(3):  # the first, the second or the third look after the key has run out
        await _beat(client)
        one = Watched(client)
        await one.see()
        died = one.clock.now
        await client.call("DEL", RUST)
        for number in itertools.count():
            client.down = number == lost
            if client.down:
                with pytest.raises(QueueUnavailable):
                    await one.look()
            elif await one.look():
                break
        assert one.clock.now - died <= 1.5 * INTERVAL
    await client.close()


async def test_one_slow_look_changes_nothing(client: RedisClient, watch: Callable[..., Watched]) -> None:
    one = watch()
    await _beat(client)
    await one.see()
    await client.call("DEL", RUST)  # the primary could not beat either
    assert await one.look(after=3 * INTERVAL) is None
    assert await one.look() is None
    await _beat(client)
    assert await one.look() is None
    await client.call("DEL", RUST)
    assert await one.looks(2) == [None, True]
    assert await one.look(after=3 * INTERVAL) is None
    assert one.standby.active


# -- who -------------------------------------------------------------------------------------------------------


async def test_only_the_death_of_the_last_primary_counts(client: RedisClient, watch: Callable[..., Watched]) -> None:
    one = watch()
    await _beat(client)
    await _beat(client, "workers:heartbeat:rust-2")
    await one.see()
    assert sorted(one.standby.state["primary"]) == ["rust-1", "rust-2"]
    await client.call("DEL", RUST)
    assert await one.looks(6) == [None] * 6
    assert one.standby.state["primary"] == ["rust-2"]
    await client.call("DEL", "workers:heartbeat:rust-2")
    assert await one.looks(2) == [None, True]


async def test_a_primary_that_nobody_has_seen_before_counts_too(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    one = watch()
    await one.take_over()
    await _beat(client, "workers:heartbeat:rust-new")
    assert await one.look() is False
    await client.call("DEL", "workers:heartbeat:rust-new")
    await one.look()
    await _beat(client, "workers:heartbeat:rust-newer")  # between the two looks that would have taken over
    assert await one.looks(2) == [None, None]


async def test_heartbeats_of_other_standbys_do_not_count(client: RedisClient, watch: Callable[..., Watched]) -> None:
    both = watch(BROAD, "py-1"), watch(BROAD, "py-2")
    for _ in range(6):
        for one, name in zip(both, ("py-1", "py-2"), strict=True):
            await client.call(*one.standby.announcement)
            await _beat(client, keys.heartbeat(name))
            await one.look()
    assert [one.standby.active for one in both] == [True, True]
    third = watch(BROAD, "py-3")
    await client.call(*third.standby.announcement)
    await _beat(client, keys.heartbeat("py-3"))
    assert [await one.look() for one in both] == [None, None]
    await _beat(client)
    assert [await one.look() for one in both] == [False, False]
    assert both[0].standby.state["primary"] == ["rust-1"]


async def test_what_remembers_our_standbys_runs_out_by_itself(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    one = watch(BROAD)
    await one.look()
    ours = await client.call("KEYS", "worker:*")
    assert [await client.call("PTTL", key) > 10 * INTERVAL * 900 for key in ours] == [True]
    await one.standby.leave()
    assert await client.call("KEYS", "worker:*") == []


async def test_a_worker_that_is_no_standby_is_a_primary_and_an_exact_key_is_meant(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    await _beat(client, keys.heartbeat("py-main"))
    assert await watch(BROAD).looks(6) == [None] * 6
    await client.call(*watch(GLOB, "py-main").standby.announcement)
    assert await watch(keys.heartbeat("py-main")).looks(6) == [None] * 6
    assert True in await watch(BROAD).looks(6)


async def test_keys_of_the_worker_itself_are_nobodys_heartbeat(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    await client.call("XADD", NORMAL, "*", "task", "{}")
    assert True in await watch("worker*").looks(4)


@pytest.mark.parametrize("pattern", ["", "  ", keys.heartbeat("py-1")])
def test_a_standby_for_nobody_or_for_itself_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="STANDBY_FOR"):
        Standby(RedisClient("redis://127.0.0.1:1"), pattern, worker_id="py-1", interval_sec=1)


async def test_both_transitions_are_logged(
    client: RedisClient, watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await _beat(client)
        one = watch()
        await one.looks(3)
        await client.call("DEL", RUST)
        await one.looks(4)
        await _beat(client)
        await one.looks(3)
    said = [record.message for record in caplog.records if record.name.endswith("standby")]
    assert said == [
        "standing by for the primary worker",
        "no primary worker is alive, taking over",
        "a primary worker is alive again, giving back",
    ]


# -- a large Redis ---------------------------------------------------------------------------------------------


async def _fill(client: RedisClient, count: int) -> None:
    await client.batch([("SET", f"other:{number}", "x") for number in range(count)])


async def test_among_five_thousand_keys_one_look_is_still_enough(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    await _fill(client, 5_000)
    one = watch()
    await _beat(client)
    await one.see()
    await client.call("DEL", RUST)
    assert await one.looks(2) == [None, True]
    await _beat(client, "workers:heartbeat:rust-other")
    assert await one.look() is False


async def test_the_scan_goes_on_from_look_to_look_and_nobody_is_believed_before_it_is_through(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby_primaries, "_HUNT_STEPS", 1)
    monkeypatch.setattr(standby_primaries, "_CALM_STEPS", 1)
    client = Counting(redis_url)
    await _fill(client, 5_000)
    one = Watched(client)
    counts = []
    for _ in range(7):
        client.calls.clear()
        counts.append((await one.look(), client.calls.count("SCAN")))
    assert counts[:4] == [(None, 1)] * 4  # 5,000 keys in steps of 1,000
    assert [changed for changed, _ in counts].count(True) == 1
    await _beat(client)
    assert False in await one.looks(7)  # one cycle, whatever its name
    await client.call("DEL", RUST)
    took = await one.looks(7)
    assert True in took[4:], "a cycle that began before the primary was last seen does not count"
    await _beat(client)
    assert await one.look() is False, "a primary that was seen before is asked for by name"
    await client.close()


async def test_an_exact_key_needs_no_scan(redis_url: str) -> None:
    client = Counting(redis_url)
    await Watched(client, RUST).take_over()
    assert "SCAN" not in client.calls
    await client.close()


# -- Redis away ------------------------------------------------------------------------------------------------


async def test_without_redis_everything_stays_as_it_is(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path, mongo=False)
    url = (await servers.start()).redis_url
    client = RedisClient(url)
    active, passive = Watched(client, RUST, "py-1"), Watched(client, GLOB, "py-2")
    try:
        await active.take_over()
        await _beat(client)
        await passive.see()
        await servers.stop()
        for one in (active, passive):
            for _ in range(4):
                with pytest.raises(QueueUnavailable):
                    await one.look()
        assert (active.standby.active, passive.standby.active) == (True, False)
        assert (await servers.start()).redis_url == url
        await client.call("DEL", RUST)  # run out while Redis was away: its owner could not beat
        assert [await active.look(), await passive.look()] == [None, None]
        assert await passive.look() is None  # two looks are not enough now, the primary gets an interval to come back
        assert await passive.looks(2) == [None, True]
    finally:
        await client.close()
        await servers.stop()


# -- giving back -----------------------------------------------------------------------------------------------


async def _make_queue(client: RedisClient, name: str = "py-1") -> TaskQueue:
    outputs = QueueOutputs(worker_id=name, dead_letters_max=1000, result_ttl_sec=60)
    queue = TaskQueue(client, worker_id=name, lease_sec=30, dead_letters_max=1000, result_ttl_sec=60, outputs=outputs)
    await queue.ensure_groups()
    return queue


async def _take(queue: TaskQueue, lists: list[str], count: int) -> None:
    await queue.take_from_lists(lists, count, TaskPriority.NORMAL)


async def _items(client: RedisClient, key: str = LIST) -> list[bytes]:
    items: list[bytes] = await client.call("LRANGE", key, 0, -1)
    return items


async def _waiting(client: RedisClient) -> list[bytes]:
    return [fields[1] for _, fields in await client.call("XRANGE", NORMAL, "-", "+")]


def _numbers(first: int, end: int) -> list[bytes]:
    return [str(number).encode() for number in range(first, end)]


async def test_waiting_items_go_back_to_the_head_of_their_lists_in_order(client: RedisClient) -> None:
    queue = await _make_queue(client)
    other = "queue:brand:other:chunks"
    for key in (LIST, other):
        await client.call("RPUSH", key, *_numbers(0, 20))
    for _ in range(2):
        await _take(queue, [LIST, other], 5)
    assert await _items(client) == _numbers(10, 20)
    given = await give_back(client, NORMAL, keys.GROUP)
    assert given.moved == 20
    assert await _items(client) == _numbers(0, 20)
    assert await _items(client, other) == _numbers(0, 20)
    assert await client.call("XLEN", NORMAL) == 0
    assert (await give_back(client, NORMAL, keys.GROUP, after=given.newest)).moved == 0
    await _take(queue, [LIST], 3)
    assert (await give_back(client, NORMAL, keys.GROUP, after=given.newest)).moved == 3
    assert await _items(client) == _numbers(0, 20)


async def test_the_order_holds_over_several_steps_too(client: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_back, "_ENTRIES", 170)
    queue = await _make_queue(client)
    await client.call("RPUSH", LIST, *_numbers(0, 1_000))
    await _take(queue, [LIST], 1_000)
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 1_000
    assert await _items(client) == _numbers(0, 1_000)


async def test_large_items_go_back_in_smaller_steps(client: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_back, "_BYTES", 1)
    queue = await _make_queue(client)
    await client.call("RPUSH", LIST, *_numbers(0, 175))
    await _take(queue, [LIST], 175)
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 175
    assert await _items(client) == _numbers(0, 175)


async def test_native_tasks_and_what_was_delivered_stay(client: RedisClient) -> None:
    queue = await _make_queue(client)
    await client.call("RPUSH", LIST, *_numbers(0, 6))
    await _take(queue, [LIST], 4)
    held = await queue.claim(2)  # items 0 and 1, in execution
    await queue.release(held[1:])  # item 1: given back by a worker that ended, waiting for its next execution
    await client.call("XADD", NORMAL, "*", "task", "native")
    await _take(queue, [LIST], 4)
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 4
    assert await _items(client) == _numbers(2, 6)
    assert await _waiting(client) == [b"0", b"1", b"native"]
    assert (await client.call("XPENDING", NORMAL, keys.GROUP))[0] == 2


async def test_items_with_deliveries_stay_when_the_group_was_set_back(client: RedisClient) -> None:
    queue = await _make_queue(client)
    await client.call("RPUSH", LIST, *_numbers(0, 4))
    await _take(queue, [LIST], 4)
    await queue.claim(2)
    await client.call("XGROUP", "SETID", NORMAL, keys.GROUP, "0")
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 2
    assert await _items(client) == _numbers(2, 4)
    assert await _waiting(client) == _numbers(0, 2)


async def test_a_retry_that_came_due_goes_to_the_primary(client: RedisClient) -> None:
    queue = await _make_queue(client)
    await client.call("XADD", NORMAL, "*", "task", "7", "id", "t", "attempts", "1", "history", "[]", "door", LIST)
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 1
    assert await _items(client) == [b"7"]
    assert await queue.claim(5) == []


async def test_nothing_is_lost_where_the_list_became_something_else(
    client: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    queue = await _make_queue(client)
    other = "queue:brand:other:chunks"
    for key in (LIST, other):
        await client.call("RPUSH", key, "a", "b")
    await _take(queue, [LIST, other], 5)
    await client.call("SET", LIST, "somebody's string")
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == 2
    assert await _items(client, other) == [b"a", b"b"]
    assert await _waiting(client) == [b"a", b"b"]
    assert [record.message for record in caplog.records] == ["items cannot go back, their key is not a list"]


@pytest.mark.parametrize("prepared", [False, True])
async def test_giving_back_without_stream_or_group(client: RedisClient, prepared: bool) -> None:
    if prepared:
        await client.call("XADD", NORMAL, "*", "task", "x", "door", LIST)
    assert (await give_back(client, NORMAL, keys.GROUP)).moved == int(prepared)
    assert await client.call("LLEN", LIST) == int(prepared)


async def test_no_item_is_lost_or_doubled_while_several_give_back_take_and_claim(
    client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_back, "_ENTRIES", 40)
    queues = [await _make_queue(client, f"py-{number}") for number in range(3)]
    await client.call("RPUSH", LIST, *_numbers(0, 3_000))
    claimed: list[bytes] = []

    async def take(queue: TaskQueue) -> None:
        for _ in range(60):
            await _take(queue, [LIST], 50)
            claimed.extend(delivery.raw or b"" for delivery in await queue.claim(8))

    async def return_items() -> None:
        for _ in range(60):
            await give_back(client, NORMAL, keys.GROUP)

    async with asyncio.TaskGroup() as group:
        for queue in queues:
            group.create_task(take(queue))
            group.create_task(return_items())
    await give_back(client, NORMAL, keys.GROUP)
    left = await _items(client)
    assert sorted(claimed + left, key=int) == _numbers(0, 3_000)
    assert len(claimed) > 100
    assert await client.call("XLEN", NORMAL) == len(claimed)


async def test_hands_over_to_a_primary_that_returned_also_what_comes_later(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    queue, one = await _make_queue(client), watch()
    await client.call("RPUSH", LIST, *_numbers(0, 9))
    await one.take_over()
    await _take(queue, [LIST], 5)
    assert await one.standby.hand_over() == 0  # it is ours now
    await _beat(client)
    assert await one.look() is False
    assert await one.standby.hand_over() == 5
    await _take(queue, [LIST], 2)  # another standby of ours, half an interval behind
    await one.look()
    assert await one.standby.hand_over() == 2
    assert await _items(client) == _numbers(0, 9)
    await client.call("DEL", RUST)
    await one.look()
    await _take(queue, [LIST], 2)
    assert await one.standby.hand_over() == 0  # nobody to hand over to


async def test_a_primary_that_reads_our_streams_has_its_items_already(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    main, one = await _make_queue(client, "py-main"), watch("workers:heartbeat:py-main")
    await client.call("XADD", NORMAL, "*", "task", "native")
    await main.claim(1)
    await _beat(client, keys.heartbeat("py-main"))
    await client.call("RPUSH", LIST, *_numbers(0, 9))
    await _take(main, [LIST], 9)
    await one.see()
    assert await one.standby.hand_over() == 0
    assert len(await main.claim(20)) == 9


@pytest.mark.parametrize("colleague", [False, True])
async def test_the_last_active_standby_that_leaves_puts_waiting_items_back(
    client: RedisClient, watch: Callable[..., Watched], colleague: bool
) -> None:
    queue, one = await _make_queue(client), watch()
    await one.take_over()
    if colleague:  # goes on with what is in the streams
        await client.call("XADD", NORMAL, "*", "task", "native")
        await (await _make_queue(client, "py-2")).claim(1)
        await _beat(client, keys.heartbeat("py-2"))
    await client.call("RPUSH", LIST, *_numbers(0, 9))
    await _take(queue, [LIST], 9)
    await one.standby.leave()
    assert await _items(client) == ([] if colleague else _numbers(0, 9))


# -- lanes: claimed, but waiting for their brand's turn --------------------------------------------------------


async def _park(queue: TaskQueue, count: int, lane: str = "brand:acme") -> None:
    assert await queue.park([(delivery, lane) for delivery in await queue.claim(count, lanes=False)]) == count


async def test_items_in_lanes_go_back_before_those_in_the_stream(
    client: RedisClient, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_back, "_ENTRIES", 70)
    queue, one = await _make_queue(client), watch()
    await client.call("RPUSH", LIST, *_numbers(0, 400))
    await _take(queue, [LIST], 350)
    await _park(queue, 300)
    await _beat(client)
    await one.see()
    assert await one.standby.hand_over() == 350
    assert await _items(client) == _numbers(0, 400)
    assert await client.call("KEYS", "worker:lane*") == []
    assert await queue.claim(10) == []


async def test_native_tasks_stay_in_their_lane_in_order(
    client: RedisClient, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_back, "_ENTRIES", 120)
    queue, one = await _make_queue(client), watch()
    for number in range(300):
        fields = ("door", LIST) if number % 3 else ()
        await client.call("XADD", NORMAL, "*", "task", number, *fields)
    await _park(queue, 300)
    await _beat(client)
    await one.see()
    assert await one.standby.hand_over() == 200
    assert await _items(client) == [number for number in _numbers(0, 300) if int(number) % 3]
    assert await one.standby.hand_over() == 0
    await client.call("XADD", NORMAL, "*", "task", "late", "door", LIST)
    await _park(queue, 1)
    assert await one.standby.hand_over() == 1
    left = [delivery.raw for delivery in await queue.claim(500)]
    assert left == [number for number in _numbers(0, 300) if int(number) % 3 == 0]


async def test_looking_for_late_items_again_costs_nothing_for_the_native_tasks_that_wait(redis_url: str) -> None:
    client = Counting(redis_url)
    queue, one = await _make_queue(client), Watched(client)
    await client.batch([("XADD", NORMAL, "*", "task", number) for number in range(5_000)])
    await _park(queue, 100)
    await _beat(client)
    await one.see()
    scripts = []
    for _ in range(2):
        client.calls.clear()
        assert await one.standby.hand_over() == 0
        scripts.append(client.calls.count("EVALSHA"))
    assert scripts[0] > 5
    assert scripts[1] == len(keys.STREAMS)
    await client.close()


async def test_nothing_is_lost_from_a_lane_where_the_list_became_something_else(
    client: RedisClient, watch: Callable[..., Watched]
) -> None:
    queue, one = await _make_queue(client), watch()
    await client.call("SET", LIST, "somebody's string")
    for number in range(6):
        await client.call("XADD", NORMAL, "*", "task", number, "door", LIST if number % 2 else f"{LIST}:other")
    await _park(queue, 6)
    await _beat(client)
    await one.see()
    assert await one.standby.hand_over() == 3
    assert await _items(client, f"{LIST}:other") == [b"0", b"2", b"4"]
    assert [delivery.raw for delivery in await queue.claim(500)] == [b"1", b"3", b"5"]
