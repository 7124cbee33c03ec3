"""`web_scan` end to end: through Redis with a scripted model and with none; nothing is made up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest

from src.worker.models import Task, TaskPriority
from src.worker.queue_outputs import wall_ms
from src.worker.runtime import utc_now
from src.worker.services.web_scan_store import WEB_SCANS
from tests.helpers import until
from tests.llm_doubles.scripted import ScriptedServer
from tests.web_scan_helpers import (
    KEY,
    ONE,
    OTHER,
    RSS_URL,
    SEARX_URL,
    TWO,
    Web,
    client,
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


# -- end to end --------------------------------------------------------------------------------------------------------


async def test_a_scan_with_a_model_reports_what_was_read_with_citations(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    site = web()
    async with scanning(redis_url, mongo_uri, site, model) as runtime:
        await runtime.redis.call("RPUSH", "tasks:web_scan", orjson.dumps({"brand": "acme"}))
        report = await until(lambda: published(runtime), 20)
        ttl = await runtime.redis.call("TTL", KEY)
        async with client(runtime) as http:
            shown = await http.get("/v1/brands/Acme/web-insights")
    assert sorted(site.asked) == sorted([RSS_URL, SEARX_URL])
    assert site.trusted == [True, True]
    assert site.read_urls == [ONE, "https://gone.example/", TWO, OTHER]
    assert (report["status"], report["query"], report["degraded"], report["tier"]) == (
        "complete",
        "Acme Corp",
        False,
        3,
    )
    assert report["notable_mentions"] == [
        {
            "source": "one.example",
            "highlight": "Acme opens a great new shop",
            "sentiment": "positive",
            "url": ONE,
            "source_index": 0,
        }
    ]
    assert report["citations"] == {"kept": 1, "dropped": 1, "repeated": 0}
    assert [one["url"] for one in report["sources"]] == [ONE, TWO]
    assert report["sources"][1]["snippet"] == "Acme Corp lost a terrible lawsuit over widgets."
    assert (report["risks"], report["evidence"]["risks"]) == (["the lawsuit"], [[1]])
    assert report["pages"] == {"found": 4, "tried": 4, "read": 3, "naming": 2}
    assert [(one["url"], one["problem"], one["retryable"]) for one in report["errors"]] == [
        ("https://gone.example/", "http_status", False)
    ]
    assert report["llm"]["provider"] == "openai"
    assert 86_000 < ttl <= 86_400
    assert (shown.status_code, shown.json()) == (200, report)
    (asked,) = model.asked
    assert "People love it" in asked.user
    assert "Widgets of other makers" not in asked.user


async def test_a_scan_without_a_model_counts_and_says_so(redis_url: str, mongo_uri: str) -> None:
    async with scanning(redis_url, mongo_uri, web()) as runtime:
        record = await scan(runtime)
        report = await published(runtime)
    assert report is not None
    assert record["result"] == {**report, "published": True}
    assert (report["degraded"], report["tier"], report["llm"]) == (True, 2, None)
    assert report["reason"].startswith("MISSING_API_KEY: ")
    assert [(one["highlight"], one["sentiment"]) for one in report["notable_mentions"]] == [
        ("Acme opens a great new shop in Ohio.", "positive"),
        ("Acme Corp lost a terrible lawsuit over widgets.", "negative"),
    ]
    assert report["sentiment"] == "mixed"
    assert report["summary"] == (
        "2 of 3 pages read name Acme Corp, in 2 sentences: 1 positive, 0 neutral, 1 negative. Counted, not judged."
    )
    assert report["key_themes"]
    assert len(report["evidence"]["key_themes"]) == len(report["key_themes"])
    assert report["opportunities"] == report["risks"] == report["recommended_actions"] == []


async def test_pages_that_a_task_names_are_read_and_nothing_is_searched(redis_url: str, mongo_uri: str) -> None:
    site = web()
    async with scanning(redis_url, mongo_uri, site, web_search_sources="") as runtime:
        record = await scan(runtime, urls=[f"{TWO}#top", ONE])
    assert record["status"] == "succeeded"
    assert record["result"]["query"] is None
    assert site.asked == []
    assert site.read_urls == [TWO, ONE]


async def test_a_query_of_the_task_is_what_is_searched_besides_its_pages(redis_url: str, mongo_uri: str) -> None:
    site = web(answers={"https://news.example/rss?q=acme%20shop": feed(TWO)})
    async with scanning(
        redis_url, mongo_uri, site, web_search_sources="rss:https://news.example/rss?q={query}", web_scan_pages=2
    ) as runtime:
        record = await scan(runtime, query=" acme   shop ", urls=[ONE])
    assert record["result"]["query"] == "acme shop"
    assert site.read_urls == [ONE, TWO]


async def test_a_brand_nobody_described_is_searched_by_its_name(redis_url: str, mongo_uri: str) -> None:
    site = Web(
        {"https://news.example/rss?q=Zen%20%26%20Co": feed(OTHER), OTHER: page(OTHER, "At Zen & Co. all is well.")}
    )
    async with scanning(
        redis_url, mongo_uri, site, web_search_sources="rss:https://news.example/rss?q={query}"
    ) as runtime:
        record = await scan(runtime, brand="Zen & Co")
    assert (record["result"]["brand"], record["result"]["pages"]["naming"]) == ("zen-co", 1)


# -- what stands -------------------------------------------------------------------------------------------------------

NOTHING = {RSS_URL: feed(OTHER), SEARX_URL: b'{"results": []}'}


async def test_that_nothing_names_the_brand_is_a_report_and_no_model_is_asked(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    async with scanning(redis_url, mongo_uri, web(answers=NOTHING), model) as runtime:
        record = await scan(runtime)
        report = await published(runtime)
    assert model.asked == []
    assert record["result"]["published"] is True
    assert report is not None
    assert (report["status"], report["summary"]) == ("complete", "The one page read does not name Acme Corp.")
    assert report["sources"] == report["notable_mentions"] == []


async def test_a_report_with_less_takes_no_place_of_one_with_more(
    redis_url: str, mongo_uri: str, model: ScriptedServer
) -> None:
    site = web()
    async with scanning(redis_url, mongo_uri, site, model) as runtime:
        assert (await scan(runtime))["result"]["published"] is True
        first = await published(runtime)
        site.answers |= NOTHING
        empty = await scan(runtime)
        site.answers |= web().answers
        model.answer = lambda asked: "I had rather not say."
        counted = await scan(runtime)
        assert (empty["result"]["published"], empty["result"]["pages"]["naming"]) == (False, 0)
        assert (counted["result"]["published"], counted["result"]["degraded"]) == (False, True)
        assert await published(runtime) == first
        async with client(runtime) as http:
            assert (await http.get("/v1/brands/acme/web-insights")).json() == first
        model.answer = insights
        again = await scan(runtime)
        assert again["result"]["published"] is True
        assert await runtime.storage.collection(WEB_SCANS).count_documents({"brand": "acme"}) == 4


async def test_after_a_day_a_report_with_content_gives_way(redis_url: str, mongo_uri: str) -> None:
    site = web()
    async with scanning(redis_url, mongo_uri, site) as runtime:
        await scan(runtime)
        await runtime.storage.collection(WEB_SCANS).update_many({}, {"$set": {"at": utc_now() - timedelta(hours=25)}})
        site.answers |= NOTHING
        assert (await scan(runtime))["result"]["published"] is True


async def test_a_task_that_is_executed_again_publishes_the_report_it_has_made(redis_url: str, mongo_uri: str) -> None:
    site = web()
    task = Task("t1", "web_scan", {}, "acme", TaskPriority.NORMAL, 1, wall_ms(), entry="normal-1-1")
    async with scanning(redis_url, mongo_uri, site) as runtime:
        handle = runtime.handlers["web_scan"].handle
        first = await handle(task)
        asked = len(site.asked)
        second = await handle(task._replace(attempt=2))
        assert (second, len(site.asked)) == (first, asked)
        both = await asyncio.gather(*(handle(task._replace(id="t2", entry="normal-2-1")) for _ in range(3)))
        assert both[0].result == both[1].result == both[2].result
        sent_again = await handle(task._replace(entry="normal-9-9"))
        assert sent_again.result["generated_at"] != first.result["generated_at"]
        assert await runtime.storage.collection(WEB_SCANS).count_documents({}) == 3
        late = await handle(task._replace(attempt=3))
        assert (late.outputs, late.result["published"]) == ((), False)  # others have published since
