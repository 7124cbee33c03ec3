"""Dead letters on a real Redis: seen as they are, put back once and byte for byte, dropped on demand only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import orjson
import pytest

from src.worker import dead_letters as module
from src.worker import keys
from src.worker.api.application import create_application
from src.worker.dead_letter_view import Letter, LetterFilter, checked_id, unwrap_failure
from src.worker.dead_letters import DeadLetters
from src.worker.errors import InvalidTask
from src.worker.handlers import HandlerResult, TaskType
from src.worker.keys import PlatformKeys
from src.worker.models import Task, TaskPriority
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from tests.helpers import NORMAL, dead_letters, finished, push, running, settings, until

pytestmark = pytest.mark.anyio

HIGH = keys.STREAMS[TaskPriority.HIGH]
FAILED = "failed:brand:acme"
DOOR = "queue:brand:acme:chunks"
BAD_BYTES = b'{"type": "noop", "text": "caf\xe9 \xff\x00"}'
ODD_IDS = ["1", "x-1", "1-", "-1", "1-1-1", "1-1\n", " 1-1", "99999999999999999999-0", "0-18446744073709551616", "١-١"]


@pytest.fixture
async def letters(client: RedisClient) -> DeadLetters:
    return DeadLetters(client, PlatformKeys(), clock=lambda: datetime.now(UTC), result_ttl_sec=60)


async def bury(client: RedisClient, task: Any = None, **fields: Any) -> str:
    """A dead letter as the worker writes it; returns its id."""
    raw = task if isinstance(task, bytes) else orjson.dumps(task or {"type": "noop"})
    code = fields.pop("code", "VALIDATION_ERROR")
    letter: dict[str, Any] = {
        "task": raw,
        "type": "noop",
        "brand": "acme",
        "reason": "because",
        "error": orjson.dumps({"code": code, "message": "because", "retryable": False}),
        "attempts": "3",
        "at": "2026-01-01T00:00:00.000Z",
        "worker": "w1",
        **fields,
    }
    words = [word for name, value in letter.items() if value is not None for word in (name, value)]
    entry: bytes = await client.call("XADD", keys.DEAD, "*", *words)
    return entry.decode()


async def entries(client: RedisClient, stream: str = NORMAL) -> list[dict[bytes, bytes]]:
    """What was put back, without the mark that it was (the end of a replayed task is not counted a second time)."""
    reply = await client.call("XRANGE", stream, "-", "+")
    fields = [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in reply]
    return [{name: value for name, value in one.items() if name != b"replayed"} for one in fields]


async def left(client: RedisClient) -> int:
    return int(await client.call("XLEN", keys.DEAD))


def shown(letters: DeadLetters, letter: Letter) -> dict[str, Any]:
    return {**letter.shown(letters.brand_of(letter)), **letter.shown_task(exact=True)}


# -- looking ---------------------------------------------------------------------------------------------------------


async def test_all_letters_are_listed_once_newest_first_page_by_page(client: RedisClient, letters: DeadLetters) -> None:
    written = [await bury(client) for _ in range(25)]
    seen: list[str] = []
    cursor, pages = None, 0
    while True:
        page = await letters.list(10, cursor)
        seen += [one.entry_id for one in page.letters]
        pages += 1
        cursor = page.next
        if cursor is None:
            break
    assert seen == written[::-1]
    assert pages == 3
    assert (await letters.list(25)).next is None, "the last page that is full says that it is the last"
    assert (await letters.list(5, written[0])).letters == []


async def test_a_list_without_letters_is_empty(letters: DeadLetters) -> None:
    assert await letters.list(10) == module.Page([], None)
    assert await letters.list(10, brand="acme") == module.Page([], None)
    assert await letters.get("1-1") is None
    assert await letters.replay("1-1") is None
    assert await letters.drop("1-1") is False
    assert await letters.replay_matching() == 0
    assert await letters.drop_matching() == 0


async def test_letters_are_found_by_brand_type_and_code(client: RedisClient, letters: DeadLetters) -> None:
    native = await bury(client, brand="Acme Corp.", type="analyze_mentions")
    listed = await bury(client, brand="acme-corp", type="analyze_mentions", code="TIMEOUT")
    doorless = await bury(client, brand="", type="", code="OUTPUT_FAILED", door="queue:brand:acme-corp:chunks")
    other = await bury(client, brand="borealis", error="no JSON")

    async def found(**filters: str) -> list[str]:
        return [one.entry_id for one in (await letters.list(10, **filters)).letters]

    assert await found(brand="ACME corp") == [doorless, listed, native]
    assert await found(type="cluster_mentions") == [listed, native]
    assert await found(code="TIMEOUT", brand="acme-corp") == [listed]
    assert await found(type="noop") == [other]
    assert await found(code="timeout") == []


async def test_a_filter_looks_at_so_many_letters_per_call_and_goes_on_from_there(
    client: RedisClient, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCAN_MAX", 10)
    wanted = [await bury(client, brand="acme" if n % 20 == 0 else "other") for n in range(50)][::20]
    found: list[str] = []
    sizes = []
    cursor = None
    while True:
        page = await letters.list(1, cursor, brand="acme")
        found += [one.entry_id for one in page.letters]
        sizes.append(len(page.letters))
        cursor = page.next
        if cursor is None:
            break
    assert found == wanted[::-1]
    assert sizes[0] == 1
    assert 0 in sizes, "nothing among ten letters, and more to come"
    assert await letters.replay_matching(LetterFilter(brand="acme")) == len(wanted)


async def test_a_letter_is_shown_with_everything_that_is_known(client: RedisClient, letters: DeadLetters) -> None:
    history = [{"code": "TIMEOUT", "message": "ran longer", "retryable": True, "attempt": 1}]
    task = {"type": "noop", "n": [1, {"a": None}]}
    entry = await bury(client, task, id="t1", door=DOOR, stream=HIGH, history=orjson.dumps(history))
    letter = await letters.get(entry)
    assert letter is not None
    assert shown(letters, letter) == {
        "id": entry,
        "taskId": "t1",
        "type": "noop",
        "brand": "acme",
        "reason": "because",
        "error": {"code": "VALIDATION_ERROR", "message": "because", "retryable": False},
        "attempts": 3,
        "at": "2026-01-01T00:00:00.000Z",
        "worker": "w1",
        "stream": HIGH,
        "door": DOOR,
        "history": history,
        "task": task,
        "taskBytes": len(orjson.dumps(task)),
    }


@pytest.mark.parametrize(
    ("raw", "view"),
    [
        (b"", {"task": "", "taskEncoding": "utf-8"}),
        (b"plain {", {"task": "plain {", "taskEncoding": "utf-8"}),
        (b"[1, NaN]", {"task": "[1, NaN]", "taskEncoding": "utf-8"}),
        (b"[" * 90 + b"]" * 90, {"task": "[" * 90 + "]" * 90, "taskEncoding": "utf-8"}),
        (b"null", {"task": None}),
        (
            b"\xffa\x00",
            {"task": "\ufffda\x00", "taskEncoding": "replaced", "taskBase64": base64.b64encode(b"\xffa\x00").decode()},
        ),
    ],
)
async def test_a_task_that_is_no_json_is_shown_as_text(
    client: RedisClient, letters: DeadLetters, raw: bytes, view: dict[str, Any]
) -> None:
    letter = await letters.get(await bury(client, raw))
    assert letter is not None
    assert letter.shown_task(exact=True) == {**view, "taskBytes": len(raw)}


async def test_long_tasks_are_cut_in_lists_and_whole_alone(client: RedisClient, letters: DeadLetters) -> None:
    long = orjson.dumps({"type": "noop", "text": "é" * 50_000})
    invalid = b"\xff" + b"x" * 70_000
    ids = [await bury(client, raw) for raw in (long, invalid)]
    for listed in ((await letters.list(10)).letters, (await letters.list(10, brand="acme")).letters):
        cut_invalid, cut = (letter.shown_task(exact=True) for letter in listed)
        assert (cut["taskTruncated"], cut["taskEncoding"], cut["taskBytes"]) == (True, "utf-8", len(long))
        assert long.decode().startswith(cut["task"])
        assert len(cut["task"].encode()) in (module.SHOWN_TASK_BYTES - 1, module.SHOWN_TASK_BYTES)
        assert (cut_invalid["taskTruncated"], cut_invalid["taskEncoding"]) == (True, "replaced")
        assert "taskBase64" not in cut_invalid
    whole = await letters.get(ids[0])
    assert whole is not None
    assert whole.shown_task() == {"task": orjson.loads(long), "taskBytes": len(long)}


async def test_foreign_entries_can_be_seen_and_dropped(client: RedisClient, letters: DeadLetters) -> None:
    await client.call("XADD", keys.DEAD, "*", b"\xff", b"\xfe", "attempts", "many", "error", "{", "history", "{}")
    (letter,) = (await letters.list(10)).letters
    view = shown(letters, letter)
    assert (view["attempts"], view["error"], view["history"], view["task"]) == (None, "{", [], "")
    assert orjson.dumps(view)
    assert await letters.drop(letter.entry_id)


@pytest.mark.parametrize("entry_id", ODD_IDS)
async def test_what_is_no_id_is_refused_before_redis_sees_it(letters: DeadLetters, entry_id: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        checked_id(entry_id)
    assert caught.value.field == "id"
    with pytest.raises(InvalidTask):
        await letters.replay(entry_id)


async def test_large_tasks_do_not_make_a_page_large(client: RedisClient, letters: DeadLetters) -> None:
    for _ in range(12):
        await bury(client, b"x" * 2_000_000)
    page = await letters.list(12)
    assert 4 <= len(page.letters) <= 6, "8 MB are read per call"
    assert page.next == page.letters[-1].entry_id
    assert await letters.replay_matching() == 12
    assert [len(one[b"task"]) for one in await entries(client)] == [2_000_000] * 12


# -- putting back ----------------------------------------------------------------------------------------------------


async def test_a_replay_puts_the_same_bytes_back_where_they_came_from(
    client: RedisClient, letters: DeadLetters
) -> None:
    entry = await bury(client, BAD_BYTES, id="t1", door=DOOR, stream=HIGH, history="[]")
    assert await letters.replay(entry) == "t1"
    assert await entries(client, HIGH) == [{b"task": BAD_BYTES, b"id": b"t1", b"door": DOOR.encode()}]
    assert await left(client) == 0
    record = orjson.loads(await client.call("GET", keys.result("t1")))
    assert (record["id"], record["type"], record["status"], record["attempts"]) == ("t1", "noop", "queued", 0)
    assert 0 < await client.call("TTL", keys.result("t1")) <= 60


async def test_a_letter_of_an_unknown_stream_goes_to_normal_and_a_task_without_id_gets_one(
    client: RedisClient, letters: DeadLetters
) -> None:
    entry = await bury(client, stream="somebody:elses:stream")
    task_id = await letters.replay(entry)
    ((new, _),) = await client.call("XRANGE", NORMAL, "-", "+")
    assert task_id == f"normal-{new.decode()}"
    assert await entries(client) == [{b"task": b'{"type":"noop"}'}]
    assert await client.call("KEYS", "worker:result:*") == []
    assert await client.call("EXISTS", "somebody:elses:stream") == 0


async def test_a_task_that_had_waited_in_a_lane_goes_back_to_its_native_stream(
    client: RedisClient, letters: DeadLetters
) -> None:
    entry = await bury(client, stream=keys.PARKED_STREAMS[TaskPriority.HIGH], id="high-1-1")
    assert await letters.replay(entry) == "high-1-1"
    assert await entries(client, HIGH) == [{b"task": b'{"type":"noop"}', b"id": b"high-1-1"}]


async def test_the_letter_of_a_part_does_not_overwrite_the_record_of_the_whole(
    client: RedisClient, letters: DeadLetters
) -> None:
    record = orjson.dumps({"id": "t1", "status": "succeeded", "result": {"stored": 2}})
    await client.call("SET", keys.result("t1"), record)
    parts = [await bury(client, id="t1") for _ in range(2)]
    own = await bury(client, id="t1", code="OUTPUT_FAILED")
    task_ids = [await letters.replay(entry) for entry in parts]
    assert len(set(task_ids)) == 2
    assert "t1" not in task_ids
    assert await client.call("GET", keys.result("t1")) == record
    assert await letters.replay(own) == "t1", "done, but not published: the same task once more"


async def test_two_replays_at_once_replay_once(redis_url: str, client: RedisClient, letters: DeadLetters) -> None:
    ids = [await bury(client, {"type": "noop", "n": n}) for n in range(300)]
    others = [RedisClient(redis_url) for _ in range(3)]
    rivals = [DeadLetters(one, PlatformKeys(), clock=lambda: datetime.now(UTC), result_ttl_sec=60) for one in others]
    counts = await asyncio.gather(*(one.replay_matching() for one in [letters, *rivals]))
    assert sum(counts) == 300
    assert [orjson.loads(one[b"task"])["n"] for one in await entries(client)] == list(range(300))
    again = await bury(client)
    answers = await asyncio.gather(*(one.replay(again) for one in [letters, *rivals]))
    assert sum(answer is not None for answer in answers) == 1
    assert await letters.replay(ids[0]) is None
    for one in others:
        await one.close()


async def test_what_matches_is_replayed_oldest_first_up_to_the_limit(client: RedisClient, letters: DeadLetters) -> None:
    for n in range(10):
        await bury(client, {"type": "noop", "n": n}, brand="acme" if n % 2 else "other", code="A" if n < 5 else "B")
    seen: list[tuple[int, int, int]] = []
    wanted = LetterFilter(brand="acme")
    assert await letters.replay_matching(wanted, limit=2, progress=lambda *numbers: seen.append(numbers)) == 2
    assert await letters.replay_matching(LetterFilter(code="B")) == 5
    assert await left(client) == 3
    assert [orjson.loads(one[b"task"])["n"] for one in await entries(client)] == [1, 3, 5, 6, 7, 8, 9]
    assert await letters.replay_matching(progress=lambda *numbers: seen.append(numbers)) == 3
    assert seen[-1] == (3, 3, 3)


async def test_letters_that_die_again_are_not_replayed_in_a_loop(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        for n in range(250):
            await push(runtime.redis, {"type": "nope", "n": n})

        async def all_dead() -> bool:
            return await left(runtime.redis) == 250

        await until(all_dead)
        assert await asyncio.wait_for(runtime.api.dead_letters.replay_matching(), 40) == 250
        await until(all_dead)
        numbers = [orjson.loads(letter["task"])["n"] for letter in await dead_letters(runtime.redis)]
        assert sorted(numbers) == list(range(250))


async def test_a_replayed_task_begins_anew_and_succeeds_once_its_cause_is_mended(
    redis_url: str, mongo_uri: str
) -> None:
    broken = True

    async def handle(task: Task) -> HandlerResult:
        if broken:
            raise RuntimeError("not yet")
        return HandlerResult({"attempt": task.attempt})

    async with running(redis_url, mongo_uri, queue_max_attempts=2) as runtime:
        cast(dict[str, TaskType], runtime.handlers)["flaky"] = TaskType(handle)
        await push(runtime.redis, {"type": "flaky", "id": "t1"}, HIGH)
        assert (await finished(runtime, "t1"))["status"] == "failed"
        (letter,) = (await runtime.api.dead_letters.list(5)).letters
        assert (letter.code, letter.task_id) == ("INTERNAL", "t1")
        broken = False
        assert await runtime.api.dead_letters.replay(letter.entry_id) == "t1"
        record = await finished(runtime, "t1")
        assert (record["status"], record["attempts"], record["result"]) == ("succeeded", 1, {"attempt": 1})
        assert await left(runtime.redis) == 0


async def test_a_mended_task_is_enqueued_and_its_letter_dropped(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        mentions = [{"id": "1", "text": "acme is great"}, {"id": "2", "text": 5}]
        task_id = await push(runtime.redis, {"type": "analyze_mentions", "brand": "acme", "mentions": mentions})
        record = await finished(runtime, task_id)
        assert (record["result"]["stored"], record["result"]["rejected"]) == (1, 1)
        store = runtime.api.dead_letters
        (letter,) = (await store.list(5)).letters

        assert await store.replay(letter.entry_id) != task_id
        letter = await until(lambda: first(store))
        assert (await finished(runtime, task_id)) == record, "the chunk keeps its record"

        mended = letter.shown_task()["task"]
        assert mended["mentions"] == [{"id": "2", "text": 5}]
        mended["mentions"][0]["text"] = "acme keeps crashing"
        await runtime.queue.enqueue(mended, task_id="mended")
        assert (await finished(runtime, "mended"))["result"]["stored"] == 1
        assert await store.drop(letter.entry_id)
        assert await left(runtime.redis) == 0


async def first(store: DeadLetters) -> Letter | None:
    page = await store.list(1)
    return page.letters[0] if page.letters else None


async def test_bytes_that_are_no_utf8_die_and_come_back_byte_for_byte(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await push(runtime.redis, BAD_BYTES)
        store = runtime.api.dead_letters
        one = await until(lambda: first(store))
        for _ in range(3):
            assert await store.replay(one.entry_id)

            async def died_again(before: str = one.entry_id) -> Letter | None:
                letter = await first(store)
                return letter if letter is not None and letter.entry_id != before else None

            one = await until(died_again)
        whole = await store.get(one.entry_id)
    assert whole is not None
    assert whole.fields[b"task"] == BAD_BYTES


# -- retrying a brand ------------------------------------------------------------------------------------------------


CHUNK = {"brand": "acme", "chunkId": "c1", "mentions": [{"id": "1", "source": "x", "text": "acme is great"}]}
MENTION = {"id": "2", "brand": "Acme", "text": "acme is down", "timestamp": 1740824430000, "source": "x"}
RESULT = {"chunkId": "c9", "brand": "acme", "clusters": [], "sentiment": {"score": 0}, "topics": []}


def wrapped(payload: Any, **more: Any) -> bytes:
    text = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
    return orjson.dumps(
        {"worker_id": "w", "brand": "acme", "chunk_id": "c", "reason": "processing", "payload": text} | more
    )


SNAKE = wrapped(CHUNK)
CAMEL = orjson.dumps(
    {"workerId": "W", "brand": "acme", "chunkId": "c", "reason": "x", "payload": orjson.dumps(MENTION).decode()}
)
ORCHESTRATOR = orjson.dumps(
    {
        "brand": "acme",
        "receivedAt": "2026-01-01T00:00:00Z",
        "error": "invalid_chunk_result",
        "payload": orjson.dumps(RESULT).decode(),
    }
)
LEFT_ALONE = [
    ORCHESTRATOR,
    wrapped(CHUNK, error="invalid_chunk_result"),
    wrapped(RESULT),
    wrapped(CHUNK, reason=None),
    orjson.dumps({"reason": "x", "payload": None}),
    wrapped("{cut off"),
    wrapped("[1, 2]"),
    wrapped("5"),
    b'{"reason": "x", "payload": "\xff"}',
    b'{"reason": "x", "payload": "\\ud800"}',
    b"not json",
    b"[]",
    b"",
]  # fmt: skip


def test_only_workers_failure_records_are_unwrapped() -> None:
    assert unwrap_failure(SNAKE) == orjson.dumps(CHUNK)
    assert unwrap_failure(CAMEL) == orjson.dumps(MENTION)
    assert unwrap_failure(orjson.dumps({"reason": "x", "payload": CHUNK})) == orjson.dumps(CHUNK)
    assert unwrap_failure(wrapped(SNAKE.decode())) == SNAKE
    odd = '{"mentions" :[ {"text":"caf\u00e9"} ]  }'
    assert unwrap_failure(wrapped(odd)) == odd.encode(), "as it was, not written anew"
    for raw in LEFT_ALONE:
        assert unwrap_failure(raw) is None, raw


async def test_a_retry_takes_workers_records_and_leaves_all_others_where_they_are(
    client: RedisClient, letters: DeadLetters
) -> None:
    mixed: list[bytes] = []
    for other in LEFT_ALONE:
        mixed += [SNAKE, other, CAMEL, CAMEL]
    await client.call("RPUSH", FAILED, *mixed)
    await client.call("RPUSH", "failed:brand:other", SNAKE)
    await bury(client, id="t1")
    await bury(client, brand="other")
    assert await letters.retry_brand("Acme") == ("acme", 3 * len(LEFT_ALONE) + 1)
    assert await client.call("LRANGE", FAILED, 0, -1) == LEFT_ALONE
    assert await client.call("LLEN", "failed:brand:other") == 1
    assert await left(client) == 1
    first, *taken = await entries(client)
    assert first == {b"task": b'{"type":"noop"}', b"id": b"t1"}
    assert {one[b"door"] for one in taken} == {DOOR.encode()}
    payloads = [orjson.dumps(CHUNK), orjson.dumps(MENTION), orjson.dumps(MENTION)] * len(LEFT_ALONE)
    assert [one[b"task"] for one in taken] == payloads
    assert await letters.retry_brand("acme") == ("acme", 0)


async def test_two_retries_at_once_take_each_record_once(client: RedisClient, letters: DeadLetters) -> None:
    records = [wrapped({**CHUNK, "chunkId": str(n)}) for n in range(120)]
    await client.call("RPUSH", FAILED, *records, ORCHESTRATOR)
    counts = await asyncio.gather(*(letters.retry_brand("acme") for _ in range(4)))
    assert sum(count for _, count in counts) == 120
    assert sorted(int(orjson.loads(one[b"task"])["chunkId"]) for one in await entries(client)) == list(range(120))
    assert await client.call("LRANGE", FAILED, 0, -1) == [ORCHESTRATOR]


async def test_a_slug_of_the_aggregators_own_making_is_found_too(client: RedisClient, letters: DeadLetters) -> None:
    await client.call("RPUSH", "failed:brand:Acme_GmbH", SNAKE)
    assert await letters.retry_brand("Acme_GmbH") == ("acme_gmbh", 1)
    assert (await entries(client))[0][b"door"] == b"queue:brand:Acme_GmbH:chunks"


async def test_a_key_of_failure_records_that_is_no_list_is_left_alone(
    client: RedisClient, letters: DeadLetters
) -> None:
    await client.call("SET", FAILED, "something else")
    await bury(client)
    assert await letters.retry_brand("acme") == ("acme", 1)
    assert await client.call("GET", FAILED) == b"something else"


async def test_no_loop_ever_touches_the_list_and_a_retry_brings_its_work_to_its_end(
    redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await runtime.redis.call("SADD", "brands:set", "acme")
        await runtime.redis.call("RPUSH", FAILED, SNAKE, ORCHESTRATOR, CAMEL)
        await asyncio.sleep(0.5)
        assert await runtime.redis.call("LLEN", FAILED) == 3
        assert await runtime.api.dead_letters.retry_brand("acme") == ("acme", 2)

        async def published() -> bool:
            return int(await runtime.redis.call("LLEN", "result:brand:acme:chunks")) == 2

        await until(published)
        assert await runtime.redis.call("LRANGE", FAILED, 0, -1) == [ORCHESTRATOR]
        assert await left(runtime.redis) == 0


async def test_the_lists_name_is_a_setting(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri, redis_failed_prefix="dlq") as runtime:
        await runtime.redis.call("RPUSH", "dlq:acme", SNAKE)
        assert await runtime.api.dead_letters.retry_brand("acme") == ("acme", 1)


# -- dropping --------------------------------------------------------------------------------------------------------


async def test_letters_are_dropped_one_some_or_all(client: RedisClient, letters: DeadLetters) -> None:
    ids = [await bury(client, brand="acme" if n % 2 else "other", code="A" if n < 4 else "B") for n in range(10)]
    assert await letters.drop(ids[0])
    assert not await letters.drop(ids[0])
    assert await letters.drop_matching(LetterFilter(brand="acme", code="A")) == 2
    assert await left(client) == 7
    assert await letters.drop_matching() == 7
    assert await left(client) == 0
    assert await entries(client) == []


# -- REST ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def http(runtime: Runtime, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    app = create_application(runtime.api, api_key=key, max_body_bytes=100_000)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_letters_are_listed_shown_replayed_and_dropped_over_http(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime, http(runtime) as web:
        client = runtime.redis
        ids = [await bury(client, BAD_BYTES if n == 2 else None, id=f"t{n}") for n in range(3)]
        page = (await web.get("/v1/dead-letters", params={"limit": 2})).json()
        assert [item["id"] for item in page["items"]] == ids[:0:-1]
        assert page["items"][0]["taskEncoding"] == "replaced"
        rest = (await web.get("/v1/dead-letters", params={"limit": 2, "cursor": page["next"]})).json()
        assert ([item["id"] for item in rest["items"]], rest["next"]) == (ids[:1], None)
        assert rest["items"][0]["task"] == {"type": "noop"}
        some = await web.get("/v1/dead-letters", params={"brand": "acme", "type": "noop", "code": "VALIDATION_ERROR"})
        assert len(some.json()["items"]) == 3

        one = await web.get(f"/v1/dead-letters/{ids[2]}")
        assert one.status_code == 200
        assert base64.b64decode(one.json()["taskBase64"]) == BAD_BYTES

        replayed = await web.post(f"/v1/dead-letters/{ids[0]}/replay")
        assert replayed.status_code == 202
        assert replayed.json() == {"id": ids[0], "taskId": "t0", "status": "queued"}
        assert replayed.headers["location"] == "/v1/tasks/t0"
        assert (await finished(runtime, "t0"))["status"] == "succeeded"
        assert (await web.get(f"/v1/dead-letters/{ids[0]}")).status_code == 404

        dropped = await web.delete(f"/v1/dead-letters/{ids[2]}")
        assert (dropped.status_code, dropped.content) == (204, b"")
        many = await web.post("/v1/dead-letters/replay", json={"type": "noop", "limit": 5})
        assert (many.status_code, many.json()) == (202, {"replayed": 1})
        assert (await web.post("/v1/dead-letters/replay", json={"all": True})).json() == {"replayed": 0}
        await bury(client)
        await bury(client, brand="other")
        answer = await web.delete("/v1/dead-letters", params={"brand": "other"})
        assert (answer.status_code, answer.json()) == (200, {"dropped": 1})
        assert (await web.delete("/v1/dead-letters", params={"all": "true"})).json() == {"dropped": 1}


async def test_a_brand_is_retried_over_http(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime, http(runtime) as web:
        await runtime.redis.call("RPUSH", FAILED, SNAKE, ORCHESTRATOR)
        answer = await web.post("/v1/retry/Acme")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "retried": 1, "brand": "acme"})


async def test_what_cannot_be_meant_is_a_problem_document_and_changes_nothing(redis_url: str, mongo_uri: str) -> None:
    letters, replay = "/v1/dead-letters", "/v1/dead-letters/replay"
    cases: list[tuple[str, str, dict[str, Any], int, str | None]] = [
        ("GET", f"{letters}/abc", {}, 400, "id"),
        ("GET", f"{letters}/1-1", {}, 404, None),
        ("GET", letters, {"params": {"limit": 0}}, 400, "limit"),
        ("GET", letters, {"params": {"limit": 201}}, 400, "limit"),
        ("GET", letters, {"params": {"cursor": "x"}}, 400, "cursor"),
        ("GET", letters, {"params": {"brand": "!"}}, 400, "brand"),
        ("GET", letters, {"params": {"code": ""}}, 400, "code"),
        ("POST", f"{letters}/abc/replay", {}, 400, "id"),
        ("POST", f"{letters}/1-1/replay", {}, 404, None),
        ("POST", replay, {"json": {}}, 400, "brand"),
        ("POST", replay, {"json": {"all": False}}, 400, "brand"),
        ("POST", replay, {"json": {"all": "yes"}}, 400, "all"),
        ("POST", replay, {"json": {"all": True, "brand": "acme"}}, 400, "all"),
        ("POST", replay, {"json": {"brnad": "acme"}}, 400, "brnad"),
        ("POST", replay, {"json": {"brand": 5}}, 400, "brand"),
        ("POST", replay, {"json": {"type": ""}}, 400, "type"),
        ("POST", replay, {"json": {"all": True, "limit": 0}}, 400, "limit"),
        ("POST", replay, {"json": []}, 400, "body"),
        ("POST", replay, {"content": b"{"}, 415, None),
        ("POST", replay, {"content": b"{", "headers": {"content-type": "application/json"}}, 400, "task"),
        ("DELETE", f"{letters}/abc", {}, 400, "id"),
        ("DELETE", f"{letters}/1-1", {}, 404, None),
        ("DELETE", letters, {}, 400, "brand"),
        ("DELETE", letters, {"params": {"all": "false"}}, 400, "brand"),
        ("DELETE", letters, {"params": {"all": "true", "brnad": "acme"}}, 400, "brnad"),
        ("DELETE", letters, {"params": {"all": "true", "brand": "acme"}}, 400, "all"),
        ("POST", "/v1/retry/%21", {}, 400, "brand"),
        ("POST", "/v1/retry/acme", {"headers": {"origin": "https://attacker.example"}}, 403, None),
        ("DELETE", letters, {"params": {"all": "true"}, "headers": {"origin": "null"}}, 403, None),
    ]
    async with running(redis_url, mongo_uri) as runtime, http(runtime) as web:
        await bury(runtime.redis)
        for method, path, request, status, field in cases:
            answer = await web.request(method, path, **request)
            assert answer.status_code == status, (method, path, request, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json().get("field") == field, (method, path, request, answer.text)
        assert await left(runtime.redis) == 1
        allowed = await web.post("/v1/retry/other", headers={"origin": "http://localhost"})
        assert allowed.status_code == 200


async def test_all_statuses_are_documented_and_all_routes_need_the_key(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime, http(runtime, key="secret") as web:
        assert (await web.get("/v1/dead-letters")).status_code == 401
        assert (await web.post("/v1/retry/acme")).status_code == 401
        headers = {"x-api-key": "secret", "origin": "https://dashboard.example"}
        assert (await web.post("/v1/retry/acme", headers=headers)).status_code == 200
        paths = (await web.get("/openapi.json", headers=headers)).json()["paths"]
    assert set(paths["/v1/dead-letters/{letter_id}/replay"]["post"]["responses"]) >= {"202", "400", "401", "404", "503"}
    assert set(paths["/v1/dead-letters/{letter_id}"]["delete"]["responses"]) >= {"204", "400", "401", "404", "503"}
    assert set(paths["/v1/retry/{brand}"]["post"]["responses"]) >= {"200", "400", "401", "503"}


async def test_without_redis_the_answer_is_503(redis_url: str, mongo_uri: str) -> None:
    runtime = Runtime(settings(), redis_url="redis://127.0.0.1:1/0", mongodb_uri=mongo_uri)
    async with http(runtime) as web:
        for method, path in (("GET", ""), ("GET", "/1-1"), ("POST", "/1-1/replay"), ("DELETE", "/1-1")):
            assert (await web.request(method, f"/v1/dead-letters{path}")).status_code == 503
    await runtime.close()
