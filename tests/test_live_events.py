"""The live feed: one look for all who watch, nobody holds it up, it ends with the service. The dashboard's files."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
import redis.asyncio
from fastapi import FastAPI

from src.worker import keys
from src.worker.api import dashboard
from src.worker.api.events import EventStream
from src.worker.errors import QueueUnavailable
from src.worker.services.finished_tasks import Finished, FinishedTasks
from src.worker.services.live_feed import Listener, LiveFeed, Message
from src.worker.services.overview import Overview
from tests.helpers import running, until

pytestmark = pytest.mark.anyio

QUIET = Finished(0.0, False, (), 0, None)


class Looks:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    async def figures(self) -> dict[str, Any]:
        self.count += 1
        return {"look": self.count}


class Silence:
    """Events that never come; says whether it was ended."""

    def __init__(self, found: Finished = QUIET) -> None:
        self.found = found
        self.ended = False

    async def run(self) -> None:
        await asyncio.Event().wait()

    def take(self) -> Finished:
        return self.found

    def end(self) -> None:
        self.ended = True


class Ticks:
    """A sleep that lasts until the test lets it go on."""

    def __init__(self) -> None:
        self._permits = asyncio.Semaphore(0)

    async def __call__(self, _: float) -> None:
        await self._permits.acquire()

    async def go(self, times: int = 1) -> None:
        for _ in range(times):
            self._permits.release()
            for _ in range(5):
                await asyncio.sleep(0)


def joined(feed: LiveFeed) -> Listener:
    listener = feed.join()
    assert listener is not None
    return listener


async def heard(listener: Listener) -> Message | None:
    async with asyncio.timeout(30):
        return await listener.next()


async def test_all_listeners_share_one_look() -> None:
    looks, ticks = Looks(), Ticks()
    feed = LiveFeed(looks, Silence, sleep=ticks)
    watching = [joined(feed) for _ in range(5)]
    await ticks.go(2)
    for listener in watching:
        found = [await heard(listener) for _ in range(3)]
        assert [one.data["look"] for one in found if one] == [1, 2, 3]
    assert looks.count == 3
    feed.stop()


async def test_nobody_looks_while_nobody_watches() -> None:
    looks, ticks, events = Looks(), Ticks(), Silence()
    feed = LiveFeed(looks, lambda: events, sleep=ticks)
    await asyncio.sleep(0)
    assert looks.count == 0
    listener = joined(feed)
    assert (await heard(listener)) is not None
    feed.leave(listener)
    await ticks.go(3)
    assert looks.count == 1
    assert events.ended


async def test_a_slow_listener_is_let_go_and_the_others_stay() -> None:
    ticks = Ticks()
    feed = LiveFeed(Looks(), Silence, sleep=ticks)
    slow, quick = joined(feed), joined(feed)
    for _ in range(40):
        await ticks.go()
        await heard(quick)
    assert slow.over
    assert await heard(slow) is None
    assert not quick.over
    feed.stop()


async def test_there_is_room_for_so_many_and_again_when_one_leaves() -> None:
    feed = LiveFeed(Looks(), Silence, listeners_max=2, sleep=Ticks())
    first, _ = joined(feed), joined(feed)
    assert feed.join() is None
    feed.leave(first)
    assert feed.join() is not None
    feed.stop()


async def test_stopping_ends_every_stream_and_takes_no_new_one() -> None:
    feed = LiveFeed(Looks(), Silence, sleep=Ticks())
    listener = joined(feed)
    await heard(listener)
    feed.stop()
    assert await heard(listener) is None
    assert feed.join() is None


async def test_a_look_that_breaks_ends_the_streams_so_that_they_come_again() -> None:
    class Broken:
        async def figures(self) -> dict[str, Any]:
            raise RuntimeError("a fault of the code")

    feed = LiveFeed(Broken(), Silence, sleep=Ticks())
    listener = joined(feed)
    assert await heard(listener) is None
    feed.leave(listener)
    assert feed.join() is not None
    feed.stop()


async def test_a_client_that_reads_nothing_more_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.worker.api.events._SEND_SEC", 0.05)
    feed = LiveFeed(Looks(), Silence, sleep=Ticks())

    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait()  # type: ignore[return-value]  # it never comes back

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(30):
        await EventStream(feed, None)({"type": "http"}, receive, send)  # type: ignore[arg-type]
    assert feed._listeners == set()


async def test_a_client_that_goes_is_forgotten_at_once() -> None:
    feed = LiveFeed(Looks(), Silence, sleep=Ticks())
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        while len(sent) < 3:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(30):
        await EventStream(feed, None)({"type": "http"}, receive, send)
    assert b"event: overview\ndata: " in b"".join(one.get("body", b"") for one in sent)
    assert feed._listeners == set()


async def test_a_part_that_fails_says_so_and_the_others_are_there() -> None:
    class Away:
        async def depth(self) -> None:
            raise QueueUnavailable("Redis is away")

        async def call(self, *_: Any) -> Any:
            return [b"0", [b"workers:heartbeat:one"]]

    async def llm() -> dict[str, Any]:
        return {"providers": []}

    away: Any = Away()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    overview = Overview(away.depth, away, llm=llm, worker=lambda: {"state": "running"}, clock=lambda: now)
    assert await overview.figures() == {
        "at": "2026-01-01T00:00:00.000Z",
        "worker": {"state": "running"},
        "queue": {"problem": "Redis is away"},
        "workers": {"alive": 1, "names": ["one"], "reason": None},
        "llm": {"providers": []},
    }


@pytest.fixture
async def finished(redis_url: str) -> AsyncIterator[FinishedTasks]:
    """Listens, at most ten events per window."""
    listening = FinishedTasks(redis_url, enough=10)
    reading = asyncio.create_task(listening.run())

    async def connected() -> bool:
        return listening._problem is None

    await until(connected)
    yield listening
    listening.end()
    reading.cancel()
    await asyncio.wait({reading})


async def test_finished_tasks_are_counted_and_the_newest_shown(redis_url: str, finished: FinishedTasks) -> None:
    event = {
        "id": "t1",
        "type": "noop",
        "brand": None,
        "status": "succeeded",
        "attempts": 1,
        "finishedAt": "now",
        "x": 1,
    }
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for body in (orjson.dumps(event), b"no JSON", b"[1]"):
            await client.publish(keys.EVENTS, body)

    async def counted() -> bool:
        return finished._count == 3

    await until(counted)
    found = finished.take()
    assert found.per_sec is not None
    assert found.per_sec > 0
    assert found.newest == ({name: event[name] for name in event if name != "x"},)
    assert (found.unseen, found.at_least, found.problem) == (2, False, None)


async def test_a_busy_window_stops_listening_and_says_that_there_were_more(
    redis_url: str, finished: FinishedTasks
) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for _ in range(3):
            await client.publish(keys.EVENTS, b"{}")
        for _ in range(20):
            await client.publish(keys.EVENTS, b"{}")

        async def nobody() -> bool:
            (_, count), *_ = await client.pubsub_numsub(keys.EVENTS)
            return bool(count == 0)

        await until(nobody)
        assert finished.take().at_least

        async def again() -> bool:
            (_, count), *_ = await client.pubsub_numsub(keys.EVENTS)
            return bool(count == 1)

        await until(again)


async def test_the_stream_of_a_worker_tells_of_the_task_that_ended(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        feed = runtime.api.live
        assert feed is not None
        listener = joined(feed)
        first = await heard(listener)
        assert first is not None
        assert first.data["queue"]["dead"] == 0
        assert first.data["llm"]["today"]["calls"] == 0

        async def subscribed() -> bool:
            message = await heard(listener)
            return message is not None and message.kind == "overview" and message.data["finished"]["perSec"] is not None

        await until(subscribed)
        await runtime.queue.enqueue({"type": "noop", "n": 1}, task_id="told")

        async def told() -> bool:
            message = await heard(listener)
            return message is not None and message.kind == "tasks" and message.data["items"][0]["id"] == "told"

        await until(told)
    assert await _last(listener) is None


async def _last(listener: Listener) -> Message | None:
    """Nothing is delivered after the end."""
    return await heard(listener)


# -- the files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(dashboard.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_every_file_the_page_names_is_there_and_kept_for_ever(http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(named) >= 5
    assert "{{" not in page.text
    for address in named:
        found = await http.get(address)
        assert (found.status_code, found.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        again = await http.get(address, headers={"If-None-Match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    older = await http.get(re.sub(r"assets/\w+", "assets/older", named[0]))
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")


async def test_every_module_imports_only_files_that_are_there() -> None:
    assets = dashboard.load().assets
    modules = {name: one.body.decode() for name, one in assets.items() if name.startswith("js/")}
    assert len(modules) > 15
    for name, source in modules.items():
        for target in re.findall(r'from "([^"]+)"', source):
            parts = name.split("/")[:-1]
            for word in target.split("/"):
                parts = parts[:-1] if word == ".." else parts if word == "." else [*parts, word]
            assert "/".join(parts) in assets, f"{name} imports {target}"
        assert "innerHTML" not in source, name
        assert "http://" not in source.replace("http://www.w3.org", ""), name


async def test_files_come_packed_to_who_takes_that_and_others_not_at_all(http: httpx.AsyncClient) -> None:
    version = dashboard.load().version
    for name, one in dashboard.load().assets.items():
        assert gzip.decompress(one.packed) == one.body, name
    packed = await http.get("/", headers={"Accept-Encoding": "gzip"})
    plain = await http.get("/", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    for wrong in ("vendor/README", "vendor/uplot/LICENSE.txt", "index.html", "%2e%2e/runtime.py", "js"):
        assert (await http.get(f"/assets/{version}/{wrong}")).status_code == 404, wrong


async def test_the_page_runs_nothing_but_its_own_files(http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert re.search(r"<style|style=|<script(?![^>]*src=)| on\w+=", page.text) is None


async def test_vendored_files_are_the_ones_that_are_listed() -> None:
    import hashlib
    from importlib import resources

    vendor = resources.files("src.worker").joinpath("dashboard", "vendor")
    listed = set(re.findall(r"\b[0-9a-f]{64}\b", vendor.joinpath("README").read_text("utf-8")))
    files = [one for kind in ("htm-preact", "uplot") for one in vendor.joinpath(kind).iterdir()]
    found = {hashlib.sha256(one.read_bytes()).hexdigest() for one in files if one.name.endswith((".js", ".css"))}
    assert found == listed
    assert sum("LICENSE" in one.name for one in files) == 3
