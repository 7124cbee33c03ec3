"""Leads: the rule, the direction, one per person and week; and what REST tells of leads, competitors, influencers."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from src.worker.analyzer import BrandTerms
from src.worker.api.application import create_application
from src.worker.api.audience import utc_now
from src.worker.pipeline.leads import Lead, LeadKind, intent_type, lead_of
from src.worker.runtime import Runtime
from src.worker.services.audience import AudienceView, LeadFilter, LeadStore
from src.worker.storage import LEADS, Storage
from tests.audience_helpers import NOW, about, publishing, stored, strict

pytestmark = pytest.mark.anyio
OWN = BrandTerms.build("acme", aliases=["Acme Corp"])


@pytest.fixture
async def storage(mongo_uri: str) -> AsyncIterator[Storage]:
    storage = Storage(mongo_uri)
    await storage.ensure_indexes(processed_chunks_ttl_days=1, llm_calls_ttl_days=1)
    yield storage
    storage.close()


def _lead(text: str, **item: Any) -> Lead:
    lead = lead_of(stored(text, **item), OWN)
    assert lead is not None
    return lead


def _judged(text: str, *, intent: str = "GENERAL", tag: str = "NONE", **more: Any) -> dict[str, Any]:
    """A stored mention with a verdict given by hand."""
    item = more.pop("item", {})
    return {**stored(text, **item), "intent": intent, "strategic_tag": tag, **more}


@pytest.mark.parametrize(
    ("intent", "tag", "lead"),
    [
        ("HOT_LEAD", "NONE", True),
        ("CHURN_RISK", "NONE", True),
        ("GENERAL", "OPPORTUNITY_TO_STEAL", True),
        ("GENERAL", "CRITICAL_ALERT", True),
        ("BUG_REPORT", "NONE", False),
        ("FEATURE_REQUEST", "NONE", False),
        ("PRAISE", "NONE", False),
        ("GENERAL", "NONE", False),
    ],
)
def test_the_rule_is_the_contracts(intent: str, tag: str, lead: bool) -> None:
    assert (lead_of(_judged("Acme", intent=intent, tag=tag), OWN) is not None) is lead


def test_what_does_not_concern_the_brand_is_no_lead() -> None:
    assert lead_of(_judged("Acme", intent="HOT_LEAD", relevant=False), OWN) is None


def test_confidence_is_that_of_the_intent_and_never_the_mood() -> None:
    mood = {"label": "negative", "score": -0.99}
    by_intent = lead_of(_judged("Acme", intent="CHURN_RISK", intent_confidence=0.61, sentiment=mood), OWN)
    by_tag = lead_of(_judged("Acme", tag="CRITICAL_ALERT", intent_confidence=0.2, confidence=0.44, sentiment=mood), OWN)
    assert by_intent is not None
    assert by_tag is not None
    assert (by_intent.body["confidence"], by_tag.body["confidence"]) == (0.61, 0.44)


@pytest.mark.parametrize(
    ("text", "competitor", "kind"),
    [
        ("I am switching from Acme to Bolt", None, LeadKind.RETENTION),
        ("I am switching from Bolt to Acme", None, LeadKind.PURCHASE),
        ("I am switching from Bolt to Acme", "Bolt", LeadKind.WIN_OVER),
        ("I am switching from Acme to Bolt", "Bolt", LeadKind.RETENTION),
        ("I am switching to Bolt from @AcmeCorp!", "Bolt", LeadKind.RETENTION),
        ("I'm switching from Acme Corp over to #bolt", "Bolt", LeadKind.RETENTION),
        ("We are switching to Acme from Bolt next week", "Bolt", LeadKind.WIN_OVER),
        ("I am done, leaving Bolt for Acme today", "Bolt", LeadKind.WIN_OVER),
        ("Bolt is terrible, I hate it, worst support ever", "Bolt", LeadKind.WIN_OVER),
        ("Cancelled my contract, never again Acme", None, LeadKind.RETENTION),
    ],
)
def test_who_leaves_whom_decides_what_can_be_gained(text: str, competitor: str | None, kind: LeadKind) -> None:
    metadata = about(competitor) if competitor else {}
    assert _lead(text, metadata=metadata).kind is kind


def test_a_name_with_marks_is_seen_in_a_direction() -> None:
    document = _judged("Moving from Yahoo! to C++ Inc.", intent="HOT_LEAD", item={"metadata": about("C++ Inc.")})
    lead = lead_of(document, BrandTerms.build("Yahoo!"))
    assert lead is not None
    assert lead.kind is LeadKind.RETENTION


def test_a_brands_own_mention_with_a_chance_at_a_rivals_customer_is_one_to_win() -> None:
    lead = lead_of(_judged("Acme or Bolt?", tag="OPPORTUNITY_TO_STEAL"), OWN)
    assert lead is not None
    assert lead.kind is LeadKind.WIN_OVER


def test_only_who_may_buy_has_a_sales_intent() -> None:
    assert _lead("I want to buy an Acme").body["salesIntentScore"] > 0
    assert _lead("I am switching from Acme to Bolt").body["salesIntentScore"] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Looking for an alternative to Bolt, any good recommendations?", "alternative_seeking"),
        ("I'm switching from Acme to Bolt", "alternative_seeking"),
        ("Cancelled my Acme contract, never again", "complaint"),
        ("I want to buy an Acme", "none"),
    ],
)
def test_the_intent_type_is_one_of_the_contracts_words(text: str, expected: str) -> None:
    assert intent_type(stored(text)) == expected


def test_a_leads_id_is_stable_and_its_own() -> None:
    one, same = _lead("I want to buy an Acme", id="a"), _lead("I want to buy an Acme", id="b", author="x")
    other = _lead("I want to buy an Acme now", id="a")
    assert one.body["id"] == same.body["id"] != other.body["id"]
    assert one.body["id"].startswith("lead-")
    assert (one.body["mentionId"], same.body["mentionId"]) == ("a", "b")


def test_one_person_is_one_lead_of_a_kind_per_week() -> None:
    def slot(text: str, **item: Any) -> str:
        return _lead(text, **{"author": "ann", **item}).slot

    first = slot("I want to buy an Acme")
    assert slot("I really want to buy an Acme", author="@Ann") == first
    others = {
        slot("I want to buy an Acme", author="bob"),
        slot("I want to buy an Acme", source="reddit"),
        slot("I want to buy an Acme", at="2026-11-28T10:20:30Z"),
        slot("I am switching from Acme to Bolt"),
        slot("I want to buy an Acme", author=None),
        slot("I want to buy an Acme now", author=None),
    }
    assert len(others | {first}) == 7


async def test_the_first_of_a_person_announces_and_does_so_again_after_a_crash(storage: Storage) -> None:
    store = LeadStore(storage)
    first = _lead("I want to buy an Acme", author="ann", at="2026-11-20T10:00:00Z")
    second = _lead("I really want to buy an Acme", author="ann", at="2026-11-20T11:00:00Z")
    assert await store.keep([first], now=NOW) == [first]
    assert await store.keep([second], now=NOW) == []
    assert await store.keep([first], now=NOW + timedelta(hours=1)) == [first]
    (document,) = await storage.collection(LEADS).find({}).to_list(None)
    assert document["mention_key"] == first.mention_key
    assert document["last_at"] == second.at
    assert document["written_at"] == NOW
    assert (document["status"], document["body"]["id"]) == ("new", first.body["id"])


async def test_the_earliest_of_a_chunk_announces_whatever_their_order(storage: Storage) -> None:
    early = _lead("I want to buy an Acme", author="ann", at="2026-11-20T10:00:00Z")
    late = _lead("I really want to buy an Acme", author="ann", at="2026-11-20T11:00:00Z")
    assert await LeadStore(storage).keep([late, early], now=NOW) == [early]


async def test_workers_that_store_one_lead_at_once_agree_on_one_announcer(storage: Storage) -> None:
    leads = [_lead(f"I want to buy an Acme {word}", author="ann") for word in "one two three four five six".split()]
    announced: list[Lead] = []

    async def keep(lead: Lead) -> None:
        announced.extend(await LeadStore(storage).keep([lead], now=NOW))

    async with anyio.create_task_group() as group:
        for lead in leads:
            group.start_soon(keep, lead)
    assert len(announced) == 1
    assert await storage.collection(LEADS).count_documents({}) == 1


async def test_a_status_that_somebody_changed_stays(storage: Storage) -> None:
    store, lead = LeadStore(storage), _lead("I want to buy an Acme")
    await store.keep([lead], now=NOW)
    await storage.collection(LEADS).update_one({"_id": lead.slot}, {"$set": {"status": "contacted"}})
    await store.keep([lead], now=NOW)
    page = await store.page("acme", LeadFilter(status="new"), limit=10, before=None)
    assert page.items == []


async def test_leads_go_by_themselves(storage: Storage) -> None:
    indexes = await storage.collection(LEADS).index_information()
    assert indexes["expiry"]["expireAfterSeconds"] == 400 * 86_400
    assert "by_brand_time" in indexes
    assert "by_competitor" in await storage.collection("mentions").index_information()


@asynccontextmanager
async def _http(runtime: Runtime, now: datetime = NOW) -> AsyncIterator[httpx.AsyncClient]:
    app = create_application(runtime.api, api_key=None, max_body_bytes=1 << 20)
    app.dependency_overrides[utc_now] = lambda: now
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def _get(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    response = await client.get(f"/v1/brands/{path}", params=query)
    assert response.status_code == 200, response.text
    return strict(response.content)


async def test_leads_are_paged_and_filtered_over_rest(redis_url: str, mongo_uri: str) -> None:
    texts = ("I want to buy an Acme", "I am switching from Acme to Bolt", "How much is an Acme? I want to buy one")
    async with publishing(redis_url, mongo_uri) as runtime:
        leads = [_lead(text, at=f"2026-11-{day}T10:00:00Z", author="ann") for day, text in enumerate(texts, 10)]
        assert len(await LeadStore(runtime.storage).keep(leads, now=NOW)) == 3
        async with _http(runtime) as client:
            everything = await _get(client, "Acme/leads")
            assert everything["next"] is None
            assert [one["sourceText"] for one in everything["items"]] == [texts[2], texts[1], texts[0]]
            assert everything["items"][0]["lastMentionAt"] == "2026-11-12T10:00:00.000Z"
            seen, cursor = [], {}
            while True:
                page = await _get(client, "acme/leads", limit=1, **cursor)
                seen += page["items"]
                if page["next"] is None:
                    break
                cursor = {"cursor": page["next"]}
            assert seen == everything["items"]
            for query, count in (
                ({"intent": "CHURN_RISK"}, 1),
                ({"kind": "purchase"}, 2),
                ({"status": "new"}, 3),
                ({"minScore": 60}, sum(lead.body["leadScore"] >= 60 for lead in leads)),
                ({"minConfidence": 0.999}, 0),
            ):
                assert len((await _get(client, "acme/leads", **query))["items"]) == count, query
            assert (await _get(client, "other/leads"))["items"] == []
            bad = await client.get("/v1/brands/acme/leads", params={"intent": "BUY"})
            assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")


async def _count(runtime: Runtime, *documents: Mapping[str, Any]) -> None:
    await runtime.storage.insert_mentions([dict(document) for document in documents])


async def test_competitors_are_counted_from_stored_mentions(redis_url: str, mongo_uri: str) -> None:
    async with publishing(redis_url, mongo_uri) as runtime:
        await _count(
            runtime,
            stored("Bolt is terrible", metadata=about("Bolt", 42), at="2026-11-20T10:00:00Z"),
            stored("Bolt is great", metadata=about("Bolt", 42), at="2026-11-19T10:00:00Z"),
            stored("Cog is great", metadata=about("Cog", None), at="2026-11-19T10:00:00Z"),
            stored("Bolt was great", metadata=about("Bolt", 42), at="2025-01-01T10:00:00Z"),
            stored("Acme is great"),
            stored("Bolt is dull", metadata=about("Bolt", 42), brand="other"),
        )
        async with _http(runtime) as client:
            found = await _get(client, "acme/competitors", days=7)
    assert (found["brand"], found["until"]) == ("acme", "2026-11-20T10:20:30.500Z")
    assert [(one["name"], one["ids"], one["mentions"]) for one in found["items"]] == [
        ("Bolt", ["42"], 2),
        ("Cog", [], 1),
    ]
    bolt = found["items"][0]
    assert {label: bolt["sentiment"][label] for label in ("positive", "neutral", "negative")} == {
        "positive": 1,
        "neutral": 0,
        "negative": 1,
    }
    assert bolt["opportunities"] == 1
    assert bolt["lastMentionAt"] == "2026-11-20T10:00:00.000Z"


async def test_influencers_are_distinct_authors_with_their_figures(redis_url: str, mongo_uri: str) -> None:
    async with publishing(redis_url, mongo_uri) as runtime:
        await _count(
            runtime,
            stored("Acme one", author="@Ann", author_followers=100),
            stored("Acme two", author="ann", author_followers=1_000),
            stored("Acme three", author="bob", author_followers=500),
            stored("Acme four", author="bob", author_followers=500, source="reddit"),
            stored("Acme five", author="quiet"),
            stored("Bolt is fine", author="cat", author_followers=10**6, metadata=about("Bolt")),
        )
        async with _http(runtime) as client:
            items = (await _get(client, "acme/influencers"))["items"]
    assert [(one["author"].lstrip("@").lower(), one["source"], one["author_followers"]) for one in items] == [
        ("ann", "x", 1_000),
        ("bob", "reddit", 500),
        ("bob", "x", 500),
    ]
    assert (items[0]["mentions"], items[0]["influence_score"]) == (2, 3.0)
    assert items[0]["influence_sum"] == pytest.approx(5.0)
    assert items[1]["influence_score"] == pytest.approx(math.log10(500), abs=1e-4)


async def test_a_replayed_history_has_its_own_present_and_the_future_has_none(storage: Storage) -> None:
    view = AudienceView(storage)
    assert (await view.span("acme", days=1, now=NOW)).until == NOW
    await storage.insert_mentions([stored("Acme then", at="2015-02-20T00:00:00Z")])
    span = await view.span("acme", days=1, now=NOW)
    assert (span.since, span.until) == (datetime(2015, 2, 19, tzinfo=UTC), datetime(2015, 2, 20, tzinfo=UTC))
    await storage.insert_mentions([stored("Acme tomorrow", at="2999-01-01T00:00:00Z")])
    assert (await view.span("acme", days=1, now=NOW)).until == NOW


async def test_a_mention_exactly_at_the_beginning_of_the_span_counts(storage: Storage) -> None:
    """Whatever the order of an index: servers differ there."""
    await storage.ensure_indexes(processed_chunks_ttl_days=1, llm_calls_ttl_days=1)
    view, day = AudienceView(storage), timedelta(days=1)
    await storage.insert_mentions(
        [
            stored("Acme first", author="ann", author_followers=100, at="2015-02-19T00:00:00Z"),
            stored("Acme before", author="bob", author_followers=100, at="2015-02-18T23:59:59.999Z"),
            stored("Acme last", author="cat", author_followers=100, at="2015-02-20T00:00:00Z"),
            stored("Bolt first", author="dan", at="2015-02-19T00:00:00Z", metadata=about("Bolt")),
        ]
    )
    span = await view.span("acme", days=1, now=NOW)
    assert span.until - span.since == day
    assert {one["author"] for one in await view.influencers("acme", span, limit=9)} == {"ann", "cat"}
    assert [one["mentions"] for one in await view.competitors("acme", span, limit=9)] == [1]
