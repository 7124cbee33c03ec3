"""The live stream of Bluesky: matched posts are handed on once, through reconnects, restarts and other listeners."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from prometheus_client import CollectorRegistry
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from src.worker.bluesky.xrpc import Xrpc
from src.worker.bluesky_scraper import BlueskyClient
from src.worker.brand_terms import BrandTerms
from src.worker.cpu import Cpu
from src.worker.errors import QueueUnavailable
from src.worker.keys import PlatformKeys
from src.worker.redis_client import RedisClient
from src.worker.services.brands import BrandDirectory
from src.worker.services.jetstream import JetstreamListener
from src.worker.services.jetstream_events import read_frames
from src.worker.services.jetstream_state import CURSOR, LEASE, REWIND_US, Cursor, LeaseLost, StreamState
from tests.bluesky_double import Answer, bluesky, uri
from tests.helpers import NORMAL, running, until
from tests.llm_doubles.serving import Received

pytestmark = pytest.mark.anyio
NOW = datetime(2025, 3, 2, tzinfo=UTC)
START_US = 1_740_873_600_000_000  # a second by the server's order is a million
WATCHED = [("acme", BrandTerms.build("acme")), ("rival", BrandTerms.build("rival"))]
WORDS = ("great", "slow", "cheap", "broken", "lovely", "loud", "tiny", "huge", "odd", "warm")
THINGS = ("lamp", "chair", "phone", "coat", "bridge", "spoon", "radio", "tower", "engine", "piano")


def _did(number: int) -> str:
    return f"did:plc:{number:04}"


def _event(number: int, text: str | None = None, *, operation: str = "create", **commit: Any) -> dict[str, Any]:
    """Event number `number`, a second after the one before it."""
    text = f"The {WORDS[number % 10]} {THINGS[number // 10 % 10]} of Acme {number}" if text is None else text
    record = {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2025-03-01T23:59:00Z", "langs": ["en"]}
    made = {"rev": "r", "operation": operation, "collection": "app.bsky.feed.post", "rkey": f"3k{number:04}"}
    if operation == "create":
        made |= {"record": record, "cid": f"c{number}"}
    return {
        "did": _did(number),
        "time_us": START_US + number * 1_000_000,
        "kind": "commit",
        "commit": {**made, **commit},
    }


def _uri(number: int) -> str:
    return uri(f"3k{number:04}", _did(number))


class _Stream:
    """A double of Jetstream: sends its events from the cursor on; `closes` says after how many a connection ends."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[Any] = []
        self.closes: list[int] = []
        self.asked: list[dict[str, str]] = []

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = {name: value[0] for name, value in parse_qs(urlsplit(connection.request.path).query).items()}
        self.asked.append(query)
        room = self.closes.pop(0) if self.closes else 10**9
        sent = 0
        while connection.state is State.OPEN:
            while sent < len(self.events):
                event, sent = self.events[sent], sent + 1
                if isinstance(event, dict) and event.get("time_us", 0) < int(query.get("cursor", "0")):
                    continue
                if room == 0:
                    return
                room -= 1
                try:
                    await connection.send(event if isinstance(event, str | bytes) else json.dumps(event))
                except ConnectionClosed:
                    return
            if room == 0:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def stream() -> AsyncIterator[_Stream]:
    double = _Stream()
    async with serve(double, "127.0.0.1", 0, close_timeout=0.2) as server:
        double.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/subscribe"
        yield double


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url)
    await client.call("SADD", "brands:set", "acme", "rival")
    yield client
    await client.close()


async def _quick(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.05))


def _profiles(nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
    rows = [{"did": did, "handle": f"user{did[-4:]}.example.com", "followersCount": 1000} for did in params["actors"]]
    return Answer({"profiles": rows})


@asynccontextmanager
async def _listener(
    redis: RedisClient,
    stream: _Stream,
    profiles: str = "http://127.0.0.1:9",
    *,
    worker_id: str = "w1",
    registry: CollectorRegistry | None = None,
    sleep: Callable[[float], Awaitable[None]] = _quick,
    **more: Any,
) -> AsyncIterator[JetstreamListener]:
    cpu, keys = Cpu(), PlatformKeys()

    def clock() -> datetime:
        return NOW

    listener = JetstreamListener.of(
        stream.url,
        redis,
        keys,
        BrandDirectory(redis, keys),
        BlueskyClient(Xrpc(profiles, clock=clock), cpu, clock=clock),
        cpu,
        registry or CollectorRegistry(),
        worker_id=worker_id,
        **{
            "clock": clock,
            "max_task_bytes": 10**6,
            "sleep": sleep,
            "batch_sec": 0.1,
            "idle_sec": 0.05,
            "rng": Random(1),
            **more,
        },
    )
    listener.start()
    try:
        yield listener
    finally:
        await listener.close()
        cpu.close()


async def _tasks(redis: RedisClient) -> list[dict[str, Any]]:
    return [orjson.loads(fields[1]) for _, fields in await redis.call("XRANGE", NORMAL, "-", "+")]


async def _ids(redis: RedisClient) -> list[str]:
    return [mention["id"] for task in await _tasks(redis) for mention in task["mentions"]]


async def _all(redis: RedisClient, numbers: range) -> list[str]:
    """Ids that were handed on, once those of all numbers are among them."""

    async def complete() -> list[str] | None:
        found = await _ids(redis)
        return found if {_uri(number) for number in numbers} <= set(found) else None

    found: list[str] = await until(complete)
    return found


async def test_posts_that_name_a_brand_are_handed_on_as_its_mentions(redis: RedisClient, stream: _Stream) -> None:
    stream.events = [
        _event(1, "My Acme lamp is lovely"),
        _event(2, "Nobody is named here"),
        _event(3, "Acme or Rival, which is better?"),
        _event(4, collection="app.bsky.feed.like"),
        _event(5, operation="update"),
        {"did": _did(6), "time_us": START_US + 6_000_000, "kind": "identity", "identity": {"handle": "x.y"}},
    ]
    with bluesky(_profiles) as server:
        async with _listener(redis, stream, server.url):
            await _all(redis, range(1, 2))
            await _all(redis, range(3, 4))
    tasks = await _tasks(redis)
    by_brand: dict[str, list[Any]] = {}
    for task in tasks:  # one of each brand, or two where the machine stood still between the posts
        by_brand.setdefault(task["brand"], []).extend(task["mentions"])
    assert {brand: [one["id"] for one in mentions] for brand, mentions in by_brand.items()} == {
        "acme": [_uri(1), _uri(3)],
        "rival": [_uri(3)],
    }
    assert {task["type"] for task in tasks} == {"analyze_mentions"}
    mention = by_brand["acme"][0]
    assert mention["author"] == "@user0001.example.com"
    assert mention["author_followers"] == 1000
    assert mention["url"] == "https://bsky.app/profile/user0001.example.com/post/3k0001"
    assert (mention["text"], mention["created_at"]) == ("My Acme lamp is lovely", "2025-03-01T23:59:00.000Z")
    assert mention["metadata"]["indexed_at"] == "2025-03-02T00:00:01.000Z"
    assert stream.asked[0]["wantedCollections"] == "app.bsky.feed.post"
    assert "cursor" not in stream.asked[0]


async def test_after_each_reconnect_it_goes_on_from_its_cursor_and_every_post_comes_once(
    redis: RedisClient, stream: _Stream
) -> None:
    stream.events = [_event(number) for number in range(100)]
    stream.closes = [7, 20, 11, 30, 12, 40]
    async with _listener(redis, stream):
        found = await _all(redis, range(100))
        await until(lambda: _cursor_at(redis, 99))
    assert sorted(found) == sorted(_uri(number) for number in range(100))
    cursors = [int(query.get("cursor", "0")) for query in stream.asked]
    assert cursors[0] == 0
    assert cursors[1] == START_US + 6 * 1_000_000 - REWIND_US
    assert cursors == sorted(cursors)
    assert len(cursors) == 7


async def _cursor_at(redis: RedisClient, number: int) -> bool:
    raw = await redis.call("GET", CURSOR)
    return raw is not None and orjson.loads(raw)["time_us"] == START_US + number * 1_000_000


async def test_another_listener_takes_over_from_the_cursor_and_only_one_listens(
    redis: RedisClient, stream: _Stream
) -> None:
    stream.events = [_event(number) for number in range(20)]
    async with _listener(redis, stream, worker_id="w2", batch_sec=0.05) as second:
        await _all(redis, range(20))
        async with _listener(redis, stream, worker_id="w1", batch_sec=0.05):
            await asyncio.sleep(0.3)
            assert len(stream.asked) == 1
            assert await redis.call("GET", LEASE) == b"w2"
            await second.close()
            stream.events += [_event(number) for number in range(20, 40)]
            found = await _all(redis, range(40))
            assert await redis.call("GET", LEASE) == b"w1"
    assert len(found) == len(set(found)) == 40
    assert int(stream.asked[1]["cursor"]) == START_US + 19 * 1_000_000 - REWIND_US
    assert await redis.call("GET", LEASE) is None


async def test_a_listener_whose_lease_is_gone_hands_nothing_on(redis: RedisClient) -> None:
    state = StreamState(redis, "w1")
    assert await state.take()
    assert await state.take()
    await redis.call("SET", LEASE, "w2")
    assert not await state.take()
    with pytest.raises(LeaseLost):
        await state.commit(Cursor(5), [b"{}"])
    await state.leave()
    assert await redis.call("GET", LEASE) == b"w2"
    assert await redis.call("EXISTS", CURSOR, NORMAL) == 0


async def test_what_redis_could_not_take_is_read_again_and_handed_on(
    redis: RedisClient, stream: _Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, commit = [1, 1, 1], StreamState.commit

    async def failing(self: StreamState, *args: Any) -> None:
        if failures:
            failures.pop()
            raise QueueUnavailable("XADD: away")
        await commit(self, *args)

    monkeypatch.setattr(StreamState, "commit", failing)
    stream.events = [_event(number) for number in range(10)]
    async with _listener(redis, stream):
        found = await _all(redis, range(10))
    assert failures == []
    assert len(found) == 10


async def test_a_server_that_closes_at_once_is_asked_less_and_less_often(redis: RedisClient, stream: _Stream) -> None:
    stream.closes = [0] * 1_000
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    # What lasts for a batch counts as a connection: longer than any machine takes to hear of the end.
    async with _listener(redis, stream, sleep=sleep, rng=_Most(), batch_sec=60):
        await until(lambda: _is(len(waits) >= 8))
    assert waits[:8] == [1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 60.5, 60.5]
    assert await _tasks(redis) == []


class _Most(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


async def _is(value: bool) -> bool:
    return value


async def test_a_server_that_is_not_there_or_speaks_no_websocket_does_no_harm(redis: RedisClient) -> None:
    double = _Stream()
    with bluesky(lambda *_: Answer({"no": "websocket"})) as server:
        for url in ("ws://127.0.0.1:9/subscribe", server.url.replace("http", "ws"), "ws://127.0.0.1:99999/"):
            double.url = url
            registry = CollectorRegistry()
            async with _listener(redis, double, registry=registry):

                async def failed(registry: CollectorRegistry = registry) -> bool:
                    return _value(registry, "worker_bluesky_stream_failures_total") >= 2

                await until(failed)


def _value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_frames_of_any_kind_are_counted_and_the_rest_is_used(redis: RedisClient, stream: _Stream) -> None:
    odd = ["", "{", "[]", "null", b"\xff\xfe", '{"time_us": "5"}', json.dumps({**_event(1), "time_us": 2**62})]
    stream.events = [*odd, _event(1), {**_event(2), "commit": None}, _event(3, rkey="../x"), _event(4)]
    registry = CollectorRegistry()
    async with _listener(redis, stream, registry=registry):
        await _all(redis, range(4, 5))
        await until(lambda: _cursor_at(redis, 4))
    assert sorted(await _ids(redis)) == [_uri(1), _uri(4)]
    events = {
        name: _value(registry, "worker_bluesky_stream_events_total", outcome=name)
        for name in ("odd", "read", "matched", "left_out")
    }
    assert events == {"odd": len(odd), "read": 4, "matched": 2, "left_out": 1}


async def test_a_post_taken_back_within_its_batch_is_not_handed_on(redis: RedisClient, stream: _Stream) -> None:
    gone = {**_event(1, operation="delete"), "time_us": START_US + 2_000_000}
    stream.events = [_event(1), gone, {**_event(9, operation="delete")}, _event(10)]
    async with _listener(redis, stream, batch_sec=3):
        assert await _all(redis, range(10, 11)) == [_uri(10)]


async def test_authors_without_profile_are_known_by_their_did_and_shy_ones_are_left_alone(
    redis: RedisClient, stream: _Stream
) -> None:
    def answer(nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
        shy = [{"src": _did(1), "uri": _did(1), "val": "!no-unauthenticated"}]
        return Answer({"profiles": [{"did": _did(1), "handle": "shy.example.com", "labels": shy}]})

    stream.events = [_event(1), _event(2)]
    with bluesky(answer) as server:
        async with _listener(redis, stream, server.url):
            assert await _all(redis, range(2, 3)) == [_uri(2)]
    (task,) = await _tasks(redis)
    assert task["mentions"][0]["author"] == _did(2)


async def test_nobody_is_listened_for_without_brands_or_as_a_standby(redis: RedisClient, stream: _Stream) -> None:
    stream.events = [_event(1)]
    async with _listener(redis, stream, active=lambda: False):
        await asyncio.sleep(0.3)
    await redis.call("DEL", "brands:set")
    async with _listener(redis, stream):
        await asyncio.sleep(0.3)
    assert stream.asked == []


async def test_new_brands_are_listened_for_from_the_next_look_on(
    redis: RedisClient, stream: _Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.worker.services.jetstream._BRANDS_SEC", 0.2)
    async with _listener(redis, stream):
        await until(lambda: _is(len(stream.asked) == 1))
        await redis.call("SET", "brand:lumen:meta", orjson.dumps({"name": "Lumen", "keywords": ["glow worm"]}))
        await redis.call("SADD", "brands:set", "lumen")

        async def handed_on() -> bool:
            """One post after the other, as people write them: those before the next look are nobody's."""
            stream.events.append(_event(len(stream.events), "I saw a glow worm"))
            return bool(await _tasks(redis))

        await until(handed_on)
    assert {task["brand"] for task in await _tasks(redis)} == {"lumen"}


@pytest.mark.parametrize(
    "broken", [b"{", b"[]", b"{}", b'{"time_us": "x", "seen": {}}', b'{"time_us": 5, "seen": {"a": "b"}}']
)
async def test_a_cursor_that_cannot_be_read_means_listening_from_now(
    redis: RedisClient, stream: _Stream, broken: bytes
) -> None:
    await redis.call("SET", CURSOR, broken)
    stream.events = [_event(1)]
    async with _listener(redis, stream):
        await _all(redis, range(1, 2))
    assert "cursor" not in stream.asked[0]


async def test_the_lag_is_the_age_of_what_was_handed_on_and_ends_with_listening(
    redis: RedisClient, stream: _Stream
) -> None:
    registry = CollectorRegistry()
    stream.events = [{**_event(1), "time_us": int((NOW.timestamp() - 40) * 1e6)}]
    async with _listener(redis, stream, registry=registry):
        await until(lambda: _is(_value(registry, "worker_bluesky_stream_lag_seconds") == 40.0))
        assert _value(registry, "worker_bluesky_stream_listening") == 1
    assert _value(registry, "worker_bluesky_stream_lag_seconds") == 0
    assert _value(registry, "worker_bluesky_stream_listening") == 0


async def test_closing_takes_a_moment_even_while_the_server_is_silent(redis: RedisClient, stream: _Stream) -> None:
    async with _listener(redis, stream, batch_sec=60) as listener:
        await until(lambda: _is(len(stream.asked) == 1))
        began = time.monotonic()
        await listener.close()
        assert time.monotonic() - began < 30, "its batch takes a minute"


def test_a_cursor_remembers_only_what_may_be_read_again() -> None:
    cursor = Cursor().moved(10_000_000, [(f"u{n}", n * 1_000_000) for n in range(11)])
    assert cursor.time_us == 10_000_000
    assert [n for n in range(11) if cursor.knows(f"u{n}")] == [5, 6, 7, 8, 9, 10]
    later = cursor.moved(12_000_000, [])
    assert [n for n in range(11) if later.knows(f"u{n}")] == [7, 8, 9, 10]
    assert later.moved(1, []).time_us == 12_000_000


def test_a_stream_of_many_posts_is_matched_faster_than_it_comes() -> None:
    """All of Bluesky writes some 50 posts a second; here with 100 brands on one core."""
    watched = [(f"brand{n}", BrandTerms.build(f"brand{n}", keywords=[f"thing {n}"])) for n in range(100)]
    frames = [json.dumps(_event(n, f"Nobody in particular said {WORDS[n % 10]} words " * 6)) for n in range(500)]
    began = time.thread_time()
    events = read_frames(frames, watched, NOW)
    assert (events.read, events.hits) == (500, [])
    assert 500 / (time.thread_time() - began) > 100


async def test_a_worker_stores_every_post_of_the_stream_once_through_a_restart(
    redis: RedisClient, redis_url: str, mongo_uri: str, stream: _Stream
) -> None:
    stream.events = [{**_event(n), "time_us": START_US + n * 1000} for n in range(60)]
    stream.closes = [20, 25]
    with bluesky(_profiles) as server:
        more = {"bluesky_stream": True, "bluesky_jetstream_url": stream.url, "bluesky_base_url": server.url}
        async with running(redis_url, mongo_uri, **more) as runtime:

            async def stored() -> int:
                return await runtime.storage.collection("mentions").count_documents({"brand": "acme"})

            async def some() -> bool:
                return await stored() >= 20

            await until(some)
        stream.events += [{**_event(n), "time_us": START_US + n * 1000} for n in range(60, 80)]
        async with running(redis_url, mongo_uri, **more) as runtime:

            async def complete() -> list[dict[str, Any]] | None:
                """The chunks, once all of them are over: a chunk is written after its mentions."""
                chunks = await runtime.storage.collection("processed_chunks").find({}).to_list(None)
                return chunks if sum(chunk["counts"]["read"] for chunk in chunks) >= 80 else None

            chunks = await until(complete, 30)
            found = await runtime.storage.collection("mentions").find({}).to_list(None)
    assert sum(chunk["counts"]["stored"] for chunk in chunks) == 80
    assert sum(chunk["counts"]["duplicates"] for chunk in chunks) == 0
    assert {one["id"] for one in found} == {_uri(n) for n in range(80)}
