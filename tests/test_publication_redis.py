"""What neighbours find in Redis after chunks went through a running worker: types, bounds, ages, strict JSON, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from src.worker.keys import STREAMS
from src.worker.models import Task, TaskPriority
from src.worker.pipeline.publication import publication
from src.worker.queue_commands import Command
from src.worker.queue_consumer import TaskQueue
from src.worker.queue_entries import Delivery, Finished
from src.worker.queue_outputs import QueueOutputs
from src.worker.redis_client import RedisClient
from tests.audience_helpers import about, publishing, stored, strict
from tests.helpers import finished, push, until
from tests.test_publication import FRONTEND_FIELDS, LIVE_FIELDS, MENTION_FIELDS

pytestmark = pytest.mark.anyio
DAY = 86_400
FEED = "data:brand:acme:optimized_mentions"
LIVE = "data:brand:acme:mentions"
TIMELINE = "data:brand:acme:timeline"
TOP = "data:brand:acme:influencers"
LEADS = "leads:brand:acme"


def _item(text: str, **more: Any) -> dict[str, Any]:
    return {"id": f"id-{text}", "text": text, "source": "x", "created_at": "2026-11-20T10:20:30.500Z", **more}


def _chunk(*mentions: Any, **more: Any) -> dict[str, Any]:
    return {"type": "analyze_mentions", "brand": "acme", "mentions": list(mentions), **more}


MENTIONS = (
    _item("I love the new Acme app, it is wonderful", author="ann", author_followers=1_000),
    _item("I am switching from Acme to Bolt, I am done", author="bob", author_followers=500),
    _item("Bolt is terrible, I am switching to Acme", author="cat", metadata=about("Bolt")),
    _item("Bolt is great, I like it", author="dan", metadata=about("Bolt")),
)


async def _list(client: RedisClient, key: str) -> list[Any]:
    return [strict(raw) for raw in await client.call("LRANGE", key, 0, -1)]


async def _shape(client: RedisClient, key: str) -> tuple[str, int]:
    return (await client.call("TYPE", key)).decode(), await client.call("TTL", key)


async def _everything(client: RedisClient) -> dict[str, Any]:
    """All that neighbours read, by key."""
    found: dict[str, Any] = {}
    for pattern in ("data:*", "competitor:*", "leads:*", "queue:leads"):
        for key in await client.call("KEYS", pattern):
            kind = (await client.call("TYPE", key)).decode()
            read = {
                "list": ("LRANGE", key, 0, -1),
                "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
                "hash": ("HGETALL", key),
                "string": ("GET", key),
            }[kind]
            found[key.decode()] = await client.call(*read)
    return found


async def test_every_output_has_the_type_the_age_and_the_fields_of_the_contract(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with publishing(redis_url, mongo_uri, consume_live_lists=True) as runtime:
        assert (await finished(runtime, await push(client, _chunk(*MENTIONS))))["result"]["stored"] == 4
    expected = {
        FEED: ("list", 30),
        "data:brand:acme:2026-11-20:10": ("list", 30),
        TIMELINE: ("zset", 30),
        TOP: ("zset", 30),
        f"{TOP}:authors": ("hash", 30),
        LEADS: ("list", 30),
        "queue:leads": ("list", 7),
        "competitor:42:mentions": ("list", 30),
        "competitor:42:mention_count": ("string", 30),
        "competitor:42:sentiment:positive": ("string", 30),
        "competitor:42:sentiment:negative": ("string", 30),
    }
    assert set(await _everything(client)) == set(expected)
    for key, (kind, days) in expected.items():
        found, ttl = await _shape(client, key)
        assert found == kind, key
        assert days * DAY - 60 < ttl <= days * DAY, key
    fields = LIVE_FIELDS | FRONTEND_FIELDS | MENTION_FIELDS
    for key, count in ((FEED, 4), ("data:brand:acme:2026-11-20:10", 4), ("competitor:42:mentions", 2)):
        shown = await _list(client, key)
        assert len(shown) == count
        for mention in shown:
            assert set(mention) >= fields
            assert mention["sentiment"] in ("positive", "neutral", "negative")
            assert mention["timestamp"] == 1795170030500
    (first, score, *_) = await client.call("ZRANGE", TIMELINE, 0, 0, "WITHSCORES")
    assert (strict(first)["timestamp"], float(score)) == (1795170030500, 1795170030.5)
    assert await client.call("GET", "competitor:42:mention_count") == b"2"
    assert await client.call("GET", "competitor:42:sentiment:negative") == b"1"


async def test_leads_have_the_fields_of_all_their_readers(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    async with publishing(redis_url, mongo_uri) as runtime:
        await finished(runtime, await push(client, _chunk(*MENTIONS)))
    leads = await _list(client, LEADS)
    assert sorted(leads, key=str) == sorted(await _list(client, "queue:leads"), key=str)
    assert {(lead["author"], lead["kind"]) for lead in leads} == {("bob", "retention"), ("cat", "win_over")}
    wanted = {
        "id", "mentionId", "salesIntentScore", "intentType", "confidence", "painPoint", "leadScore", "status",
        "generatedPitch", "sourcePlatform", "sourceText", "sourceAuthor", "sourceUrl", "createdAt", "monitorId",
        "userId", "type", "intent", "strategic_tag",
    }  # fmt: skip
    for lead in leads:
        assert set(lead) >= wanted | LIVE_FIELDS | FRONTEND_FIELDS | MENTION_FIELDS
        assert (lead["type"], lead["status"]) == ("lead", "new")
        assert 0 < lead["confidence"] <= 1
        assert lead["painPoint"] is lead["generatedPitch"] is lead["monitorId"] is None


@pytest.mark.parametrize("owns", [False, True], ids=["read by others", "taken in"])
async def test_the_raw_live_list_and_its_enriched_copy_never_show_a_mention_twice(
    client: RedisClient, redis_url: str, mongo_uri: str, owns: bool
) -> None:
    """The gateway's live view adds up the raw list and the hour buckets."""
    raw = {**_item("Acme is fine"), "brand": "Acme", "timestamp": 1795170030500, "metadata": {}}
    await client.call("SADD", "brands:set", "acme")
    await client.call("RPUSH", LIVE, orjson.dumps(raw))
    async with publishing(redis_url, mongo_uri, consume_live_lists=owns) as runtime:
        await finished(runtime, await push(client, _chunk(raw)))
        if owns:
            await until(lambda: _gone(client, LIVE))
    shown = await _list(client, LIVE) + await _list(client, "data:brand:acme:2026-11-20:10")
    assert [mention["text"] for mention in shown] == ["Acme is fine"]
    assert ("sentiment" in shown[0]) is owns
    assert len(await _list(client, FEED)) == 1


async def _gone(client: RedisClient, key: str) -> bool:
    streams = [await client.call("XLEN", name) for name in STREAMS.values()]
    return not await client.call("EXISTS", key) and not any(streams)


async def test_repeats_and_chunks_sent_again_publish_no_mention_again(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with publishing(redis_url, mongo_uri) as runtime:
        await finished(runtime, await push(client, _chunk(*MENTIONS, chunkId="c-1")))
        before = await _everything(client)
        await finished(runtime, await push(client, _chunk(*MENTIONS, chunkId="c-1")))
        await finished(runtime, await push(client, _chunk(*MENTIONS[::-1], chunkId="c-2")))
        assert await _everything(client) == before


async def test_a_chunk_that_is_executed_twice_is_published_once(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    """As after a crash between MongoDB and the acknowledgement, and as when a lease ran out under a slow worker."""
    async with publishing(redis_url, mongo_uri) as runtime:
        task = Task("t-1", "analyze_mentions", _chunk(*MENTIONS), "acme", TaskPriority.NORMAL, 1, 1795170030500)
        handle = runtime.handlers["analyze_mentions"].handle
        crashed = await handle(task)  # its outputs are lost with it
        assert await _everything(client) == {}
        again = await handle(task)
        assert crashed.outputs[1:] == again.outputs[1:]  # the first holds the times of its stages
        assert len(crashed.outputs) > 10
    before = await _acknowledged_twice(client, again.outputs)
    assert len(await _list(client, FEED)) == await client.call("ZCARD", TIMELINE) == 4
    assert await client.call("GET", "competitor:42:mention_count") == b"2"
    assert len(await _list(client, "queue:leads")) == 2
    assert await _everything(client) == before


async def _acknowledged_twice(client: RedisClient, outputs: Sequence[Command]) -> dict[str, Any]:
    """Two executions of one entry end; returns what was published after the first."""
    queue, delivery = await _claimed(client)
    assert await queue.finish([Finished(delivery, tuple(outputs))]) == ["ok"]
    before = await _everything(client)
    assert await queue.finish([Finished(delivery, tuple(outputs))]) == ["lost"]
    return before


async def _claimed(client: RedisClient) -> tuple[TaskQueue, Delivery]:
    queue = TaskQueue(
        client,
        worker_id="late",
        lease_sec=30,
        dead_letters_max=100,
        dead_letters_max_bytes=1 << 20,
        result_ttl_sec=60,
        outputs=QueueOutputs(worker_id="late", dead_letters_max=100, result_ttl_sec=60),
    )
    await queue.ensure_groups()
    await push(client, {"type": "noop"})
    (delivery,) = await queue.claim(1)
    return queue, delivery


async def test_a_chunk_of_thousands_is_published_in_one_transaction(client: RedisClient) -> None:
    template = stored("Acme is fine", author="ann", author_followers=10)
    documents = [{**template, "id": str(n), "author": f"a{n}"} for n in range(11_000)]
    queue, delivery = await _claimed(client)
    commands = tuple(publication("acme", documents, [], live=True))
    assert await queue.finish([Finished(delivery, commands)]) == ["ok"]
    bounds = {FEED: 1_000, "data:brand:acme:2026-11-20:10": 1_000}
    assert {key: await client.call("LLEN", key) for key in bounds} == bounds
    assert (await client.call("ZCARD", TIMELINE), await client.call("ZCARD", TOP)) == (10_000, 100)


async def test_an_author_stands_in_the_ranking_once_with_the_best_mention(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    def one(text: str, followers: int, author: str = "@Ann", **more: Any) -> dict[str, Any]:
        return _chunk(_item(text, author=author, author_followers=followers, **more))

    async with publishing(redis_url, mongo_uri) as runtime:
        for chunk in (
            one("Acme is my first choice", 1_000),
            one("Acme sells wonderful things", 50_000, author="ann"),
            one("Acme was late with a parcel", 10),
            one("Acme has a new shop", 100, author="bob"),
        ):
            await finished(runtime, await push(client, chunk))
        ranking = await client.call("ZREVRANGE", TOP, 0, -1)
        assert [(strict(raw)["author"], strict(raw)["author_followers"]) for raw in ranking] == [
            ("ann", 50_000),
            ("bob", 100),
        ]
        later = one("Acme sells even more of them", 50_000, created_at="2026-11-20T11:00:00Z")
        earlier = one("Acme sold something once", 50_000, created_at="2026-11-20T09:00:00Z")
        for chunk in (later, earlier):
            await finished(runtime, await push(client, chunk))
        best = await client.call("ZREVRANGE", TOP, 0, -1)
        assert [strict(raw)["text"] for raw in best] == ["Acme sells even more of them", "Acme has a new shop"]


async def test_the_ranking_keeps_the_hundred_most_influential_authors(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    chunk = [
        _item(f"Acme has a shop in {n} street number {n * 7}", author=f"a{n}", author_followers=10 + n)
        for n in range(250)
    ]
    async with publishing(redis_url, mongo_uri) as runtime:
        for start in range(0, 250, 50):
            await finished(runtime, await push(client, _chunk(*chunk[start : start + 50])))
        stored = await runtime.storage.collection("mentions").find({}, {"author": 1}).to_list(None)
    brought = {one["author"] for one in stored}
    expected = sorted((int(author[1:]) for author in brought), reverse=True)[:100]
    ranking = [strict(raw) for raw in await client.call("ZREVRANGE", TOP, 0, -1)]
    assert [int(mention["author"][1:]) for mention in ranking] == expected
    assert len(expected) == 100
    assert await client.call("HLEN", f"{TOP}:authors") == 200


async def test_a_companion_that_somebody_damaged_is_written_anew(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("HSET", f"{TOP}:authors", "a:x:ann", "nonsense", "a:x:bob", "1|gone")
    async with publishing(redis_url, mongo_uri) as runtime:
        assert (await finished(runtime, await push(client, _chunk(*MENTIONS))))["status"] == "succeeded"
    assert await client.call("ZCARD", TOP) == 2
    assert await client.call("XLEN", "worker:dead") == 0


async def test_one_author_cannot_fill_the_ranking(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    words = "apple bear cloud dune eagle fern grape hill iron juniper".split()
    texts = [f"Acme {first} likes {second}" for first in words for second in words]
    async with publishing(redis_url, mongo_uri) as runtime:
        mentions = [_item(text, author="loud", author_followers=9_999) for text in texts]
        await finished(runtime, await push(client, _chunk(*mentions)))
    assert await client.call("ZCARD", TOP) == 1


async def test_lists_end_at_their_bounds(client: RedisClient, redis_url: str, mongo_uri: str) -> None:
    await client.call("LPUSH", FEED, *(b'{"old": 1}' for _ in range(1_000)))
    await client.call("ZADD", TIMELINE, *(word for n in range(10_000) for word in (n, f'{{"n": {n}}}')))
    await client.call("LPUSH", LEADS, *(b'{"old": 1}' for _ in range(100)))
    async with publishing(redis_url, mongo_uri) as runtime:
        await finished(runtime, await push(client, _chunk(*MENTIONS)))
    assert await client.call("LLEN", FEED) == 1_000
    assert await client.call("LLEN", LEADS) == 100
    assert await client.call("ZCARD", TIMELINE) == 10_000
    assert "text" in (await _list(client, FEED))[0]
    assert strict((await client.call("ZRANGE", TIMELINE, 0, 0))[0]) == {"n": 4}


async def test_a_ranking_of_another_type_is_reported_and_does_not_keep_the_rest(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    await client.call("SET", TOP, "something of a neighbour")
    async with publishing(redis_url, mongo_uri):
        task = await push(client, _chunk(*MENTIONS))
        letters = await until(lambda: client.call("XRANGE", "worker:dead", "-", "+"))
        fields = dict(zip(letters[0][1][::2], letters[0][1][1::2], strict=True))
        assert fields[b"reason"].startswith(b"output: TOP_AUTHORS data:brand:acme:influencers: WRONGTYPE")
        assert fields[b"id"] == task.encode()
    assert len(await _list(client, FEED)) == 4
    assert await client.call("GET", TOP) == b"something of a neighbour"
