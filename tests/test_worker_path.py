"""The whole path with real servers: from Redis to verdicts in MongoDB, results for the orchestrator, dead letters."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from src.worker import keys
from src.worker.errors import StorageUnavailable
from src.worker.handlers import HandlerResult, TaskType
from src.worker.models import Task, TaskPriority
from src.worker.redis_client import RedisClient, RedisRefused
from tests.helpers import NORMAL, dead_letters, finished, push, running, until

pytestmark = pytest.mark.anyio
RESULTS = "result:brand:acme:chunks"
LIST = "queue:brand:acme:chunks"


def _mention(text: str, **more: Any) -> dict[str, Any]:
    return {"id": f"id-{text}", "text": text, "source": "x", "created_at": "2025-03-01T10:20:30Z", **more}


async def _results(client: RedisClient, key: str = RESULTS) -> list[dict[str, Any]]:
    return [json.loads(raw, parse_constant=pytest.fail) for raw in await client.call("LRANGE", key, 0, -1)]


async def test_a_mention_pushed_onto_redis_comes_out_analysed(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        task = await push(
            client,
            {
                "type": "analyze_mentions",
                "brand": "Acme",
                "mentions": [
                    _mention("I LOVE the new Acme app, it is wonderful 😀"),
                    _mention("Acme keeps crashing on my phone, this is terrible"),
                    _mention("acme keeps crashing on my phone. This is terrible!", id="again"),
                ],
            },
        )
        record = await finished(runtime, task)
        assert record["status"] == "succeeded"
        assert {name: record["result"][name] for name in ("read", "stored", "duplicates", "rejected", "synthetic")} == {
            "read": 3,
            "stored": 2,
            "duplicates": 1,
            "rejected": 0,
            "synthetic": 0,
        }
        stored = await runtime.storage.collection("mentions").find({}).to_list(None)
        by_text = {document["text"]: document for document in stored}
        praise = by_text["I LOVE the new Acme app, it is wonderful 😀"]
        crash = by_text["Acme keeps crashing on my phone, this is terrible"]
        assert (praise["sentiment"]["label"], crash["sentiment"]["label"]) == ("positive", "negative")
        assert crash["intent"] == "BUG_REPORT"
        assert crash["priority"] == "P2_MEDIUM"
        assert crash["tier"] in (1, 2)
        assert crash["reasons"]
        assert praise["created_at"] == datetime(2025, 3, 1, 10, 20, 30, tzinfo=UTC)
        (chunk,) = await runtime.storage.collection("processed_chunks").find({}).to_list(None)
        assert chunk["task_id"] == task
        (result,) = await _results(client)
        assert result["brand"] == "acme"


async def test_the_result_is_what_the_orchestrator_accepts(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        mentions = [_mention(f"Acme is great and helpful, number {word}") for word in ("one", "two", "three")]
        await finished(runtime, await push(client, {"type": "analyze_mentions", "brand": "acme", "mentions": mentions}))
        (result,) = await _results(client)
    assert result["brand"] == "acme"
    assert isinstance(result["chunkId"], str)
    assert result["chunkId"]
    assert isinstance(result["clusters"], list)
    assert isinstance(result["topics"], list)
    assert set(result["sentiment"]) == {"positive", "neutral", "negative", "score"}
    assert all(isinstance(value, float) for value in result["sentiment"].values())
    assert result["sentiment"]["positive"] == 1.0
    assert isinstance(result["spikeDetected"], bool)
    assert result["summary"]
    assert result["meta"]["mentionCount"] == 3
    assert datetime.fromisoformat(result["processedAt"]).utcoffset() == timedelta(0)
    assert await client.call("TTL", RESULTS) > 0


TEXT = {"text": "Acme is fine"}
SHAPES = {
    "mention": {**TEXT, "id": "1", "brand": "Acme Corp", "timestamp": 1740824430000, "source": "x", "metadata": {}},
    "envelope": {
        "envelope_id": "e",
        "batch_id": "b",
        "secure_context": {"org_id": "o"},
        "task": {"type": "cluster_mentions", "brand": "acme", "mentions": [TEXT], "keywords": []},
    },
    "chunk": {
        "brand": "acme",
        "chunkId": "c",
        "createdAt": "2025-01-01T00:00:00Z",
        "meta": {"chunkIndex": 1, "totalChunks": 1},
        "mentions": [{**TEXT, "id": "1", "source": "x", "created_at": "2025-01-01T00:00:00Z", "metadata": {}}],
    },
    "failure": {
        "worker_id": "w",
        "brand": "acme",
        "chunk_id": "c",
        "reason": "boom",
        "payload": json.dumps({"brand": "acme", "chunkId": "c", "mentions": [TEXT]}),
    },
}


@pytest.mark.parametrize("payload", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("known", [True, False], ids=["in brands:set", "not in brands:set"])
async def test_every_shape_on_a_brands_list_is_analysed(
    client: RedisClient, redis_url: str, mongo_uri: str, payload: Any, known: bool
) -> None:
    if known:
        await client.call("SADD", "brands:set", "acme")
    await client.call("RPUSH", LIST, orjson.dumps(payload))
    async with running(redis_url, mongo_uri):
        await until(lambda: _results(client))
    (result,) = await _results(client)
    assert (result["brand"], result["meta"]["mentionCount"]) == ("acme", 1)
    assert await client.call("LLEN", LIST) == 0


BIG = "x" * 2_000_000


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ("not json at all", "task"),
        (b"\xff\xfe", "task"),
        ("[1, 2]", "task"),
        ({"brand": "acme"}, "type"),
        ({"type": "launch_missiles"}, "type"),
        ({"type": "analyze_mentions", "brand": 5, "mentions": [{"text": "a"}]}, "brand"),
        ({"type": "analyze_mentions", "brand": "acme", "mentions": "text"}, "mentions"),
        ({"type": "analyze_mentions", "brand": "acme", "mentions": [{"text": 5}]}, "mentions[0].text"),
        ({"type": "analyze_mentions", "brand": "acme", "mentions": [{"text": BIG}]}, "mentions[0].text"),
        (
            '{"type": "analyze_mentions", "brand": "acme", "mentions": [{"text": "a", "score": NaN}]}',
            "mentions[0].score",
        ),
        ({"type": "noop", "id": "a b"}, "id"),
        ({"type": "noop", "runAt": "soon"}, "runAt"),
        ({"type": "noop", "deadline": "2020-01-01T00:00:00Z"}, "deadline"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
async def test_a_malformed_item_is_dead_lettered_by_field_and_the_next_one_is_processed(
    client: RedisClient, redis_url: str, mongo_uri: str, bad: Any, field: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await push(client, bad)
        good = await push(client, {"type": "noop", "n": 1})
        assert (await finished(runtime, good))["result"] == {"n": 1}
        (letter,) = await until(lambda: dead_letters(client))
    assert letter["reason"].startswith(f"{field}: ")
    raw = bad if isinstance(bad, str | bytes) else orjson.dumps(bad)
    assert letter["task"].encode() == (raw if isinstance(raw, bytes) else raw.encode()) or isinstance(bad, bytes)
    assert json.loads(letter["error"])["retryable"] is False


async def test_a_text_cut_in_the_middle_of_an_emoji_costs_its_chunk_nothing(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("RPUSH", LIST, '{"mentions": [{"text": "Acme is great \\ud83d"}, {"text": "Acme lost my bag"}]}')
    async with running(redis_url, mongo_uri) as runtime:
        await until(lambda: _results(client))
        texts = [one["text"] for one in await runtime.storage.collection("mentions").find({}).to_list(None)]
        assert sorted(texts) == ["Acme is great \ufffd", "Acme lost my bag"]
        assert await dead_letters(client) == []


async def test_a_malformed_list_item_is_dead_lettered_with_its_brand(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("RPUSH", LIST, "[]", "oops", orjson.dumps({"mentions": [{"text": "Acme is fine"}]}))
    async with running(redis_url, mongo_uri):
        await until(lambda: _results(client))
        letters = await until(lambda: dead_letters(client))
    assert [(letter["brand"], letter["door"]) for letter in letters] == [("acme", LIST)] * 2


async def test_bad_mentions_of_a_chunk_are_dead_lettered_alone_and_can_be_replayed(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        chunk = {
            "type": "analyze_mentions",
            "brand": "acme",
            "mentions": ["Acme is good", {"text": None}, {"id": 9}, "Acme is bad"],
        }
        record = await finished(runtime, await push(client, chunk))
        assert (record["result"]["stored"], record["result"]["rejected"]) == (2, 2)
        letters = await dead_letters(client)
        assert [letter["reason"] for letter in letters] == [
            "mentions[1].text: is required",
            "mentions[2].text: is required",
        ]
        mended = json.loads(letters[1]["task"])
        mended["mentions"][0]["text"] = "Acme is mended"
        assert (await finished(runtime, await push(client, mended)))["result"]["stored"] == 1


async def test_repeats_are_counted_and_publish_nothing(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    chunk = {
        "type": "analyze_mentions",
        "brand": "acme",
        "mentions": [_mention("Acme is good"), _mention("Acme is bad")],
    }
    async with running(redis_url, mongo_uri) as runtime:
        first = await finished(runtime, await push(client, chunk))
        other_ids = [{**mention, "id": "new", "created_at": "2025-03-02T00:00:00Z"} for mention in chunk["mentions"]]
        again = await finished(runtime, await push(client, {**chunk, "mentions": other_ids}))
        assert (first["result"]["stored"], first["result"]["duplicates"]) == (2, 0)
        assert (again["result"]["stored"], again["result"]["duplicates"]) == (0, 2)
        assert len(await _results(client)) == 1
        assert await runtime.storage.collection("mentions").count_documents({}) == 2


async def test_a_chunk_executed_twice_has_the_same_numbers_and_is_published_once(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    """As after a crash between MongoDB and the acknowledgement, and as when a producer sends a chunk twice."""
    document = {
        "brand": "acme",
        "chunkId": "acme-1",
        "mentions": [_mention("Acme is good"), _mention("Acme is good"), _mention("Acme is bad")],
    }
    task = Task("t-1", "analyze_mentions", document, "acme", TaskPriority.NORMAL, 1, 1740824430000)
    async with running(redis_url, mongo_uri) as runtime:
        handle = runtime.handlers["analyze_mentions"].handle
        first, repeated = await handle(task), await handle(task)
        assert first.result == repeated.result
        assert len(first.outputs) > 3
        assert first.outputs[1:] == repeated.outputs[1:]  # the first holds the timings of its execution
        same_chunk_other_task = await handle(
            Task("t-2", "analyze_mentions", document, "acme", TaskPriority.NORMAL, 1, 1740824430000)
        )
        assert same_chunk_other_task.result == first.result
        assert same_chunk_other_task.outputs == ()
        assert await runtime.storage.collection("mentions").count_documents({}) == 2


async def test_a_task_sent_again_with_its_id_publishes_nothing_again(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    """As a producer does that got no reply to its first push."""
    document = {"type": "analyze_mentions", "id": "t-1", "brand": "acme", "mentions": [_mention("Acme is good")]}
    async with running(redis_url, mongo_uri) as runtime:
        for _ in range(3):
            await push(client, document)
            await asyncio.sleep(0.3)
        assert (await finished(runtime, "t-1"))["result"]["stored"] == 1
        assert len(await _results(client)) == 1


async def test_two_workers_storing_one_mention_at_once_count_it_once(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri, worker_id="a") as one, running(redis_url, mongo_uri, worker_id="b"):
        tasks = [
            await push(
                client, {"type": "analyze_mentions", "brand": "acme", "mentions": [_mention(f"Acme {n % 10} is good")]}
            )
            for n in range(100)
        ]
        records = [await finished(one, task) for task in tasks]
        assert sum(record["result"]["stored"] for record in records) == 10
        assert sum(record["result"]["duplicates"] for record in records) == 90
        assert await one.storage.collection("mentions").count_documents({}) == 10
        assert len(await _results(client)) == 10


async def test_keywords_and_aliases_of_the_brand_count_as_naming_it(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    meta = {"name": "Acme Corp", "slug": "acme", "aliases": ["Roadrunner Supplies"], "keywords": ["rocket skates"]}
    await client.call("SET", "brand:acme:meta", orjson.dumps(meta))
    async with running(redis_url, mongo_uri) as runtime:
        texts = ["My rocket skates broke", "Roadrunner Supplies is slow"]
        task = {"type": "analyze_mentions", "brand": "acme", "mentions": texts}
        await finished(runtime, await push(client, task))
        stored = await runtime.storage.collection("mentions").find({}).to_list(None)
        assert all(document["relevant"] for document in stored)
        assert not any("relevance:assumed" in document["reasons"] for document in stored)


class _Flaky:
    """Fails a number of times, then succeeds."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    async def __call__(self, task: Task) -> HandlerResult:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return HandlerResult({"attempt": task.attempt})


async def test_a_failure_is_tried_again_and_remembered(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    flaky = _Flaky(2, RuntimeError("boom"))
    async with running(redis_url, mongo_uri) as runtime:
        runtime.handlers["noop"] = TaskType(flaky)
        record = await finished(runtime, await push(client, {"type": "noop"}))
    assert (record["status"], record["result"], record["attempts"]) == ("succeeded", {"attempt": 3}, 3)


async def test_a_task_that_always_fails_is_dead_lettered_with_its_history(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    flaky = _Flaky(99, RuntimeError("boom"))
    async with running(redis_url, mongo_uri, queue_max_attempts=3) as runtime:
        runtime.handlers["noop"] = TaskType(flaky)
        record = await finished(runtime, await push(client, {"type": "noop"}))
        (letter,) = await dead_letters(client)
    assert (record["status"], record["error"]["code"], flaky.calls) == ("failed", "INTERNAL", 3)
    assert (letter["attempts"], len(json.loads(letter["history"]))) == ("3", 2)


async def test_a_database_that_is_down_costs_no_attempts(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    flaky = _Flaky(6, StorageUnavailable("store: down"))
    async with running(redis_url, mongo_uri, queue_max_attempts=2) as runtime:
        runtime.handlers["noop"] = TaskType(flaky)
        record = await finished(runtime, await push(client, {"type": "noop"}), seconds=20)
    assert (record["status"], record["result"]["attempt"]) == ("succeeded", 1)


async def test_a_refusal_of_redis_uses_attempts_up_but_a_state_of_the_server_does_not(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    """A task that asks for what is always refused would be tried for ever."""

    async def refused(task: Task) -> HandlerResult:
        await client.call("LPUSH", "a:string", "x")
        raise AssertionError

    await client.call("SET", "a:string", "x")
    full = _Flaky(4, RedisRefused("SET", "OutOfMemoryError: command not allowed when used memory > 'maxmemory'."))
    async with running(redis_url, mongo_uri, queue_max_attempts=3) as runtime:
        runtime.handlers["noop"] = TaskType(refused)
        record = await finished(runtime, await push(client, {"type": "noop"}))
        assert (record["status"], record["attempts"], record["error"]["code"]) == ("failed", 3, "QUEUE_REFUSED")
        assert "WRONGTYPE" in record["error"]["message"]
        runtime.handlers["noop"] = TaskType(full)
        record = await finished(runtime, await push(client, {"type": "noop"}), seconds=20)
    assert (record["status"], record["result"]["attempt"]) == ("succeeded", 1)


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        ("WRONGTYPE Operation against a key holding the wrong kind of value", True),
        ("NoPermissionError: this user has no permissions to run the 'set' command", True),
        ("ERR value is BUSY or out of range", True),
        ("ERR Error running script (call to f_1): @user_script:3: WRONGTYPE Operation against a key", True),
        ("ERR Error running script (call to f_1): @user_script:3: -OOM command not allowed", False),
        ("BUSY Redis is busy running a script", False),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk", False),
        ("ReadOnlyError: You can't write against a read only replica.", False),
    ],
)
def test_what_redis_refuses_for_its_own_state_is_nobodys_attempt(reply: str, counts: bool) -> None:
    error = RedisRefused("SET", reply)
    assert (error.counts_attempt, error.retryable) == (counts, True)


async def test_a_task_that_runs_too_long_is_stopped(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    async def forever(task: Task) -> HandlerResult:
        await asyncio.sleep(3600)
        raise AssertionError

    async with running(redis_url, mongo_uri, task_timeout_sec=1, queue_max_attempts=1) as runtime:
        runtime.handlers["noop"] = TaskType(forever)
        record = await finished(runtime, await push(client, {"type": "noop"}))
    assert record["error"]["code"] == "TIMEOUT"


async def test_a_task_that_takes_a_while_is_shown_as_running_and_keeps_its_lease(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    release = asyncio.Event()
    calls = []

    async def wait(task: Task) -> HandlerResult:
        calls.append(task.id)
        await release.wait()
        return HandlerResult(None)

    async def age() -> int:
        """Milliseconds of its lease that have passed."""
        ((*_, idle, _),) = await client.call("XPENDING", NORMAL, keys.GROUP, "-", "+", 10)
        return int(idle)

    async def renewed() -> bool:
        before = await age()
        await asyncio.sleep(0.05)
        return await age() < before

    async with running(redis_url, mongo_uri, queue_lease_sec=6) as runtime:  # a machine may stall for some of it
        runtime.handlers["noop"] = TaskType(wait)
        task = await push(client, {"type": "noop"})

        async def shown() -> bool:
            return ((await runtime.queue.read_record(task)) or {}).get("status") == "running"

        await until(shown, 20)
        for _ in range(2):
            await until(renewed, 20)
        release.set()
        assert (await finished(runtime, task))["status"] == "succeeded"
    assert calls == [task]


async def test_a_stopping_worker_gives_back_what_it_cannot_finish(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async def forever(task: Task) -> HandlerResult:
        await asyncio.sleep(3600)
        raise AssertionError

    async with running(redis_url, mongo_uri, drain_timeout_sec=0.2, queue_lease_sec=60) as runtime:
        runtime.handlers["noop"] = TaskType(forever)
        task = await push(client, {"type": "noop"})
        await until(lambda: asyncio.sleep(0, runtime.worker.in_flight))
    async with running(redis_url, mongo_uri, queue_lease_sec=60) as runtime:
        record = await finished(runtime, task, seconds=30)
    assert (record["status"], record["attempts"]) == ("succeeded", 1)


async def test_a_stopping_worker_finishes_what_it_can(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    async def a_moment(task: Task) -> HandlerResult:
        await asyncio.sleep(0.5)
        return HandlerResult("done")

    async with running(redis_url, mongo_uri) as runtime:
        runtime.handlers["noop"] = TaskType(a_moment)
        task = await push(client, {"type": "noop"})
        await until(lambda: asyncio.sleep(0, runtime.worker.in_flight))
    assert orjson.loads(await client.call("GET", keys.result(task)))["status"] == "succeeded"
    assert await client.call("KEYS", "workers:heartbeat:*") == []


async def test_a_task_for_later_waits_for_its_time(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    async with running(redis_url, mongo_uri) as runtime:
        task = await push(client, {"type": "noop", "runAt": due.isoformat()})
        record = await finished(runtime, task)
    assert datetime.fromisoformat(record["startedAt"]) >= due - timedelta(milliseconds=2)
    assert record["attempts"] == 1


async def test_events_tell_of_finished_tasks(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(redis_url) as listener, listener.pubsub() as channel:
        await channel.subscribe(keys.EVENTS)
        async with running(redis_url, mongo_uri) as runtime:
            task = await push(client, {"type": "noop", "brand": "acme"})
            await finished(runtime, task)

        async def event() -> Any:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=1)
            return orjson.loads(message["data"]) if message else None

        seen = await until(event)
    assert {name: seen[name] for name in ("id", "type", "brand", "status")} == {
        "id": task,
        "type": "noop",
        "brand": "acme",
        "status": "succeeded",
    }


async def test_hostile_text_is_stored_as_it_is(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    texts = ["acme \x00 nul", "acme $where: 1", "acme \u202e rtl", "acme " + "🙄" * 5000, "{{acme}} ${jndi:x}"]
    metadata = {"$set": 1, "a.b": 2, "big": 10**30, "deep": {"x": {"y": {"z": {"w": {"v": 1}}}}}}
    mentions = [{"text": text, "source": "x", "metadata": metadata} for text in texts]
    task = json.dumps({"type": "analyze_mentions", "brand": "acme", "mentions": mentions})
    async with running(redis_url, mongo_uri) as runtime:
        record = await finished(runtime, await push(client, task))
        stored = await runtime.storage.collection("mentions").find({}).to_list(None)
    assert record["status"] == "succeeded"
    assert {document["text"] for document in stored} == set(texts)


async def test_the_stream_name_of_the_interface_is_the_one_in_use() -> None:
    assert NORMAL == "worker:tasks:normal"
