"""analyze_crisis: the contract's formula, events only above its limits, the state of a brand left to the detector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from src.worker.api.application import create_application
from src.worker.models import Urgency
from src.worker.pipeline.crisis_assessment import Assessment, Voices
from src.worker.services.crisis_assessment import evenly
from src.worker.services.trade_store import CRISIS_ASSESSMENTS
from tests.helpers import dead_letters
from tests.llm_doubles.scripted import Fault, ScriptedServer, scripted_server
from tests.test_llm_operations import ANSWERS
from tests.trade_helpers import advised, alone, entries, expires, fails, outcome, result, says, value

pytestmark = pytest.mark.anyio

ANGRY = [
    {"id": f"m-{number}", "text": text, "author": f"author{number}", "source": "x"}
    for number, text in enumerate(
        (
            "Acme is the worst, I hate this terrible company, what a scam",
            "Horrible outage again, Acme ruined my day and I am furious",
            "Awful, disgusting service by Acme, the worst experience of my life",
        )
    )
]
CALM = ["Acme has a new office", "Saw Acme at the fair", "Acme is great, I love it"]
TASK: dict[str, Any] = {"type": "analyze_crisis", "brand": "Acme", "monitor_id": "mon-7", "mentions": ANGRY}
QUEUE, EVENTS, METRICS = "queue:crisis:events", "crisis:events:acme", "crisis:metrics:acme"
TASK_PATH = {
    "id", "createdAt", "type", "monitorId", "riskScore", "severity", "velocityMultiplier", "sentimentIntensity",
    "mentionCount", "triggeredReasons", "recommendedAction",
}  # fmt: skip
PIPELINE = {"timestamp", "severity", "reasons", "recommended_action", "metrics"}
ALERT = {"id", "monitorId", "riskScore", "severity", "triggeredReasons", "recommendedAction", "createdAt", "isResolved"}


def answer(score: float, urgency: str) -> dict[str, Any]:
    return ANSWERS["enhanced_analysis"] | {"sentiment_score": score, "urgency": urgency}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as found:
        yield found


def _assessed(sentiment: float, urgency: Urgency, velocity: float, **heard: Any) -> Assessment:
    usual: dict[str, Any] = {
        "mentions": 3, "repeats": 0, "signed": 3, "authors": 3, "negative": 3, "sentiment": sentiment,
        "urgency": urgency, "words": (), "alarmed": 0, "ids": (),
    }  # fmt: skip
    return Assessment(Voices(**{**usual, **heard}), sentiment, urgency, velocity, "a test")


@pytest.mark.parametrize(
    ("sentiment", "urgency", "velocity", "risk", "severity", "event"),
    [
        (-0.8, Urgency.LOW, 1.0, 80, "critical", True),
        (-0.75, Urgency.LOW, 1.0, 75, "warning", True),
        (-0.51, Urgency.LOW, 1.0, 51, "warning", True),
        (-0.5, Urgency.LOW, 1.0, 50, "normal", False),
        (-0.5, Urgency.LOW, 2.0, 50, "normal", False),
        (-0.29, Urgency.LOW, 6.0, 87, "critical", True),
        (-0.2, Urgency.HIGH, 1.0, 60, "warning", True),
        (-0.2, Urgency.MEDIUM, 1.0, 40, "normal", False),
        (-1.0, Urgency.HIGH, 9.0, 100, "critical", True),
        (0.9, Urgency.LOW, 3.0, 0, "normal", False),
        (0.9, Urgency.LOW, 3.1, 0, "normal", True),
    ],
)
def test_the_score_is_the_contracts(
    sentiment: float, urgency: Urgency, velocity: float, risk: int, severity: str, event: bool
) -> None:
    found = _assessed(sentiment, urgency, velocity)
    assert (found.risk, found.severity, found.is_event) == (risk, severity, event)
    assert bool(found.triggers()) is event


@pytest.mark.parametrize(
    ("sentiment", "urgency", "velocity", "triggers"),
    [
        (-0.6, Urgency.LOW, 1.0, ["high_negative_sentiment"]),
        (-0.6, Urgency.LOW, 4.0, ["high_negative_sentiment", "high_velocity"]),
        (-0.3, Urgency.HIGH, 1.0, ["high_urgency"]),
        (-0.4, Urgency.LOW, 2.9, ["negative_sentiment"]),
        (0.0, Urgency.LOW, 5.0, ["high_velocity"]),
    ],
)
def test_what_triggered_is_what_was_high(
    sentiment: float, urgency: Urgency, velocity: float, triggers: list[str]
) -> None:
    assert _assessed(sentiment, urgency, velocity).triggers() == triggers


def test_words_of_crises_are_told_and_add_nothing() -> None:
    with_words = _assessed(-0.3, Urgency.LOW, 1.0, words=("outage",), alarmed=3)
    assert with_words.risk == _assessed(-0.3, Urgency.LOW, 1.0).risk == 30
    assert "3 negative mentions use words like outage, which adds no points" in with_words.reasons()


def test_a_model_is_shown_a_spread_of_many() -> None:
    assert evenly([str(number) for number in range(6)], 3) == ["0", "2", "4"]
    assert evenly(["a", "b"], 3) == ["a", "b"]


async def test_a_crisis_is_told_to_everybody_who_reads(redis_url: str, mongo_uri: str, server: ScriptedServer) -> None:
    async with advised(redis_url, mongo_uri, server, says(answer(-0.7, "high"))) as runtime:
        found = await result(runtime, {**TASK, "velocity_multiplier": 1.5})
        (event,) = await entries(runtime.redis, QUEUE)
        assert await entries(runtime.redis, EVENTS) == [event]
        metrics = await value(runtime.redis, METRICS)
        for key, days in ((QUEUE, 30), (EVENTS, 30), (METRICS, 1)):
            await expires(runtime.redis, key, days)
        stored = await runtime.storage.collection(CRISIS_ASSESSMENTS).find({}).to_list(None)
        assert await runtime.storage.collection("crisis_events").count_documents({}) == 0
    assert set(event) >= TASK_PATH | PIPELINE | ALERT
    wanted = {
        "type": "crisis_event",
        "source": "task",
        "brand": "acme",
        "monitorId": "mon-7",
        "riskScore": 100,
        "severity": "critical",
        "velocityMultiplier": 1.5,
        "sentimentIntensity": 0.7,
        "mentionCount": 3,
        "distinctAuthors": 3,
        "triggeredReasons": ["high_negative_sentiment", "high_urgency"],
        "isResolved": False,
        "tier": 3,
        "degraded": False,
    }
    assert {name: event[name] for name in wanted} == wanted
    assert event["riskParts"] == {"intensity": 70.0, "urgency": 40, "times": 1.0}
    assert "3 people wrote the 3 mentions that are signed" in event["reasons"]
    assert (found["isEvent"], found["announced"]) == (True, True)
    assert {name: metrics[name] for name in ("riskScore", "severity", "mentionCount", "source")} == {
        "riskScore": 100,
        "severity": "critical",
        "mentionCount": 3,
        "source": "task",
    }
    assert [(one["_id"], one["brand"], one["event"]) for one in stored] == [(event["id"], "acme", True)]


async def test_without_a_model_the_local_analysis_judges_and_says_so(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        angry = await result(runtime, TASK)
        calm = await result(runtime, {**TASK, "mentions": CALM})
        events = await entries(runtime.redis, EVENTS)
    assert (angry["isEvent"], angry["degraded"], angry["tier"]) == (True, True, 2)
    assert angry["riskScore"] > 50
    assert angry["reason"] == "MISSING_API_KEY: no language model is configured"
    assert (calm["isEvent"], calm["riskScore"], calm["distinctAuthors"]) == (False, 0, None)
    assert "no mention is signed: how many people speak is not known" in calm["reasons"]
    assert [event["id"] for event in events] == [angry["id"]]


@pytest.mark.parametrize(
    "mentions",
    [
        ["Our hackathon team loves Acme", "I recall Acme fondly", "My Acme phone is fully charged", "Great job Acme"],
        ["Acme lawsuit, boycott, fraud, breach and scandal: tonight's quiz topics. What fun, I love it!"],
    ],
    ids=["letters inside of words", "words of crises in a good mood"],
)
async def test_keywords_alone_never_raise_anything(redis_url: str, mongo_uri: str, mentions: list[str]) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, {**TASK, "mentions": mentions})
        assert await runtime.redis.call("EXISTS", QUEUE, EVENTS, METRICS) == 0
    assert found["isEvent"] is False


async def test_one_person_who_repeats_a_text_is_one_voice(redis_url: str, mongo_uri: str) -> None:
    many = [{**ANGRY[0], "id": f"copy-{number}"} for number in range(40)]
    praise = [{"text": f"{text} {number}", "author": f"fan{number}"} for number, text in enumerate(CALM[2:] * 5)]
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, {**TASK, "mentions": [*many, *praise]})
    assert (found["mentionCount"], found["distinctAuthors"], found["repeats"]) == (6, 6, 39)
    assert (found["riskScore"], found["isEvent"]) == (0, False)


async def test_the_same_mentions_are_told_of_once(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        first, again = await result(runtime, TASK), await result(runtime, {**TASK, "mentions": ANGRY[::-1]})
        other = await result(runtime, {**TASK, "mentions": ANGRY[:2]})
        assert len(await entries(runtime.redis, QUEUE)) == len(await entries(runtime.redis, EVENTS)) == 2
        assert await runtime.storage.collection(CRISIS_ASSESSMENTS).count_documents({}) == 2
    assert [one["announced"] for one in (first, again, other)] == [True, False, True]
    assert again["why"] == "these mentions have been assessed today"


async def test_the_detectors_state_of_a_brand_is_never_written_over(redis_url: str, mongo_uri: str) -> None:
    theirs = b'{"riskScore": 10, "severity": "normal", "state": "calm"}'
    async with alone(redis_url, mongo_uri) as runtime:
        await runtime.redis.call("SET", METRICS, theirs)
        found = await result(runtime, TASK)
        assert await runtime.redis.call("GET", METRICS) == theirs
        assert len(await entries(runtime.redis, EVENTS)) == 1
    assert found["isEvent"] is True


async def test_a_tasks_own_alarm_falls_again_when_things_calm_down(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        await result(runtime, {**TASK, "mentions": CALM})
        assert await value(runtime.redis, METRICS) is None
        await result(runtime, TASK)
        assert (await value(runtime.redis, METRICS))["riskScore"] > 50
        assert (await result(runtime, {**TASK, "mentions": CALM}))["why"].startswith("risk score 0 is not above 50")
        metrics = await value(runtime.redis, METRICS)
    assert (metrics["riskScore"], metrics["severity"]) == (0, "normal")


async def test_assessments_are_shown_newest_first(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        for mentions in (CALM, ANGRY):
            await result(runtime, {**TASK, "mentions": mentions})
        app = create_application(runtime.api, api_key=None, max_body_bytes=2**20)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            path = "/v1/brands/Acme/crisis/assessments"
            everything = (await client.get(path)).json()
            events = (await client.get(path, params={"events": "true"})).json()
            first = (await client.get(path, params={"limit": 1})).json()
            rest = (await client.get(path, params={"limit": 1, "cursor": first["next"]})).json()
    assert [one["isEvent"] for one in everything["items"]] == [True, False]
    assert [one["severity"] for one in events["items"]] == [everything["items"][0]["severity"]]
    assert [*first["items"], *rest["items"]] == everything["items"]
    assert rest["next"] is None


async def test_a_key_of_another_type_costs_nothing_else(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        await runtime.redis.call("LPUSH", METRICS, "a list")
        found = await result(runtime, TASK)
        assert len(await entries(runtime.redis, EVENTS)) == 1
        assert await dead_letters(runtime.redis) == []
    assert found["announced"] is True


async def test_lists_are_bounded(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        await runtime.redis.call("LPUSH", EVENTS, *range(80))
        await runtime.redis.call("RPUSH", QUEUE, *range(10_010))
        found = await result(runtime, TASK)
        assert await runtime.redis.call("LLEN", EVENTS) == 50
        assert await runtime.redis.call("LLEN", QUEUE) == 10_000
        assert (await entries(runtime.redis, EVENTS))[0]["id"] == found["id"]


async def test_a_crisis_without_a_brand_reaches_the_queue_only(redis_url: str, mongo_uri: str) -> None:
    async with alone(redis_url, mongo_uri) as runtime:
        await result(runtime, {**TASK, "brand": None})
        assert [event["brand"] for event in await entries(runtime.redis, QUEUE)] == [None]
        assert await runtime.redis.call("KEYS", "crisis:*") == []


async def test_faults_of_a_model_that_pass_are_waited_for_and_others_are_not(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    faults, good = iter([Fault(503)] * 3), says(answer(-0.9, "low"))
    async with advised(redis_url, mongo_uri, server, lambda asked: next(faults, None) or good(asked)) as runtime:
        record = await outcome(runtime, TASK)
    assert (record["attempts"], record["result"]["tier"], record["result"]["riskScore"]) == (2, 3, 90)
    async with advised(redis_url, mongo_uri, server, fails(401)) as runtime:
        record = await outcome(runtime, {**TASK, "mentions": ANGRY[1:]})
    assert (record["attempts"], record["result"]["degraded"], record["result"]["tier"]) == (1, True, 2)


async def test_more_mentions_than_fit_are_counted_and_the_model_is_told(
    redis_url: str, mongo_uri: str, server: ScriptedServer
) -> None:
    mentions = [f"Acme, statement number {number}" for number in range(500)]
    async with advised(redis_url, mongo_uri, server, says(answer(0, "low"))) as runtime:
        found = await result(runtime, {**TASK, "mentions": mentions})
    assert found["mentionCount"] == 500
    (asked,) = server.asked
    shown = asked.user.count("statement number")
    assert 40 <= shown <= 60
    assert f"({500 - shown} more not shown)" in asked.user


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mentions": None}, "mentions"),
        ({"mentions": []}, "mentions"),
        ({"mentions": "text"}, "mentions"),
        ({"mentions": ["fine", {"text": 5}]}, "mentions[1].text"),
        ({"mentions": ["fine", 7]}, "mentions[1]"),
        ({"mentions": ["x"] * 1_001}, "mentions"),
        ({"velocity_multiplier": "fast"}, "velocity_multiplier"),
        ({"velocityMultiplier": -1}, "velocityMultiplier"),
        ({"velocity_multiplier": True}, "velocity_multiplier"),
        ({"monitor_id": {}}, "monitor_id"),
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


async def test_made_up_mentions_are_not_assessed(redis_url: str, mongo_uri: str) -> None:
    synthetic = {"id": "synthetic-1", "text": "Acme update pending for x.", "metadata": {"synthetic": True}}
    async with alone(redis_url, mongo_uri) as runtime:
        found = await result(runtime, {**TASK, "mentions": [synthetic], "velocity_multiplier": 9})
        assert await runtime.redis.call("EXISTS", QUEUE, EVENTS, METRICS) == 0
    assert (found["isEvent"], found["riskScore"], found["synthetic"]) == (False, None, 1)
