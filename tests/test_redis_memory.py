"""The janitor in Redis: bounds what is known, ends what was forgotten, relieves in order, touches nothing else."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis

from src.worker.janitor_seams import LockLost
from src.worker.keys import PlatformKeys
from src.worker.redis_client import RedisClient
from src.worker.redis_families import Authority, Classifier, Keep, families, fixed_start
from src.worker.services import janitor_report
from src.worker.services.redis_memory import RedisMemory
from src.worker.services.redis_survey import ORPHAN_SEC, Pace
from tests.helpers import finished, push, running
from tests.janitor_helpers import DAY, TABLE, AgedClient, OpenFence, Seen, a_run, entry, everything, tidy

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def bucket(hours_ago: float) -> str:
    return f"data:brand:acme:{NOW - timedelta(hours=hours_ago):%Y-%m-%d:%H}"


# -- the table -------------------------------------------------------------------------------------------------------


def test_every_row_knows_its_own_keys_and_no_other_row_takes_them() -> None:
    classify = Classifier(TABLE)
    words = {"<brand>": "acme", "<id>": "x1", "<any>": "a:b", "<hour>": "2026-03-01:07", "<minute>": "29012345"}
    for family in TABLE:
        name = family.pattern
        for place, word in words.items():
            name = name.replace(place, word)
        known = classify(name)
        assert known is not None, name
        assert known.family is family, (name, known.family.pattern)
        assert name.startswith(fixed_start(family).rstrip("*"))


@pytest.mark.parametrize(
    "name",
    [
        "acme",
        "data:brand:acme",
        "data:brand:acme:mentions:old",
        "data:brand:acme:2026-13-01:07",
        "data:brand:acme:2026-03-01:7",
        "data:brand::timeline",
        "worker:tasks",
        "worker:tasks:normal:copy",
        "worker:unheard:of",
        "Worker:dead",
        "worker:dead ",
        "leads:brand:acme:corp",
        "queue:brand:acme:chunks\n",
        "session:leads:brand:acme",
        "rate_limit:global:5",
    ],
)
def test_a_name_that_is_almost_known_is_not_known(name: str) -> None:
    assert Classifier(TABLE)(name) is None


def test_names_follow_the_settings() -> None:
    keys = PlatformKeys("q:in:", "out:", "all:brands", "bad:")
    classify = Classifier(families(keys, hot_days=90, result_ttl_sec=60))
    for name in ("q:in:acme:chunks", "out:acme:chunks", "all:brands", "bad:acme"):
        assert classify(name) is not None, name
    assert classify("queue:brand:acme:chunks") is None
    assert classify("brands:set") is None


def test_only_copies_and_caches_may_be_relieved_or_shortened() -> None:
    for family in TABLE:
        if family.relief is not None:
            assert family.authority in (Authority.MONGODB, Authority.NOWHERE), family.pattern
        if family.bound is not None:
            assert family.authority is not Authority.REDIS, family.pattern
        if family.relief is not None and family.relief.shorten_to is not None:
            assert family.bound is not None, family.pattern
            assert family.bound.keep is not Keep.TAIL, family.pattern


async def test_every_key_that_a_worker_writes_is_known(redis_url: str, mongo_uri: str, client: redis.Redis) -> None:
    mentions = [
        {
            "id": str(number),
            "source": "x",
            "text": f"I hate acme, it keeps crashing and I want to switch to something cheaper, part {number}",
            "author": f"@somebody{number}",
            "metadata": {"author_followers": 5000, "isCompetitor": number % 2 == 0, "competitorId": "c1"},
        }
        for number in range(6)
    ]
    task = {"type": "analyze_mentions", "brand": "acme", "dedupKey": "k", "mentions": mentions}
    async with running(redis_url, mongo_uri) as runtime:
        first = await push(runtime.redis, task)
        bad = await push(runtime.redis, {"type": "analyze_mentions"})
        assert (await finished(runtime, first))["status"] == "succeeded"
        assert (await finished(runtime, bad))["status"] == "failed"
        names = [key.decode() for key in client.scan_iter(count=1000)]
    classify = Classifier(TABLE)
    unknown = [name for name in names if classify(name) is None]
    assert unknown == []
    assert len({known.family.pattern for name in names if (known := classify(name))}) >= 8
    report = await tidy(redis_url)
    assert report["keys_of_wrong_type"] == {"count": 0, "examples": []}


# -- bounds ----------------------------------------------------------------------------------------------------------

LISTS = [family for family in TABLE if family.bound is not None and family.type == "list"]


@pytest.mark.parametrize("family", LISTS, ids=lambda family: family.pattern)
async def test_lists_are_cut_to_their_newest_entries(family: Any, redis_url: str, client: redis.Redis) -> None:
    bound = family.bound
    name = family.pattern.replace("<brand>", "acme").replace("<id>", "x1").replace("<hour>", "2099-01-01:00")
    entries = [f"{number}" for number in range(bound.items + 7)]  # newest last
    add = client.lpush if bound.keep is Keep.HEAD else client.rpush
    add(name, *entries)
    report = await tidy(redis_url)
    left = client.lrange(name, 0, -1)
    newest = [text.encode() for text in entries[7:]]
    assert left == (newest[::-1] if bound.keep is Keep.HEAD else newest)
    assert report["families"][family.pattern]["trimmed_items"] == 7
    assert (await tidy(redis_url))["actions"]["trimmed_items"] == 0


async def test_a_list_far_over_its_bound_is_cut_in_slices(redis_url: str, client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        for start in range(0, 30_000, 1_000):
            pipe.lpush("leads:brand:acme", *range(start, start + 1_000))
        pipe.execute()
    client.config_resetstat()
    await tidy(redis_url)
    assert client.lrange("leads:brand:acme", 0, 1) == [b"29999", b"29998"]
    assert client.llen("leads:brand:acme") == 100
    calls = client.info("commandstats")["cmdstat_ltrim"]["calls"]
    assert calls == 6, "29,900 entries in slices of 5,000"


async def test_the_timeline_keeps_its_newest_and_nothing_older_than_the_hot_days(
    redis_url: str, client: redis.Redis
) -> None:
    key = "data:brand:acme:timeline"
    recent = {f"r{number}": NOW.timestamp() - number for number in range(10_005)}
    client.zadd(key, recent)
    client.zadd("data:brand:other:timeline", {"old": NOW.timestamp() - 91 * DAY, "new": NOW.timestamp() - 89 * DAY})
    dry = await tidy(redis_url, dry=True)
    report = await tidy(redis_url)
    assert dry["actions"] == report["actions"] | {"trimmed_items": 6, "trimmed_keys": 2}
    assert client.zcard(key) == 10_000
    assert client.zscore(key, "r10004") is None
    assert client.zscore(key, "r0") is not None
    assert client.zrange("data:brand:other:timeline", 0, -1) == [b"new"]


async def test_the_best_influencers_stay(redis_url: str, client: redis.Redis) -> None:
    client.zadd("data:brand:acme:influencers", {f"a{number}": number for number in range(130)})
    await tidy(redis_url)
    assert client.zrange("data:brand:acme:influencers", 0, 0) == [b"a30"]
    assert client.zcard("data:brand:acme:influencers") == 100


# -- what is never touched -------------------------------------------------------------------------------------------


def fill_protected(client: redis.Redis) -> None:
    """What only Redis has, and what nobody knows; most of it as old as can be, all of it long."""
    many = [entry(number, 50) for number in range(500)]
    for priority in ("critical", "high", "normal", "low"):
        client.xgroup_create(f"worker:tasks:{priority}", "workers", mkstream=True)
        client.xadd(f"worker:tasks:{priority}", {"task": "{}"})
    client.xadd("worker:dead", {"task": "x" * 1000})
    client.zadd("worker:delayed", {"a": 1, "b": 2})
    client.zadd("worker:lanes:normal", {"brand:acme": 1})
    client.set("worker:result:n-1", "{}")
    client.set("worker:insight:acme", 7)
    client.set("workers:heartbeat:w1", "alive")
    client.set("worker:standby:w1", "1")
    client.hset("worker:near:{acme}:1:5", "a", "=")
    client.set("worker:janitor:token", 5)
    lists = ("worker:lane:3:brand:acme", "tasks:priority", "tasks:web_scan", "queue:competitor_detection")
    lists += (
        "queue:brand:acme:chunks",
        "queue:brand:gone:chunks",
        "queue:brand:acme:raw_mentions",
        "failed:brand:acme",
    )
    lists += ("data:brand:acme:mentions", "result:brand:acme:chunks", "my:own:list", "data:brand:acme:other")
    for name in lists:
        client.rpush(name, *many)
    client.sadd("processed:brand:acme:ids", *range(2_000))
    client.sadd("brands:set", "acme", "other")
    client.set("session:abc", "x" * 10_000)
    client.hset("worker:llm:cache:of-another-type", "a", "x" * 1000)
    client.set("data:brand:acme:timeline", "not a sorted set")
    client.set("brand:acme:meta", "{}")


async def test_what_only_redis_has_and_what_nobody_knows_stays_however_short_memory_is(
    redis_url: str, client: redis.Redis
) -> None:
    fill_protected(client)
    before = everything(client)
    report = await tidy(redis_url, limit=1)
    assert everything(client) == before
    assert report["over_limit"] is True
    assert report["bytes_freed"] == 0
    assert report["keys_unknown"] == 3
    assert report["keys_of_wrong_type"]["count"] == 2
    assert "data:brand:acme:timeline" in report["keys_of_wrong_type"]["examples"]


async def test_old_keys_without_a_rule_for_their_end_get_none(redis_url: str, client: redis.Redis) -> None:
    fill_protected(client)
    before = everything(client)
    names = ("queue:brand:gone:chunks", "failed:brand:acme", "worker:dead", "my:own:list", "session:abc", "brands:set")
    names += ("result:brand:acme:chunks", "workers:heartbeat:w1", "data:brand:acme:mentions")
    report = await tidy(redis_url, idle=dict.fromkeys(names, 400 * DAY))
    assert everything(client) == before
    assert not any(report["actions"].values())


async def test_a_dry_run_changes_nothing_and_says_what_a_run_then_does(redis_url: str, client: redis.Redis) -> None:
    fill_protected(client)
    client.lpush("leads:brand:acme", *range(150))
    client.lpush("crisis:events:acme", "{}")
    client.set("rate_limit:global:20000000", 3)
    for number in range(40):
        client.set(f"worker:llm:cache:{number:x}", "x" * 5_000, ex=3_600 * (1 + number))
    before, size = everything(client), client.dbsize()
    idle = {"crisis:events:acme": 8 * DAY}
    limit = client.info("memory")["used_memory"] - 40_000
    dry = await tidy(redis_url, limit=limit, run=a_run(dry=True, fence=OpenFence(holds=0)), idle=idle)
    assert (everything(client), client.dbsize()) == (before, size)
    real = await tidy(redis_url, limit=limit, idle=idle)
    assert real["actions"] == dry["actions"]
    assert dry["actions"] == {
        "ttl_set": 1, "ttl_renewed": 0, "unlinked": 1, "trimmed_keys": 1, "trimmed_items": 50
    }  # fmt: skip
    assert dry["relief"]["bytes_freed"] > 0
    assert everything(client) != before


# -- ends ------------------------------------------------------------------------------------------------------------


async def test_forgotten_keys_get_the_end_their_family_has_and_used_ones_do_not(
    redis_url: str, client: redis.Redis
) -> None:
    idle = {}
    for slug in ("old", "new"):
        client.lpush(f"leads:brand:{slug}", "{}")
        client.set(f"crisis:metrics:{slug}", "{}")
        client.set(f"competitor:{slug}:mention_count", 5)
        client.lpush(f"spike:brand:{slug}:3", 5)
        for stem in ("leads:brand:{}", "crisis:metrics:{}", "competitor:{}:mention_count", "spike:brand:{}:3"):
            idle[stem.format(slug)] = ORPHAN_SEC + (60 if slug == "old" else -60)
    report = await tidy(redis_url, idle=idle)
    ends = {key.decode(): client.ttl(key) for key in client.scan_iter()}
    assert {name for name, ttl in ends.items() if ttl == -1} == {
        "leads:brand:new", "crisis:metrics:new", "competitor:new:mention_count", "spike:brand:new:3"
    }  # fmt: skip
    assert ends["leads:brand:old"] == pytest.approx(30 * DAY, abs=5)
    assert ends["crisis:metrics:old"] == pytest.approx(DAY, abs=5)
    assert ends["competitor:old:mention_count"] == pytest.approx(30 * DAY, abs=5)
    assert report["actions"]["ttl_set"] == 4


async def _last_run(url: str, ago: timedelta) -> None:
    ended = (datetime.now(UTC) - ago).isoformat()
    redis_client = RedisClient(url, max_connections=1)
    await janitor_report.save(redis_client, {"success": True, "completed_at": ended, "started_at": ended})
    await redis_client.close()


async def test_a_counter_that_is_used_again_is_not_lost_by_the_end_it_was_given(
    redis_url: str, client: redis.Redis
) -> None:
    await _last_run(redis_url, timedelta(days=1))
    for name in ("used", "still"):
        client.set(f"competitor:{name}:mention_count", 5, ex=10 * DAY)
    client.set("summary:brand:acme", "{}", ex=DAY)  # its writers renew it
    idle = {"competitor:used:mention_count": 3_600, "competitor:still:mention_count": 2 * DAY, "summary:brand:acme": 60}
    report = await tidy(redis_url, idle=idle)
    assert report["actions"]["ttl_renewed"] == 1
    assert client.ttl("competitor:used:mention_count") == pytest.approx(30 * DAY, abs=5)
    assert client.ttl("competitor:still:mention_count") <= 10 * DAY
    assert client.ttl("summary:brand:acme") <= DAY


async def test_results_of_a_brand_that_is_gone_get_an_end_and_keep_away_from_it_when_it_is_back(
    redis_url: str, client: redis.Redis
) -> None:
    key = "result:brand:gone:chunks"
    client.sadd("brands:set", "acme")
    client.rpush(key, "{}")
    assert (await tidy(redis_url, idle={key: 6 * DAY}))["actions"]["ttl_set"] == 0
    assert (await tidy(redis_url, idle={key: 8 * DAY}))["actions"]["ttl_set"] == 1
    assert client.ttl(key) == pytest.approx(7 * DAY, abs=5)
    await _last_run(redis_url, timedelta(days=1))
    client.sadd("brands:set", "gone")
    client.expire(key, 3 * DAY)
    assert (await tidy(redis_url, idle={key: 2 * DAY}))["actions"]["ttl_renewed"] == 0, "nobody uses it"
    assert (await tidy(redis_url, idle={key: 3_600}))["actions"]["ttl_renewed"] == 1
    assert client.ttl(key) == pytest.approx(7 * DAY, abs=5)


@pytest.mark.parametrize("brands", ["none", "a string"])
async def test_without_a_set_of_brands_no_brand_is_gone(brands: str, redis_url: str, client: redis.Redis) -> None:
    if brands == "a string":
        client.set("brands:set", "acme")
    client.rpush("result:brand:acme:chunks", "{}")
    await tidy(redis_url, idle={"result:brand:acme:chunks": 100 * DAY})
    assert client.ttl("result:brand:acme:chunks") == -1


async def test_meters_of_minutes_that_are_over_go_and_those_of_now_stay(redis_url: str, client: redis.Redis) -> None:
    minute = int(NOW.timestamp() // 60)
    client.set(f"rate_limit:global:{minute - 90}", 1)
    client.set(f"rate_limit:global:{minute}", 1)
    assert (await tidy(redis_url))["actions"]["unlinked"] == 1
    assert client.exists(f"rate_limit:global:{minute}") == 1
    assert client.dbsize() == 1


async def test_looking_does_not_count_as_use(redis_url: str, client: redis.Redis) -> None:
    await _last_run(redis_url, timedelta(hours=1))
    client.set("summary:brand:acme", "{}")
    client.lpush("leads:brand:used", *range(5))
    client.lpush("leads:brand:unused", *range(5))
    await asyncio.sleep(2.1)  # Redis counts idle seconds
    aged = AgedClient(redis_url, {"leads:brand:unused": 2 * DAY})
    await tidy(redis_url, client=aged)
    assert client.object("idletime", "summary:brand:acme") >= 1  # type: ignore[no-untyped-call]
    assert client.object("idletime", "leads:brand:unused") >= 1  # type: ignore[no-untyped-call]
    assert aged.measured == {"leads:brand:used"}


# -- relief ----------------------------------------------------------------------------------------------------------


def fill(client: redis.Redis, key: str, entries: Iterable[str]) -> None:
    """One by one: a long command would leave a long buffer at the connection, which shrinks when Redis likes."""
    with client.pipeline(transaction=False) as pipe:
        for one in entries:
            pipe.lpush(key, one)
        pipe.execute()


def used(client: redis.Redis) -> int:
    """Some of it are buffers of connections, which shrink by themselves: limits are set well below it."""
    return int(client.info("memory")["used_memory"])


async def test_caches_go_first_the_oldest_of_them_and_no_more_than_is_needed(
    redis_url: str, client: redis.Redis
) -> None:
    for number in range(150):
        client.set(f"worker:llm:cache:{number:03}", "x" * 10_000, ex=(1 + number) * 3_600 + 1_800)
    fill(client, bucket(100), (entry(number, 1_000) for number in range(500)))
    report = await tidy(redis_url, limit=used(client) - 300_000)
    relief = report["relief"]
    left = sorted(int(key.rpartition(b":")[2]) for key in client.scan_iter("worker:llm:cache:*"))
    assert 0 < left[0] < 149
    assert left == list(range(left[0], 150)), "a younger one went before an older one"
    assert relief["bytes_needed"] <= relief["bytes_freed"] <= relief["bytes_needed"] + 20_000
    assert list(relief["families"]) == ["worker:llm:cache:<any>"]
    assert client.exists(bucket(100))
    assert report["over_limit"] is False
    assert report["used_bytes_after"] < report["used_bytes_before"] - 0.8 * relief["bytes_needed"]


async def test_then_the_oldest_buckets_of_feeds_and_last_the_long_feeds(redis_url: str, client: redis.Redis) -> None:
    client.set("worker:llm:verdict:a", "x" * 1_000, ex=3_600)
    hours = [1, 20, *range(30, 130, 10)]
    for ago in hours:
        fill(client, bucket(ago), (entry(number, 1_000) for number in range(150)))
    fill(client, "data:brand:acme:optimized_mentions", (entry(number, 1_000) for number in range(1_000)))
    report = await tidy(redis_url, limit=used(client) - 300_000)
    left = [ago for ago in hours if client.exists(bucket(ago))]
    assert left == hours[: len(left)], "a younger one went before an older one"
    assert 2 < len(left) < len(hours)
    assert not client.exists("worker:llm:verdict:a")
    assert client.llen("data:brand:acme:optimized_mentions") == 1_000
    assert report["over_limit"] is False
    report = await tidy(redis_url, limit=1)
    assert [ago for ago in hours if client.exists(bucket(ago))] == [1, 20], "the last day's buckets are read"
    kept = [orjson.loads(raw)["id"] for raw in client.lrange("data:brand:acme:optimized_mentions", 0, -1)]
    assert kept == [f"m{number}" for number in range(999, 899, -1)]
    assert report["over_limit"] is True


async def test_feeds_of_an_older_worker_stay_as_nobody_else_may_have_their_mentions(
    redis_url: str, client: redis.Redis
) -> None:
    client.lpush(bucket(100), *(f'{{"id": "{number}", "text": "{"x" * 500}"}}' for number in range(200)))
    client.lpush(bucket(90), *(entry(number, 500) for number in range(200)), "not JSON")
    before = everything(client)
    report = await tidy(redis_url, limit=1)
    assert everything(client) == before
    assert report["relief"]["families"]["data:brand:<brand>:<hour>"]["not_ours"] == 2


async def test_without_a_limit_nothing_is_relieved_and_the_reason_is_said(redis_url: str, client: redis.Redis) -> None:
    client.set("worker:llm:cache:a", "x", ex=60)
    report = await tidy(redis_url)
    assert (report["limit_bytes"], report["relief"], report["over_limit"]) == (None, None, False)
    assert "maxmemory" in report["limit_from"]
    assert client.exists("worker:llm:cache:a")


async def test_the_servers_own_limit_counts_where_the_settings_name_none(redis_url: str, client: redis.Redis) -> None:
    client.set("worker:llm:cache:a", "x" * 2_000_000, ex=60)
    maxmemory = int(used(client) * 1.1)
    client.config_set("maxmemory", maxmemory)
    try:
        report = await tidy(redis_url)
    finally:
        client.config_set("maxmemory", 0)
    assert report["limit_bytes"] == int(maxmemory * 0.8)
    assert not client.exists("worker:llm:cache:a")


# -- the way of working ----------------------------------------------------------------------------------------------


async def test_a_lock_that_is_lost_ends_the_work_before_the_next_change(redis_url: str, client: redis.Redis) -> None:
    for number in range(2_000):
        client.lpush(f"leads:brand:b{number}", *range(101))
    fence = OpenFence(holds=7)  # one for each step of 250 keys, one for what is changed in it
    with pytest.raises(LockLost):
        await tidy(redis_url, run=a_run(fence=fence))
    changed = sum(client.llen(key) == 100 for key in client.scan_iter(count=1000))
    assert 0 < changed < 1_200


async def test_progress_counts_all_keys(redis_url: str, client: redis.Redis) -> None:
    client.mset({f"some:key:{number}": 1 for number in range(1_000)})
    seen = Seen()
    report = await tidy(redis_url, run=a_run(progress=seen))
    assert seen.totals == {"redis": 1_000}
    assert seen.done["redis"] == report["keys_scanned"] >= 1_000


def fill_caches(client: redis.Redis, first: int, last: int) -> None:
    for start in range(first, last, 4_000):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, min(start + 4_000, last)):
                pipe.set(f"worker:llm:cache:{number}", "x" * 50, ex=1_000 + 60 * (number % 10_000))
            pipe.execute()


async def traced(url: str, limit: int | None = None) -> int:
    """Most memory that Python objects took during a run, in bytes."""
    tracemalloc.start()
    try:
        await tidy(url, limit=limit)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_memory_does_not_grow_with_the_number_of_keys(redis_url: str, client: redis.Redis) -> None:
    fill_caches(client, 0, 2_000)
    few = await traced(redis_url)
    fill_caches(client, 2_000, 8_000)
    many = await traced(redis_url, limit=1)
    assert client.dbsize() == 0
    assert many < few + 300_000, (few, many)
    assert many < 4_000_000


@pytest.mark.slow
async def test_sixty_thousand_keys_take_no_more_memory_than_a_few(redis_url: str, client: redis.Redis) -> None:
    fill_caches(client, 0, 4_000)
    few = await traced(redis_url)
    fill_caches(client, 4_000, 60_000)
    assert await traced(redis_url) < few + 300_000


async def test_half_of_the_time_is_rest() -> None:
    at = 0.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal at
        slept.append(seconds)
        at += seconds

    pace = Pace(sleep, lambda: at)
    for worked in (0.5, 0.0, 2.0):
        at += worked
        await pace.rest()
    assert slept == [0.5, 0.0, 2.0]


async def test_a_run_rests_after_every_step(redis_url: str, client: redis.Redis) -> None:
    client.mset({f"worker:result:{number}": 1 for number in range(3_000)})
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    redis_client = RedisClient(redis_url, max_connections=2)
    step = RedisMemory(redis_client, TABLE, brands_key="brands:set", limit_bytes=None, sleep=sleep)
    await step.run(a_run())
    await redis_client.close()
    assert len(slept) >= 12
    assert min(slept) > 0
