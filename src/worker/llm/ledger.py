"""The book of model calls: every attempt, what it was for and what it cost, in MongoDB `llm_calls`.

Written in the background: a call never waits for its record. Records are kept while MongoDB is away, up to a bound;
beyond it new ones are lost, counted and said. Never a prompt, never an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice
from typing import Any, Final

from ..errors import StorageUnavailable, WorkerError
from ..logging import get_logger
from ..storage import Document, Storage, StorageRefused
from ..supervision import keep_running
from .costs import By, CostRow, costs
from .exchange import Attempt

log = get_logger(__name__)

ROOM: Final = 10_000
"""Records kept while MongoDB is away: about 20 MB, and over an hour of two calls per second."""
BATCH: Final = 200
"""Records per write: 0.1 s on a laptop, far below the deadline of a database call."""
GATHER_SEC: Final = 0.5
"""How long the first record of a batch waits for others: many calls, few writes, and reports that are up to date."""
RETRY_FIRST_SEC: Final = 1.0
RETRY_MAX_SEC: Final = 30.0
"""Waits between tries while MongoDB is away double up to this."""
CLOSE_SEC: Final = 5.0
"""Longest flush at the end of the process, well within the time supervisors leave (DRAIN_TIMEOUT_SEC 25)."""
SAY_EVERY: Final = 1_000
"""A lost record is said when it is the first, then one line per so many."""


class Ledger:
    """`add` from the event loop, `start` and `close` once. Parameters but `storage` exist for tests."""

    def __init__(
        self,
        storage: Storage,
        *,
        room: int = ROOM,
        batch: int = BATCH,
        gather_sec: float = GATHER_SEC,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        self._storage = storage
        self._room = room
        self._batch = batch
        self._gather_sec = gather_sec
        self._sleep = sleep
        self._on_lost = on_lost
        self._waiting: deque[Attempt] = deque()
        self._some = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._closed = False
        self.lost = 0
        """Records that are in no book: no room, or refused by the database."""

    def add(self, attempt: Attempt) -> None:
        """Take a record. Returns at once, whatever the state of the database."""
        if self._closed or len(self._waiting) >= self._room:
            problem = "the ledger is closed" if self._closed else "no room: MongoDB has been away too long"
            self._lose(1, problem, attempt.id)
            return
        self._waiting.append(attempt)
        self._some.set()

    @property
    def waiting(self) -> int:
        """Records not written yet."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to write in the background. Needs a running event loop."""
        if self._writer is None:
            self._writer = asyncio.create_task(keep_running("llm-ledger", self._write), name="llm-ledger")

    async def costs(
        self, *, since: datetime, until: datetime, by: By = By.BRAND, brand: str | None = None
    ) -> list[CostRow]:
        """Sums of what has been written (records of the last second may be missing). Raises `StorageUnavailable`."""
        return await costs(self._storage, since=since, until=until, by=by, brand=brand)

    async def flush(self) -> None:
        """Write all that waits. Raises `StorageUnavailable`; what was not written stays."""
        async with self._writing:
            while self._waiting:
                await self._write_batch()

    async def close(self, timeout_sec: float = CLOSE_SEC) -> None:
        """Stop the background and write the rest; says how many records could not be written."""
        self._closed = True
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
            self._writer = None
        try:
            async with asyncio.timeout(timeout_sec):
                await self.flush()
        except (StorageUnavailable, TimeoutError) as error:
            problem = error.message if isinstance(error, WorkerError) else f"no end in {timeout_sec:.0f} s"
            left = len(self._waiting)
            self._waiting.clear()
            self._lose(left, f"the worker ends and MongoDB takes no records: {problem}", None)

    async def _write(self) -> None:
        wait, said = RETRY_FIRST_SEC, False
        if self._waiting:  # what a fault left behind
            self._some.set()
        while True:
            await self._some.wait()
            await self._sleep(self._gather_sec)
            self._some.clear()
            try:
                await self.flush()
            except StorageUnavailable as error:
                self._some.set()
                if not said:
                    log.warning("model calls are recorded later", problem=error.message, waiting=self.waiting)
                said = True
                await self._sleep(wait)
                wait = min(RETRY_MAX_SEC, wait * 2)
            else:
                if said:
                    log.info("model calls are recorded again")
                wait, said = RETRY_FIRST_SEC, False

    async def _write_batch(self) -> None:
        """Write the first records, and forget them only then: a repeated write changes nothing."""
        batch = list(islice(self._waiting, self._batch))
        try:
            await self._storage.insert_llm_calls([document_of(one) for one in batch])
        except StorageRefused:
            # One record the database cannot hold must not keep the others out.
            await self._write_singly(batch)
        else:
            self._forget(len(batch))

    async def _write_singly(self, batch: list[Attempt]) -> None:
        for attempt in batch:
            try:
                await self._storage.insert_llm_calls([document_of(attempt)])
            except StorageRefused as error:
                self._lose(1, error.message, attempt.id)
            self._forget(1)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()

    def _lose(self, count: int, problem: str, identity: str | None) -> None:
        if count == 0:
            return
        before, self.lost = self.lost, self.lost + count
        if self._on_lost is not None:
            self._on_lost(count)
        if before == 0 or before // SAY_EVERY != self.lost // SAY_EVERY:
            log.error("records of model calls are lost", problem=problem, lost=self.lost, attempt=identity)


def document_of(attempt: Attempt) -> Document:
    """The record of an attempt. Null: not known; money is Decimal and stored as Decimal128."""
    purpose, usage = attempt.purpose, attempt.usage
    tokens: dict[str, Any] = {
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "estimated": usage.estimated if usage else None,
    }
    return {
        "_id": attempt.id,
        "call_id": attempt.call_id,
        "number": attempt.number,
        "at": attempt.started_at,
        "provider": attempt.target.provider,
        "model": attempt.target.model,
        "served_model": attempt.served_model,
        "operation": purpose.operation,
        "brand": purpose.brand,
        "prompt_version": purpose.prompt_version,
        "prompt_hash": purpose.prompt_hash,
        "task_id": purpose.task_id,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "seconds": attempt.seconds,
        **tokens,
        "cost_usd": attempt.cost_usd,
        "price": attempt.price,
        "stop": attempt.stop.value if attempt.stop else None,
        "repair": attempt.repair,
        "problem": attempt.problem,
    }
