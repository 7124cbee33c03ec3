"""`web_scan` when the web, the models or the task are not as they should be: failures fail, and are told."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from src.worker.brand_terms import BrandTerms
from src.worker.cpu import Cpu
from src.worker.errors import InvalidTask, StorageUnavailable
from src.worker.handlers.web_scan import WebScanHandler
from src.worker.keys import PlatformKeys
from src.worker.models import Task, TaskPriority
from src.worker.pipeline.web_hits import Hit
from src.worker.queue_outputs import wall_ms
from src.worker.search_sources import read_sources
from src.worker.services.web_scan_pages import read_pages
from src.worker.services.web_scan_search import search
from src.worker.services.web_scan_store import WEB_SCANS
from src.worker.web.seams import Problem
from tests.helpers import dead_letters, settings, until
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer
from tests.web_scan_helpers import (
    ONE,
    OTHER,
    RSS_URL,
    SEARX_URL,
    TWO,
    Web,
    client,
    failed,
    feed,
    insights,
    page,
    published,
    scan,
    scanning,
    scripted_model,  # noqa: F401 - a fixture: `model`
    web,
)

pytestmark = pytest.mark.anyio


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_when_every_source_fails_the_task_fails_and_nothing_is_cached(redis_url: str, mongo_uri: str) -> None:
    site = web(answers={RSS_URL: failed(Problem.STATUS, RSS_URL, status=404), SEARX_URL: b"<html>blocked</html>"})
    async with scanning(redis_url, mongo_uri, site) as runtime:
        record = await scan(runtime)
        assert await published(runtime) is None
        assert await runtime.storage.collection(WEB_SCANS).count_documents({}) == 0
        (letter,) = await dead_letters(runtime.redis)
        async with client(runtime) as http:
            missing = await http.get("/v1/brands/acme/web-insights")
    assert (record["status"], record["attempts"]) == ("failed", 1)
    error = record["error"]
    assert (error["code"], error["retryable"]) == ("WEB_SCAN_FAILED", False)
    assert error["message"].startswith("no search source answered: ")
    assert {one["source"]: one["problem"] for one in error["errors"]} == {
        "rss:news.example": "http_status",
        "searx:searx.internal": "unreadable",
    }
    assert letter["brand"] == "acme"
    assert missing.status_code == 404
    assert "POST /v1/tasks" in missing.json()["detail"]


async def test_a_search_whose_engines_are_silent_is_no_finding(redis_url: str, mongo_uri: str) -> None:
    silent = b'{"results": [], "unresponsive_engines": [["google", "CAPTCHA"]]}'
    site = web(answers={RSS_URL: b"<html>Are you a robot?</html>", SEARX_URL: silent})
    async with scanning(redis_url, mongo_uri, site, queue_max_attempts=2) as runtime:
        record = await scan(runtime)
        assert await published(runtime) is None
    assert (record["status"], record["attempts"]) == ("failed", 2)
    assert {one["source"]: one["retryable"] for one in record["error"]["errors"]} == {
        "rss:news.example": False,
        "searx:searx.internal": True,
    }


async def test_when_every_page_fails_for_a_while_the_task_is_tried_again(redis_url: str, mongo_uri: str) -> None:
    tries = iter([failed(Problem.TIMEOUT), failed(Problem.RATE_LIMIT, not_before_sec=0.2)])
    site = web(
        answers={
            RSS_URL: feed(ONE),
            SEARX_URL: b'{"results": []}',
            ONE: lambda: next(tries, page(ONE, "Acme opens a new shop.")),
        }
    )
    async with scanning(redis_url, mongo_uri, site) as runtime:
        record = await scan(runtime)
        report = await published(runtime)
    assert (record["status"], record["attempts"]) == ("succeeded", 3)
    assert report is not None
    assert report["errors"] == []


async def test_nothing_found_is_a_report_only_after_a_second_look_at_what_failed(
    redis_url: str, mongo_uri: str
) -> None:
    site = web(answers={RSS_URL: feed(OTHER), SEARX_URL: failed(Problem.TIMEOUT, SEARX_URL)})
    async with scanning(redis_url, mongo_uri, site) as runtime:
        record = await scan(runtime)
    assert (record["status"], record["attempts"]) == ("succeeded", 2)
    assert record["result"]["summary"] == (
        "The one page read does not name Acme Corp. Of sources and pages, 1 could not be read."
    )


async def test_when_every_page_fails_for_good_the_task_fails_at_once(redis_url: str, mongo_uri: str) -> None:
    site = web(answers={ONE: failed(Problem.ROBOTS), TWO: failed(Problem.ADDRESS), OTHER: failed(Problem.TOO_LARGE)})
    async with scanning(redis_url, mongo_uri, site) as runtime:
        record = await scan(runtime)
        assert await published(runtime) is None
    assert (record["status"], record["attempts"]) == ("failed", 1)
    assert record["error"]["message"].startswith("no page could be read: ")
    assert len(record["error"]["errors"]) == 4


async def test_some_failures_are_told_in_the_report(redis_url: str, mongo_uri: str) -> None:
    site = web(answers={SEARX_URL: failed(Problem.TIMEOUT, SEARX_URL)})
    async with scanning(redis_url, mongo_uri, site) as runtime:
        report = (await scan(runtime))["result"]
    assert [(one["subject"], one.get("source") or one["url"], one["problem"]) for one in report["errors"]] == [
        ("source", "searx:searx.internal", "timeout"),
        ("page", "https://gone.example/", "http_status"),
    ]
    assert report["pages"]["naming"] == 1


async def test_a_model_that_fails_for_a_moment_is_asked_again_and_then_done_without(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    model.answer = lambda asked: Fault(503)
    short = {"llm_deadline_sec": 1.0, "llm_timeout_sec": 1.0}
    async with scanning(redis_url, mongo_uri, web(), model, **short) as runtime:
        record = await scan(runtime)
    assert (record["status"], record["attempts"]) == ("succeeded", 2)
    assert record["result"]["degraded"] is True
    assert record["result"]["notable_mentions"]


async def test_a_model_that_fails_for_good_is_done_without_at_once(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    model.answer = lambda asked: Fault(401)
    async with scanning(redis_url, mongo_uri, web(), model) as runtime:
        record = await scan(runtime)
    assert (record["status"], record["attempts"]) == ("succeeded", 1)
    assert record["result"]["reason"].startswith("AUTH_ERROR: ")


async def test_an_answer_that_names_pages_that_are_not_there_is_mended_once(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    def answer(asked: Asked) -> str:
        if len(model.asked) == 1:
            return insights(asked).replace('"pages": [0]', '"pages": [40]').replace('"pages": [1]', '"pages": [40]')
        assert "there is no page 40" in asked.user
        return insights(Asked(asked.system, asked.messages[1]["content"], asked.messages, asked.body))

    model.answer = answer
    async with scanning(redis_url, mongo_uri, web(), model) as runtime:
        record = await scan(runtime)
    assert (record["result"]["degraded"], len(model.asked)) == (False, 2)


# -- cancellation and bounds -------------------------------------------------------------------------------------------


async def test_cancelling_a_scan_ends_everything_it_has_begun(redis_url: str, mongo_uri: str) -> None:
    site = web()
    site.hang = {ONE, TWO}
    task = Task("t1", "web_scan", {}, "acme", TaskPriority.NORMAL, 1, wall_ms())
    async with scanning(redis_url, mongo_uri, site) as runtime:
        job = asyncio.create_task(runtime.handlers["web_scan"].handle(task))

        async def reading() -> bool:
            return len(site.read_urls) == 4

        await until(reading)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert sorted(site.cancelled) == [ONE, TWO]
        assert await runtime.storage.collection(WEB_SCANS).count_documents({}) == 0


async def test_pages_that_hang_are_given_up_before_the_task_is(redis_url: str, mongo_uri: str) -> None:
    site = web()
    site.hang = {TWO}
    async with scanning(redis_url, mongo_uri, site, task_timeout_sec=12) as runtime:
        record = await scan(runtime)
    assert (record["status"], record["attempts"]) == ("succeeded", 1)
    assert [(one["url"], one["problem"]) for one in record["result"]["errors"] if one["retryable"]] == [
        (TWO, "timeout")
    ]


async def test_a_few_pages_are_read_at_a_time_and_none_after_the_time_is_up() -> None:
    urls = [f"https://h{n}.example/" for n in range(12)]
    site = Web({url: page(url, f"text of {url}") for url in urls})
    now = iter([*[0.0] * 8, *[100.0] * 4])
    reading = await read_pages([Hit(url) for url in urls], site, until=60.0, clock=lambda: next(now))
    assert site.most_at_once == 4
    assert [one.page.url for one in reading.pages] == urls[:8]
    assert {one.problem for one in reading.failures} == {"timeout"}
    assert all("time for reading was up" in one.error.message for one in reading.failures)


async def test_a_fault_of_the_reader_is_told_as_what_it_is_and_ends_the_others() -> None:
    def broken() -> None:
        raise StorageUnavailable("away")

    site = Web({ONE: broken})
    site.hang = {TWO}
    with pytest.raises(StorageUnavailable, match="away"):
        await read_pages([Hit(TWO), Hit(ONE)], site, until=60.0, clock=lambda: 0.0)
    assert site.cancelled == [TWO]


async def test_one_page_under_two_addresses_is_one() -> None:
    twin, copy = "https://m.one.example/a", "https://copy.example/"
    site = Web({ONE: page(ONE, "x"), twin: page(twin, "y", canonical_url=f"{ONE}/"), copy: page(copy, "x")})
    reading = await read_pages([Hit(ONE), Hit(twin), Hit(copy)], site, until=1.0, clock=lambda: 0.0)
    assert [one.page.url for one in reading.pages] == [ONE]


async def test_a_feed_without_a_query_is_searched_for_the_brand() -> None:
    sources = read_sources("rss:https://all.example/feed,html:https://s.example/?q={query}")
    titles = {ONE: "Acme wins", TWO: "Others lose"}
    site = Web({"https://all.example/feed": feed(ONE, TWO, titles=titles)})
    cpu = Cpu()
    found = await search(sources, "Acme", BrandTerms.build("acme"), fetcher=site, cpu=cpu, deadline_sec=30.0)
    cpu.close()
    assert [[one.url for one in hits] for hits in found.found] == [[ONE]]
    assert [(one.name, one.error.retryable) for one in found.failures] == [("html:s.example", False)]


# -- input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"brand": None}, "brand"),
        ({"query": 5}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "a\x00b"}, "query"),
        ({"query": "x" * 201}, "query"),
        ({"urls": "https://a.example/"}, "urls"),
        ({"urls": ["https://a.example/"] * 11}, "urls"),
        ({"urls": ["https://a.example/", 5]}, "urls[1]"),
        ({"urls": ["file:///etc/passwd"]}, "urls[0]"),
        ({"urls": ["https://u:p@a.example/"]}, "urls[0]"),
    ],
)
async def test_a_task_that_cannot_be_read_is_refused_by_field(
    redis_url: str, mongo_uri: str, fields: dict[str, Any], field: str
) -> None:
    site = web()
    async with scanning(redis_url, mongo_uri, site) as runtime:
        record = await scan(runtime, **fields)
        async with client(runtime) as http:
            refused = await http.post("/v1/tasks", json={"type": "web_scan", "brand": "acme", **fields})
    assert (record["status"], record["error"]["code"], record["error"]["field"]) == (
        "failed",
        "VALIDATION_ERROR",
        field,
    )
    assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert site.asked == site.read_urls == []


@pytest.mark.parametrize(("fields", "field"), [({}, "urls"), ({"query": "acme", "urls": [ONE]}, "query")])
async def test_without_sources_an_error_names_the_setting_that_mends_it(
    redis_url: str, mongo_uri: str, fields: dict[str, Any], field: str
) -> None:
    async with scanning(redis_url, mongo_uri, web(), web_search_sources="") as runtime:
        record = await scan(runtime, **fields)
        assert await published(runtime) is None
    assert (record["status"], record["attempts"], record["error"]["field"]) == ("failed", 1, field)
    assert "WEB_SEARCH_SOURCES" in record["error"]["message"]


def test_a_deadline_of_the_producer_bounds_a_scan() -> None:
    handler = WebScanHandler(
        cast(Any, None),
        PlatformKeys(),
        has_sources=True,
        pages_max=1,
        max_attempts=1,
        timeout_sec=100,
        now_ms=lambda: 5_000,
    )
    task = Task("t", "web_scan", {}, "acme", TaskPriority.NORMAL, 1, 0)
    assert handler._seconds(task) == pytest.approx(95)
    assert handler._seconds(task._replace(deadline_ms=25_000)) == pytest.approx(19)
    assert handler._seconds(task._replace(deadline_ms=1)) == 1.0


def test_unknown_sources_stop_nothing_else() -> None:
    assert settings().search_sources == ()
    with pytest.raises(InvalidTask, match="WEB_SEARCH_SOURCES"):
        WebScanHandler(
            cast(Any, None), PlatformKeys(), has_sources=False, pages_max=1, max_attempts=1, timeout_sec=1
        ).check(Task("t", "web_scan", {}, "acme", TaskPriority.NORMAL, 1, 0))
