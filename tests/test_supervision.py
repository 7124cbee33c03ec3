"""Background work outlives faults that nobody foresaw, and says them when they happen."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from src.worker import supervision
from src.worker.llm.exchange import Attempt, Purpose, Stop, Target, Usage
from src.worker.llm.ledger import Ledger
from src.worker.services.audit import AuditLog, AuditRecord
from src.worker.supervision import AGAIN_SEC, keep_running
from tests.helpers import until

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Broken(Exception):
    pass


async def test_a_loop_that_breaks_is_said_with_its_cause_and_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    begun, rested = 0, []

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise Broken(f"time {begun}")

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    with caplog.at_level(logging.ERROR):
        await keep_running("students", loop, sleep=sleep)
    assert (begun, rested) == (3, [AGAIN_SEC, AGAIN_SEC])
    said = [record for record in caplog.records if record.name.endswith("supervision")]
    assert [str(record.exc_info[1]) for record in said if record.exc_info] == ["time 1", "time 2"]


async def test_a_cancelled_loop_ends_at_once() -> None:
    started = asyncio.Event()

    async def loop() -> None:
        started.set()
        await asyncio.Event().wait()

    job = asyncio.create_task(keep_running("audit", loop))
    await started.wait()
    job.cancel()
    await asyncio.wait({job})
    assert job.cancelled()


class _Storage:
    """Breaks at the first call in a way that nobody foresaw, then takes what it is given."""

    def __init__(self) -> None:
        self.calls = 0
        self.written: list[Any] = []

    def collection(self, name: str) -> _Storage:
        return self

    async def bulk_write(self, operations: list[Any], **_: Any) -> None:
        await self.insert_llm_calls(operations)

    async def insert_llm_calls(self, documents: list[Any]) -> None:
        self.calls += 1
        if self.calls == 1:
            raise Broken("nobody foresaw this")
        self.written += documents


async def _written(storage: _Storage) -> list[Any]:
    return storage.written


async def test_the_audit_log_is_written_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "AGAIN_SEC", 0.01)
    storage = _Storage()
    audit = AuditLog(cast(Any, storage), CollectorRegistry(), worker_id="w", clock=lambda: NOW)
    audit.start()
    audit.record(AuditRecord("drop", "done"))
    assert len(await until(partial(_written, storage))) == 1
    await audit.close()


async def test_records_of_model_calls_are_written_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "AGAIN_SEC", 0.01)
    storage = _Storage()
    ledger = Ledger(cast(Any, storage), gather_sec=0.001)
    attempt = Attempt(
        id="a1",
        call_id="c1",
        number=1,
        target=Target("openai", "gpt-4o-mini"),
        purpose=Purpose("summarize", "acme", "v1", "hash", "task-1"),
        started_at=NOW,
        seconds=0.5,
        outcome="ok",
        status=200,
        usage=Usage(100, 10, 20, 0, 5),
        cost_usd=Decimal("0.1"),
        price="openai/gpt-4o-mini@2025-08",
        stop=Stop.COMPLETE,
        served_model="gpt-4o-mini",
    )
    ledger.start()
    ledger.add(attempt)
    assert len(await until(partial(_written, storage))) == 1
    await ledger.close()
