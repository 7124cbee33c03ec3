"""`replay` with real servers: every row of a file is accounted for, whatever happens to worker and queue meanwhile."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from src.worker import keys
from src.worker.commands import connection
from src.worker.commands.replay_chunks import Chunker, FileChunk
from src.worker.embedded import read_state
from src.worker.mention_files import Row
from tests.helpers import NORMAL, running, settings, until

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "examples" / "mentions.csv"
COUNTS = ("read", "stored", "duplicates", "rejected", "synthetic")
TOTALS = (*COUNTS, "sentiments", "intents", "priorities", "tiers", "brands")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out, parse_constant=pytest.fail)
        return document

    @property
    def counts(self) -> list[int]:
        return [self.json[name] for name in COUNTS]

    @property
    def totals(self) -> dict[str, Any]:
        return {name: self.json[name] for name in TOTALS}


class Cli:
    """The command line as its users start it: a process with its own environment, in a directory without `.env`."""

    def __init__(self, directory: Path, **environment: str) -> None:
        known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.environment = {**known, "PYTHONPATH": str(ROOT), **environment}
        self.directory = directory

    async def start(self, *words: str | Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "src.worker.cli", *words),
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes | None = None) -> Ended:
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), 50)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def run(self, *words: str | Path, stdin: bytes | None = None) -> Ended:
        return await self.end(await self.start(*words), stdin)

    async def replay(self, *words: str | Path) -> Ended:
        """With --json and an orderly end."""
        ended = await self.run("replay", *words, "--json", "--quiet")
        assert ended.code == 0, ended
        assert ended.json["outcome"] == "finished"
        assert ended.json["accounted"] is True
        return ended


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> Cli:
    return Cli(tmp_path, REDIS_URL=redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@contextmanager
def database(uri: str) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        yield client.get_default_database()


def write_csv(path: Path, rows: list[list[str]], header: tuple[str, ...] = ("id", "text", "brand")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def many(path: Path, count: int) -> Path:
    """Rows of two brands; each text comes twice, far apart, in chunks of their own."""
    words = ["keeps crashing, terrible", "is wonderful, I love it", "has an app", "should add a dark mode", "is down"]
    rows = []
    for number in range(count):
        topic = number % (count // 2)
        brand = "acme" if topic % 3 else "borealis"
        rows.append([str(10**17 + number), f"{brand} release {topic} {words[topic % len(words)]}", brand])
    return write_csv(path, rows)


@asynccontextmanager
async def worker_process(directory: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker to be killed; ended in order when it still lives at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    with (directory / "worker.log").open("a+") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "src.worker.app"),
            cwd=directory,
            env={**known, "PYTHONPATH": str(ROOT), "HTTP_PORT": port, "QUEUE_LEASE_SEC": "2", **environment},
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), 30)
            log.seek(0)
            print(log.read())  # pytest shows it with a test that fails


# -- totals ----------------------------------------------------------------------------------------------------------


async def test_every_row_is_accounted_for_and_a_second_replay_changes_nothing(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri):
        first = await cli.replay(SAMPLE, "--chunk-size", "7")
        published = {name: client.llen(f"result:brand:{name}:chunks") for name in ("acme", "borealis")}
        second = await cli.replay(SAMPLE, "--chunk-size", "7")
    assert first.json["read"] == 40
    assert first.json["duplicates"] >= 2
    assert first.json["rejected"] == 0
    stored = first.json["stored"]
    assert stored + first.json["duplicates"] == 40
    for section in ("sentiments", "intents", "priorities", "tiers"):
        assert sum(first.json[section].values()) == stored, section
    assert sum(brand["stored"] for brand in first.json["brands"].values()) == stored
    assert set(first.json["brands"]) == {"acme", "borealis"}
    assert second.totals == first.totals
    assert published == {name: client.llen(f"result:brand:{name}:chunks") for name in published}
    with database(mongo_uri) as mongo:
        assert mongo["mentions"].count_documents({}) == stored
    records = client.keys("worker:result:replay-*")
    assert len(records) == first.json["chunks"]["done"] + second.json["chunks"]["done"]
    assert all(client.ttl(record) <= 60 for record in records), "records of a large file must not fill Redis"


async def test_the_same_rows_twice_in_one_file_are_duplicates(
    cli: Cli, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    thirty = [[str(number), f"acme post number {number}", "acme"] for number in range(30)]
    path = write_csv(tmp_path / "twice.csv", thirty + thirty)
    async with running(redis_url, mongo_uri):
        ended = await cli.replay(path)
    assert ended.counts == [60, 30, 30, 0, 0]


async def test_names_of_one_brand_are_one_brand(cli: Cli, redis_url: str, mongo_uri: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [["1", "hello one", "Acme Corp."], ["2", "hello two", "acme-corp"]])
    async with running(redis_url, mongo_uri):
        ended = await cli.replay(path)
    assert ended.json["brands"] == {"acme-corp": {"stored": 2, "duplicates": 0, "rejected": 0, "synthetic": 0}}
    assert ended.json["chunks"]["done"] == 1


async def test_a_file_larger_than_the_window_goes_through_it(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    path = many(tmp_path / "many.csv", 400)
    async with running(redis_url, mongo_uri):
        ended = await cli.replay(path, "--in-flight", "3", "--chunk-size", "10", "--limit", "300")
    assert ended.counts == [300, 200, 100, 0, 0]
    # 199 of acme and 101 of borealis, ten at a time
    assert ended.json["chunks"] == {"done": 31, "failed": 0, "open": 0, "open_rows": 0, "unsent_rows": 0}
    assert client.xlen(NORMAL) == 0


async def test_long_mentions_make_smaller_chunks(cli: Cli, redis_url: str, mongo_uri: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "long.csv", [[str(n), f"acme {n} " + "long words " * 8_000, "acme"] for n in range(30)])
    async with running(redis_url, mongo_uri):
        ended = await cli.replay(path)
    assert ended.counts == [30, 30, 0, 0, 0]
    assert ended.json["chunks"]["done"] == 3  # 88 kB each, 1 MB in a chunk


def test_chunks_and_their_ids_depend_on_the_rows_only() -> None:
    def chunks(rows: list[Row], **limits: int) -> list[FileChunk]:
        chunker = Chunker(**{"rows": 2, "size": 10_000, **limits})
        return [*(chunk for row in rows for chunk in chunker.add(row)), *chunker.rest()]

    rows = [Row(n, "Acme" if n % 3 else "b", {"id": "1", "text": f"text {n % 2}"}) for n in range(1, 14)]
    first = chunks(rows)
    assert first == chunks(rows)
    assert [chunk.rows for chunk in first] == [(1, 2), (4, 5), (3, 6), (7, 8), (10, 11), (9, 12), (13,)]
    assert {chunk.brand for chunk in first} == {"acme", "b"}
    assert len({chunk.chunk_id for chunk in first}) == len(first), "equal rows further down are another chunk"
    assert all(len(chunk.rows) == 1 for chunk in chunks(rows, size=40))


def test_very_many_brands_do_not_pile_up_in_memory() -> None:
    chunker = Chunker(rows=1_000, size=10_000_000)
    text = "x" * 100_000
    done = [c for n in range(400) for c in chunker.add(Row(n, f"brand-{n}", {"text": text}))]
    assert 200 < len(done) < 300  # 40 MB were read, 16 MB are waiting
    assert len(done) + len(list(chunker.rest())) == 400


async def test_the_queue_is_followed_to_another_port(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where = redis_url
    monkeypatch.setattr(connection, "redis_url", lambda _: where)
    async with connection.QueueLink(settings()) as link:
        assert await link.workers_alive() is False
        where = redis_url.removesuffix("/1") + "/2"  # as good as another server
        with redis.Redis.from_url(where) as elsewhere:
            elsewhere.set(keys.heartbeat("one"), "alive", ex=10)
            await link.find_again()
            assert await link.workers_alive() is True
            elsewhere.flushdb()


# -- rejected rows ---------------------------------------------------------------------------------------------------


async def test_bad_rows_are_counted_with_their_reasons(
    cli: Cli, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(
        b"id,text,brand\n"
        b"1,good one,acme\n"
        b"2,too,many,acme\n"
        b"3,,acme\n"
        b"4,caf\xe9,acme\n"
        b"5,no brand,\n"
        b"6,nul \x00 inside,acme\n"
        b"7,,borealis\n"
    )
    async with running(redis_url, mongo_uri):
        ended = await cli.replay(path)
    assert ended.counts == [7, 2, 0, 5, 0]
    assert ended.json["rejected_reasons"] == [
        {"row": 2, "reason": "has 4 columns, the header has 3"},
        {"row": 3, "reason": "text: is empty"},
        {"row": 4, "reason": "text: is not UTF-8 (byte 0xe9)"},
        {"row": 5, "reason": "brand: is missing (--brand or --brand-column names it)"},
        {"row": 7, "reason": "text: is empty"},
    ]
    assert ended.json["chunks"]["failed"] == 1  # borealis: nothing of that chunk could be used


async def test_a_bad_end_of_the_file_costs_no_row_before_it(
    cli: Cli, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    import gzip

    path = tmp_path / "cut.csv.gz"
    lines = "".join(f"{number},{os.urandom(30).hex()} acme\n" for number in range(3_000))
    path.write_bytes(gzip.compress(f"id,text\n{lines}".encode())[:-50_000])
    async with running(redis_url, mongo_uri):
        ended = await cli.run("replay", path, "--brand", "acme", "--json")
    assert ended.code == 1
    assert "cut off after line" in ended.err
    assert ended.json["outcome"] == "file_problem"
    assert ended.json["read"] == ended.json["stored"] > 100


# -- workers and queues that come and go -----------------------------------------------------------------------------


async def test_a_worker_killed_in_the_middle_and_started_again_gives_the_same_totals(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    path = many(tmp_path / "many.csv", 1_500)
    lines = path.read_bytes().splitlines(keepends=True)
    servers = {"REDIS_URL": redis_url, "MONGODB_URI": mongo_uri}
    with database(mongo_uri) as mongo:

        async def stored_some() -> bool:
            return mongo["mentions"].count_documents({}) >= 100

        async with worker_process(tmp_path, **servers) as worker:
            replay = await cli.start("replay", "-", "--json", "--quiet")
            assert replay.stdin is not None
            replay.stdin.writelines(lines[:600])  # the rest is not there yet, however long the machine sleeps now
            await replay.stdin.drain()
            await until(stored_some)
            worker.kill()
            await worker.wait()
        assert 100 <= mongo["mentions"].count_documents({}) < 600
        assert replay.returncode is None
        async with worker_process(tmp_path, **servers):
            killed = await cli.end(replay, b"".join(lines[600:]))
            assert mongo["mentions"].count_documents({}) == 750
            again = await cli.replay(path)
        client.flushdb()
        mongo.client.drop_database(mongo)
        async with worker_process(tmp_path, **servers):
            undisturbed = await cli.replay(path)
    assert killed.code == 0, killed
    assert killed.counts == [1_500, 750, 750, 0, 0]
    assert killed.totals == again.totals == undisturbed.totals


async def test_a_redis_that_was_emptied_gets_its_tasks_again(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str
) -> None:
    async def sent() -> bool:
        return int(client.xlen(NORMAL)) >= 3  # of four: 33 rows of acme and 7 of borealis in chunks of 15

    replay = await cli.start("replay", SAMPLE, "--json", "--chunk-size", "15")
    await until(sent)
    client.flushdb()
    await until(sent)
    async with running(redis_url, mongo_uri):
        ended = await cli.end(replay)
    assert ended.code == 0, ended
    assert ended.json["read"] == ended.json["stored"] + ended.json["duplicates"] == 40
    assert "no worker is alive" in ended.err


async def test_without_a_worker_the_replay_gives_up_and_says_what_is_open(cli: Cli, client: redis.Redis) -> None:
    ended = await cli.run("replay", SAMPLE, "--wait-sec", "1", "--chunk-size", "10")
    assert ended.code == 1
    assert "no worker is alive on this Redis" in ended.err
    assert "nothing moved for 1 s: 5 chunks are open" in ended.err
    assert "difference 40" in ended.out
    assert client.xlen(NORMAL) == 5


@pytest.mark.parametrize("source", ["file", "pipe"])
async def test_ctrl_c_ends_at_once_with_the_table_of_what_is_done(cli: Cli, client: redis.Redis, source: str) -> None:
    async def sent() -> bool:
        return int(client.xlen(NORMAL)) >= 2  # it has the answer to the first one then

    replay = await cli.start("replay", "-" if source == "pipe" else SAMPLE, "--json", "--chunk-size", "1")
    if source == "pipe":
        assert replay.stdin is not None
        replay.stdin.write(b"text,brand\nhello,acme\nagain,acme\nand more")  # and then nothing: the reader waits
        await replay.stdin.drain()
    await until(sent)
    replay.send_signal(signal.SIGINT)
    assert replay.stdout is not None
    out = await asyncio.wait_for(replay.stdout.read(), 20)  # without a worker it would wait for minutes
    assert await asyncio.wait_for(replay.wait(), 20) == 130
    document = json.loads(out)
    assert document["outcome"] == "interrupted"
    assert document["accounted"] is False
    chunks = document["chunks"]
    assert chunks["open_rows"] == chunks["open"] >= 1
    assert chunks["open_rows"] + chunks["unsent_rows"] == document["read"]


async def test_the_worker_of_the_data_directory_is_found_also_after_it_was_killed(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    cli = Cli(tmp_path, DATA_DIR=str(directory))
    path = many(tmp_path / "many.csv", 1_500)

    async def served() -> bool:
        return (await cli.run("replay", SAMPLE, "--limit", "1", "--quiet")).code == 0

    async with worker_process(tmp_path, DATA_DIR=str(directory)) as worker:
        await until(served)
        endpoints = read_state(directory)
        assert endpoints is not None
        assert endpoints.redis_url
        with redis.Redis.from_url(endpoints.redis_url) as queue:
            before = queue.dbsize()

            async def begun() -> bool:
                return bool(queue.dbsize() > before)

            replay = await cli.start("replay", path, "--json")
            await until(begun)
        worker.kill()  # and its servers end with it
        await worker.wait()
    async with worker_process(tmp_path, DATA_DIR=str(directory)):
        ended = await cli.end(replay)
    assert ended.code == 0, ended
    assert ended.counts == [1_500, 750, 750, 0, 0]


# -- what users see --------------------------------------------------------------------------------------------------


async def test_standard_input_and_columns_by_flag(cli: Cli, redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri):
        ended = await cli.run(
            *("replay", "-", "--brand", "acme", "--source", "forum", "--text-column", "words", "--time-column", "at"),
            "--json",
            stdin=b'{"words": "Acme is great", "at": "2025-03-01T10:00:00Z"}\nnonsense\n',
        )
    assert ended.code == 0, ended
    assert ended.counts == [2, 1, 0, 1, 0]
    with database(mongo_uri) as mongo:
        stored = mongo["mentions"].find_one()
    assert stored is not None
    assert (stored["source"], stored["time_source"]) == ("forum", "event")


async def test_the_table_without_a_terminal_is_aligned_text(cli: Cli, redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri):
        ended = await cli.run("replay", SAMPLE)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert "\x1b" not in ended.out + ended.err
    assert lines[0].split() == ["rows", "read", "40"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1].startswith("accounted for: read = stored + duplicates + rejected + synthetic: 40 = ")
    assert lines[-1].endswith(": ok")


async def test_without_any_server_the_message_says_what_to_do(tmp_path: Path) -> None:
    ended = await Cli(tmp_path).run("replay", SAMPLE)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "no worker is running under ./data: start one with `make run`, or set REDIS_URL\n"
    assert not (tmp_path / "data").exists()


async def test_a_redis_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    ended = await Cli(tmp_path, REDIS_URL="redis://user:secret@127.0.0.1:1/0").run("replay", SAMPLE)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Redis at redis://***@127.0.0.1:1/0 does not answer")
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err


@pytest.mark.parametrize(
    ("environment", "words", "part"),
    [
        ({}, ["none.csv"], "none.csv: there is no such file"),
        ({"REDIS_URL": "http://x"}, [str(SAMPLE)], "REDIS_URL: must start with redis://"),
    ],
)
async def test_problems_are_one_line(tmp_path: Path, environment: dict[str, str], words: list[str], part: str) -> None:
    ended = await Cli(tmp_path, **environment).run("replay", *words)
    assert (ended.code, ended.out) == (1, "")
    assert part in ended.err
    assert ended.err.count("\n") == 1


async def test_a_file_without_texts_is_one_line_and_sends_nothing(
    cli: Cli, client: redis.Redis, tmp_path: Path
) -> None:
    ended = await cli.run(
        "replay", write_csv(tmp_path / "a.csv", [["1", "a", "b"]], ("id", "words", "brand")), "--json"
    )
    assert (ended.code, ended.out) == (1, "")
    assert "name one with --text-column" in ended.err
    assert not client.keys("worker:*")


@pytest.mark.parametrize("words", [[], ["replay"], ["nonsense"], ["replay", "a.csv", "--chunk-size", "0"]])
async def test_wrong_usage_is_code_2(tmp_path: Path, words: list[str]) -> None:
    ended = await Cli(tmp_path).run(*words)
    assert ended.code == 2
    assert "usage:" in ended.err


async def test_help_needs_nothing_heavy(tmp_path: Path) -> None:
    """Waiting half a second for a help text is what heavy imports cost."""
    code = (
        "import sys; from src.worker.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print(sorted({'redis', 'pydantic', 'rich', 'orjson', 'asyncio', 'motor'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert "exit codes:" in out.decode()
    assert out.decode().splitlines()[-1] == "[]"


def test_keys_of_heartbeats_are_those_the_workers_write() -> None:
    assert keys.heartbeat("*") == "workers:heartbeat:*"
