"""Tier 3 in the service: it judges what matters, teaches tier 2, and its absence is said and costs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from src.worker.llm.costs import By, costs
from src.worker.runtime import Runtime
from tests.helpers import finished, push, running, until
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.answer = all_negative
        yield server


def texts_in(asked: Asked) -> list[str]:
    return re.findall(r"^\d+: <data", asked.user, re.MULTILINE)


def all_negative(asked: Asked) -> str:
    verdict = {
        "relevant": True,
        "sentiment": {"label": "negative", "score": -0.9},
        "intent": "CHURN_RISK",
        "intent_confidence": 0.95,
        "strategic_tag": "NONE",
        "emotions": dict.fromkeys(("joy", "anger", "fear", "sadness", "surprise", "disgust"), 0.1),
        "urgency": "high",
        "is_sarcastic": False,
        "topics": ["customer_support"],
        "lead_score": 5,
        "summary": None,
    }
    return orjson.dumps({"verdicts": [{"index": n, **verdict} for n in range(len(texts_in(asked)))]}).decode()


def asking(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {"llm_provider": "openai", "openai_api_key": "k", "openai_base_url": server.url, **more}


WORDS = "seat wifi crew lounge gate meal bag price app screen legroom upgrade refund pilot window aisle".split()


def chunk(brand: str, count: int) -> dict[str, Any]:
    """Mentions that are not alike."""
    mentions = [
        {
            "id": f"{brand}-{n}",
            "source": "x",
            "text": f"{WORDS[n % 16]} {WORDS[n // 16 % 16]} on {brand} today, somehow {WORDS[(n * 7 + 3) % 16]} {n}",
        }
        for n in range(count)
    ]
    return {"type": "analyze_mentions", "brand": brand, "chunkId": f"{brand}-1", "mentions": mentions}


async def stored(runtime: Runtime, brand: str) -> list[dict[str, Any]]:
    return await runtime.storage.collection("mentions").find({"brand": brand}).to_list(None)


async def test_the_warm_up_asks_about_half_and_the_verdicts_say_who_decided(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer
) -> None:
    async with running(redis_url, mongo_uri, **asking(scripted)) as runtime:
        record = await finished(runtime, await push(runtime.redis, chunk("tiers-a", 60)), 30)
        assert record["status"] == "succeeded"
        found = await stored(runtime, "tiers-a")
        third = [one for one in found if one["tier"] == 3]
        assert 15 <= len(third) <= 45
        assert len(scripted.asked) == -(-len(third) // 10)
        for one in third:
            assert one["sentiment"] == {"label": "negative", "score": -0.9}
            assert (one["intent"], one["priority"], one["degraded"]) == ("CHURN_RISK", "P0_CRITICAL", False)
            assert "tier3:warm_up" in one["reasons"]
            assert (one["llm"]["provider"], one["llm"]["model"]) == ("openai", "gpt-4o-mini")
            assert one["llm"]["cost_usd"] > 0
        assert all(one["llm"] is None for one in found if one["tier"] != 3)

        async def recorded() -> Any:
            now = runtime.students._clock()
            rows = await costs(runtime.storage, since=now - timedelta(days=365), until=now, by=By.BRAND)
            return next((row for row in rows if row.key == "tiers-a"), None)

        row = await until(recorded)
        assert (row.calls, row.failed) == (len(scripted.asked), 0)
        assert float(row.cost_usd) == pytest.approx(sum(one["llm"]["cost_usd"] for one in third))


async def test_what_tier_3_says_is_kept_to_learn_from(redis_url: str, mongo_uri: str, scripted: ScriptedServer) -> None:
    async with running(redis_url, mongo_uri, **asking(scripted)) as runtime:
        await finished(runtime, await push(runtime.redis, chunk("tiers-b", 40)), 30)
        labels = await runtime.storage.collection("student_labels").find({"brand": "tiers-b"}).to_list(None)
        third = sum(one["tier"] == 3 for one in await stored(runtime, "tiers-b"))
    assert {(one["task"], one["label"]) for one in labels} == {("sentiment", "negative"), ("intent", "CHURN_RISK")}
    assert len(labels) == 2 * third


async def test_a_dead_tier_3_leaves_tier_2s_verdicts_marked_and_does_not_hold_anything_up(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: Fault(401)
    async with running(redis_url, mongo_uri, **asking(scripted)) as runtime:
        records = [await finished(runtime, await push(runtime.redis, chunk(f"tiers-c{n}", 30)), 30) for n in range(3)]
        assert [record["status"] for record in records] == ["succeeded"] * 3
        found = await stored(runtime, "tiers-c0") + await stored(runtime, "tiers-c2")
        marked = [one for one in found if one["degraded"]]
        assert {one["tier"] for one in found} <= {1, 2}
        assert marked
        assert {reason for one in marked for reason in one["reasons"] if reason.startswith("degraded:")} <= {
            "degraded:auth_error",
            "degraded:rate_limit",
        }
        assert len(scripted.asked) <= 3  # a key that does not work is not tried by every chunk


async def test_a_used_up_budget_is_a_reason_like_any_other(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer
) -> None:
    async with running(redis_url, mongo_uri, **asking(scripted, llm_daily_budget_usd="0.000001")) as runtime:
        await finished(runtime, await push(runtime.redis, chunk("tiers-d", 30)), 30)
        found = await stored(runtime, "tiers-d")
    assert scripted.asked == []
    assert any("degraded:budget_exhausted" in one["reasons"] for one in found)


async def test_a_share_of_zero_asks_nobody(redis_url: str, mongo_uri: str, scripted: ScriptedServer) -> None:
    async with running(redis_url, mongo_uri, **asking(scripted, llm_max_share=0)) as runtime:
        await finished(runtime, await push(runtime.redis, chunk("tiers-e", 30)), 30)
        found = await stored(runtime, "tiers-e")
    assert scripted.asked == []
    assert not any(one["degraded"] for one in found)


async def test_a_second_execution_of_a_chunk_costs_nothing_again(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.worker.llm.cache.PATIENCE_SEC", 30.0)  # a machine that stalls is no Redis that hangs
    async with running(redis_url, mongo_uri, **asking(scripted)) as runtime:
        await finished(runtime, await push(runtime.redis, chunk("tiers-f", 30)), 30)
        asked = len(scripted.asked)
        await runtime.storage.collection("mentions").delete_many({"brand": "tiers-f"})  # as if it had died before
        await runtime.storage.collection("processed_chunks").delete_many({"brand": "tiers-f"})
        await finished(runtime, await push(runtime.redis, chunk("tiers-f", 30)), 30)
        assert len(scripted.asked) == asked
        assert any(one["tier"] == 3 for one in await stored(runtime, "tiers-f"))
