"""Documents made to hurt: through every door they are refused or processed, the worker lives, its memory is bounded."""

from __future__ import annotations

import contextlib
import gzip
import io
import resource
import subprocess
import sys
from pathlib import Path

import httpx
import orjson
import pytest

from src.worker import keys
from src.worker.api.application import create_application
from src.worker.errors import InvalidTask
from src.worker.llm.answers import NoJson, extract_json
from src.worker.pipeline.archive_block import MAX_RAW, ArchiveDamaged
from src.worker.pipeline.web_feeds import read_feed
from src.worker.redis_client import RedisClient
from src.worker.strictjson import loads
from tests.helpers import NORMAL, dead_letters, finished, push, running, until

ROOT = Path(__file__).parent.parent
MEMORY_MB = 400
"""What the process may have grown by at its highest: the largest of these documents has 4 MB, several are in hand at
once, and a tree of Python objects takes ten to twenty times the room of its text."""


def _mention(value: bytes) -> bytes:
    return b'{"type":"analyze_mentions","brand":"acme","mentions":[{"text":"acme","metadata":' + value + b"}]}"


VALUES = {
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "depth without an end": b"[" * 500_000,
    "a number of 100,000 digits": b"9" * 100_000,
    "an exponent without end": b"1e999",
    "a fraction of 100,000 digits": b"0." + b"1" * 100_000,
    "more than 64 bits": b'{"n":340282366920938463463374607431768211456}',
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "many names": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(100_000)) + b"}",
    "one name again and again": b"{" + b",".join([b'"k":1'] * 200_000) + b"}",
    "many empty objects": b"[" + b",".join([b"{}"] * 500_000) + b"]",
    "half an emoji": b'"\\ud83d"',
    "half an emoji as a name": b'{"\\udc00":1}',
    "a null": b'{"a\\u0000b":"c\\u0000d"}',
    "a name of MongoDB's": b'{"$where":"while(true){}","a.b":{"$gt":""},"__proto__":{"x":1}}',
    "three megabytes of one letter": b'"' + b"a" * 3_000_000 + b'"',
    "three megabytes of escapes": b'"' + b"\\u0301" * 500_000 + b'"',
    "bytes that are no text": b'"\xff\xfe"',
}
TASKS = {
    **{name: _mention(value) for name, value in VALUES.items()},
    **{f"{name}, alone": value for name, value in VALUES.items() if name.startswith(("deep", "depth", "many"))},
    "a text of marks": orjson.dumps(
        {"type": "analyze_mentions", "brand": "acme", "mentions": ["a" + "\u0301" * 400_000]}
    ),
    "a brand of apostrophes": orjson.dumps(
        {"type": "analyze_mentions", "brand": "a" + "'" * 150 + "b", "mentions": ["a" + "'" * 150 + "c"]}
    ),
    "a launch of hyphens": orjson.dumps(
        {"type": "detect_launch", "brand": "acme", "mentions": ["launches " + "-'" * 2_000]}
    ),
}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_the_worker_lives_through_every_bomb_at_every_door_of_the_queue(redis_url: str, mongo_uri: str) -> None:
    lists = ("queue:brand:acme:chunks", "tasks:standard", "tasks:web_scan")
    async with running(redis_url, mongo_uri, queue_max_attempts=1, queue_concurrency=4) as runtime:
        before = _peak_mb()
        ids = [await push(runtime.redis, task) for task in TASKS.values()]
        for name in lists:
            await runtime.redis.call("RPUSH", name, *TASKS.values())
        await runtime.redis.call("SADD", "brands:set", "acme")
        good = await push(runtime.redis, {"type": "noop", "brand": "good"})
        assert (await finished(runtime, good, 60))["status"] == "succeeded"
        await until(lambda: _empty(runtime.redis, lists), 60)
        records = [await runtime.queue.read_record(one) for one in ids]
        letters = await dead_letters(runtime.redis)
        last = await push(runtime.redis, {"type": "analyze_mentions", "brand": "good", "mentions": ["good is great"]})
        assert (await finished(runtime, last, 60))["result"]["stored"] == 1
    assert len(letters) >= len(lists) * 5
    assert all(one["reason"] and len(one["reason"]) < 5_000 for one in letters)
    assert not [one for one in letters if "INTERNAL" in one["error"]]  # refused by name, not stumbled over
    assert not [one for one in records if one is not None and one.get("error", {}).get("code") == "INTERNAL"]
    assert _peak_mb() - before < MEMORY_MB


async def _empty(redis: RedisClient, lists: tuple[str, ...]) -> bool:
    left = [await redis.call("LLEN", name) for name in lists]
    pending = await redis.call("XPENDING", NORMAL, keys.GROUP)
    return not sum(left) and not pending[0] and not await redis.call("ZCARD", keys.DELAYED)


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_no_bomb_gets_more_from_a_route_than_a_refusal(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        app = create_application(runtime.api, api_key=None, max_body_bytes=4 << 20)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            before = _peak_mb()
            for route in ("/v1/tasks", "/v1/analyze", "/v1/suggestion"):
                for name, body in TASKS.items():
                    answer = await client.post(route, content=body, headers={"content-type": "application/json"})
                    assert answer.status_code < 500, (route, name, answer.text[:300])
                    assert len(answer.text) < 6 << 20
            too_large = await client.post("/v1/tasks", content=b" " * (5 << 20))
            packed = gzip.compress(b" " * (50 << 20))  # nothing unpacks what a client has packed
            as_is = await client.post(
                "/v1/tasks", content=packed, headers={"content-type": "application/json", "content-encoding": "gzip"}
            )
            alive = await client.get("/health")
    assert (too_large.status_code, as_is.status_code, alive.status_code) == (413, 400, 200)
    assert _peak_mb() - before < MEMORY_MB


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_document_raises_anything_but_a_refusal(value: bytes) -> None:
    refused: list[str] = []
    try:
        loads(value)
    except InvalidTask as error:
        refused.append(error.message)
    assert all(len(message) < 500 for message in refused)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_answer_of_a_model_raises_anything_but_that_it_holds_no_json(value: bytes) -> None:
    with contextlib.suppress(NoJson):
        extract_json(value.decode("utf-8", "replace"))


@pytest.mark.parametrize("name", ["deep objects", "depth without an end", "a number of 100,000 digits", "not a number"])
def test_a_script_answers_a_bomb_on_its_input_with_one_document(name: str) -> None:
    command = [sys.executable, "workers/analyze_basic.py"]
    done = subprocess.run(command, cwd=ROOT, input=VALUES[name], capture_output=True, timeout=60)
    document = orjson.loads(done.stdout)
    assert document["success"] is False
    assert document["error"]["retryable"] is False


def test_a_feed_with_entities_that_grow_is_refused() -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    feed = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><rss><channel>&l11;</channel></rss>'
    before = _peak_mb()
    with pytest.raises(Exception) as refused:  # noqa: PT011 - which one is the feed's own business
        read_feed(feed.encode())
    assert not isinstance(refused.value, MemoryError | RecursionError)
    assert _peak_mb() - before < 50


def test_a_packed_file_of_one_endless_line_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(300):
            file.write(b"a" * (1 << 20))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (220 << 20, 220 << 20));"
        "from src.worker.cli import main; sys.exit(main(['dedup', sys.argv[1], '--out', sys.argv[1] + '.out']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "MemoryError" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def test_a_block_of_the_archive_cannot_unpack_to_more_than_one_holds() -> None:
    import zstandard

    from src.worker.pipeline.archive_block import _unpacked

    bomb = zstandard.ZstdCompressor(level=19).compress(b"\0" * (MAX_RAW + 1))
    assert len(bomb) < 100_000
    stated = {"raw_bytes": MAX_RAW, "sha256": "0" * 64}
    with pytest.raises(ArchiveDamaged):
        _unpacked(bomb, stated)
    stream = io.BytesIO()
    with zstandard.ZstdCompressor(level=3, write_content_size=False).stream_writer(stream, closefd=False) as out:
        out.write(b"\0" * (MAX_RAW + 1))
    with pytest.raises(ArchiveDamaged):
        _unpacked(stream.getvalue(), stated)
