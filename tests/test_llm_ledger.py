"""The ledger: every attempt once, never in the way of a call, sums that are exact. And the metrics beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from src.worker.errors import ConfigError, StorageUnavailable
from src.worker.llm import seams
from src.worker.llm.accounting import Accounting
from src.worker.llm.budget import DailyBudget, Unlimited
from src.worker.llm.costs import By, CostRow
from src.worker.llm.exchange import Attempt, Purpose, Stop, Target, Usage
from src.worker.llm.ledger import Ledger, document_of
from src.worker.llm.llm_metrics import MODELS_MAX, LLMMetrics
from src.worker.llm.recorder import Recorder
from src.worker.redis_client import RedisClient
from src.worker.storage import LLM_CALLS, Document, Storage
from tests.helpers import settings, until

pytestmark = pytest.mark.anyio
D = Decimal
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY: dict[str, Any] = {"since": T0 - timedelta(days=1), "until": T0 + timedelta(days=10)}


def _attempt(n: int = 1, **more: Any) -> Attempt:
    base = Attempt(
        id=f"a{n}",
        call_id=f"c{n}",
        number=1,
        target=Target("openai", "gpt-4o-mini"),
        purpose=Purpose("summarize", "acme", "v1", "hash", "task-1"),
        started_at=T0,
        seconds=0.5,
        outcome="ok",
        status=200,
        usage=Usage(100, 10, 20, 0, 5),
        cost_usd=D("0.00000015"),
        price="openai/gpt-4o-mini@2025-08",
        stop=Stop.COMPLETE,
        served_model="gpt-4o-mini-2024-07-18",
    )
    return replace(base, **more)


async def _written(storage: Storage, attempts: Iterable[Attempt]) -> Ledger:
    ledger = Ledger(storage)
    for attempt in attempts:
        ledger.add(attempt)
    await ledger.flush()
    return ledger


class Door:
    """MongoDB that can be taken away, and that counts what comes."""

    def __init__(self, storage: Storage) -> None:
        self.storage, self.away, self.batches = storage, False, [0]

    async def insert_llm_calls(self, documents: list[Document]) -> None:
        self.batches.append(len(documents))
        if self.away:
            raise StorageUnavailable("gone")
        await self.storage.insert_llm_calls(documents)


def _behind(door: Door, **more: Any) -> Ledger:
    return Ledger(door, **more)  # type: ignore[arg-type]


async def test_a_record_holds_all_fields_and_money_to_the_last_digit(storage: Storage) -> None:
    await _written(storage, [_attempt()])
    stored = await storage.collection(LLM_CALLS).find_one({"_id": "a1"})
    assert stored == {
        "_id": "a1",
        "call_id": "c1",
        "number": 1,
        "at": T0,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "served_model": "gpt-4o-mini-2024-07-18",
        "operation": "summarize",
        "brand": "acme",
        "prompt_version": "v1",
        "prompt_hash": "hash",
        "task_id": "task-1",
        "outcome": "ok",
        "status": 200,
        "seconds": 0.5,
        "input_tokens": 100,
        "output_tokens": 10,
        "cached_tokens": 20,
        "cache_write_tokens": 0,
        "reasoning_tokens": 5,
        "estimated": False,
        "cost_usd": D("1.5E-7"),
        "price": "openai/gpt-4o-mini@2025-08",
        "stop": "stop",
        "repair": False,
        "problem": None,
    }
    assert isinstance(stored["cost_usd"], Decimal)


async def test_what_is_not_known_is_null_in_the_record() -> None:
    document = document_of(_attempt(usage=None, cost_usd=None, price=None, stop=None, served_model=None, status=None))
    unknown = {name for name, value in document.items() if value is None}
    assert {"input_tokens", "output_tokens", "cached_tokens", "estimated", "cost_usd", "price", "stop"} <= unknown


async def test_a_record_written_twice_is_one_record(storage: Storage) -> None:
    await _written(storage, [_attempt(1), _attempt(2)])
    await _written(storage, [_attempt(2, cost_usd=D(9)), _attempt(3)])
    assert await storage.collection(LLM_CALLS).count_documents({}) == 3
    stored = await storage.collection(LLM_CALLS).find_one({"_id": "a2"})
    assert stored is not None
    assert stored["cost_usd"] == D("1.5E-7")


async def test_records_are_written_in_the_background_many_at_a_time(storage: Storage) -> None:
    door = Door(storage)
    ledger = _behind(door, gather_sec=0.05)
    ledger.start()
    for n in range(1200):
        ledger.add(_attempt(n))
    assert (ledger.waiting, door.batches) == (1200, [0])  # nobody waited for the database
    await until(lambda: _nothing_waits(ledger))
    assert await storage.collection(LLM_CALLS).count_documents({}) == 1200
    assert door.batches == [0, 200, 200, 200, 200, 200, 200]
    await ledger.close()


async def _nothing_waits(ledger: Ledger) -> bool:
    return ledger.waiting == 0


async def test_records_that_come_while_mongodb_is_away_are_written_when_it_is_back(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(storage)
    door.away = True
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        door.away = len(waits) < 12
        await asyncio.sleep(0)

    ledger = _behind(door, gather_sec=0.0, sleep=sleep)
    ledger.start()
    for n in range(700):
        ledger.add(_attempt(n))
    await until(lambda: _nothing_waits(ledger))
    assert await storage.collection(LLM_CALLS).count_documents({}) == 700
    assert [wait for wait in waits if wait] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert caplog.text.count("recorded later") == 1
    await ledger.close()


async def test_beyond_its_room_it_loses_new_records_counts_them_and_says_so_once(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[int] = []
    ledger = Ledger(storage, room=10, on_lost=told.append)
    for n in range(25):
        ledger.add(_attempt(n))
    assert (ledger.waiting, ledger.lost, sum(told)) == (10, 15, 15)
    assert caplog.text.count("records of model calls are lost") == 1
    await ledger.close()
    kept = await storage.collection(LLM_CALLS).distinct("_id")
    assert sorted(kept) == sorted(f"a{n}" for n in range(10))


async def test_one_record_the_database_cannot_hold_does_not_keep_the_others_out(storage: Storage) -> None:
    bad = [_attempt(5, usage=Usage(2**70, 0)), _attempt(6, cost_usd=D(1) / 3 + D("1e30"))]
    bad.append(_attempt(7, cost_usd=D("1." + "1" * 40)))
    ledger = await _written(storage, [_attempt(4), *bad, _attempt(8)])
    assert (ledger.waiting, ledger.lost) == (0, 2)
    assert sorted(await storage.collection(LLM_CALLS).distinct("_id")) == ["a4", "a6", "a8"]


async def test_the_end_of_the_process_writes_what_waits_and_says_what_it_cannot(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(storage, gather_sec=60)
    ledger.start()
    ledger.add(_attempt(1))
    await asyncio.sleep(0)
    await ledger.close()
    assert await storage.collection(LLM_CALLS).count_documents({}) == 1
    assert "lost" not in caplog.text

    door = Door(storage)
    door.away = True
    other = _behind(door)
    other.start()
    other.add(_attempt(2))
    await other.close()
    other.add(_attempt(3))
    assert (other.lost, other.waiting) == (2, 0)
    assert "the worker ends" in vars(caplog.records[-1])["structured_fields"]["problem"]


async def test_indexes_of_the_ledger_are_made_and_its_age_can_be_changed(storage: Storage) -> None:
    found: Any = None
    for days in (400, 30):
        await storage.ensure_indexes(processed_chunks_ttl_days=1, llm_calls_ttl_days=days)
        found = await storage.collection(LLM_CALLS).index_information()
        assert found["expiry"]["expireAfterSeconds"] == days * 86_400
    assert list(found["expiry"]["key"]) == [("at", -1)]
    assert list(found["by_brand_time"]["key"]) == [("brand", 1), ("at", -1)]


MIXED = [
    _attempt(1),
    _attempt(2, cost_usd=D("0.1"), started_at=T0 + timedelta(hours=13)),
    _attempt(3, target=Target("nvidia", "nemotron"), cost_usd=None, price=None),
    _attempt(4, target=Target("xai", "grok-4"), cost_usd=None, usage=None, outcome="timeout"),
    _attempt(5, purpose=Purpose("probe"), target=Target("ollama", "llama3.2"), cost_usd=D(0)),
    _attempt(6, purpose=Purpose("probe", "other"), cost_usd=D("0.3"), outcome="truncated"),
]


async def test_sums_by_brand_are_exact_and_name_what_is_missing_in_them(storage: Storage) -> None:
    ledger = await _written(storage, MIXED)
    assert await ledger.costs(**DAY) == [
        CostRow("other", 1, 1, 100, 10, D("0.3"), 0),
        CostRow("acme", 4, 1, 300, 30, D("0.10000015"), 1),
        CostRow(None, 1, 0, 100, 10, D(0), 0),
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.OPERATION, [("probe", 2, D("0.3")), ("summarize", 4, D("0.10000015"))]),
        (By.PROVIDER, [("openai", 3, D("0.40000015")), ("nvidia", 1, None), ("ollama", 1, D(0)), ("xai", 1, None)]),
        (
            By.MODEL,
            [
                ("openai:gpt-4o-mini", 3, D("0.40000015")),
                ("nvidia:nemotron", 1, None),
                ("ollama:llama3.2", 1, D(0)),
                ("xai:grok-4", 1, None),
            ],
        ),
        (By.DAY, [("2026-03-01", 5, D("0.30000015")), ("2026-03-02", 1, D("0.1"))]),
    ],
)
async def test_sums_can_be_made_by(storage: Storage, by: By, expected: list[tuple[str, int, Decimal | None]]) -> None:
    ledger = await _written(storage, MIXED)
    assert [(row.key, row.calls, row.cost_usd) for row in await ledger.costs(**DAY, by=by)] == expected


async def test_sums_hold_the_time_from_since_to_before_until_and_one_brand(storage: Storage) -> None:
    ledger = await _written(storage, MIXED)
    hour = timedelta(hours=13)
    assert [row.calls for row in await ledger.costs(since=T0, until=T0 + hour, brand="acme")] == [3]
    assert [row.calls for row in await ledger.costs(since=T0 + hour, until=T0 + 2 * hour)] == [1]
    assert await ledger.costs(since=T0 - hour, until=T0) == []


async def test_a_thousand_tiny_costs_add_up_exactly(storage: Storage) -> None:
    ledger = await _written(storage, [_attempt(n, cost_usd=D("0.0000001")) for n in range(1000)])
    assert (await ledger.costs(**DAY))[0].cost_usd == D("0.0001")


def _recorder(registry: CollectorRegistry) -> tuple[Recorder, Ledger]:
    ledger = Ledger(None)  # type: ignore[arg-type]  # nothing is written
    return Recorder(LLMMetrics(registry, operations=["summarize"]), ledger), ledger


async def test_metrics_carry_the_conventions_names_and_count_money_and_its_absence() -> None:
    registry = CollectorRegistry()
    recorder, _ = _recorder(registry)
    gemini = Target("gemini", "gemini-2.5-flash")
    for attempt in (
        _attempt(1, target=gemini, cost_usd=D("0.25")),
        _attempt(2, target=gemini, cost_usd=None),
        _attempt(3, target=gemini, cost_usd=None, usage=None, outcome="timeout", seconds=70.0),
        _attempt(4, target=gemini, purpose=Purpose("anything a caller makes up")),
    ):
        recorder.record(attempt)
    ours = {"provider": "gemini", "model": "gemini-2.5-flash", "operation": "summarize"}
    chat = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "gcp.gemini",
        "gen_ai_request_model": "gemini-2.5-flash",
    }
    value = registry.get_sample_value
    assert value("worker_llm_cost_usd_total", ours) == 0.25
    assert value("worker_llm_unpriced_calls_total", ours) == 1
    assert value("worker_llm_calls_total", {**ours, "outcome": "timeout"}) == 1
    assert value("worker_llm_calls_total", {**ours, "operation": "other", "outcome": "ok"}) == 1
    tokens = "gen_ai_client_token_usage"
    assert value(f"{tokens}_sum", {**chat, "gen_ai_token_type": "input"}) == 300
    assert value(f"{tokens}_bucket", {**chat, "gen_ai_token_type": "output", "le": "16.0"}) == 3
    assert value(f"{tokens}_bucket", {**chat, "gen_ai_token_type": "output", "le": "6.7108864e+07"}) == 3
    seconds = "gen_ai_client_operation_duration_seconds"
    assert value(f"{seconds}_count", {**chat, "error_type": ""}) == 3
    assert value(f"{seconds}_bucket", {**chat, "error_type": "timeout", "le": "81.92"}) == 1
    assert value(f"{seconds}_bucket", {**chat, "error_type": "timeout", "le": "40.96"}) == 0


async def test_any_number_of_models_and_operations_makes_a_bounded_number_of_series() -> None:
    registry = CollectorRegistry()
    metrics = LLMMetrics(registry, operations=["summarize"])
    for n in range(3 * MODELS_MAX):
        metrics.observe(_attempt(n, target=Target("openai", f"model-{n}"), purpose=Purpose(f"operation-{n}")))
        metrics.observe(_attempt(n, target=Target(f"provider-{n}", "m")))
    names = {
        (sample.labels["provider"], sample.labels["model"], sample.labels["operation"])
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "worker_llm_calls_total"
    }
    assert len(names) == MODELS_MAX + 2  # fifty models, the other models, the other providers
    assert ("openai", "other", "other") in names


async def test_provider_states_are_asked_for_at_every_scrape() -> None:
    registry = CollectorRegistry()
    metrics = LLMMetrics(registry, operations=[])
    states = {"openai": "resting", "groq": "ready"}
    metrics.watch_providers(lambda: states)
    value = registry.get_sample_value
    name = "worker_llm_provider_state"
    assert value(name, {"provider": "openai", "state": "resting"}) == 1
    states["openai"] = "ready"
    assert value(name, {"provider": "openai", "state": "resting"}) is None
    assert value(name, {"provider": "openai", "state": "ready"}) == 1


async def test_every_attempt_is_one_line_of_the_log_and_waits_for_the_book(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    recorder, ledger = _recorder(CollectorRegistry())
    recorder.record(_attempt(1))
    recorder.record(_attempt(2, outcome="timeout", problem="openai:gpt-4o-mini: no answer in 60 s"))
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", "model call"),
        ("WARNING", "model call failed"),
    ]
    fields = vars(caplog.records[0])["structured_fields"]
    assert (fields["cost_usd"], fields["target"], fields["task"]) == ("0.00000015", "openai:gpt-4o-mini", "task-1")
    assert ledger.waiting == 2


async def test_accounting_is_built_from_the_settings_and_fits_the_executors_seams(
    storage: Storage, redis_url: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    own.write_text(
        '{"prices": [{"provider": "nvidia", "model": "nemotron", "input": 1, "output": 2, "date": "2026-01"}]}'
    )
    redis, registry = RedisClient(redis_url), CollectorRegistry()

    def build(**more: Any) -> Accounting:
        return Accounting(
            settings(**more), redis=redis, storage=storage, registry=registry, now=lambda: T0, operations=["summarize"]
        )

    accounting = build(llm_prices_file=own, llm_daily_budget_usd="0.01")
    money: seams.Money = accounting.money
    budget: seams.Budget = accounting.budget
    recorder: seams.Recorder = accounting.recorder
    assert isinstance(budget, DailyBudget)
    accounting.start()

    target = Target("nvidia", "nemotron")
    most = money.ceiling(target, 1000, 1000)
    assert most == D("0.003")
    hold = await budget.reserve(most)
    priced = money.cost(target, Usage(900, 100))
    assert priced == (D("0.0011"), "nvidia/nemotron@2026-01+cached-at-full-price")
    await budget.settle(hold, priced[0])
    recorder.record(_attempt(1, target=target, usage=Usage(900, 100), cost_usd=priced[0], price=priced[1]))
    await accounting.close()

    assert (await accounting.ledger.costs(**DAY))[0].cost_usd == D("0.0011")
    assert registry.get_sample_value("worker_llm_budget_left_usd") == pytest.approx(0.0089)
    assert b"gen_ai_client_token_usage_bucket" in generate_latest(registry)
    await redis.close()


async def test_without_settings_there_is_no_limit_and_a_bad_price_file_stops_the_start(
    storage: Storage, redis_url: str, tmp_path: Path
) -> None:
    redis = RedisClient(redis_url)
    parts: dict[str, Any] = {"redis": redis, "storage": storage, "now": lambda: T0, "operations": []}
    plain = Accounting(settings(), registry=CollectorRegistry(), **parts)
    assert isinstance(plain.budget, Unlimited)
    with pytest.raises(ConfigError, match="LLM_PRICES_FILE"):
        Accounting(settings(llm_prices_file=tmp_path / "none.json"), registry=CollectorRegistry(), **parts)
    for wrong in ("0", "-1", "NaN", "1e-10"):
        with pytest.raises(ConfigError, match="LLM_DAILY_BUDGET_USD"):
            settings(llm_daily_budget_usd=wrong)
    await redis.close()
