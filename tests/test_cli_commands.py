"""`enqueue`, `queue` and `dead` as operators use them: processes, real servers, exit codes, JSON that can be piped."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import orjson
import pymongo
import pytest
import redis

from src.worker import keys
from src.worker.api.application import create_application
from src.worker.commands import counting, enqueue, queue_state
from src.worker.commands.connection import QueueLink
from src.worker.commands.enqueue_lines import Line, TaskFile
from src.worker.errors import InvalidTask, QueueUnavailable
from src.worker.models import TaskPriority
from src.worker.runtime import Runtime
from tests.helpers import NORMAL, finished, running, settings
from tests.test_cli_replay import Cli

pytestmark = pytest.mark.anyio

HIGH = keys.STREAMS[TaskPriority.HIGH]
GOOD = [
    {"type": "noop", "id": "a", "n": 1},
    {"type": "noop", "id": "b", "priority": "high"},
    {"type": "analyze_mentions", "id": "c", "brand": "acme", "mentions": [{"text": "acme is great"}]},
]
BAD: list[bytes] = [
    b"{",
    b"[]",
    b"{}",
    b'{"type": "nope"}',
    b'{"type": "noop", "id": "a b"}',
    b'{"type": "noop", "priority": "urgent"}',
    b'{"type": "noop", "runAt": "soon"}',
    b'{"type": "noop", "deadline": true}',
    b'{"type": "noop", "x": NaN}',
    b'{"type": "noop", "x": "\xff"}',
    b'{"type": "analyze_mentions", "brand": "acme", "mentions": 5}',
    b'{"type": "analyze_mentions", "mentions": [{"text": "x"}]}',
    b'{"type": "noop", "brand": "!"}',
]


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> Cli:
    return Cli(tmp_path, REDIS_URL=redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def jsonl(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    path.write_bytes(b"".join((one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n" for one in lines))
    return path


def bury(client: redis.Redis, task: bytes = b'{"type":"noop"}', **fields: Any) -> str:
    code = fields.pop("code", "VALIDATION_ERROR")
    letter = {
        "task": task,
        "type": "noop",
        "brand": "acme",
        "reason": "because",
        "error": orjson.dumps({"code": code, "message": "because", "retryable": False}),
        "attempts": 2,
        "at": "2026-01-01T00:00:00.000Z",
        "worker": "w1",
        **fields,
    }
    entry: bytes = client.xadd(keys.DEAD, cast(Any, letter))
    return entry.decode()


# -- enqueue ---------------------------------------------------------------------------------------------------------


async def test_tasks_of_a_file_go_in_once_whatever_how_often_it_is_sent(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "tasks.jsonl", *GOOD)
    first = await cli.run("enqueue", path, "--json")
    assert (first.code, first.err) == (0, "")
    assert first.json == {
        "read": 3, "accepted": 3, "known": {}, "refused": 0, "notSent": 0, "dryRun": False, "problems": []
    }  # fmt: skip
    assert (client.xlen(NORMAL), client.xlen(HIGH)) == (2, 1)
    again = await cli.run("enqueue", path)
    assert again.code == 0
    assert [line.rsplit(None, 1) for line in again.out.splitlines()] == [
        ["read", "3"],
        ["accepted", "0"],
        ["known already, queued", "3"],
        ["refused", "0"],
    ]
    assert (client.xlen(NORMAL), client.xlen(HIGH)) == (2, 1)
    async with running(redis_url, mongo_uri) as runtime:
        for task in GOOD:
            assert (await finished(runtime, str(task["id"])))["status"] == "succeeded"
    assert (await cli.run("enqueue", path, "--json")).json["known"] == {"succeeded": 3}


async def test_one_bad_line_keeps_all_out_and_every_bad_line_is_named(
    cli: Cli, client: redis.Redis, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "tasks.jsonl", GOOD[0], b"", b'{"type": "nope"}', GOOD[1], b"{")
    refused = await cli.run("enqueue", path)
    assert refused.code == 1
    lines = refused.err.splitlines()
    assert lines[0].startswith("line 3: type: unknown type 'nope', known: ")
    assert "analyze_mentions" in lines[0]
    assert lines[1].startswith("line 5: task: is not JSON")
    assert "--skip-bad" in lines[2]
    assert refused.out.splitlines()[-1].split() == ["good,", "not", "put", "in", "2"]
    assert client.keys("worker:*") == []
    skipped = await cli.run("enqueue", path, "--skip-bad", "--json")
    assert skipped.code == 1
    assert (skipped.json["read"], skipped.json["accepted"], skipped.json["refused"]) == (4, 2, 2)
    assert [problem["line"] for problem in skipped.json["problems"]] == [3, 5]
    assert (client.xlen(NORMAL), client.xlen(HIGH)) == (1, 1)


async def test_a_dry_run_needs_no_server_and_sends_nothing(tmp_path: Path) -> None:
    ended = await Cli(tmp_path).run("enqueue", jsonl(tmp_path / "tasks.jsonl", *GOOD), "--dry-run", "--json")
    assert (ended.code, ended.json["notSent"], ended.json["dryRun"]) == (0, 3, True)
    ended = await Cli(tmp_path).run("enqueue", jsonl(tmp_path / "tasks.jsonl", GOOD[0], b"{"), "--dry-run")
    assert ended.code == 1
    assert ended.out.splitlines()[-1].split() == ["good", "(dry", "run)", "1"]


async def test_a_pipe_is_read_once_and_checked_before_anything_goes_in(cli: Cli, client: redis.Redis) -> None:
    lines = b"\xef\xbb\xbf" + b"\r\n".join(orjson.dumps(task) for task in GOOD)
    good = await cli.run("enqueue", "-", "--json", stdin=lines)
    assert (good.code, good.json["accepted"]) == (0, 3)
    client.flushdb()
    bad = await cli.run("enqueue", "-", stdin=lines + b"\n{")
    assert bad.code == 1
    assert "line 4: task: is not JSON" in bad.err
    assert client.keys("worker:*") == []


async def test_tasks_without_an_id_get_one_and_later_ones_wait(cli: Cli, client: redis.Redis, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"type": "noop"}, {"type": "noop"}, {"type": "noop", "runAt": "2099-01-01"})
    assert (await cli.run("enqueue", path, "--json")).json["accepted"] == 3
    assert (client.xlen(NORMAL), client.zcard(keys.DELAYED)) == (2, 1)
    ids = {orjson.loads(fields[b"task"])["id"] for _, fields in client.xrange(NORMAL)}
    assert len(ids) == 2
    assert len(client.keys("worker:result:*")) == 3


async def test_a_failed_task_of_the_same_id_is_said_to_need_another_way(
    cli: Cli, client: redis.Redis, tmp_path: Path
) -> None:
    client.set(keys.result("a"), b'{"id": "a", "status": "failed"}')
    client.set(keys.result("b"), b"nonsense")
    ended = await cli.run("enqueue", jsonl(tmp_path / "a.jsonl", *GOOD[:2]), "--json")
    assert (ended.code, ended.json["known"]) == (0, {"failed": 1, "unknown": 1})
    assert "`dead replay` tries them again" in ended.err


@pytest.mark.parametrize("raw", BAD)
async def test_a_line_is_refused_with_the_words_of_the_rest_door(redis_url: str, mongo_uri: str, raw: bytes) -> None:
    runtime = Runtime(settings(), redis_url=redis_url, mongodb_uri=mongo_uri)
    transport = httpx.ASGITransport(create_application(runtime.api, api_key=None, max_body_bytes=10_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
        answer = await web.post("/v1/tasks", content=raw, headers={"content-type": "application/json"})
    with pytest.raises(InvalidTask) as caught:
        enqueue.check_line(Line(1, raw, len(raw), "made-up"), runtime.handlers)
    assert (answer.status_code, answer.json()["detail"]) == (400, caught.value.message)
    await runtime.close()


def test_lines_longer_than_a_task_are_named_and_not_kept(tmp_path: Path) -> None:
    lines = [b"x" * 100, b"y" * 101, b"z" * 5_000_000, b" " * 40 + b"{}", b"w" * 101]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    with TaskFile(str(path), most_bytes=100) as file:
        for _ in range(2):
            found = [(line.number, None if line.raw is None else len(line.raw)) for line in file.lines()]
            assert found == [(1, 100), (2, None), (3, None), (4, 2), (5, None)]
            assert file.position == file.size


async def test_an_answer_that_was_lost_does_not_count_as_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "_TRY_AGAIN_SEC", 0.001)
    answers: list[Any] = [QueueUnavailable("gone"), QueueUnavailable("gone"), b'{"status": "queued"}']

    async def fake(*_: Any, **__: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def find_again() -> None:
        raise QueueUnavailable("not there yet")

    link = cast(QueueLink, SimpleNamespace(queue=SimpleNamespace(enqueue=fake), find_again=find_again))
    report = enqueue.Report(read=1)
    assert await enqueue._put(link, enqueue.Checked({"type": "noop"}, "a", None), report)
    assert (report.accepted, report.known.total(), report.left) == (1, 0, 0)
    monkeypatch.setattr(enqueue, "_TRY_SEC", 0.01)
    answers += [QueueUnavailable("gone")] * 1000
    assert not await enqueue._put(link, enqueue.Checked({"type": "noop"}, "b", None), report)


# -- queue -----------------------------------------------------------------------------------------------------------


async def test_the_queue_is_shown_with_its_ages_and_workers(cli: Cli, client: redis.Redis) -> None:
    for _ in range(3):
        client.xadd(NORMAL, {"task": "{}"})
    client.xadd(keys.DEAD, {"task": "{}"})
    client.set(keys.heartbeat("worker-1"), "alive")
    await asyncio.sleep(0.2)
    shown = await cli.run("queue", "--json")
    assert (shown.code, shown.err) == (0, "")
    assert shown.json["waiting"] == {"critical": 0, "high": 0, "normal": 3, "low": 0}
    assert (shown.json["inFlight"], shown.json["delayed"], shown.json["dead"]) == (0, 0, 1)
    assert 0.2 <= shown.json["oldestSec"]["normal"] < 60
    assert shown.json["oldestSec"]["high"] is None
    assert shown.json["workers"] == ["worker-1"]
    text = await cli.run("queue")
    assert [line.split()[:3] for line in text.out.splitlines()][2] == ["waiting,", "normal", "3"]
    assert text.out.splitlines()[-1].split() == ["workers", "1", "worker-1"]


async def test_watching_goes_on_until_ctrl_c(cli: Cli) -> None:
    process = await cli.start("queue", "--watch", "0.1", "--json")
    assert process.stdout is not None
    lines = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20)) for _ in range(3)]
    assert lines[0] == lines[2]
    process.send_signal(signal.SIGINT)
    assert (await cli.end(process)).code == 130


async def test_watching_outlives_an_outage(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states: list[Any] = [QueueUnavailable("gone"), QueueUnavailable("gone"), None, QueueUnavailable("again")]
    read = queue_state.read_state

    async def flaky(link: QueueLink) -> queue_state.State:
        problem = states.pop(0) if states else KeyboardInterrupt()
        if problem is not None:
            raise problem
        return await read(link)

    monkeypatch.setattr(queue_state, "read_state", flaky)
    async with QueueLink(settings(redis_url=redis_url)) as link:
        with pytest.raises(KeyboardInterrupt):
            await queue_state._watch(link, SimpleNamespace(watch=0.01, json=True))  # type: ignore[arg-type]
    captured = capsys.readouterr()
    assert captured.err.count("Redis is not available") == 2
    assert captured.out.count("\n") == 1


# -- dead ------------------------------------------------------------------------------------------------------------


async def test_dead_letters_are_listed_by_filter_and_page(cli: Cli, client: redis.Redis) -> None:
    ids = [bury(client, brand="Acme Corp" if n % 2 else "other", code="A" if n < 4 else "B") for n in range(8)]
    found = await cli.run("dead", "list", "--brand", "acme-corp", "--json")
    assert (found.code, found.err) == (0, "")
    assert [item["id"] for item in found.json["items"]] == [ids[n] for n in (7, 5, 3, 1)]
    assert found.json["next"] is None
    assert [item["id"] for item in (await cli.run("dead", "list", "--code", "A", "--json")).json["items"]] == ids[3::-1]
    page = (await cli.run("dead", "list", "--limit", "3", "--json")).json
    assert page["next"] == ids[5]
    text = await cli.run("dead", "list", "--cursor", ids[1])
    assert (text.code, text.err) == (0, "")
    header, line = text.out.splitlines()
    assert header.split() == ["id", "at", "type", "brand", "code", "attempts", "reason"]
    assert line.split() == [ids[0], "2026-01-01T00:00:00.000Z", "noop", "other", "A", "2", "because"]
    none = await cli.run("dead", "list", "--type", "web_scan")
    assert (none.code, none.err) == (0, "no dead letter matches\n")


async def test_a_letter_is_shown_and_its_task_given_out_byte_for_byte(cli: Cli, client: redis.Redis) -> None:
    raw = b'{"type": "noop", \xff\x00\x1b[31m'
    entry = bury(client, raw, reason="red \x1b[31m text\nand more", history=b'[{"code": "TIMEOUT"}]')
    text = await cli.run("dead", "show", entry)
    assert text.code == 0
    assert "\x1b" not in text.out
    assert r"red \x1b[31m text\nand more" in text.out
    assert "TIMEOUT" in text.out
    assert (await cli.run("dead", "show", entry, "--json")).json["taskEncoding"] == "replaced"
    process = await cli.start("dead", "show", entry, "--task")
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, raw)
    good = bury(client, b'{"type":"noop","text":"caf\xc3\xa9"}')
    assert json.loads((await cli.run("dead", "show", good)).out.partition("\n{")[2].join(["{", ""])) == {
        "type": "noop",
        "text": "café",
    }
    gone = await cli.run("dead", "show", "1-1")
    assert (gone.code, gone.out, gone.err) == (1, "", "there is no dead letter 1-1 (any more)\n")


async def test_letters_are_replayed_by_id_by_filter_and_all(cli: Cli, client: redis.Redis) -> None:
    ids = [bury(client, brand="acme" if n % 2 else "other", code="A" if n < 4 else "B") for n in range(8)]
    by_id = await cli.run("dead", "replay", ids[0], ids[0], "1-1", "--json")
    assert (by_id.code, by_id.json) == (1, {"replayed": 1, "missing": ["1-1"]})
    assert "no dead letter 1-1" in by_id.err
    by_filter = await cli.run("dead", "replay", "--brand", "ACME", "--code", "A", "--json")
    assert (by_filter.code, by_filter.json) == (0, {"replayed": 2, "missing": []})
    limited = await cli.run("dead", "replay", "--all", "--limit", "2")
    assert (limited.code, limited.out) == (0, "2 replayed\n")
    assert (await cli.run("dead", "replay", "--all", "--json")).json["replayed"] == 3
    assert (client.xlen(keys.DEAD), client.xlen(NORMAL)) == (0, 8)


async def test_what_is_replayed_and_dropped_here_is_in_the_audit_log_as_what_is_over_rest(
    tmp_path: Path, client: redis.Redis, redis_url: str, mongo_uri: str
) -> None:
    cli = Cli(tmp_path, REDIS_URL=redis_url, MONGODB_URI=mongo_uri)
    ids = [bury(client, code="A" if n < 2 else "B") for n in range(5)]
    replayed = await cli.run("dead", "replay", ids[0], "1-1", "--json")
    assert "audit" not in replayed.err
    assert (await cli.run("dead", "replay", "--code", "A", "--limit", "7")).out == "1 replayed\n"
    assert (await cli.run("dead", "drop", "1-2")).code == 1
    assert (await cli.run("dead", "drop", "--all", "--yes")).out == "3 dropped\n"
    assert (await cli.run("dead", "list")).code == 0, "looking is not recorded"
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as mongo:
        found = list(mongo.get_default_database()["audit_log"].find().sort("_id", 1))
    anything = {"brand": None, "type": None, "code": None, "all": True}
    assert [(one["action"], one["outcome"], one["details"]) for one in found] == [
        ("dead.replay", "done", {"ids": [ids[0], "1-1"], "replayed": 1, "missing": ["1-1"]}),
        ("dead.replay", "done", {**anything, "code": "A", "all": False, "limit": 7, "replayed": 1, "missing": []}),
        ("dead.drop", "failed", {"ids": ["1-2"], "dropped": 0, "missing": ["1-2"]}),
        ("dead.drop", "done", {**anything, "dropped": 3, "missing": []}),
    ]
    assert {one["actor"] for one in found} == {f"cli:{getpass.getuser()}"}
    assert all(one["worker"].startswith("cli@") for one in found)


@pytest.mark.parametrize("uri", [None, "mongodb://127.0.0.1:1/x"], ids=["none is known", "it is away"])
async def test_without_mongodb_letters_are_dropped_and_the_record_is_shown(
    tmp_path: Path, client: redis.Redis, redis_url: str, uri: str | None
) -> None:
    cli = Cli(tmp_path, REDIS_URL=redis_url, **({"MONGODB_URI": uri} if uri else {}))
    ended = await cli.run("dead", "drop", bury(client))
    assert (ended.code, ended.out) == (0, "1 dropped\n")
    assert '"action": "dead.drop", "outcome": "done"' in ended.err
    assert "is not in the audit log" in ended.err


async def test_the_way_of_a_mended_task(
    cli: Cli, client: redis.Redis, redis_url: str, mongo_uri: str, tmp_path: Path
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        mentions = [{"text": "acme is great"}, {"text": 5}]
        task = {"type": "analyze_mentions", "id": "chunk", "brand": "acme", "mentions": mentions}
        client.xadd(NORMAL, {"task": orjson.dumps(task)})
        assert (await finished(runtime, "chunk"))["result"]["rejected"] == 1
        (letter,) = (await cli.run("dead", "list", "--json")).json["items"]
        process = await cli.start("dead", "show", letter["id"], "--task")
        document = json.loads((await process.communicate())[0])
        document["mentions"][0]["text"] = "acme is slow"
        path = jsonl(tmp_path / "mended.jsonl", {**document, "id": "mended"})
        assert (await cli.run("enqueue", path)).code == 0
        assert (await finished(runtime, "mended"))["result"]["stored"] == 1
        assert (await cli.run("dead", "drop", letter["id"])).out == "1 dropped\n"
    assert client.xlen(keys.DEAD) == 0


async def test_letters_are_dropped_and_all_of_them_only_after_a_yes(cli: Cli, client: redis.Redis) -> None:
    ids = [bury(client, code="A" if n < 4 else "B") for n in range(8)]
    assert (await cli.run("dead", "drop", *ids[:2], "--json")).json == {"dropped": 2, "missing": []}
    assert (await cli.run("dead", "drop", ids[0])).code == 1
    assert (await cli.run("dead", "drop", "--code", "A")).out == "2 dropped\n"
    refused = await cli.run("dead", "drop", "--all")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "--all would delete 4 dead letters: confirm with --yes\n"
    assert await answered(cli, b"n\n") == (1, "")
    assert await answered(cli, b"\n") == (1, "")
    assert client.xlen(keys.DEAD) == 4
    assert await answered(cli, b"y\n") == (0, "4 dropped\n")
    bury(client)
    assert (await cli.run("dead", "drop", "--all", "--yes", "--json")).json["dropped"] == 1
    assert client.xlen(keys.DEAD) == 0


async def answered(cli: Cli, answer: bytes) -> tuple[int, str]:
    """`dead drop --all` with somebody at a terminal."""
    master, slave = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "src.worker.cli", "dead", "drop", "--all"),
            cwd=cli.directory,
            env=cli.environment,
            stdin=slave,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        os.write(master, answer)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert b"[y/N]" in err
        assert process.returncode is not None
        return process.returncode, out.decode()
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "words",
    [
        ["dead"],
        ["dead", "nonsense"],
        ["dead", "replay"],
        ["dead", "drop"],
        ["dead", "replay", "abc"],
        ["dead", "replay", "1-1", "--all"],
        ["dead", "drop", "--all", "--brand", "acme"],
        ["dead", "replay", "1-1", "--limit", "2"],
        ["dead", "list", "--limit", "0"],
        ["dead", "list", "--cursor", "x"],
        ["queue", "--watch", "0"],
        ["enqueue"],
    ],
)
async def test_wrong_usage_is_code_2(tmp_path: Path, words: list[str]) -> None:
    ended = await Cli(tmp_path).run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "usage:" in ended.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["enqueue", "none.jsonl"], "none.jsonl: No such file"),
        (["enqueue", "."], ".: Is a directory"),
        (["enqueue", "/dev/null"], "no worker is running under ./data"),
        (["queue"], "no worker is running under ./data"),
        (["dead", "list"], "no worker is running under ./data"),
        (["dead", "drop", "--brand", "!"], "brand: has no letter and no digit"),
        (["dead", "drop", "--code", ""], "code: is empty"),
    ],
)
async def test_problems_are_one_line_and_code_1(tmp_path: Path, words: list[str], part: str) -> None:
    ended = await Cli(tmp_path).run(*words)
    assert (ended.code, ended.out) == (1, "")
    assert part in ended.err
    assert ended.err.count("\n") == 1


def test_a_bar_is_drawn_for_many_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counting, "_BAR_AFTER_SEC", 0.0)
    with counting.Counting("replayed [x]") as quiet_elsewhere:
        quiet_elsewhere.update(1, 2, 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with counting.Counting("replayed [x]") as bar:
        bar.update(1_234, 2, 3)
        bar.update(1_235, 3, 3)
    assert "replayed [x]" in capsys.readouterr().err
    monkeypatch.setattr(counting, "_LINE_EVERY_SEC", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    with counting.Counting("replayed") as line:
        line.update(1_234, 2, 3)
    assert capsys.readouterr().err == "replayed: 1,234 done, 2 of 3 looked at\n"
