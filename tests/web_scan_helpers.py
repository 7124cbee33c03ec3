"""Pages and doubles of the web for the tests of the web scan."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import orjson
import pytest

from src.worker.api.application import create_application
from src.worker.handlers import TaskType
from src.worker.handlers.web_scan import WebScanHandler
from src.worker.keys import PlatformKeys
from src.worker.pipeline.web_report import Findings, SourcePage
from src.worker.runtime import Runtime, utc_now
from src.worker.services.brands import BrandDirectory
from src.worker.services.local_analysis import LocalAnalysis
from src.worker.web.seams import Fetched, FetchError, Problem, WebPage
from tests.helpers import finished, push, running
from tests.llm_doubles.scripted import Asked, ScriptedServer, scripted_server

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def page(url: str, text: str, **more: Any) -> WebPage:
    fields: dict[str, Any] = {
        "url": url,
        "final_url": url,
        "canonical_url": None,
        "title": None,
        "text": text,
        "author": None,
        "published_at": None,
        "language": "en",
        "source_name": url.split("/")[2].removeprefix("www."),
        "fetched_at": NOW,
        "word_count": len(text.split()),
    }
    return WebPage(**{**fields, **more})


def findings(*pages: WebPage, **more: Any) -> Findings:
    sources = tuple(SourcePage(one, one.final_url, one.text[:50], one.published_at) for one in pages)
    fields: dict[str, Any] = {
        "brand": "acme",
        "name": "Acme",
        "query": "Acme",
        "generated_at": NOW,
        "sources": sources,
        "found": len(pages),
        "tried": len(pages),
        "read": len(pages),
    }
    return Findings(**{**fields, **more})


def failed(problem: Problem, url: str = "https://x.example/", **more: Any) -> FetchError:
    return FetchError(problem, f"x.example: {problem.value}", url=url, **more)


Answers = Mapping[str, "Fetched | WebPage | FetchError | str | bytes | Callable[[], Any]"]


class Web:
    """A fetcher and page reader whose answers are written down. What is not written down does not exist."""

    def __init__(self, answers: Answers) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.read_urls: list[str] = []
        self.trusted: list[bool] = []
        self.hang: set[str] = set()
        self.cancelled: list[str] = []
        self.most_at_once = 0
        self._at_once = 0

    async def get(self, url: str, *, accept: str, trusted: bool = False, deadline_sec: float | None = None) -> Fetched:
        assert deadline_sec is not None
        assert accept
        self.asked.append(url)
        self.trusted.append(trusted)
        answer = await self._answer(url, deadline_sec)
        if isinstance(answer, Fetched):
            return answer
        body = answer.encode() if isinstance(answer, str) else answer
        assert isinstance(body, bytes)
        return Fetched(url, 200, "application/octet-stream", None, body, {})

    async def read(self, url: str, *, deadline_sec: float | None = None) -> WebPage:
        assert deadline_sec is not None
        self.read_urls.append(url)
        answer = await self._answer(url, deadline_sec)
        return answer if isinstance(answer, WebPage) else page(url, str(answer))

    async def _answer(self, url: str, deadline_sec: float) -> Any:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if url in self.hang:
                async with asyncio.timeout(deadline_sec):
                    await asyncio.Event().wait()
            await asyncio.sleep(0)
        except TimeoutError:
            raise FetchError(Problem.TIMEOUT, "x.example: no answer in time", url=url) from None
        except asyncio.CancelledError:
            self.cancelled.append(url)
            raise
        finally:
            self._at_once -= 1
        answer = self.answers.get(url, failed(Problem.STATUS, url, status=404))
        answer = answer() if callable(answer) else answer
        if isinstance(answer, FetchError):
            raise answer
        return answer


def feed(*links: str, titles: Mapping[str, str] | None = None) -> str:
    items = "".join(
        f"<item><title>{(titles or {}).get(link, 'A title')}</title><link>{link}</link></item>" for link in links
    )
    return f"<rss><channel>{items}</channel></rss>"


# -- a worker whose web is written down -----------------------------------------------------------------------------

SOURCES = "rss:https://news.example/rss?q={query},searx:http://searx.internal/s?q={query}&format=json"
KEY = "result:brand:acme:web_insights"
RSS_URL = "https://news.example/rss?q=Acme%20Corp"
SEARX_URL = "http://searx.internal/s?q=Acme%20Corp&format=json"
ONE, TWO, OTHER = "https://one.example/a", "https://two.example/b", "https://other.example/"
META = {"name": "Acme Corp", "slug": "acme", "aliases": ["Acme"], "keywords": ["widgets"]}


def web(**changes: Any) -> Web:
    answers = {
        RSS_URL: feed(f"{ONE}?utm_source=rss", "https://gone.example/"),
        SEARX_URL: orjson.dumps({"results": [{"url": ONE, "title": "x"}, {"url": TWO}, {"url": OTHER}]}),
        ONE: page(ONE, "Acme opens a great new shop in Ohio.\n\nPeople love it.", title="Acme grows"),
        TWO: page(TWO, "The weather was fine. Acme Corp lost a terrible lawsuit over widgets. It may appeal."),
        OTHER: page(OTHER, "Widgets of other makers are better."),
        "https://gone.example/": failed(Problem.STATUS, "https://gone.example/", status=410),
    }
    return Web({**answers, **changes.pop("answers", {})})


def insights(asked: Asked) -> str:
    """What a careful model would say of `web()`, with one quotation that stands nowhere."""
    shop = int(re.findall(r"(\d+): <data-\w+ kind=\"page\">\nAcme grows", asked.user)[0])
    return json.dumps(
        {
            "known": True,
            "summary": "Acme grows and is sued.",
            "sentiment": "mixed",
            "key_themes": [{"text": "a new shop", "pages": [shop]}],
            "notable_mentions": [
                {"source": "x", "highlight": "acme opens a great new shop", "sentiment": "positive", "page": shop},
                {"source": "x", "highlight": "Acme is the best of all firms", "sentiment": "positive", "page": shop},
            ],
            "opportunities": [{"text": "more shops", "pages": [shop]}],
            "risks": [{"text": "the lawsuit", "pages": [1 - shop]}],
            "recommended_actions": [],
        }
    )


@pytest.fixture(name="model")
def scripted_model() -> Iterator[ScriptedServer]:
    """A model that says what a careful one would, until the test gives it other answers."""
    with scripted_server() as server:
        server.answer = insights
        yield server


@asynccontextmanager
async def scanning(
    redis_url: str, mongo_uri: str, web: Web, model: ScriptedServer | None = None, **overrides: Any
) -> AsyncIterator[Runtime]:
    """A worker whose web is `web`."""
    chosen: dict[str, Any] = {"web_search_sources": SOURCES, "llm_cache_ttl_sec": 0, **overrides}
    if model is not None:
        chosen |= {"openai_api_key": "k", "openai_base_url": model.url, "llm_provider": "openai"}
    async with running(redis_url, mongo_uri, **chosen) as runtime:
        await runtime.redis.call("SET", "brand:acme:meta", orjson.dumps(META))
        brands = BrandDirectory(runtime.redis, PlatformKeys())
        handler = WebScanHandler.build(
            runtime.settings,
            fetcher=web,
            reader=web,
            redis=runtime.redis,
            storage=runtime.storage,
            cpu=runtime.cpu,
            llm=runtime.llm,
            local=LocalAnalysis(runtime.cpu, brands, runtime.students),
            now=utc_now,
        )
        cast(dict[str, TaskType], runtime.handlers).update(handler.task_types())
        yield runtime


async def scan(runtime: Runtime, **fields: Any) -> dict[str, Any]:
    task = {"type": "web_scan", "brand": "acme", **fields}
    return await finished(runtime, await push(runtime.redis, task), seconds=20)


async def published(runtime: Runtime) -> dict[str, Any] | None:
    raw = await runtime.redis.call("GET", KEY)
    return None if raw is None else json.loads(raw, parse_constant=pytest.fail)


def client(runtime: Runtime) -> httpx.AsyncClient:
    app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
