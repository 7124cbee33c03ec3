"""Tier 3 asks for several mentions at once, keeps each verdict, and never makes one up."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from src.worker.config import load_settings
from src.worker.judge import TOGETHER, MentionJudge
from src.worker.llm.budget import Unlimited
from src.worker.llm.price_files import load_prices
from src.worker.llm_adapter import LLMAdapter
from src.worker.models import Chunk, Intent, Mention, SentimentLabel
from src.worker.pipeline.normalize import normalise
from src.worker.redis_client import RedisClient
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server

pytestmark = pytest.mark.anyio

Judges = Callable[..., MentionJudge]


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.answer = verdicts
        yield server


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url)
    yield client
    await client.close()


class Unrecorded:
    def record(self, attempt: object) -> None:
        return None


@pytest.fixture
async def judge(scripted: ScriptedServer) -> AsyncIterator[Callable[..., MentionJudge]]:
    """Judges that ask the scripted server."""
    opened: list[LLMAdapter] = []

    def make(redis: RedisClient | None = None, **settings: Any) -> MentionJudge:
        settings = {"openai_api_key": "k", "openai_base_url": scripted.url, "llm_provider": "openai", **settings}
        loaded = load_settings(_env_file=None, **settings)
        opened.append(LLMAdapter(loaded, recorder=Unrecorded(), money=load_prices(None), budget=Unlimited()))
        return MentionJudge(opened[-1], redis, keep_sec=60)

    yield make
    for llm in opened:
        await llm.close()


def mentions(*texts: str, competitor: str | None = None) -> list[Mention]:
    items = tuple({"id": f"m{n}", "text": text, "source": "x"} for n, text in enumerate(texts))
    chunk = Chunk("acme", "c1", items)
    made = normalise(chunk, received_at=datetime(2026, 3, 1, tzinfo=UTC), max_chars=10_000).mentions
    return [replace(mention, competitor=competitor) for _, mention in made]


def verdict(index: int, text: str) -> dict[str, Any]:
    bad = "broken" in text
    return {
        "index": index,
        "relevant": True,
        "sentiment": {"label": "negative" if bad else "positive", "score": -0.8 if bad else 0.7},
        "intent": "BUG_REPORT" if bad else "PRAISE",
        "intent_confidence": 0.9,
        "strategic_tag": "NONE",
        "emotions": dict.fromkeys(("joy", "anger", "fear", "sadness", "surprise", "disgust"), 0.1),
        "urgency": "medium",
        "is_sarcastic": False,
        "topics": ["customer_support"],
        "lead_score": 10,
        "summary": None,
    }


def texts_in(asked: Asked) -> list[str]:
    """The mentions of a prompt, as the fences hold them."""
    return re.findall(r"(it is (?:broken|lovely) number \d+)", asked.user)


def verdicts(asked: Asked) -> str:
    return orjson.dumps({"verdicts": [verdict(n, text) for n, text in enumerate(texts_in(asked))]}).decode()


async def test_several_mentions_share_a_question_and_its_cost(judge: Judges, scripted: ScriptedServer) -> None:
    many = mentions(*(f"it is {'broken' if n % 2 else 'lovely'} number {n}" for n in range(TOGETHER + 3)))
    judged = await judge().judge(many, brand="acme")
    assert judged.problem is None
    assert [len(texts_in(asked)) for asked in scripted.asked] == [TOGETHER, 3]
    for n, mention in enumerate(many):
        one = judged.verdicts[mention.content_hash]
        assert one.intent is (Intent.BUG_REPORT if n % 2 else Intent.PRAISE)
        assert one.sentiment.label is (SentimentLabel.NEGATIVE if n % 2 else SentimentLabel.POSITIVE)
        assert one.cost_usd is not None
        assert 0 < one.cost_usd < 0.001


async def test_the_brands_mentions_and_each_competitors_are_asked_apart(
    judge: Judges, scripted: ScriptedServer
) -> None:
    both = mentions("it is broken number 1") + mentions("it is lovely number 2", competitor="Rival Inc")
    judged = await judge().judge(both, brand="acme")
    assert len(judged.verdicts) == 2
    assert sorted("Rival Inc" in asked.user for asked in scripted.asked) == [False, True]


async def test_a_verdict_is_kept_by_what_was_judged_and_costs_nothing_again(
    judge: Judges, scripted: ScriptedServer, redis: RedisClient
) -> None:
    unique = time.monotonic_ns()
    first, second = f"it is broken number {unique}", f"it is lovely number {unique + 1}"
    await judge(redis).judge(mentions(first), brand="acme")
    again = await judge(redis).judge(mentions(f"RT @you: {first.upper()}!! http://x.y", second), brand="acme")
    assert [texts_in(asked) for asked in scripted.asked] == [[first], [second]]
    assert sorted(one.cost_usd == 0 for one in again.verdicts.values()) == [False, True]
    other = await judge(redis, openai_model="gpt-4o").judge(mentions(first), brand="acme")
    assert len(other.verdicts) == 1
    assert len(scripted.asked) == 3


async def test_a_dead_tier_gives_no_verdicts_and_says_why(judge: Judges, scripted: ScriptedServer) -> None:
    scripted.answer = lambda asked: Fault(401)
    judged = await judge().judge(mentions("it is broken number 1"), brand="acme")
    assert judged.verdicts == {}
    assert judged.problem is not None
    assert judged.problem.code == "AUTH_ERROR"


async def test_one_question_that_fails_leaves_the_others_their_verdicts(
    judge: Judges, scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: "no JSON" if "number 0" in asked.messages[1]["content"] else verdicts(asked)
    ours = mentions(*(f"it is broken number {n}" for n in range(3)))
    theirs = mentions("it is lovely number 77", competitor="Rival Inc")
    judged = await judge().judge([*ours, *theirs], brand="acme")
    assert len(judged.verdicts) == 1
    assert judged.problem is not None


async def test_a_missing_or_doubled_verdict_is_mended_not_guessed(judge: Judges, scripted: ScriptedServer) -> None:
    def answer(asked: Asked) -> str:
        if len(asked.messages) == 2:
            return orjson.dumps({"verdicts": [verdict(0, "broken"), verdict(0, "lovely")]}).decode()
        return orjson.dumps({"verdicts": [verdict(0, "broken"), verdict(1, "lovely")]}).decode()

    scripted.answer = answer
    judged = await judge().judge(mentions("it is broken number 1", "it is lovely number 2"), brand="acme")
    assert len(judged.verdicts) == 2
    assert "no verdict for mention 1" in scripted.asked[1].user


async def test_without_a_provider_the_judge_is_not_available(judge: Judges, scripted: ScriptedServer) -> None:
    one = judge(llm_provider="groq,xai")
    assert not one.available
    judged = await one.judge(mentions("it is broken number 1"), brand="acme")
    assert judged.problem is not None
    assert judged.problem.code == "MISSING_API_KEY"
