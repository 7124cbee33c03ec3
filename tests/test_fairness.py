"""Nobody waits behind a crowd: lanes for brands, limits per brand and type, doors, dedupKey, batches, pauses."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

import orjson
import pytest
import redis

from src.worker import keys
from src.worker.admission import Admission
from src.worker.gates import MEMORY, Gates
from src.worker.handlers import HandlerResult, TaskType
from src.worker.metrics import Metrics
from src.worker.models import Task, TaskPriority
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from tests.helpers import NORMAL, dead_letters, finished, push, running, until

pytestmark = pytest.mark.anyio


async def _push_many(client: RedisClient, tasks: list[dict[str, Any]], stream: str = NORMAL) -> None:
    for start in range(0, len(tasks), 1000):
        await client.batch([("XADD", stream, "*", "task", orjson.dumps(t)) for t in tasks[start : start + 1000]])


class Recorder:
    """A handler that takes a while and remembers what ran, and how many at a time."""

    def __init__(self, seconds: float = 0.002) -> None:
        self.order: list[str] = []
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._seconds = seconds

    async def __call__(self, task: Task) -> HandlerResult:
        for key in (task.brand or "", task.type):
            self.now[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
        self.order.append(task.brand or "")
        await asyncio.sleep(self._seconds)
        for key in (task.brand or "", task.type):
            self.now[key] -= 1
        return HandlerResult({"brand": task.brand})


async def _all_done(runtime: Runtime, recorder: Recorder, count: int) -> None:
    async def done() -> bool:
        depth = await runtime.queue.depth()
        return len(recorder.order) >= count and not sum(depth.waiting.values()) and not depth.in_flight

    await until(done, 120)


@pytest.mark.timeout(180)  # five thousand tasks
async def test_one_task_of_a_brand_does_not_wait_behind_thousands_of_another(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    recorder = Recorder(0.005)
    await _push_many(client, [{"type": "noop", "brand": "crowd", "n": n} for n in range(5_000)])
    await _push_many(client, [{"type": "noop", "brand": "single", "id": "the-one"}])
    async with running(redis_url, mongo_uri, queue_concurrency=4) as runtime:
        runtime.handlers["noop"] = TaskType(recorder)
        await finished(runtime, "the-one")
        assert recorder.order.index("single") < 4_000  # it would be 5,000 in order of arrival
        await _all_done(runtime, recorder, 5_001)
    assert Counter(recorder.order) == {"crowd": 5_000, "single": 1}
    assert await client.call("XLEN", keys.DEAD) == 0


async def test_crowds_take_turns_and_each_keeps_its_order(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    async def handle(task: Task) -> HandlerResult:
        seen[task.brand or ""].append(task.payload["n"])
        await asyncio.sleep(0.003)
        return HandlerResult(None)

    for brand in seen:
        await _push_many(client, [{"type": "noop", "brand": brand, "n": n} for n in range(300)])
    async with running(redis_url, mongo_uri, queue_concurrency=3, queue_brand_slots=1) as runtime:
        runtime.handlers["noop"] = TaskType(handle)

        async def some() -> bool:
            return sum(map(len, seen.values())) >= 450

        await until(some)
        assert min(len(numbers) for numbers in seen.values()) > 60

        async def all_of_them() -> bool:
            return sum(map(len, seen.values())) >= 900

        await until(all_of_them)
    assert all(sorted(numbers) == list(range(300)) for numbers in seen.values())


async def test_limits_per_brand_and_type_hold(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    recorder = Recorder()
    tasks = [{"type": kind, "brand": f"b{n % 3}"} for n in range(150) for kind in ("noop", "slow")]
    await _push_many(client, tasks)
    async with running(
        redis_url, mongo_uri, queue_concurrency=12, queue_brand_slots=3, queue_type_slots="slow=2"
    ) as runtime:
        runtime.handlers["noop"] = TaskType(recorder)
        runtime.handlers["slow"] = TaskType(recorder)
        await _all_done(runtime, recorder, 300)
    assert len(recorder.order) == 300
    assert recorder.most["slow"] <= 2
    assert all(recorder.most[f"b{n}"] <= 3 for n in range(3))


async def test_a_critical_task_passes_a_crowd_in_lanes(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    recorder = Recorder(0.005)
    await _push_many(client, [{"type": "noop", "brand": "crowd"} for _ in range(2_000)])
    async with running(redis_url, mongo_uri, queue_concurrency=2) as runtime:
        runtime.handlers["noop"] = TaskType(recorder)

        async def busy() -> bool:
            return len(recorder.order) > 50

        await until(busy)
        before = len(recorder.order)
        await push(client, {"type": "noop", "brand": "urgent", "id": "u"}, keys.STREAMS[TaskPriority.CRITICAL])
        await finished(runtime, "u")
        assert recorder.order.index("urgent") - before < 200


async def test_a_task_that_waited_in_a_lane_keeps_its_id_and_is_tried_once(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    ids = []
    recorder = Recorder(0.01)
    async with running(redis_url, mongo_uri, queue_concurrency=2, queue_brand_slots=1) as runtime:
        runtime.handlers["noop"] = TaskType(recorder)
        for n in range(40):
            ids.append(await push(client, {"type": "noop", "brand": "a", "n": n}))
        records = [await finished(runtime, task) for task in ids]
    assert {record["attempts"] for record in records} == {1}


async def test_a_killed_workers_tasks_from_lanes_are_taken_over(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    started = asyncio.Event()

    async def hang(task: Task) -> HandlerResult:
        started.set()
        await asyncio.sleep(3600)
        raise AssertionError

    await _push_many(client, [{"type": "noop", "brand": "a", "id": f"t{n}"} for n in range(10)])
    async with running(redis_url, mongo_uri, queue_concurrency=2, queue_brand_slots=1, drain_timeout_sec=0) as runtime:
        runtime.handlers["noop"] = TaskType(hang)
        await started.wait()

        async def parked() -> bool:
            return (await runtime.queue.depth()).parked > 0

        await until(parked)
    async with running(redis_url, mongo_uri) as runtime:
        for n in range(10):
            assert (await finished(runtime, f"t{n}"))["status"] == "succeeded"


@pytest.mark.parametrize(
    ("name", "item", "expected"),
    [
        ("tasks:priority", {"type": "noop", "n": 1}, "succeeded"),
        ("tasks:standard", {"type": "noop", "n": 1}, "succeeded"),
        ("tasks:priority", {"type": "nobody_knows", "n": 1}, "unknown type"),
        ("tasks:web_scan", {"brand": "acme"}, "urls: is required, because WEB_SEARCH_SOURCES"),
        ("queue:competitor_detection", {"brandName": "Acme"}, "brand: is required"),
    ],
)
async def test_every_task_list_is_a_door(
    client: RedisClient, redis_url: str, mongo_uri: str, name: str, item: dict[str, Any], expected: str
) -> None:
    await client.call("RPUSH", name, orjson.dumps(item))
    async with running(redis_url, mongo_uri) as runtime:
        if expected == "succeeded":

            async def counted() -> bool:
                return runtime.metrics.tasks.executions.get(("noop", "succeeded")) == 1

            await until(counted)
        else:
            (letter,) = await until(lambda: dead_letters(client))
            assert expected in letter["reason"]
            assert letter["door"] == name
    assert await client.call("LLEN", name) == 0


@pytest.mark.parametrize("owned", [True, False])
async def test_the_live_list_is_taken_only_where_this_worker_owns_it(
    client: RedisClient, redis_url: str, mongo_uri: str, owned: bool
) -> None:
    await client.call("SADD", "brands:set", "acme")
    mention = {"id": "1", "brand": "Acme", "text": "Acme is fine", "timestamp": 1740824430000, "source": "x"}
    await client.call("RPUSH", "data:brand:acme:mentions", orjson.dumps(mention))
    await client.call("RPUSH", "queue:brand:acme:chunks", orjson.dumps({**mention, "text": "Acme is good"}))
    async with running(redis_url, mongo_uri, consume_live_lists=owned) as runtime:

        async def stored() -> bool:
            return await runtime.storage.collection("mentions").count_documents({}) >= 1 + owned

        await until(stored)
    assert await client.call("LLEN", "data:brand:acme:mentions") == (0 if owned else 1)


async def test_failure_lists_are_left_alone(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    await client.call("RPUSH", "failed:brand:acme", "anything")
    async with running(redis_url, mongo_uri) as runtime:
        await finished(runtime, await push(client, {"type": "noop"}))
        await asyncio.sleep(0.5)
    assert await client.call("LRANGE", "failed:brand:acme", 0, -1) == [b"anything"]


async def test_a_batch_counts_down_once_per_envelope_whatever_became_of_it(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("SET", "batch:b1:remaining", 3, "EX", 600)
    envelopes = [
        {"envelope_id": "e1", "batch_id": "b1", "task": {"mentions": [{"text": "Acme is fine"}]}},
        {"envelope_id": "e2", "batch_id": "b1", "task": {"mentions": "broken"}},
        {"envelope_id": "e3", "batch_id": "unknown", "task": {"mentions": [{"text": "Acme is good"}]}},
    ]
    await client.call("RPUSH", "queue:brand:acme:chunks", *map(orjson.dumps, envelopes))
    async with running(redis_url, mongo_uri) as runtime:

        async def over() -> bool:
            tasks = runtime.metrics.tasks.executions
            return sum(tasks.values()) >= 3

        await until(over)
    assert await client.call("GET", "batch:b1:remaining") == b"1"
    assert await client.call("TTL", "batch:b1:remaining") > 0
    assert await client.call("EXISTS", "batch:unknown:remaining") == 0


async def test_an_envelope_that_dies_and_dies_again_after_a_replay_counts_down_once(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("SET", "batch:b1:remaining", 3, "EX", 600)
    broken = {"envelope_id": "e2", "batch_id": "b1", "task": {"mentions": "broken"}}
    await client.call("RPUSH", "queue:brand:acme:chunks", orjson.dumps(broken))
    async with running(redis_url, mongo_uri) as runtime:
        await until(lambda: dead_letters(client))
        assert await runtime.api.dead_letters.replay_matching() == 1

        async def died_again() -> bool:
            return runtime.metrics.tasks.executions.get(("analyze_mentions", "failed")) == 2

        await until(died_again)
    assert await client.call("GET", "batch:b1:remaining") == b"2"


async def test_of_tasks_with_one_dedup_key_one_is_run(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    recorder = Recorder()
    tasks = [{"type": "noop", "id": f"t{n}", "dedupKey": f"k{n % 2}"} for n in range(10)]
    async with running(redis_url, mongo_uri) as runtime:
        runtime.handlers["noop"] = TaskType(recorder)
        await _push_many(client, tasks)
        records = [await finished(runtime, f"t{n}") for n in range(10)]
    assert len(recorder.order) == 2
    duplicates = [record["result"] for record in records if "duplicateOf" in record["result"]]
    assert duplicates == [{"duplicateOf": f"t{n % 2}"} for n in range(2, 10)]


async def test_a_dedup_key_is_free_again_when_its_task_has_failed_for_good(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async def fail(task: Task) -> HandlerResult:
        raise RuntimeError("boom")

    async with running(redis_url, mongo_uri, queue_max_attempts=2) as runtime:
        runtime.handlers["noop"] = TaskType(fail)
        await push(client, {"type": "noop", "id": "t1", "dedupKey": "k"})
        assert (await finished(runtime, "t1"))["status"] == "failed"
        runtime.handlers["noop"] = TaskType(Recorder())
        await push(client, {"type": "noop", "id": "t2", "dedupKey": "k"})
        assert (await finished(runtime, "t2"))["result"] == {"brand": None}


async def test_a_lease_is_kept_while_the_event_loop_is_blocked(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    idle_ms: list[int] = []

    async def block(task: Task) -> HandlerResult:
        time.sleep(4)  # longer than the lease, shorter than commands wait for their replies
        with redis.Redis.from_url(redis_url) as other:  # as a rival sees it, before this loop comes round again
            (entry,) = other.xpending_range(NORMAL, keys.GROUP, "-", "+", 10)
            idle_ms.append(entry["time_since_delivered"])
        return HandlerResult("done")

    async with running(redis_url, mongo_uri, queue_lease_sec=3, worker_id="blocked") as runtime:
        runtime.handlers["noop"] = TaskType(block)
        task = await push(client, {"type": "noop"})

        async def over() -> bool:  # without a question to Redis, whose answer would wait for the loop
            return bool(runtime.metrics.tasks.executions)

        await until(over)
        record = await finished(runtime, task)
    assert (record["status"], record["attempts"]) == ("succeeded", 1)
    assert runtime.metrics.tasks.executions == {("noop", "succeeded"): 1}
    assert idle_ms[0] < 3_000, "a rival could have taken it"


async def test_claiming_rests_while_memory_is_over_its_limit() -> None:
    used = 100
    gates = Gates(Metrics(), storage_ping=lambda: asyncio.sleep(0), memory_limit_bytes=80, memory=lambda: used)
    await gates.look()
    assert gates.closed == MEMORY
    used = 75
    await gates.look()
    assert gates.closed == MEMORY
    used = 71
    await gates.look()
    assert gates.closed is None
    await asyncio.wait_for(gates.opened(), 20)


def _task(brand: str | None, kind: str = "noop") -> Task:
    return Task("t", kind, {}, brand, TaskPriority.NORMAL, 1, 0)


def test_admission_lets_the_first_of_another_brand_go_next_when_there_is_no_room() -> None:
    admission = Admission(brand_slots=3, type_slots={"slow": 1})
    admission.enter(_task("crowd"))
    assert admission.lane(_task("crowd"), room=True) is None
    assert admission.lane(_task("crowd"), room=False) == "brand:crowd"
    assert admission.lane(_task("other"), room=False) is None
    assert admission.lane(_task(None), room=True) is None
    assert admission.lane(_task(None), room=False) == "brand:"
    admission.enter(_task(None, "slow"))
    assert admission.lane(_task("other", "slow"), room=True) == "type:slow"
    assert admission.full_lanes() == ["type:slow"]
    admission.leave(_task(None, "slow"))
    admission.leave(_task("crowd"))
    assert not admission.sees_brands


async def test_sizes_and_ages_are_shown(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    await _push_many(client, [{"type": "noop"}] * 7, keys.STREAMS[TaskPriority.LOW])
    async with running(redis_url, mongo_uri) as runtime:
        runtime.gates.close("memory_full", "for the test")
        depth = await runtime.queue.depth()
        assert depth.waiting[TaskPriority.LOW] + depth.in_flight <= 7
        runtime.gates.open("memory_full", "for the test")

        async def drained() -> bool:
            return runtime.metrics.tasks.executions.get(("noop", "succeeded")) == 7

        await until(drained)
        text = runtime.metrics.render().decode()
    for name in (
        'worker_tasks_total{outcome="succeeded",type="noop"} 7.0',
        'worker_task_duration_seconds_bucket{le="+Inf",type="noop"} 7.0',
        'worker_task_wait_seconds_count{priority="low"} 7.0',
        "worker_queue_depth",
        "worker_queue_oldest_age_seconds",
        "worker_queue_parked",
    ):
        assert name in text
    assert json.loads(json.dumps(dict(depth.waiting)))


async def test_a_standby_works_only_while_no_primary_is_alive(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("SET", "workers:heartbeat:rust-1", "alive")
    await client.call("SADD", "brands:set", "acme")
    settings = {"standby_for": "workers:heartbeat:rust-*", "heartbeat_interval_sec": 0.5}
    async with running(redis_url, mongo_uri, **settings) as runtime:
        native = await push(client, {"type": "noop"})
        await client.call("RPUSH", "queue:brand:acme:chunks", orjson.dumps({"text": "Acme is good", "source": "x"}))
        await asyncio.sleep(1.5)
        assert await runtime.queue.read_record(native) is None
        assert await client.call("LLEN", "queue:brand:acme:chunks") == 1
        assert runtime.worker.state == "standby"

        await client.call("DEL", "workers:heartbeat:rust-1")
        await finished(runtime, native)
        assert runtime.worker.state == "running"

        await client.call("SET", "workers:heartbeat:rust-1", "alive")

        async def standing_by() -> bool:
            return runtime.worker.state == "standby"

        await until(standing_by)
        await client.call("RPUSH", "queue:brand:acme:chunks", orjson.dumps({"text": "Acme is bad", "source": "x"}))
        await asyncio.sleep(2.5)
        assert await client.call("LLEN", "queue:brand:acme:chunks") == 1
        text = runtime.metrics.render().decode()
        assert 'worker_standby_changes_total{to="active"} 1.0' in text
        assert 'worker_standby_changes_total{to="standby"} 1.0' in text
