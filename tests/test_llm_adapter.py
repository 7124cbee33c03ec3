"""The door to all models, over real connections: what is sent, what is reused, what is said about providers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from src.worker.config import Settings, load_settings
from src.worker.errors import ConfigError
from src.worker.llm.budget import Unlimited
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Purpose, Request, Role
from src.worker.llm.operation_names import OPERATION_NAMES
from src.worker.llm.operations import OPERATIONS
from src.worker.llm.operations.mentions import OneMention
from src.worker.llm.price_files import load_prices
from src.worker.llm_adapter import LLMAdapter, text_of
from src.worker.redis_client import RedisClient
from tests.helpers import Attempts
from tests.llm_doubles.odd import OddServer, odd_server
from tests.llm_doubles.scripted import Fault, ScriptedServer, scripted_server

pytestmark = pytest.mark.anyio

INTENT = OPERATIONS["commercial_intent"]
GOOD = {"sales_intent": True, "confidence": 0.9, "intent_type": "none", "pain_point": None}
PURPOSE = Purpose("test")
QUESTION = Request((Message(Role.USER, "Does it rain?"),), max_tokens=20, temperature=0.0)


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with odd_server() as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def settings_for(**settings: Any) -> Settings:
    return load_settings(_env_file=None, **settings)


def adapter(log: Attempts | None = None, redis: RedisClient | None = None, **settings: Any) -> LLMAdapter:
    return LLMAdapter(
        settings_for(**settings), recorder=log or Attempts(), money=load_prices(None), budget=Unlimited(), redis=redis
    )


def two(first: str, second: str) -> dict[str, Any]:
    return {
        "llm_provider": "openai,groq",
        "openai_api_key": "sk-one",
        "openai_base_url": first,
        "groq_api_key": "gsk_two",
        "groq_base_url": second,
    }


def one(url: str) -> dict[str, Any]:
    return {"openai_api_key": "sk-one", "openai_base_url": url}


async def warm(llm: LLMAdapter) -> None:
    """Importing a provider takes a second; what is measured here are calls."""
    for target in llm.targets:
        await llm._pool.line(target)


async def ask(llm: LLMAdapter, seconds: float = 30.0) -> str:
    return (await llm.ask(QUESTION, purpose=PURPOSE, deadline=time.monotonic() + seconds, check=text_of)).answer


async def test_fifty_asks_while_the_first_provider_refuses_all_cost_at_most_sixty_requests(
    odd: OddServer, scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: Fault(429, 40)
    healthy = odd.at("ok")
    llm = adapter(**two(scripted.url, healthy.url))
    await warm(llm)
    began = time.monotonic()
    answers = await asyncio.gather(*(ask(llm, seconds=120.0) for _ in range(50)))
    assert answers == ["It rains."] * 50
    assert time.monotonic() - began < 30, "the first provider's rest was waited for"
    assert len(scripted.asked) + len(healthy.received) <= 60
    await llm.close()


async def test_a_hung_first_provider_leaves_half_of_the_time_for_the_second(odd: OddServer) -> None:
    hung, healthy = odd.at("drip"), odd.at("ok")
    llm = adapter(**two(hung.url, healthy.url))
    await warm(llm)
    # The first would hang for as long as it is let. Three seconds are left: a machine may stall for two of them.
    assert await ask(llm, seconds=6.0) == "It rains."
    assert (len(hung.received), len(healthy.received)) == (1, 1)
    await llm.close()


async def test_a_provider_is_imported_inside_the_deadline_too(odd: OddServer) -> None:
    llm = adapter(**two(odd.at("401").url, odd.at("ok").url))
    assert await ask(llm) == "It rains."
    await llm.close()


async def test_an_operation_is_asked_checked_and_recorded(scripted: ScriptedServer) -> None:
    log = Attempts()
    scripted.answer = lambda asked: f"Sure, here it is:\n```json\n{orjson.dumps(GOOD).decode()}\n```"
    llm = adapter(log, **one(scripted.url))
    answer = await llm.run(INTENT, OneMention("acme", "Where can I buy it?"), INTENT.read, brand="acme", task_id="t1")
    assert (answer.value.sales_intent, answer.value.confidence, answer.reused) == (True, 0.9, None)
    assert answer.cost_usd is not None
    assert answer.cost_usd > 0
    (attempt,) = log.attempts
    assert attempt.purpose == Purpose("commercial_intent", "acme", INTENT.version, INTENT.prompt_hash, "t1")
    assert (attempt.outcome, attempt.target, attempt.usage is not None) == ("ok", llm.targets[0], True)
    await llm.close()


async def test_an_answer_of_the_wrong_form_is_mended_in_one_turn(scripted: ScriptedServer) -> None:
    log = Attempts()
    scripted.answer = lambda asked: (
        orjson.dumps(GOOD).decode() if len(asked.messages) > 2 else '{"sales_intent": "perhaps", "confidence": 7}'
    )
    llm = adapter(log, **one(scripted.url))
    answer = await llm.run(INTENT, OneMention("acme", "Where can I buy it?"), INTENT.read)
    assert answer.value.sales_intent is True
    assert [(one.outcome, one.repair) for one in log.attempts] == [("malformed", False), ("ok", True)]
    assert "confidence" in scripted.asked[1].user
    await llm.close()


async def test_nothing_is_made_up_when_no_form_can_be_had(scripted: ScriptedServer) -> None:
    scripted.answer = lambda asked: "I would say it is a lead."
    llm = adapter(**one(scripted.url))
    with pytest.raises(LLMError) as caught:
        await llm.run(INTENT, OneMention("acme", "Where can I buy it?"), INTENT.read)
    assert (caught.value.kind, caught.value.retryable) == (Kind.MALFORMED, False)
    assert "lead" not in str(caught.value.as_dict())
    await llm.close()


async def test_personal_data_stays_here_unless_told_otherwise(scripted: ScriptedServer) -> None:
    scripted.answer = lambda asked: orjson.dumps(GOOD).decode()
    text = OneMention("acme", "Mail me at jo.bloggs@example.com or call +44 20 7946 0958, card 4111 1111 1111 1111")
    for redacting in (True, False):
        llm = adapter(llm_redact_pii=redacting, **one(scripted.url))
        await llm.run(INTENT, text, INTENT.read)
        await llm.close()
    first, second = (asked.user for asked in scripted.asked)
    assert not any(secret in first for secret in ("jo.bloggs", "7946", "4111"))
    assert all(secret in second for secret in ("jo.bloggs@example.com", "+44 20 7946 0958", "4111 1111 1111 1111"))


async def test_equal_questions_at_the_same_time_make_one_call(scripted: ScriptedServer) -> None:
    scripted.answer = lambda asked: orjson.dumps(GOOD).decode()
    scripted.delay_sec = 0.2
    llm = adapter(**one(scripted.url))
    answers = await asyncio.gather(*(llm.run(INTENT, OneMention("acme", "Price?"), INTENT.read) for _ in range(20)))
    assert len(scripted.asked) == 1
    assert sorted(str(answer.reused) for answer in answers) == ["None"] + ["flight"] * 19
    assert sum(answer.cost_usd == 0 for answer in answers) == 19
    await llm.close()


async def test_an_answer_is_kept_across_workers_and_costs_nothing_again(
    scripted: ScriptedServer, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.worker.llm.cache.PATIENCE_SEC", 30.0)  # a machine that stalls is no Redis that hangs
    scripted.answer = lambda asked: orjson.dumps(GOOD).decode()
    redis = RedisClient(redis_url)
    text = OneMention("acme", f"How much is it? {time.monotonic_ns()}")
    answers = []
    for _ in range(2):
        llm = adapter(redis=redis, **one(scripted.url))
        answers.append(await llm.run(INTENT, text, INTENT.read))
        await llm.close()
    other = adapter(redis=redis, openai_model="gpt-4o", **one(scripted.url))
    answers.append(await other.run(INTENT, text, INTENT.read))
    await other.close()
    assert [answer.reused for answer in answers] == [None, "cache", None]
    assert answers[1].cost_usd == 0
    assert len(scripted.asked) == 2
    await redis.close()


async def test_without_any_provider_the_error_says_what_to_set() -> None:
    llm = adapter()
    with pytest.raises(LLMError, match="GEMINI_API_KEY") as caught:
        await ask(llm)
    assert (caught.value.kind, caught.value.code) == (Kind.NO_KEY, "MISSING_API_KEY")


def test_the_order_is_the_settings_and_others_with_a_key_follow() -> None:
    keys = {"gemini_api_key": "a", "openai_api_key": "b", "groq_api_key": "c"}
    assert [one.provider for one in adapter(**keys).targets] == ["gemini", "openai", "groq"]
    assert [one.provider for one in adapter(llm_provider="groq", **keys).targets] == ["groq", "gemini", "openai"]
    assert [one.provider for one in adapter(llm_provider="groq, gemini", **keys).targets] == ["groq", "gemini"]
    assert [one.provider for one in adapter(llm_provider="google,openai", **keys).targets] == ["gemini", "openai"]
    assert [str(one) for one in adapter(llm_provider="ollama").targets] == ["ollama:llama3.2"]
    assert [str(one) for one in adapter(ollama_base_url="http://h:1", ollama_model="x:7b").targets] == ["ollama:x:7b"]


def test_providers_that_are_left_out_say_why() -> None:
    shown = {one["provider"]: one for one in adapter(llm_provider="openai,xai", openai_api_key="b").providers()}
    assert len(shown) == 9
    assert next(iter(shown)) == "openai"
    assert (shown["openai"]["configured"], shown["openai"]["state"]) == (True, "ready")
    assert (shown["xai"]["state"], shown["xai"]["why"]) == ("left_out", "XAI_API_KEY is not set")
    assert shown["gemini"]["why"] == "LLM_PROVIDER names others"
    everyone = {one["provider"]: one["why"] for one in adapter().providers()}
    assert everyone["gemini"] == "GEMINI_API_KEY or GOOGLE_API_KEY is not set"
    assert "OLLAMA_BASE_URL" in everyone["ollama"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("llm_provider", "openai,mock", "'mock' is no provider"),
        ("openai_base_url", "localhost:8080", "http://"),
        ("llm_rate_limits", "groq=fast", "groq=30/6000"),
        ("llm_timeout_sec", "0", "greater than 0"),
        ("openai_model", "gpt 4", "pattern"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_for(**{name: value})
    assert str(caught.value).startswith(name.upper())
    assert says in str(caught.value)


def test_rates_are_the_providers_own_or_those_for_all() -> None:
    settings = settings_for(llm_rate_limit_rpm=60, llm_rate_limits="groq=30/6000, openai=500")
    assert [
        (settings.llm_rates(name).requests, settings.llm_rates(name).tokens) for name in ("groq", "openai", "xai")
    ] == [
        (30, 6000),
        (500, 0),
        (60, 0),
    ]


def test_keys_are_never_shown() -> None:
    llm = adapter(openai_api_key="sk-secret-1", openai_base_url="http://user:pw@h/v1", google_api_key=" ")
    shown = str(llm.providers()) + repr(llm._settings)
    assert "sk-secret-1" not in shown
    assert "pw" not in str(llm.providers())
    assert llm._settings.google_api_key is None


def test_the_names_for_metrics_are_those_of_the_operations() -> None:
    assert set(OPERATION_NAMES) == {*OPERATIONS, "probe", "embedding"}
