"""The janitor as a command: real processes, exit codes, one document on standard output, one at a time, its end."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
import redis

from src.worker.api.application import create_application
from src.worker.embedded import EmbeddedServers, read_state
from src.worker.errors import StorageUnavailable
from src.worker.janitor import main
from src.worker.janitor_seams import LockLost, Run
from src.worker.redis_client import RedisClient
from src.worker.services import janitor_report
from src.worker.services.janitor_lock import LOCK, JanitorLock
from src.worker.services.janitor_report import LAST, figures
from src.worker.services.janitor_run import Janitor
from src.worker.storage import Storage
from tests.helpers import finished, push, running
from tests.janitor_helpers import Seen, everything

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
MANY = 5_000
"""Lists over their bound: a run has twenty steps in which it changes something, and asks for its lock before each."""

DRY_RESTORE = ("--dry-run", "restore", "--brand", "acme", "--day", "2026-03-01")
"""Must not be taken for one that changes nothing: it would bring the day back."""


class Process:
    """One janitor."""

    def __init__(self, *words: str, **env: str) -> None:
        self._files = Path(tempfile.mkdtemp(prefix="janitor-test-"))
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
        with (self._files / "out").open("w") as out, (self._files / "err").open("w") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "src.worker.janitor", *words],
                cwd=ROOT,
                env={**clean, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return (self._files / "out").read_text()

    @property
    def err(self) -> str:
        return (self._files / "err").read_text()

    def end(self, signum: int | None = None) -> int:
        """Exit code; with a signal, or when it is done."""
        if signum is not None:
            self.popen.send_signal(signum)
        return self.popen.wait(50)

    def report(self) -> Any:
        """What it printed, which must be one JSON document on one line."""
        assert self.out.endswith("\n"), self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)


@pytest.fixture
def start(redis_url: str, mongo_uri: str, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    begun: list[Process] = []

    def _start(*words: str, **env: str) -> Process:
        servers = {"REDIS_URL": redis_url, "MONGODB_URI": mongo_uri, "DATA_DIR": str(tmp_path)}
        begun.append(Process(*words, **{name: value for name, value in {**servers, **env}.items() if value}))
        return begun[-1]

    yield _start
    for process in begun:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def fill(client: redis.Redis, count: int) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.lpush(f"crisis:events:b{number}", *range(51))
        pipe.execute()


def over_bound(client: redis.Redis) -> int:
    """How many of the lists have not been cut yet."""
    with client.pipeline(transaction=False) as pipe:
        for number in range(MANY):
            pipe.llen(f"crisis:events:b{number}")
        return sum(length == 51 for length in pipe.execute())


def freeze(process: Process, client: redis.Redis) -> None:
    """Suspend a janitor in the middle of its work."""
    wait_for(lambda: client.exists(LOCK))
    process.popen.send_signal(signal.SIGSTOP)
    assert process.popen.poll() is None
    assert over_bound(client) > 0


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# -- the command -----------------------------------------------------------------------------------------------------


def test_help_says_what_it_does_and_how_it_ends(start: Callable[..., Process]) -> None:
    process = start("--help", REDIS_URL="nonsense")
    assert process.end() == 0
    for word in ("--once", "--dry-run", "--json", "--every", "exit codes", "another janitor"):
        assert word in process.out, word


@pytest.mark.parametrize(
    "words",
    [
        ("--unheard-of",),
        ("--every", "0"),
        ("--every", "-1"),
        ("--every", "nan"),
        ("--every", "x"),
        ("surplus",),
        ("restore",),
    ],
)
def test_wrong_usage_is_told_from_failure(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    _refused(words, capsys)


def _refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    """The command line is read before anything else: in this process as in one of its own. Returns what it says."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage:" in err
    return err


def test_wrong_usage_ends_the_process_with_two(start: Callable[..., Process]) -> None:
    process = start(*DRY_RESTORE)
    assert process.end() == 2
    assert process.out == ""
    assert "usage:" in process.err


def test_a_setting_that_cannot_be_used_is_one_line_that_names_it(start: Callable[..., Process]) -> None:
    process = start(REDIS_MEMORY_LIMIT_MB="much")
    assert process.end() == 1
    assert process.err.startswith("REDIS_MEMORY_LIMIT_MB: ")
    assert process.err.count("\n") == 1


def test_a_run_does_its_work_once_and_reports_it_as_one_document(
    start: Callable[..., Process], client: redis.Redis
) -> None:
    fill(client, 3)
    client.set("session:x", "unknown")
    process = start("--once", "--json", JANITOR_EVERY_HOURS="1")
    assert process.end() == 0, process.err
    report = process.report()
    assert (report["outcome"], report["success"], report["error"], report["dry_run"]) == ("done", True, None, False)
    started_at, completed_at = (datetime.fromisoformat(report[name]) for name in ("started_at", "completed_at"))
    assert started_at <= completed_at <= datetime.now(UTC)
    assert all(step["success"] for step in report["steps"])
    assert [step["name"] for step in report["steps"]][-1] == "redis", "nothing goes before it is in the archive"
    assert report["redis"]["actions"]["trimmed_items"] == 3
    assert report["redis"]["keys_unknown"] == 1
    assert report["stats"]["before"]["redis"]["keys"] >= 4
    assert report["stats"]["after"]["mongodb"]["documents"]["janitor_control"] == 1
    assert client.llen("crisis:events:b0") == 50
    assert client.get("session:x") == b"unknown"
    assert not client.exists(LOCK)
    kept = json.loads(client.get(LAST) or b"")
    assert kept == report | {"last_success": report["completed_at"]}
    assert 34 * 86_400 < client.ttl(LAST) <= 35 * 86_400


def test_the_report_for_people_says_the_same(start: Callable[..., Process], client: redis.Redis) -> None:
    fill(client, 3)
    process = start()
    assert process.end() == 0, process.err
    assert process.out.startswith("janitor  done, ")
    for words in ("trimmed_items 3", "Redis ", "MongoDB"):
        assert words in process.out, words
    assert "\x1b" not in process.out + process.err, "no bars in a pipe"


def test_a_dry_run_changes_nothing_at_all(start: Callable[..., Process], client: redis.Redis, mongo_uri: str) -> None:
    fill(client, 5)
    client.rpush("failed:brand:acme", "x")
    client.set("worker:llm:cache:a", "x" * 1000, ex=1_000)
    client.set("rate_limit:global:20000000", 1)
    before, size = everything(client), client.dbsize()
    process = start("--dry-run", "--json", "--every", "1", REDIS_MEMORY_LIMIT_MB="1")
    assert process.end() == 0, process.err
    report = process.report()
    assert (report["dry_run"], report["token"], report["outcome"]) == (True, None, "done")
    assert report["redis"]["actions"]["trimmed_items"] == 5
    assert report["redis"]["actions"]["unlinked"] == 1
    assert (everything(client), client.dbsize()) == (before, size)
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as mongo:
        assert mongo.get_default_database().list_collection_names() == []


def test_a_server_that_is_away_is_a_failure_with_its_name(start: Callable[..., Process]) -> None:
    process = start("--json", REDIS_URL="redis://127.0.0.1:1/0")
    assert process.end() == 1
    report = process.report()
    assert (report["outcome"], report["success"]) == ("failed", False)
    assert report["error"]["code"] == "QUEUE_UNAVAILABLE"


# -- one at a time, and its end --------------------------------------------------------------------------------------


def test_of_two_at_once_one_works_and_the_other_says_so_and_ends_well(
    start: Callable[..., Process], client: redis.Redis
) -> None:
    fill(client, MANY)
    first = start("--json")
    freeze(first, client)
    second, third = start("--json"), start()
    assert second.end() == 0
    assert third.end() == 0
    report = second.report()
    assert (report["outcome"], report["success"], report["steps"]) == ("busy", True, [])
    assert f"process {first.popen.pid} " in report["holder"]
    assert f"another janitor is at work: process {first.popen.pid} " in third.out
    assert first.end(signal.SIGCONT) == 0
    done = first.report()
    assert done["outcome"] == "done"
    assert done["redis"]["actions"]["trimmed_keys"] == MANY
    assert over_bound(client) == 0
    assert json.loads(client.get(LAST) or b"")["token"] == done["token"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_the_run_after_the_step_in_hand_and_the_next_run_goes_on(
    start: Callable[..., Process], client: redis.Redis, signum: int
) -> None:
    fill(client, MANY)
    process = start("--json")
    freeze(process, client)
    process.popen.send_signal(signum)
    assert process.end(signal.SIGCONT) == 0
    report = process.report()
    assert (report["outcome"], report["success"]) == ("stopped", True)
    assert "stopping: finishing the step in hand" in process.err
    assert not client.exists(LOCK), "the lock is given back"
    left = over_bound(client)
    assert left > 0
    again = start("--json")
    assert again.end() == 0
    assert again.report()["redis"]["actions"]["trimmed_keys"] == left
    assert over_bound(client) == 0


def test_a_killed_janitor_does_not_keep_the_next_one_waiting(
    start: Callable[..., Process], client: redis.Redis
) -> None:
    fill(client, MANY)
    process = start("--json")
    freeze(process, client)
    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    again = start("--json")
    assert again.end() == 0
    assert (again.report()["outcome"], again.report()["token"]) == ("done", 2)
    assert "taking over from a janitor that was killed" in again.err
    assert over_bound(client) == 0


def test_one_that_was_suspended_past_its_lock_changes_nothing_more_and_fails(
    start: Callable[..., Process], client: redis.Redis
) -> None:
    fill(client, MANY)
    process = start("--json")
    freeze(process, client)
    left = over_bound(client)
    client.set(LOCK, "99|another", px=60_000)  # its own ran out, somebody else came
    assert process.end(signal.SIGCONT) == 1
    report = process.report()
    assert (report["outcome"], report["error"]["code"]) == ("failed", "LOCK_LOST")
    assert client.get(LOCK) == b"99|another"
    assert left - over_bound(client) <= 250, "at most what was on its way when it was suspended"


def test_with_every_it_runs_again_until_it_is_told_to_end(start: Callable[..., Process], client: redis.Redis) -> None:
    process = start("--json", "--every", "0.0002")
    wait_for(lambda: process.out.count("\n") >= 3)
    assert process.end(signal.SIGTERM) == 0
    reports = [json.loads(line) for line in process.out.splitlines()]
    tokens = [report["token"] for report in reports if report["outcome"] == "done"]
    assert tokens == sorted(set(tokens))
    assert len(tokens) >= 2
    waiting = start(JANITOR_EVERY_HOURS="2")
    wait_for(lambda: "janitor  done" in waiting.out)
    assert waiting.popen.poll() is None
    assert waiting.end(signal.SIGTERM) == 0


def test_a_terminal_gets_bars_and_the_report_stays_clean(
    redis_url: str, mongo_uri: str, client: redis.Redis, tmp_path: Path
) -> None:
    fill(client, 300)
    main, other = pty.openpty()
    env = {"PATH": os.environ["PATH"], "REDIS_URL": redis_url, "MONGODB_URI": mongo_uri, "TERM": "xterm"}
    command = [sys.executable, "-m", "src.worker.janitor", "--json"]
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=out, stderr=other, timeout=50)
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 65_536)
        except OSError:  # the end of a terminal nobody writes to any more
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out").read_text())["success"] is True
    assert b"redis" in shown


# -- with the archive -------------------------------------------------------------------------------------------------


async def test_old_mentions_go_into_the_archive_and_a_day_can_be_brought_back(
    start: Callable[..., Process], redis_url: str, mongo_uri: str, client: redis.Redis
) -> None:
    old = datetime.now(UTC).replace(hour=9, minute=0) - timedelta(days=100)
    mentions = [
        {"id": str(number), "text": f"acme is great, part {number}", "created_at": when.isoformat()}
        for number, when in enumerate([old] * 5 + [datetime.now(UTC)] * 3)
    ]
    async with running(redis_url, mongo_uri) as runtime:
        task = await push(runtime.redis, {"type": "analyze_mentions", "brand": "acme", "mentions": mentions})
        assert (await finished(runtime, task))["result"]["stored"] == 8
    timeline = "data:brand:acme:timeline"
    assert client.zcard(timeline) == 8
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as mongo:
        hot = mongo.get_default_database().mentions
        before = {one["_id"]: one for one in hot.find()}
        process = start("--json")
        assert await asyncio.to_thread(process.end) == 0, process.err
        report = process.report()
        assert [step["name"] for step in report["steps"]] == ["archive", "redis"]
        assert report["archive"]["mentions_archived"] == 5
        assert figures(report)["last_run_mentions_archived"] == 5
        assert report["redis"]["families"]["data:brand:<brand>:timeline"]["trimmed_items"] == 5
        assert (hot.count_documents({}), client.zcard(timeline)) == (3, 3)
        restoring = start("restore", "--brand", "Acme", "--day", f"{old:%Y-%m-%d}", "--json")
        assert await asyncio.to_thread(restoring.end) == 0, restoring.err
        assert restoring.report()["restored"]["inserted"] == 5
        assert {one["_id"]: one for one in hot.find()} == before
        assert not client.exists(LOCK)


def test_what_was_never_archived_cannot_be_brought_back(start: Callable[..., Process], client: redis.Redis) -> None:
    process = start("restore", "--brand", "acme", "--day", "2020-01-01")
    assert process.end() == 1
    assert process.out.startswith("restore  acme 2020-01-01: NOT_ARCHIVED: ")
    assert not client.exists(LOCK)


def test_nothing_is_brought_back_while_a_janitor_is_at_work(start: Callable[..., Process], client: redis.Redis) -> None:
    client.set(LOCK, "5|another")
    process = start("restore", "--brand", "acme", "--day", "2020-01-01", "--json")
    assert process.end() == 1
    assert process.report()["error"]["code"] == "JANITOR_AT_WORK"


@pytest.mark.parametrize("day", ["2026-02-30", "20260301", "yesterday", "2026-W09-7"])
def test_a_day_that_is_none_is_wrong_usage(day: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = _refused(("restore", "--brand", "acme", "--day", day), capsys)
    assert f"{day!r} is no day of the form YYYY-MM-DD" in said


# -- embedded servers ------------------------------------------------------------------------------------------------


async def test_without_urls_it_works_on_the_servers_of_the_worker_that_runs(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    async with EmbeddedServers(tmp_path) as endpoints:
        with redis.Redis.from_url(endpoints.redis_url) as client:
            await asyncio.to_thread(fill, client, 2)
            process = start("--json", REDIS_URL="", MONGODB_URI="")
            assert await asyncio.to_thread(process.end) == 0, process.err
            assert process.report()["redis"]["actions"]["trimmed_keys"] == 2
            assert client.llen("crisis:events:b0") == 50
        assert read_state(tmp_path) == endpoints, "the worker's servers run on"


async def test_without_a_worker_it_starts_the_servers_and_ends_them(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    async with EmbeddedServers(tmp_path) as endpoints:
        with redis.Redis.from_url(endpoints.redis_url) as client:
            await asyncio.to_thread(fill, client, 2)
    process = start("--json", REDIS_URL="", MONGODB_URI="")
    assert await asyncio.to_thread(process.end) == 0, process.err
    assert process.report()["redis"]["actions"]["trimmed_keys"] == 2
    assert read_state(tmp_path) is None
    async with EmbeddedServers(tmp_path) as again:
        with redis.Redis.from_url(again.redis_url) as client:
            assert client.llen("crisis:events:b0") == 50


# -- one run, with steps that fail -----------------------------------------------------------------------------------


class Works:
    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.runs: list[Run] = []

    async def run(self, run: Run) -> dict[str, Any]:
        self.runs.append(run)
        if self.error is not None:
            raise self.error
        await run.fence.hold()
        return {"done": 1}


class Bench:
    def __init__(self, redis_url: str, mongo_uri: str) -> None:
        self.client = RedisClient(redis_url, max_connections=8)
        self.storage = Storage(mongo_uri)

    async def run(self, *steps: Works, stop: asyncio.Event | None = None) -> dict[str, Any]:
        def clock() -> datetime:
            return datetime.now(UTC)

        def lock() -> JanitorLock:
            return JanitorLock(self.client, self.storage, clock=clock)

        janitor = Janitor(self.client, self.storage, steps, clock=clock, lock=lock)
        return await janitor.run(dry_run=False, progress=Seen(), stop=stop or asyncio.Event())


@pytest.fixture
async def bench(redis_url: str, mongo_uri: str) -> AsyncIterator[Bench]:
    bench = Bench(redis_url, mongo_uri)
    yield bench
    await bench.client.close()
    bench.storage.close()


@pytest.mark.parametrize("error", [StorageUnavailable("away"), ZeroDivisionError("a fault")])
async def test_a_step_that_fails_does_not_keep_the_others_from_their_work(bench: Bench, error: Exception) -> None:
    bad, good = Works("bad", error), Works("good")
    fine = await bench.run(good)
    report = await bench.run(bad, good)
    assert (report["outcome"], report["success"]) == ("failed", False)
    assert [(step["name"], step["success"]) for step in report["steps"]] == [("bad", False), ("good", True)]
    assert report["good"] == {"done": 1}
    assert "bad" not in report
    assert report["error"] == report["steps"][0]["error"]
    assert str(error) in report["error"]["message"]
    assert report["stats"]["after"] is not None
    kept = await janitor_report.read(bench.client)
    assert kept is not None
    assert kept["success"] is False
    assert kept["last_success"] == fine["completed_at"]


async def test_without_mongodb_nothing_is_done_and_the_last_run_says_so(bench: Bench) -> None:
    bench.storage.close()
    bench.storage = Storage("mongodb://127.0.0.1:1/worker", timeout_sec=0.3)
    step = Works("step")
    report = await bench.run(step)
    assert (report["outcome"], report["error"]["code"]) == ("failed", "STORAGE_UNAVAILABLE")
    assert step.runs == []
    kept = await janitor_report.read(bench.client)
    assert kept is not None
    assert (kept["success"], kept["last_success"]) == (False, None)


async def test_after_a_lost_lock_no_other_step_begins(bench: Bench) -> None:
    second = Works("second")
    report = await bench.run(Works("first", LockLost("gone")), second)
    assert second.runs == []
    assert report["error"]["code"] == "LOCK_LOST"
    assert await bench.client.call("EXISTS", LOCK) == 0


async def test_all_steps_of_a_run_share_one_moment_and_one_growing_token(bench: Bench) -> None:
    first, second = Works("first"), Works("second")
    await bench.run(first, second)
    await bench.run(first)
    assert first.runs[0].now == second.runs[0].now
    assert first.runs[1].fence.token > first.runs[0].fence.token > 0


async def test_asked_to_end_before_the_first_change_it_changes_nothing(bench: Bench) -> None:
    stop = asyncio.Event()
    stop.set()
    step, other = Works("step"), Works("other")
    report = await bench.run(step, other, stop=stop)
    assert (report["outcome"], report["success"]) == ("stopped", True)
    assert "step" not in report
    assert other.runs == []


# -- what the service shows ------------------------------------------------------------------------------------------


async def test_the_service_shows_the_last_run_in_metrics_and_over_rest(
    redis_url: str, mongo_uri: str, start: Callable[..., Process], client: redis.Redis
) -> None:
    fill(client, 2)
    async with running(redis_url, mongo_uri) as runtime:
        app = create_application(runtime.api, api_key=None, max_body_bytes=10_000)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/v1/janitor")).json() == {"last": None, "atWork": None}
            assert "worker_janitor" not in (await http.get("/metrics")).text
            process = start("--json")
            assert await asyncio.to_thread(process.end) == 0
            client.set(LOCK, '5|{"pid": 1}', px=60_000)
            answer = (await http.get("/v1/janitor")).json()
            report = process.report()
            assert answer["last"] == report | {"last_success": report["completed_at"]}
            assert answer["atWork"] is not None
            await runtime.janitor.refresh()
            text = (await http.get("/metrics")).text
    shown = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("worker_janitor")}
    assert shown["worker_janitor_last_run_success"] == 1
    assert shown["worker_janitor_last_run_timestamp_seconds"] == pytest.approx(time.time(), abs=60)
    assert shown["worker_janitor_last_success_timestamp_seconds"] == shown["worker_janitor_last_run_timestamp_seconds"]
    assert shown["worker_janitor_last_run_redis_bytes_freed"] == report["redis"]["bytes_freed"]
    assert 0 <= shown["worker_janitor_last_run_duration_seconds"] < 60


def test_figures_say_nothing_that_the_report_does_not_say() -> None:
    assert figures({}) == {"last_run_success": 0.0}
    report = {
        "success": False,
        "started_at": "2026-03-01T00:00:00.000Z",
        "completed_at": "2026-03-01T00:01:30.000Z",
        "last_success": None,
        "redis": {"bytes_freed": 5},
        "archive": {"mentions_archived": 7},
    }
    found = figures(report)
    assert "last_success_timestamp_seconds" not in found
    assert found["last_run_duration_seconds"] == 90
    assert (found["last_run_redis_bytes_freed"], found["last_run_mentions_archived"]) == (5, 7)


@pytest.mark.parametrize("raw", [b"{", b"[]", b"null", b"\xff"])
async def test_a_last_report_that_cannot_be_read_is_none(bench: Bench, raw: bytes) -> None:
    await bench.client.call("SET", LAST, raw)
    assert await janitor_report.read(bench.client) is None
