"""/v1/llm: the state of the providers and what calls have cost, also while a database is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from src.worker.api import llm, problems
from src.worker.llm.budget import DailyBudget, Unlimited
from src.worker.llm.exchange import Attempt, Purpose, Target, Usage
from src.worker.llm.ledger import Ledger
from src.worker.llm.view import BudgetView, LLMView, ProviderState
from src.worker.redis_client import RedisClient
from src.worker.storage import Storage

pytestmark = pytest.mark.anyio
D = Decimal
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Status:
    def providers(self) -> list[ProviderState]:
        return [
            {
                "provider": "openai",
                "model": "gpt-4o-mini",
                "configured": True,
                "state": "resting",
                "breaker": "closed",
                "why": "rate limited",
                "resting_sec": 30.0,
                "base_url": None,
                "calls": {"now": 1, "limit": 8},
                "per_minute": {"requests": 30, "tokens": None},
            },
            {
                "provider": "groq",
                "model": None,
                "configured": False,
                "state": "left_out",
                "breaker": None,
                "why": "GROQ_API_KEY is not set",
                "resting_sec": 0.0,
                "base_url": None,
                "calls": None,
                "per_minute": None,
            },
        ]


def _attempt(n: int, **more: Any) -> Attempt:
    fields: dict[str, Any] = {
        "id": f"a{n}",
        "call_id": f"c{n}",
        "number": 1,
        "target": Target("openai", "gpt-4o-mini"),
        "purpose": Purpose("summarize", "acme-corp"),
        "started_at": NOW - timedelta(hours=1),
        "seconds": 0.5,
        "outcome": "ok",
        "usage": Usage(100, 10),
        "cost_usd": D("0.00000015"),
    }
    return Attempt(**{**fields, **more})


@asynccontextmanager
async def _client(view: LLMView | None) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.context = SimpleNamespace(llm=view)
    problems.install(app)
    app.include_router(llm.router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
async def ledger(storage: Storage) -> Ledger:
    ledger = Ledger(storage)
    for attempt in (
        _attempt(1),
        _attempt(2, cost_usd=D("0.25"), outcome="truncated", target=Target("xai", "grok-4")),
        _attempt(3, cost_usd=None, target=Target("nvidia", "nemotron"), purpose=Purpose("probe")),
        _attempt(4, cost_usd=D(7), started_at=NOW - timedelta(days=1)),
        _attempt(5, cost_usd=D(9), started_at=NOW - timedelta(days=31)),
    ):
        ledger.add(attempt)
    await ledger.flush()
    return ledger


def _view(ledger: Ledger, budget: BudgetView | None = None) -> LLMView:
    return LLMView(Status(), ledger, budget or Unlimited(), lambda: NOW)


async def test_the_state_shows_providers_todays_costs_and_the_budget(ledger: Ledger, redis_url: str) -> None:
    redis = RedisClient(redis_url)
    budget = DailyBudget(redis, D(5), now=lambda: NOW)
    await budget.settle(await budget.reserve(D(1)), D("0.25000015"))
    await budget.reserve(D("0.5"))
    async with _client(_view(ledger, budget)) as client:
        body = (await client.get("/v1/llm")).json()
    await redis.close()
    assert body["providers"] == [
        {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "configured": True,
            "state": "resting",
            "breaker": "closed",
            "why": "rate limited",
            "baseUrl": None,
            "calls": {"now": 1, "limit": 8},
            "perMinute": {"requests": 30, "tokens": None},
            "restingUntil": "2026-03-01T12:00:30.000Z",
        },
        {
            "provider": "groq",
            "model": None,
            "configured": False,
            "state": "left_out",
            "breaker": None,
            "why": "GROQ_API_KEY is not set",
            "baseUrl": None,
            "calls": None,
            "perMinute": None,
            "restingUntil": None,
        },
    ]
    today = body["today"]
    by_provider = today.pop("byProvider")
    assert today == {
        "since": "2026-03-01T00:00:00.000Z",
        "calls": 3,
        "failed": 1,
        "inputTokens": 300,
        "outputTokens": 30,
        "costUsd": "0.25000015",
        "callsWithoutPrice": 1,
    }
    assert {name: row["costUsd"] for name, row in by_provider.items()} == {
        "openai": "0.00000015",
        "xai": "0.25",
        "nvidia": None,
    }
    assert body["budget"] == {
        "day": "2026-03-01",
        "limitUsd": "5",
        "spentUsd": "0.25000015",
        "reservedUsd": "0.5",
        "leftUsd": "4.24999985",
    }
    assert body["ledger"] == {"waiting": 0, "lost": 0}


async def test_the_state_is_shown_while_both_databases_are_away() -> None:
    storage = Storage("mongodb://127.0.0.1:1/worker", timeout_sec=0.2)
    redis = RedisClient("redis://127.0.0.1:1/0")
    view = _view(Ledger(storage), DailyBudget(redis, D(1), now=lambda: NOW))
    async with _client(view) as client:
        state, costs = await client.get("/v1/llm"), await client.get("/v1/llm/costs")
    assert state.status_code == 200
    assert len(state.json()["providers"]) == 2
    assert set(state.json()["today"]) == {"problem"}
    assert set(state.json()["budget"]) == {"problem"}
    assert (costs.status_code, costs.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
    storage.close()
    await redis.close()


async def test_without_a_budget_it_is_null_and_a_day_without_calls_cost_nothing(storage: Storage) -> None:
    async with _client(_view(Ledger(storage))) as client:
        body = (await client.get("/v1/llm")).json()
    assert body["budget"] is None
    assert (body["today"]["calls"], body["today"]["costUsd"], body["today"]["byProvider"]) == (0, "0", {})


async def test_costs_of_the_last_thirty_days_by_brand(ledger: Ledger) -> None:
    async with _client(_view(ledger)) as client:
        body = (await client.get("/v1/llm/costs")).json()
    assert (body["by"], body["since"], body["until"], body["brand"]) == (
        "brand",
        "2026-01-30T12:00:00.000Z",
        "2026-03-01T12:00:00.000Z",
        None,
    )
    assert [(row["key"], row["calls"], row["costUsd"], row["callsWithoutPrice"]) for row in body["items"]] == [
        ("acme-corp", 3, "7.25000015", 0),
        (None, 1, None, 1),
    ]
    assert body["total"] == {
        "calls": 4,
        "failed": 1,
        "inputTokens": 400,
        "outputTokens": 40,
        "costUsd": "7.25000015",
        "callsWithoutPrice": 1,
    }


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("by=day", ["2026-02-28", "2026-03-01"]),
        ("by=model&since=2026-03-01", ["xai:grok-4", "openai:gpt-4o-mini", "nvidia:nemotron"]),
        ("by=operation&brand=Acme%20Corp", ["summarize"]),
        ("by=provider&until=2026-02-28T23:00:00Z", ["openai"]),
        ("by=provider&since=2026-03-01T00:00:00+00:00", ["xai", "openai", "nvidia"]),
        ("by=provider&brand=nobody", []),
    ],
)
async def test_costs_can_be_asked_for_by(ledger: Ledger, query: str, keys: list[str]) -> None:
    async with _client(_view(ledger)) as client:
        response = await client.get(f"/v1/llm/costs?{query}")
    assert response.status_code == 200
    assert [row["key"] for row in response.json()["items"]] == keys


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=colour", "by"),
        ("since=yesterday", "since"),
        ("until=", "until"),
        ("since=2026-03-02&until=2026-03-02", "since"),
        ("brand=%20", "brand"),
        ("brnad=acme", "brnad"),
    ],
)
async def test_a_question_that_cannot_be_meant_is_refused_by_the_name_of_its_field(
    ledger: Ledger, query: str, field: str
) -> None:
    async with _client(_view(ledger)) as client:
        response = await client.get(f"/v1/llm/costs?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["field"] == field


async def test_a_process_without_models_says_so() -> None:
    async with _client(None) as client:
        assert (await client.get("/v1/llm")).status_code == 404
        assert (await client.get("/v1/llm/costs")).status_code == 404
