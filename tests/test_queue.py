"""The queue on a real Redis: nothing lost, nothing published twice, retries on time, lists taken atomically."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis.asyncio

from src.worker import keys
from src.worker.models import TaskPriority, TaskStatus
from src.worker.queue_consumer import TaskQueue, WeightedTurns
from src.worker.queue_entries import DeadLetter, Finished
from src.worker.queue_outputs import QueueOutputs
from src.worker.redis_client import RedisClient
from src.worker.tasks import parse_task
from tests.helpers import until

pytestmark = pytest.mark.anyio
NORMAL = keys.STREAMS[TaskPriority.NORMAL]


def now() -> datetime:
    return datetime.now(UTC)


class Worker:
    """One consumer with the outputs it writes."""

    def __init__(self, client: RedisClient, name: str, lease_sec: float = 30) -> None:
        self.outputs = QueueOutputs(worker_id=name, dead_letters_max=1000, result_ttl_sec=60)
        self.queue = TaskQueue(
            client,
            worker_id=name,
            lease_sec=lease_sec,
            dead_letters_max=1000,
            dead_letters_max_bytes=200_000,
            result_ttl_sec=60,
            outputs=self.outputs,
        )


@pytest.fixture
async def make(client: RedisClient) -> Callable[..., Worker]:
    return lambda name="w1", **more: Worker(client, name, **more)


async def _push(client: RedisClient, task: Any = None, stream: str = NORMAL, **fields: str) -> None:
    words = [word for pair in fields.items() for word in pair]
    await client.call("XADD", stream, "*", "task", orjson.dumps(task or {"type": "noop"}), *words)


async def test_a_task_is_claimed_once_and_gone_when_finished(client: RedisClient, make: Callable[..., Worker]) -> None:
    one, two = make("w1"), make("w2")
    await one.queue.ensure_groups()
    await _push(client)
    claimed = await one.queue.claim(10)
    assert len(claimed) == 1
    assert await two.queue.claim(10) == []
    assert await one.queue.finish([Finished(claimed[0], (("RPUSH", "out", "x"),))]) == ["ok"]
    depth = await one.queue.depth()
    assert (sum(depth.waiting.values()), depth.in_flight, depth.dead) == (0, 0, 0)
    assert await client.call("XLEN", NORMAL) == 0


async def test_outputs_are_written_once_when_two_workers_finish_one_entry(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    slow, quick = make("slow", lease_sec=0.05), make("quick", lease_sec=0.05)
    await slow.queue.ensure_groups()
    await _push(client)
    first = await slow.queue.claim(1)
    await asyncio.sleep(0.1)
    second = await quick.queue.reclaim(1)
    assert (second[0].entry_id, second[0].attempt) == (first[0].entry_id, 2)
    output = (("RPUSH", "out", "x"),)
    assert await quick.queue.finish([Finished(second[0], output)]) == ["ok"]
    assert await slow.queue.finish([Finished(first[0], output)]) == ["lost"]
    assert await client.call("LRANGE", "out", 0, -1) == [b"x"]


async def test_running_is_said_of_a_task_that_is_still_ours_and_of_no_other(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    """A worker that was suspended beyond its lease wakes in the middle of a task that another one has finished."""
    sleeper, other = make("sleeper", lease_sec=0.05), make("other", lease_sec=0.05)
    await sleeper.queue.ensure_groups()
    await _push(client)
    (first,) = await sleeper.queue.claim(1)
    task = parse_task({"type": "noop"}, fallback_id="t1", received_ms=1, stream_priority=TaskPriority.NORMAL)
    await sleeper.queue.mark_running([(first, task, 2)])
    assert orjson.loads(await client.call("GET", keys.result("t1")))["status"] == "running"
    await asyncio.sleep(0.1)
    (second,) = await other.queue.reclaim(1)
    done = (("SET", keys.result("t1"), "done"),)
    for finish in (False, True):
        if finish:
            assert await other.queue.finish([Finished(second, done)]) == ["ok"]
        before = await client.call("GET", keys.result("t1"))
        await sleeper.queue.mark_running([(first, task, 2)])
        assert await client.call("GET", keys.result("t1")) == before
    await client.call("FLUSHALL")
    await sleeper.queue.mark_running([(first, task, 2)])
    assert await client.call("GET", keys.result("t1")) is None


async def test_finishing_again_after_a_lost_reply_changes_nothing(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await _push(client)
    finished = [Finished((await worker.queue.claim(1))[0], (("RPUSH", "out", "x"),))]
    assert [await worker.queue.finish(finished) for _ in range(3)] == [["ok"], ["lost"], ["lost"]]
    assert await client.call("LLEN", "out") == 1


async def test_a_refused_output_is_dead_lettered_with_its_task(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.call("SET", "result:brand:acme:chunks", "somebody's string")
    await _push(client, {"type": "noop", "n": 1})
    commands = (("RPUSH", "result:brand:acme:chunks", "x"), ("RPUSH", "out", "y"))
    (answer,) = await worker.queue.finish([Finished((await worker.queue.claim(1))[0], commands)])
    assert "WRONGTYPE" in answer
    ((_, fields),) = await client.call("XRANGE", keys.DEAD, "-", "+")
    letter = dict(zip(fields[::2], fields[1::2], strict=True))
    assert orjson.loads(letter[b"task"]) == {"type": "noop", "n": 1}
    assert b"result:brand:acme:chunks" in letter[b"reason"]
    assert await client.call("LRANGE", "out", 0, -1) == [b"y"]


@pytest.mark.parametrize("again", [False, True], ids=["it succeeded", "it was to be tried again"])
async def test_a_task_whose_output_is_refused_has_failed_says_its_record_and_its_one_event(
    client: RedisClient, make: Callable[..., Worker], redis_url: str, again: bool
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.call("SET", "out", "somebody's string")
    await _push(client, {"type": "noop", "id": "t:1", "brand": "Acme"})
    (delivery,) = await worker.queue.claim(1)
    task = parse_task(
        orjson.loads(delivery.raw or b""),
        fallback_id="x",
        received_ms=delivery.received_ms,
        stream_priority=TaskPriority.NORMAL,
        attempt=2,
    )
    status = TaskStatus.QUEUED if again else TaskStatus.SUCCEEDED
    said = worker.outputs.record(task, status, started_ms=5, result=None if again else {"kept": [1, {}]})
    refused = ("IF_REFUSED", "DEL", "worker:dedup:k")
    await client.call("SET", "worker:dedup:k", "t:1")
    async with redis.asyncio.Redis.from_url(redis_url) as plain, plain.pubsub() as listening:
        await listening.subscribe(keys.EVENTS)
        await listening.get_message(timeout=30)
        (why,) = await worker.queue.finish([Finished(delivery, (*said, ("RPUSH", "out", "x"), refused), task.id)])
        assert "WRONGTYPE" in why
        events = [await listening.get_message(ignore_subscribe_messages=True, timeout=wait) for wait in (30, 0.1)]
    reason = {"code": "OUTPUT_FAILED", "message": why, "retryable": False}
    record = orjson.loads(await client.call("GET", keys.result("t:1")))
    assert record.pop("queuedAt") is not None
    finished = record.pop("finishedAt")
    own = {"id": "t:1", "type": "noop", "status": "failed", "attempts": 2}
    assert record == {**own, "startedAt": "1970-01-01T00:00:00.005Z", "error": reason}
    assert 0 < await client.call("TTL", keys.result("t:1")) <= 60
    told = [orjson.loads(one["data"]) for one in events if one is not None and one["channel"] == b"worker:events"]
    ours = [{**one, "brand": None} for one in told if one["id"] == "t:1"]  # of a retry, the brand is in no output
    assert ours == [{**own, "brand": None, "finishedAt": finished}]
    ((_, fields),) = await client.call("XRANGE", keys.DEAD, "-", "+")
    letter = dict(zip(fields[::2], fields[1::2], strict=True))
    assert (letter[b"id"], letter[b"type"], letter[b"attempts"]) == (b"t:1", b"noop", b"2")
    assert orjson.loads(letter[b"error"]) == reason
    assert await client.call("EXISTS", "worker:dedup:k") == 0, "the key is free: its task has failed for good"


async def test_a_task_without_an_id_is_known_by_its_place_before_it_has_a_record(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    entry = (await client.call("XADD", NORMAL, "*", "task", b'{"type":"cluster_mentions","brand":"acme"}')).decode()
    name = f"normal-{entry}"
    waiting = await worker.queue.state_of(name)
    assert waiting is not None
    arrived = datetime.fromisoformat(waiting.pop("queuedAt"))
    assert arrived.timestamp() * 1000 == pytest.approx(int(entry.partition("-")[0]))
    assert waiting == {"id": name, "type": "analyze_mentions", "status": "queued", "attempts": 0}
    (delivery,) = await worker.queue.claim(1)
    assert (await worker.queue.state_of(name) or {})["status"] == "queued", "runs, for less than half a second"
    record = {"id": name, "status": "succeeded"}
    done = (("SET", keys.result(name), orjson.dumps(record), "EX", 60),)
    assert await worker.queue.finish([Finished(delivery, done)]) == ["ok"]
    assert await worker.queue.state_of(name) == record


@pytest.mark.parametrize("task", [b'{"type":"noop","id":"own"}', None], ids=["names its own", "is not there"])
async def test_a_place_is_no_id_of_a_task_that_has_another_or_is_gone(
    client: RedisClient, make: Callable[..., Worker], task: bytes | None
) -> None:
    queue = make().queue
    entry = b"17-1" if task is None else await client.call("XADD", NORMAL, "*", "task", task)
    assert await queue.state_of(f"normal-{entry.decode()}") is None
    assert await queue.state_of(f"low-{entry.decode()}") is None
    assert await queue.state_of("normal-" + "9" * 30 + "-0") is None, "which no entry can have"


async def test_nothing_is_said_of_a_task_that_another_worker_has_finished(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await _push(client, {"type": "noop"})
    (delivery,) = await worker.queue.claim(1)
    key = keys.result(delivery.task_id)
    assert await worker.queue.finish([Finished(delivery, (("SET", key, b"{}", "EX", 9),))]) == ["ok"]
    await client.call("DEL", key)
    late = (("SET", key, b"{}", "EX", 9), ("IF_REFUSED", "DEL", "x"))
    assert await worker.queue.finish([Finished(delivery, late)]) == ["lost"]
    assert await client.call("EXISTS", key) == 0


async def test_attempts_are_counted_across_crashes_and_retries(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make(lease_sec=0.01)
    await worker.queue.ensure_groups()
    await _push(client, {"type": "noop"})
    (first,) = await worker.queue.claim(1)
    await asyncio.sleep(0.02)
    (second,) = await make("w2", lease_sec=0.01).queue.reclaim(1)
    retry = worker.outputs.retry(second, due_ms=0, attempts=second.attempt, history=[{"code": "X"}])
    await worker.queue.finish([Finished(second, (retry,))])
    assert await worker.queue.promote() == 1
    (third,) = await worker.queue.claim(1)
    assert [first.attempt, second.attempt, third.attempt] == [1, 2, 3]
    assert third.history == [{"code": "X"}]
    assert third.task_id == first.task_id
    assert third.received_ms == first.received_ms


async def test_what_was_cut_short_twice_is_taken_over_alone(client: RedisClient, make: Callable[..., Worker]) -> None:
    """It may be what kills its workers; those that ran beside it were cut short as often as it was."""
    first, second, third = (make(f"w{number}", lease_sec=0.03) for number in range(3))
    await first.queue.ensure_groups()
    for _ in range(3):
        await _push(client)
    assert len(await first.queue.claim(10)) == 3
    await asyncio.sleep(0.05)
    assert len(await second.queue.reclaim(10)) == 3, "cut short once: together"
    await _push(client)
    await first.queue.claim(10)
    await asyncio.sleep(0.05)
    (alone,) = await third.queue.reclaim(10)
    assert (alone.attempt, alone.is_suspect) == (3, True)
    assert [one["code"] for one in alone.history] == ["WORKER_LOST"] * 2
    assert [one["attempt"] for one in alone.history] == [1, 2]
    others = await third.queue.reclaim(10, alone=False)
    assert [one.attempt for one in others] == [2], "while one of them runs, only those that are above suspicion"


async def test_given_back_tasks_are_taken_at_once_and_do_not_count_as_tried(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    leaving, staying = make("leaving"), make("staying")
    await leaving.queue.ensure_groups()
    await _push(client)
    await leaving.queue.claim(1)
    assert await staying.queue.reclaim(10) == []
    assert await leaving.queue.release_everything() == 1
    (taken,) = await staying.queue.reclaim(10)
    assert taken.attempt == 1
    await leaving.queue.forget_consumer()
    names = [
        dict(zip(c[::2], c[1::2], strict=True))[b"name"]
        for c in await client.call("XINFO", "CONSUMERS", NORMAL, keys.GROUP)
    ]
    assert b"leaving" not in names


async def test_a_delayed_task_comes_back_when_its_time_has_come(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    due = now() + timedelta(seconds=0.4)
    await worker.queue.enqueue({"type": "noop", "n": 2}, task_id="t2", run_at=due + timedelta(hours=1))
    assert await worker.queue.promote() == 0
    assert await worker.queue.claim(1) == []
    await worker.queue.enqueue({"type": "noop", "n": 1}, task_id="t1", run_at=due)
    assert await until(worker.queue.promote) == 1
    assert now() >= due - timedelta(milliseconds=2), "its time is kept in whole milliseconds"
    (claimed,) = await worker.queue.claim(5)
    assert orjson.loads(claimed.raw or b"")["n"] == 1


async def test_a_foreign_member_of_the_delayed_set_is_dead_lettered_and_harms_nothing(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    for member in ("not json", '{"stream": "other", "fields": ["a", "b"]}', "[1]"):
        await client.call("ZADD", keys.DELAYED, 1, member)
    await worker.queue.enqueue({"type": "noop"}, task_id="t1", run_at=now() + timedelta(milliseconds=5))
    await asyncio.sleep(0.02)
    assert await worker.queue.promote() == 4
    assert await client.call("XLEN", keys.DEAD) == 3
    assert len(await worker.queue.claim(5)) == 1


async def test_the_same_id_enqueued_again_does_nothing(client: RedisClient, make: Callable[..., Worker]) -> None:
    worker = make()
    assert await worker.queue.enqueue({"type": "noop"}, task_id="t1") is None
    known = await worker.queue.enqueue({"type": "noop"}, task_id="t1")
    assert known is not None
    assert orjson.loads(known)["status"] == "queued"
    assert await client.call("XLEN", NORMAL) == 1


async def test_list_items_leave_their_list_and_enter_the_stream_together(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.call("RPUSH", "queue:brand:a:chunks", *[f"item {n}" for n in range(25)])
    await client.call("SET", "queue:brand:b:chunks", "not a list")
    lists = ["queue:brand:a:chunks", "queue:brand:b:chunks", "queue:brand:c:chunks"]
    assert list((await worker.queue.take_from_lists(lists, 10, TaskPriority.NORMAL)).values()) == [10, -1, 0]
    assert await client.call("LLEN", lists[0]) == 15
    claimed = await worker.queue.claim(50)
    assert [one.raw for one in claimed] == [f"item {n}".encode() for n in range(10)]
    assert {one.door for one in claimed} == {lists[0]}


async def test_urgent_tasks_go_first_and_low_ones_do_not_starve(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    for priority in TaskPriority:
        for _ in range(30):
            await _push(client, stream=keys.STREAMS[priority])
    order = [(await worker.queue.claim(1))[0].priority for _ in range(60)]
    assert order[:30] == [TaskPriority.CRITICAL] * 30
    rest = order[30:]
    assert rest.count(TaskPriority.HIGH) > rest.count(TaskPriority.NORMAL) > rest.count(TaskPriority.LOW) >= 2


def test_turns_are_dealt_in_proportion_whatever_the_number_of_slots() -> None:
    for free in (1, 2, 3, 7, 10, 64):
        turns = WeightedTurns()
        total = [sum(column) for column in zip(*(turns.quotas(free) for _ in range(100)), strict=True)]
        assert total[0] == 100 * free
        assert sum(total[1:]) == 100 * free
        assert total[3] == pytest.approx(10 * free, rel=0.2, abs=2)


async def test_an_emptied_redis_is_worked_with_again(client: RedisClient, make: Callable[..., Worker]) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.call("FLUSHDB")
    await _push(client)
    assert len(await worker.queue.claim(1)) == 1
    await client.call("FLUSHDB")
    await client.call("SCRIPT", "FLUSH")
    await _push(client)
    assert len(await worker.queue.wait(1, 0.2)) == 1


async def test_waiting_returns_as_soon_as_something_arrives(client: RedisClient, make: Callable[..., Worker]) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    waiting = asyncio.create_task(worker.queue.wait(4, 40))
    await asyncio.sleep(0.05)  # where that is too short, it has nothing to wait for: no failure, either
    await _push(client, stream=keys.STREAMS[TaskPriority.LOW])
    async with asyncio.timeout(20):
        assert len(await waiting) == 1


async def test_dead_letters_keep_the_original_byte_for_byte_and_are_bounded(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    raw = b'\xff{"type": \x00'
    await worker.queue.ensure_groups()
    await _push(client)
    (claimed,) = await worker.queue.claim(1)
    letter = DeadLetter(task=raw, reason="r\ud800", error={"code": "C"}, type="t", brand="b", attempts=3)
    await worker.queue.finish([Finished(claimed, tuple(worker.outputs.dead_letter(letter) for _ in range(1500)))])
    (_, fields), *_ = await client.call("XRANGE", keys.DEAD, "-", "+")
    stored = dict(zip(fields[::2], fields[1::2], strict=True))
    assert stored[b"task"] == raw
    assert {b"task", b"type", b"brand", b"reason", b"error", b"attempts", b"at", b"worker"} <= set(stored)
    assert 1000 <= await client.call("XLEN", keys.DEAD) < 1200


async def test_consumers_that_are_gone_are_forgotten_and_busy_ones_are_not(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker, busy = make(), make("busy")
    await worker.queue.ensure_groups()
    await _push(client)
    await busy.queue.claim(1)
    await client.call("XGROUP", "CREATECONSUMER", NORMAL, keys.GROUP, "gone")
    assert await worker.queue.tidy() == (0, 0)
    removed = await worker.queue._run("tidy", [NORMAL], [keys.GROUP, -1, "w1"])
    assert removed == 1


async def test_the_room_of_dead_letters_is_bounded(client: RedisClient, make: Callable[..., Worker]) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.batch([("XADD", keys.DEAD, "*", "task", "x" * 1000) for _ in range(300)])
    dropped = (await worker.queue.tidy())[1]
    assert dropped == 30
    while (await worker.queue.tidy())[1]:
        pass
    assert await client.call("MEMORY", "USAGE", keys.DEAD, "SAMPLES", 0) <= 220_000
    assert await client.call("XLEN", keys.DEAD) > 100


async def test_unbegun_list_items_go_back_to_the_head_of_their_list_in_order(
    client: RedisClient, make: Callable[..., Worker]
) -> None:
    worker = make()
    await worker.queue.ensure_groups()
    await client.call("RPUSH", "queue:brand:a:chunks", "1", "2", "3")
    await worker.queue.take_from_lists(["queue:brand:a:chunks"], 2, TaskPriority.NORMAL)
    await _push(client)
    await worker.queue.put_back(await worker.queue.claim(5))
    assert await client.call("LRANGE", "queue:brand:a:chunks", 0, -1) == [b"1", b"2", b"3"]
    assert len(await make("w2").queue.reclaim(5)) == 1
