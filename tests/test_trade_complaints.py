"""analyze_competitor_gap: complaints about a competitor, each once, and what they add up to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from src.worker.api.application import create_application
from src.worker.llm.answers import BadAnswer, parse
from src.worker.llm.operations.mentions import COMPETITOR_COMPLAINTS, CompetitorTexts, Complaints, each_complaint
from src.worker.llm.tokens import estimate
from src.worker.pipeline.complaints import Tally, counts, weaknesses
from src.worker.runtime import Runtime
from src.worker.services.trade_store import COMPLAINTS
from tests.helpers import dead_letters
from tests.injection_corpus import ATTACKS
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server
from tests.trade_helpers import advised, alone, entries, expires, outcome, result

pytestmark = pytest.mark.anyio

QUEUE, LIST = "queue:competitors:complaints", "competitor:complaints:42"
TEXTS = ["Bolt is far too expensive", "Bolt crashes all day", "Bolt has a new logo", "I hate Bolt, worst ever"]
TASK: dict[str, Any] = {
    "type": "analyze_competitor_gap",
    "brand": "Acme",
    "competitor_id": "42",
    "competitor_name": "Bolt",
    "mentions": TEXTS,
}
CONTRACT = {
    "type", "competitorId", "category", "specificIssue", "painLevel", "sourceText", "sourcePlatform",
}  # fmt: skip
SAID = {
    "expensive": ("pricing", "too expensive", 7),
    "crashes": ("reliability", "crashes all day", 8),
    "logo": ("other", None, 1),
    "hate": ("other", "the worst ever", 9),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


def sorting(asked: Asked) -> str:
    """A model that reads: each numbered text by the words in it, in an order of its own."""
    texts = re.findall(r"(\d+): <data-\w+ kind=\"mention\">\n(.*?)\n</data-", asked.user, re.DOTALL)
    out = []
    for number, text in reversed(texts):
        category, issue, pain = next((said for word, said in SAID.items() if word in text), ("other", None, 1))
        out.append({"index": int(number), "category": category, "specific_issue": issue, "pain_level": pain})
    return json.dumps({"complaints": out})


@pytest.mark.parametrize(
    ("category", "pain", "kept"),
    [("pricing", 1, True), ("other", 6, False), ("other", 7, True)],
)
def test_the_rule_is_the_contracts(category: str, pain: int, kept: bool) -> None:
    assert counts(category, pain) is kept


async def test_complaints_are_told_in_the_contracts_shape(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    async with advised(redis_url, mongo_uri, server, sorting) as runtime:
        found = await result(runtime, TASK)
        queue, shown = await entries(runtime.redis, QUEUE), await entries(runtime.redis, LIST)
        await expires(runtime.redis, QUEUE, 7)
        await expires(runtime.redis, LIST, 30)
        stored = await runtime.storage.collection(COMPLAINTS).count_documents({"competitor_id": "42"})
    assert [one["category"] for one in queue] == ["pricing", "reliability", "other"]
    assert shown == queue[::-1]
    assert all(set(one) >= CONTRACT for one in queue)
    wanted = {
        "type": "competitor_complaint",
        "competitorId": "42",
        "competitorName": "Bolt",
        "brand": "acme",
        "category": "pricing",
        "specificIssue": "too expensive",
        "painLevel": 7,
        "sourceText": TEXTS[0],
        "sourcePlatform": "python_worker",
        "tier": 3,
        "degraded": False,
    }
    assert {name: queue[0][name] for name in wanted} == wanted
    assert (found["read"], found["leftOut"], found["announced"], found["degraded"]) == (4, 0, 3, False)
    assert (stored, found["complaints"]) == (3, queue)
    assert len(server.asked) == 1


async def test_the_first_twenty_are_read_in_two_questions_and_the_rest_is_counted(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mentions = [f"Bolt is too expensive, says person number {number}" for number in range(33)]
    async with advised(redis_url, mongo_uri, server, sorting) as runtime:
        found = await result(runtime, {**TASK, "mentions": mentions})
        assert len(await entries(runtime.redis, LIST)) == 20
    assert (found["read"], found["leftOut"], found["announced"]) == (20, 13, 20)
    assert len(server.asked) == 2
    assert found["llm"]["questions"] == 2
    assert not any("number 20" in asked.user for asked in server.asked)


async def test_without_a_model_the_rules_find_categories_and_no_issues(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, TASK)
        queue = await entries(runtime.redis, QUEUE)
    assert (found["degraded"], found["tier"], found["announced"]) == (True, 2, len(queue))
    assert found["reason"] == "MISSING_API_KEY: no language model is configured"
    by_text = {one["sourceText"]: one for one in queue}
    assert TEXTS[2] not in by_text
    assert (by_text[TEXTS[1]]["category"], by_text[TEXTS[1]]["painLevel"]) == ("reliability", 6)
    assert by_text[TEXTS[3]]["painLevel"] == 8
    assert {one["specificIssue"] for one in queue} == {None}
    assert all(one["degraded"] and one["tier"] < 3 for one in queue)


async def test_half_an_answer_is_used_and_the_other_half_is_marked(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mentions = [f"Bolt crashes all day, person {number}" for number in range(20)]
    half = lambda asked: Fault(400) if "person 15" in asked.user else sorting(asked)  # noqa: E731 - one line of a script
    async with advised(redis_url, mongo_uri, server, half) as runtime:
        found = await result(runtime, {**TASK, "mentions": mentions})
    assert (found["degraded"], found["reason"].split(":")[0]) == (True, "VALIDATION_ERROR")
    assert [one["tier"] for one in found["complaints"]] == [3] * 10 + [2] * 10


async def test_what_was_answered_is_not_asked_again_when_the_rest_is_tried_again(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mentions = [f"Bolt crashes all day, person {number}" for number in range(20)]
    faults = iter([Fault(503)] * 3)
    script = lambda asked: (next(faults, None) if "person 15" in asked.user else None) or sorting(asked)  # noqa: E731 - one line of a script
    async with advised(redis_url, mongo_uri, server, script) as runtime:
        record = await outcome(runtime, {**TASK, "mentions": mentions})
        assert len(await entries(runtime.redis, QUEUE)) == 20
    assert (record["attempts"], record["result"]["degraded"]) == (2, False)
    assert sum("person 5" in asked.user for asked in server.asked) == 1


async def test_a_complaint_is_announced_once_by_whatever_task_finds_it(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        first, again = await result(runtime, TASK), await result(runtime, TASK)
        two = [{"text": TEXTS[1], "author": name, "source": "aggregator"} for name in ("ann", "@Ann", "bob")]
        people = await result(runtime, {**TASK, "mentions": two})
        assert len(await entries(runtime.redis, QUEUE)) == first["announced"] + people["announced"]
    assert (first["announced"] > 0, again["announced"]) == (True, 0)
    assert [one["id"] for one in again["complaints"]] == [one["id"] for one in first["complaints"]]
    assert people["announced"] == 2


async def test_lists_are_bounded(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        await runtime.redis.call("LPUSH", LIST, *range(140))
        await runtime.redis.call("RPUSH", QUEUE, *range(10_010))
        await result(runtime, TASK)
        assert await runtime.redis.call("LLEN", LIST) == 100
        assert await runtime.redis.call("LLEN", QUEUE) == 10_000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"competitor_id": None}, "competitor_id"),
        ({"competitor_id": "a:b"}, "competitor_id"),
        ({"competitor_id": None, "competitorId": "a b"}, "competitorId"),
        ({"competitor_name": 1.5}, "competitor_name"),
        ({"mentions": "Bolt"}, "mentions"),
        ({"mentions": []}, "mentions"),
        ({"mentions": ["a", None]}, "mentions[1]"),
        ({"mentions": [{"text": "a", "author": []}]}, "mentions[0].author"),
    ],
)
async def test_bad_input_is_dead_lettered_with_its_field(
    redis_url: str, mongo_uri: str, change: dict[str, Any], field: str
) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        record = await outcome(runtime, {**TASK, **change})
        (letter,) = await dead_letters(runtime.redis)
    assert (record["status"], record["error"]["field"]) == ("failed", field)
    assert letter["reason"].startswith(f"{field}: ")


async def test_an_order_in_one_text_does_not_pass_as_an_answer_for_others(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    attack = f"Bolt is fine. {ATTACKS['other_items']}"
    obeyed = json.dumps({"complaints": [{"category": "pricing", "specific_issue": "x", "pain_level": 10, "index": 0}]})
    async with advised(redis_url, mongo_uri, server, lambda asked: obeyed) as runtime:
        found = await result(runtime, {**TASK, "mentions": [attack, TEXTS[2]]})
        assert await runtime.redis.call("EXISTS", QUEUE, LIST) == 0
    assert (found["degraded"], found["complaints"]) == (True, [])
    assert found["reason"].startswith("INVALID_RESPONSE: ")


@pytest.mark.parametrize("indexes", [(0,), (0, 1, 2), (0, 0), (1, 2)])
def test_every_text_has_exactly_one_complaint(indexes: tuple[int, ...]) -> None:
    one = {"category": "pricing", "specific_issue": None, "pain_level": 5}
    answer = parse(json.dumps({"complaints": [{**one, "index": index} for index in indexes]}), Complaints)
    with pytest.raises(BadAnswer, match="each index from 0 to 1 once"):
        each_complaint(answer, 2)


def test_the_longest_complaint_fits_its_share_of_tokens() -> None:
    issue = "the app takes minutes to open and then loses what was written before it was saved " * 3
    longest = {"index": 9, "category": "missing_features", "specific_issue": issue[:300], "pain_level": 10}
    assert estimate(json.dumps(longest, indent=2)) * 1.2 < COMPETITOR_COMPLAINTS.tokens_per_item


@pytest.mark.parametrize("count", [0, 11])
def test_a_question_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match="texts are sorted at once"):
        CompetitorTexts("Bolt", ("x",) * count)


# -- weaknesses --------------------------------------------------------------------------------------------------------


def test_weaknesses_are_figures_and_opportunities_follow_from_them_alone() -> None:
    found = weaknesses(
        [
            Tally("pricing", 2, 7.0, (("fees", 2),)),
            Tally("reliability", 6, 8.25, (("crashes", 3), ("freezes", 2), ("loses data", 1), ("slow", 1))),
            Tally("other", 4, 9.0, ()),
        ]
    )
    assert found == {
        "totalComplaints": 12,
        "categoryBreakdown": [
            {
                "category": "reliability",
                "count": 6,
                "percentage": 50.0,
                "avgPainLevel": 8.2,
                "topIssues": ["crashes", "freezes", "loses data"],
            },
            {"category": "other", "count": 4, "percentage": 33.3, "avgPainLevel": 9.0, "topIssues": []},
            {"category": "pricing", "count": 2, "percentage": 16.7, "avgPainLevel": 7.0, "topIssues": ["fees"]},
        ],
        "opportunities": [
            '50% of 12 complaints are about reliability (mean pain 8.2 of 10), for example "crashes": show how rarely '
            "yours fails"
        ],
    }
    assert weaknesses([]) == {"totalComplaints": 0, "categoryBreakdown": [], "opportunities": []}


async def _get(runtime: Runtime, path: str) -> httpx.Response:
    app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.get(path)


async def test_weaknesses_are_shown_per_competitor_and_per_brand(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mentions = [{"text": "Bolt is far too expensive", "author": f"a{number}"} for number in range(3)]
    async with advised(redis_url, mongo_uri, server, sorting) as runtime:
        await result(runtime, {**TASK, "mentions": [*mentions, TEXTS[1]]})
        await result(runtime, {**TASK, "brand": "other", "mentions": ["Bolt crashes all day, again"]})
        everybody = (await _get(runtime, "/v1/competitors/42/weaknesses")).json()
        ours = (await _get(runtime, "/v1/brands/Acme/competitors/42/weaknesses")).json()
        nobody = (await _get(runtime, "/v1/competitors/43/weaknesses")).json()
        bad = await _get(runtime, "/v1/competitors/42/weaknesses?days=0")
    assert (everybody["totalComplaints"], ours["totalComplaints"], nobody["totalComplaints"]) == (5, 4, 0)
    assert ours["categoryBreakdown"] == [
        {"category": "pricing", "count": 3, "percentage": 75.0, "avgPainLevel": 7.0, "topIssues": ["too expensive"]},
        {
            "category": "reliability",
            "count": 1,
            "percentage": 25.0,
            "avgPainLevel": 8.0,
            "topIssues": ["crashes all day"],
        },
    ]
    assert len(ours["opportunities"]) == 1
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")
