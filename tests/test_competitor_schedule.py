"""Automatic discovery: one task per brand and week however many workers look, and none that could not help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.worker import keys
from src.worker.errors import QueueUnavailable, StorageUnavailable
from src.worker.handlers.competitor_detection import marker_key
from src.worker.models import TaskPriority
from src.worker.queue_producer import QueueClient
from src.worker.queue_worker import WorkerState
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from src.worker.services.discovery_schedule import (
    FIRST_LOOK_SEC,
    LOOK_SEC,
    MENTIONS_MIN,
    DiscoverySchedule,
    run_name,
    tried_key,
)
from src.worker.services.insight_store import BRAND_STATE, InsightStore
from src.worker.storage import Storage
from src.worker.tasks import parse_task
from tests.audience_helpers import strict
from tests.helpers import running, until

pytestmark = pytest.mark.anyio

SATURDAY = datetime(2026, 11, 21, 9, tzinfo=UTC)
LOW = keys.STREAMS[TaskPriority.LOW]


class Clock:
    def __init__(self) -> None:
        self.now = SATURDAY

    def __call__(self) -> datetime:
        return self.now


class Brands:
    """Brands with a number of mentions each, in pages."""

    def __init__(self, **mentions: int) -> None:
        self.mentions = mentions
        self.fault: Exception | None = None
        self.asked = 0

    async def states(self, *, limit: int, after: str | None) -> list[dict[str, Any]]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        names = sorted(name for name in self.mentions if after is None or name > after)
        return [{"_id": name, "totals": {"stored": self.mentions[name]}} for name in names[: limit + 1]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url, max_connections=8)
    yield client
    await client.close()


def worker(redis: RedisClient, brands: Brands, clock: Clock, **more: Any) -> DiscoverySchedule:
    queue = QueueClient(redis, result_ttl_sec=86_400)
    return DiscoverySchedule(brands, queue, redis, clock=clock, marker_key=marker_key, **more)


async def waiting(redis: RedisClient) -> list[dict[str, Any]]:
    entries = await redis.call("XRANGE", LOW, "-", "+")
    return [strict(dict(zip(fields[::2], fields[1::2], strict=True))[b"task"]) for _, fields in entries]


async def test_two_workers_begin_one_run_per_brand_and_week(redis: RedisClient) -> None:
    clock, brands = Clock(), Brands(acme=MENTIONS_MIN, bolt=MENTIONS_MIN * 9, tiny=MENTIONS_MIN - 1)
    first, second = worker(redis, brands, clock), worker(redis, brands, clock)
    begun = await asyncio.gather(first.look(), second.look())
    assert sum(begun) == 2
    assert await first.look() + await second.look() == 0
    tasks = await waiting(redis)
    assert [task["brand"] for task in tasks] == ["acme", "bolt"]
    assert tasks[0] == {
        "type": "competitor_detection",
        "brand": "acme",
        "priority": "low",
        "dedupKey": "competitors-acme-2026-W47",
        "automatic": True,
        "id": "competitors-acme-2026-W47-6",
    }


async def test_a_brand_that_has_had_its_run_waits_for_its_marker_to_go(redis: RedisClient) -> None:
    clock, brands = Clock(), Brands(acme=100)
    schedule = worker(redis, brands, clock)
    await redis.call("SET", marker_key("acme"), "1")
    assert await schedule.look() == 0
    await redis.call("DEL", marker_key("acme"))
    assert await schedule.look() == 1


async def test_a_run_that_failed_is_tried_again_the_next_day_and_not_before(redis: RedisClient) -> None:
    clock, brands = Clock(), Brands(acme=100)
    schedule = worker(redis, brands, clock)
    assert await schedule.look() == 1
    ttl = await redis.call("TTL", tried_key("acme"))
    assert 86_000 < ttl <= 86_400
    clock.now += timedelta(hours=23)
    assert await schedule.look() == 0
    clock.now += timedelta(hours=1)
    await redis.call("DEL", tried_key("acme"))  # as Redis does after a day
    assert await schedule.look() == 1
    assert [task["id"] for task in await waiting(redis)] == [
        "competitors-acme-2026-W47-6",
        "competitors-acme-2026-W47-7",
    ]


async def test_a_worker_that_dies_after_enqueuing_leaves_no_second_run(redis: RedisClient) -> None:
    schedule = worker(redis, Brands(acme=100), Clock())
    await schedule.look()
    await redis.call("DEL", tried_key("acme"))  # it had not come to writing this
    assert await schedule.look() == 0
    assert len(await waiting(redis)) == 1


async def test_all_brands_are_found_page_by_page(redis: RedisClient) -> None:
    brands = Brands(**{f"b{number:04}": 100 for number in range(450)})
    assert await worker(redis, brands, Clock()).look() == 450
    assert brands.asked == 3


async def test_nothing_is_begun_while_a_primary_is_alive_and_outages_are_outlived(redis: RedisClient) -> None:
    brands, active, pauses = Brands(acme=100), False, []
    schedule = worker(redis, brands, Clock(), active=lambda: active)
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal active, looks
        pauses.append(seconds)
        looks += 1
        active = looks >= 3
        brands.fault = {3: StorageUnavailable("away"), 4: QueueUnavailable("away"), 5: RuntimeError("odd")}.get(looks)
        if looks == 7:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await schedule.run(sleep)
    assert pauses == [FIRST_LOOK_SEC] + [LOOK_SEC] * 6
    assert (brands.asked, len(await waiting(redis))) == (4, 1)


def test_names_of_runs_fit_the_queue_whatever_the_brand_is_called() -> None:
    for brand in ("acme", "ä" * 200, "x" * 200):
        name = run_name(brand, SATURDAY)
        task = {"type": "competitor_detection", "brand": brand, "id": f"{name}-6", "dedupKey": name}
        assert parse_task(task, fallback_id="f", received_ms=0, stream_priority=TaskPriority.LOW).id == f"{name}-6"
    assert run_name("acme", datetime(2027, 1, 2, tzinfo=UTC)) == "competitors-acme-2026-W53"


async def test_the_brands_of_the_store_are_what_the_schedule_reads(
    redis: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    storage = Storage(mongo_uri)
    try:
        rows = [{"_id": "acme", "totals": {"stored": 60}}, {"_id": "new", "totals": {"stored": 3}}, {"_id": "odd"}]
        await storage.collection(BRAND_STATE).insert_many(rows)
        queue = QueueClient(redis, result_ttl_sec=60)
        schedule = DiscoverySchedule(InsightStore(storage), queue, redis, clock=Clock(), marker_key=marker_key)
        assert await schedule.look() == 1
    finally:
        storage.close()


async def test_the_setting_says_whether_a_worker_looks_at_all(redis_url: str, mongo_uri: str) -> None:
    for wanted in (True, False):
        async with running(redis_url, mongo_uri, competitor_detection_auto=wanted) as runtime:

            async def at_work(runtime: Runtime = runtime) -> bool:
                return runtime.worker.state is WorkerState.RUNNING

            await until(at_work)
            names = {task.get_name() for task in asyncio.all_tasks()}
        assert ("discovery" in names) is wanted
