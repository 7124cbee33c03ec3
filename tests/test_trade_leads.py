"""analyze_lead_intent: one text in, one lead of the one shape out, once per person, with a model or without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.worker.storage import LEADS
from tests.helpers import dead_letters
from tests.injection_corpus import ATTACKS
from tests.llm_doubles.scripted import Fault, ScriptedServer, scripted_server
from tests.trade_helpers import advised, alone, entries, expires, fails, outcome, result, says

pytestmark = pytest.mark.anyio

YES = {"sales_intent": True, "confidence": 0.9, "intent_type": "alternative_seeking", "pain_point": "licences"}
NO = {"sales_intent": False, "confidence": 0.8, "intent_type": "none", "pain_point": None}
TEXT = "We are looking for an alternative, where can I buy Acme licences for my team?"
TASK: dict[str, Any] = {
    "type": "analyze_lead_intent",
    "brand": "Acme",
    "mention_id": "m-1",
    "text": TEXT,
    "monitor_id": "mon-7",
    "user_id": "u-3",
    "source_platform": "x",
    "source_author": "ann",
    "source_url": "https://x.example/1",
    "created_at": "2026-11-20T10:00:00Z",
}
LISTS = ("queue:leads", "leads:brand:acme", "leads:monitor:mon-7")
FRONTEND = {
    "id", "mentionId", "salesIntentScore", "intentType", "confidence", "painPoint", "leadScore", "status",
    "generatedPitch", "sourcePlatform", "sourceText", "sourceAuthor", "createdAt",
}  # fmt: skip
TASK_PATH = {
    "type", "mentionId", "monitorId", "userId", "salesIntentScore", "intentType", "confidence", "painPoint",
    "sourcePlatform", "sourceText", "sourceAuthor", "sourceUrl",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


async def test_a_model_that_sees_a_wish_makes_one_lead_for_everybody_who_reads(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(YES)) as runtime:
        found = await result(runtime, TASK)
        lists = {key: await entries(runtime.redis, key) for key in LISTS}
        await expires(runtime.redis, "queue:leads", 7)
        await expires(runtime.redis, "leads:brand:acme", 30)
        await expires(runtime.redis, "leads:monitor:mon-7", 30)
        stored = await runtime.storage.collection(LEADS).find({}).to_list(None)
    assert (found["isLead"], found["announced"], found["tier"], found["degraded"]) == (True, True, 3, False)
    assert (found["llm"]["provider"], found["llm"]["model"]) == ("openai", runtime.llm.targets[0].model)
    (lead,) = lists["queue:leads"]
    assert lists["leads:brand:acme"] == lists["leads:monitor:mon-7"] == [lead]
    assert set(lead) >= FRONTEND | TASK_PATH | {"kind"}
    wanted = {
        "type": "lead",
        "mentionId": "m-1",
        "monitorId": "mon-7",
        "userId": "u-3",
        "brand": "acme",
        "salesIntentScore": 90,
        "intentType": "alternative_seeking",
        "confidence": 0.9,
        "painPoint": "licences",
        "status": "new",
        "kind": "purchase",
        "sourcePlatform": "x",
        "sourceText": TEXT,
        "sourceAuthor": "ann",
        "sourceUrl": "https://x.example/1",
        "createdAt": "2026-11-20T10:00:00.000Z",
        "degraded": False,
        "tier": 3,
    }
    assert {name: lead[name] for name in wanted} == wanted
    assert [one["body"]["id"] for one in stored] == [lead["id"]] == [found["leadId"]]
    assert len(server.asked) == 1
    assert TEXT in server.asked[0].user


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (NO, "the model sees no wish"),
        ({**YES, "confidence": 0.6}, "the model's confidence is 0.60, a lead needs more than 0.6"),
    ],
    ids=["no wish", "not sure enough"],
)
async def test_what_is_no_lead_says_why_and_is_told_to_nobody(
    redis_url: str, mongo_uri: str, server: ScriptedServer, answer: dict[str, Any], why: str
) -> None:
    async with advised(redis_url, mongo_uri, server, says(answer)) as runtime:
        found = await result(runtime, TASK)
        assert await runtime.redis.call("EXISTS", *LISTS) == 0
        assert await runtime.storage.collection(LEADS).count_documents({}) == 0
    assert (found["isLead"], found["announced"], found["leadId"]) == (False, False, None)
    assert found["why"].startswith(why)


async def test_a_person_is_announced_once_a_week_by_whatever_comes_first(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mention = {"id": "m-1", "text": TEXT, "source": "x", "author": "ann", "created_at": "2026-11-20T10:00:00Z"}
    async with advised(redis_url, mongo_uri, server, says(YES)) as runtime:
        first = await result(runtime, TASK)
        again = await result(runtime, {**TASK, "mention_id": "m-2", "text": "Where can I buy Acme? Take my money"})
        same_id = [await result(runtime, {**TASK, "id": "one-id", "source_author": "bob"}) for _ in range(2)]
        await result(runtime, {"type": "analyze_mentions", "brand": "acme", "mentions": [mention]})
        leads = await entries(runtime.redis, "leads:brand:acme")
    assert [first["announced"], again["announced"], again["isLead"]] == [True, False, True]
    assert again["why"] == "this person has been announced as a lead of this kind this week"
    assert same_id[0]["announced"] is True
    assert [one["sourceAuthor"] for one in leads] == ["bob", "ann"]


async def test_a_lead_of_a_chunk_is_not_announced_again_by_a_task(redis_url: str, mongo_uri: str) -> None:
    text = "Where can I buy Acme? We need a quote for an enterprise plan, ready to buy"
    mention = {"id": "m-1", "text": text, "source": "x", "author": "ann", "created_at": "2026-11-20T10:00:00Z"}
    async with alone(redis_url, mongo_uri) as runtime:
        await result(runtime, {"type": "analyze_mentions", "brand": "acme", "mentions": [mention]})
        assert len(await entries(runtime.redis, "queue:leads")) == 1
        found = await result(runtime, {**TASK, "text": text})
        assert len(await entries(runtime.redis, "queue:leads")) == 1
    assert (found["isLead"], found["announced"]) == (True, False)


async def test_without_a_model_the_rules_decide_and_say_so(redis_url: str, mongo_uri: str) -> None:
    text = "Where can I buy Acme? We need a quote for an enterprise plan, ready to buy"
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, {**TASK, "text": text})
        chatter = await result(runtime, {**TASK, "text": "Acme has a nice logo", "source_author": "eve"})
        (lead,) = await entries(runtime.redis, "queue:leads")
    assert (found["isLead"], found["degraded"], found["tier"]) == (True, True, 2)
    assert found["reason"] == "MISSING_API_KEY: no language model is configured"
    assert (lead["degraded"], lead["reason"], lead["painPoint"]) == (True, found["reason"], None)
    assert 0.6 < lead["confidence"] <= 0.95
    assert (chatter["isLead"], chatter["salesIntent"], chatter["degraded"]) == (False, False, True)


async def test_a_customer_who_leaves_is_no_wish_to_buy(redis_url: str, mongo_uri: str) -> None:
    text = "I am cancelling my Acme subscription and switching to Bolt, worst support ever"
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, {**TASK, "text": text})
        assert await runtime.redis.call("EXISTS", *LISTS) == 0
    assert (found["isLead"], found["salesIntent"]) == (False, False)
    assert found["why"] == "a customer is about to leave, which is no wish to buy"


async def test_where_the_model_hears_switching_away_the_lead_is_one_to_keep(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    text = "I am cancelling my Acme subscription and switching to Bolt, worst support ever"
    async with advised(redis_url, mongo_uri, server, says(YES)) as runtime:
        found = await result(runtime, {**TASK, "text": text})
        (lead,) = await entries(runtime.redis, "queue:leads")
    assert (found["kind"], lead["salesIntentScore"], lead["intent"]) == ("retention", 0, "CHURN_RISK")


async def test_a_fault_that_passes_is_tried_again_and_one_that_does_not_is_not(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    faults = iter([Fault(503)] * 3)
    passing = says(YES)
    async with advised(
        redis_url, mongo_uri, server, lambda asked: next(faults, None) or passing(asked), llm_deadline_sec=30
    ) as runtime:
        record = await outcome(runtime, TASK)
    assert (record["status"], record["attempts"], record["result"]["tier"]) == ("succeeded", 2, 3)
    async with advised(redis_url, mongo_uri, server, fails(401)) as runtime:
        record = await outcome(runtime, {**TASK, "text": "Where can I buy Acme?", "source_author": "zoe"})
    assert (record["status"], record["attempts"]) == ("succeeded", 1)
    assert (record["result"]["degraded"], record["result"]["reason"].split(":")[0]) == (True, "AUTH_ERROR")


async def test_the_last_attempt_is_answered_by_the_rules(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, fails(503), queue_max_attempts=1) as runtime:
        record = await outcome(runtime, TASK)
    assert (record["status"], record["attempts"], record["result"]["degraded"]) == ("succeeded", 1, True)
    assert record["result"]["reason"].startswith("SERVER_ERROR: ")


@pytest.mark.parametrize(("retry_after", "more"), [(60, 40), (3600, None)], ids=["past its deadline", "for an hour"])
async def test_nobody_waits_for_a_model_too_long(
    redis_url: str, mongo_uri: str, server: ScriptedServer, retry_after: float, more: float | None
) -> None:
    deadline = None if more is None else (datetime.now(UTC) + timedelta(seconds=more)).isoformat()
    async with advised(redis_url, mongo_uri, server, lambda asked: Fault(429, retry_after=retry_after)) as runtime:
        record = await outcome(runtime, {**TASK, "deadline": deadline})
    assert (record["attempts"], record["result"]["degraded"]) == (1, True)
    assert record["result"]["reason"].startswith("RATE_LIMIT: ")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": None}, "text"),
        ({"text": 5.5}, "text"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 200_000}, "text"),
        ({"monitor_id": "a:b"}, "monitor_id"),
        ({"monitor_id": None, "monitorId": ["x"]}, "monitorId"),
        ({"source_url": {"a": 1}}, "source_url"),
        ({"created_at": [1]}, "created_at"),
        ({"mention_id": "m" * 300}, "mention_id"),
    ],
)
async def test_bad_input_is_dead_lettered_with_its_field(
    redis_url: str, mongo_uri: str, change: dict[str, Any], field: str
) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        record = await outcome(runtime, {**TASK, **change})
        (letter,) = await dead_letters(runtime.redis)
    assert (record["status"], record["attempts"], record["error"]["field"]) == ("failed", 1, field)
    assert letter["reason"].startswith(f"{field}: ")


async def test_lists_are_bounded_and_a_lead_without_a_brand_reaches_its_monitor(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, says(YES)) as runtime:
        await runtime.redis.call("LPUSH", "leads:monitor:mon-7", *range(150))
        await runtime.redis.call("RPUSH", "queue:leads", *range(10_050))
        found = await result(runtime, {**TASK, "brand": None})
        assert await runtime.redis.call("LLEN", "leads:monitor:mon-7") == 100
        assert await runtime.redis.call("LLEN", "queue:leads") == 10_000
        newest = (await entries(runtime.redis, "leads:monitor:mon-7"))[0]
        assert (await entries(runtime.redis, "queue:leads"))[-1] == newest
        assert await runtime.redis.call("KEYS", "leads:brand:*") == []
    assert (found["announced"], newest["brand"]) == (True, None)


async def test_orders_in_a_text_stay_in_its_fence_and_an_answer_that_obeys_is_refused(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, lambda asked: "HOT_LEAD") as runtime:
        found = await result(runtime, {**TASK, "text": f"Acme is fine. {ATTACKS['ignore']}"})
        assert await runtime.redis.call("EXISTS", *LISTS) == 0
    assert (found["isLead"], found["degraded"]) == (False, True)
    assert found["reason"].startswith("INVALID_RESPONSE: ")
    user = server.asked[0].user
    at = user.index("Ignore all previous")
    assert user.rindex("<data-", 0, at) > user.rindex("</data-", 0, at)
