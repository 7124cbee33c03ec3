"""`web_scan` with the real reader and a site on this machine: a source is trusted, what it names is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from src.worker.handlers import TaskType
from src.worker.handlers.web_scan import WebScanHandler
from src.worker.keys import PlatformKeys
from src.worker.runtime import Runtime, utc_now
from src.worker.services.brands import BrandDirectory
from src.worker.services.local_analysis import LocalAnalysis
from src.worker.web_scraper import Surroundings, WebScraper
from tests.helpers import finished, push, running
from tests.web_scan_helpers import feed

pytestmark = pytest.mark.anyio

ARTICLE = """<!doctype html><html lang="en"><head><title>Acme grows</title></head><body><nav><a href="/">Home</a></nav>
<article><h1>Acme grows</h1><p>Acme opens a great new shop in Ohio, and people queue for hours to see it at last.</p>
<p>The owner says that more shops will follow in spring, as long as the town wants them.</p></article></body></html>"""


class Site:
    """Pages by path, over HTTP."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, str]] = {}
        self.asked: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        self.asked.append(path)
        status, kind, body = self.pages.get(path, (404, "text/plain", "nothing here"))
        raw = body.encode()
        answer = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(answer.encode() + raw)
        await writer.drain()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    links = f"{site.url}/acme?utm_source=rss", f"{site.url}/acme", f"{site.url}/gone", f"{site.url}/private"
    site.pages = {
        "/rss?q=acme": (200, "application/rss+xml", feed(*links)),
        "/acme": (200, "text/html; charset=utf-8", ARTICLE),
        "/private": (200, "text/html", ARTICLE),
        "/robots.txt": (200, "text/plain", "User-agent: *\nDisallow: /private\n"),
    }
    yield site
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def scanning(redis_url: str, mongo_uri: str, site: Site, *, internal: bool) -> AsyncIterator[Runtime]:
    """`internal`: the reader of this test may go to this machine; no setting allows that."""
    overrides: dict[str, Any] = {
        "web_search_sources": f"rss:{site.url}/rss?q={{query}}",
        "web_allowed_ports": str(site.port),
        "web_host_delay_sec": 0.01,
    }
    async with running(redis_url, mongo_uri, **overrides) as runtime:
        if internal:
            scraper = WebScraper.build(
                runtime.settings, runtime.cpu, now=utc_now, around=Surroundings(allow=lambda address: True)
            )
            handler = WebScanHandler.build(
                runtime.settings,
                fetcher=scraper.fetcher,
                reader=scraper,
                redis=runtime.redis,
                storage=runtime.storage,
                cpu=runtime.cpu,
                llm=runtime.llm,
                local=LocalAnalysis(runtime.cpu, BrandDirectory(runtime.redis, PlatformKeys()), runtime.students),
                now=utc_now,
            )
            cast(dict[str, TaskType], runtime.handlers).update(handler.task_types())
        yield runtime


async def test_a_site_is_searched_read_and_quoted(redis_url: str, mongo_uri: str, site: Site) -> None:
    async with scanning(redis_url, mongo_uri, site, internal=True) as runtime:
        record = await finished(runtime, await push(runtime.redis, {"type": "web_scan", "brand": "acme"}), 20)
    report = record["result"]
    assert [(one["url"], one["title"]) for one in report["sources"]] == [(f"{site.url}/acme", "Acme grows")]
    assert "Acme opens a great new shop in Ohio, and people queue for hours to see it at last." in [
        one["highlight"] for one in report["notable_mentions"]
    ]
    assert {one["url"].rpartition("/")[2]: one["problem"] for one in report["errors"]} == {
        "gone": "http_status",
        "private": "robots_disallow",
    }
    assert site.asked.count("/acme") == 1


async def test_a_source_on_this_machine_is_asked_and_pages_it_names_here_are_not(
    redis_url: str, mongo_uri: str, site: Site
) -> None:
    async with scanning(redis_url, mongo_uri, site, internal=False) as runtime:
        record = await finished(runtime, await push(runtime.redis, {"type": "web_scan", "brand": "acme"}), 20)
        assert await runtime.redis.call("GET", "result:brand:acme:web_insights") is None
    assert site.asked == ["/rss?q=acme"]
    assert (record["status"], record["error"]["code"], record["attempts"]) == ("failed", "WEB_SCAN_FAILED", 1)
    assert {one["problem"] for one in record["error"]["errors"]} == {"blocked_address"}
