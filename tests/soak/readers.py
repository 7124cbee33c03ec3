"""Those who look on: readers of the REST routes, one of the live events, one of `worker:events`, and a browser."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import redis.asyncio
from redis.exceptions import RedisError

from src.worker import keys
from tests.soak.generator import BRANDS

_OF_A_BRAND = (
    "summary", "health", "crisis", "spikes", "volume", "mentions?limit=20", "clusters", "leads", "competitors",
    "launches", "influencers", "web-insights", "crisis/assessments", "history",
)  # fmt: skip
_OF_ALL = ("brands", "queue", "dead-letters?limit=5", "llm", "llm/costs", "analyses", "janitor")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_PAUSE_SEC = 1.0
_READERS = 2
_FAULTS_KEPT = 1_000


@dataclass(slots=True)
class Seen:
    """What readers were told. Faults carry the time of day, to be laid beside the outages."""

    answers: Counter[str] = field(default_factory=Counter)
    """By route and status."""
    slowest_sec: float = 0.0
    took_sec: list[float] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)
    live: Counter[str] = field(default_factory=Counter)
    """Events of the live stream by name."""
    ends: Counter[str] = field(default_factory=Counter)
    """By task id: how often `worker:events` told its end."""
    browser: str = "none"
    browser_said: Counter[str] = field(default_factory=Counter)

    def fault(self, what: str) -> None:
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append((time.time(), what))


class Readers:
    def __init__(self, http: httpx.AsyncClient, client: redis.asyncio.Redis) -> None:
        self._http = http
        self._redis = client
        self.seen = Seen()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_READERS):
                group.create_task(self._read(number))
            group.create_task(self._listen())
            group.create_task(self._count_ends())
            group.create_task(self._look())

    async def _read(self, number: int) -> None:
        routes = itertools.cycle(_OF_A_BRAND)
        others = itertools.cycle(_OF_ALL)
        brands = itertools.cycle((BRANDS[0], BRANDS[0], *BRANDS[1:]))
        for turn in itertools.count(number):
            route = next(others) if turn % 4 == 0 else f"brands/{{}}/{next(routes)}"
            await self._ask(f"/v1/{route}", next(brands))
            await asyncio.sleep(_PAUSE_SEC)

    async def _ask(self, route: str, brand: str) -> None:
        began = time.perf_counter()
        try:
            answer = await self._http.get(route.format(brand))
        except httpx.TransportError as error:
            self.seen.fault(f"{route}: {type(error).__name__}")
            return
        took = time.perf_counter() - began
        self.seen.took_sec.append(took)
        self.seen.slowest_sec = max(self.seen.slowest_sec, took)
        self.seen.answers[f"{route} {answer.status_code}"] += 1
        # 404: a brand of which nothing is known yet, which most are in the beginning.
        if answer.status_code not in (200, 404):
            self.seen.fault(f"{route}: {answer.status_code}")

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                async with self._http.stream("GET", "/v1/events", timeout=httpx.Timeout(10, read=60)) as answer:
                    self.seen.live[f"connected {answer.status_code}"] += 1
                    async for line in answer.aiter_lines():
                        if line.startswith("event:"):
                            self.seen.live[line[6:].strip()] += 1
            await asyncio.sleep(_PAUSE_SEC)

    async def _count_ends(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self._redis.pubsub() as told:
                    await told.subscribe(keys.EVENTS)
                    while True:
                        message = await told.get_message(ignore_subscribe_messages=True, timeout=30)
                        if message is not None:
                            self.seen.ends[orjson.loads(message["data"])["id"]] += 1
            await asyncio.sleep(_PAUSE_SEC)

    async def _look(self) -> None:
        """The dashboard, open in a browser as long as this lasts."""
        path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
        if path is None:
            return
        try:
            from playwright.async_api import async_playwright
        except ImportError:
            return
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            page = await browser.new_page()
            page.on("console", self._said)
            page.on("pageerror", lambda error: self.seen.browser_said.update([f"error: {error}"]))
            await page.goto(str(self._http.base_url))
            self.seen.browser = f"Chromium {browser.version}"
            try:
                while True:
                    for place in ("#/", f"#/brands/{BRANDS[0]}"):
                        await page.evaluate("place => { location.hash = place }", place)
                        await asyncio.sleep(30)
            finally:
                await browser.close()

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.seen.browser_said[f"{message.type}: {message.text[:100]}"] += 1
