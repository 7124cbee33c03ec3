"""The books of embedding calls: money set aside before a call and settled after it, every attempt recorded.

The rules are those of all model calls (`llm_executor`): under a budget a model without a known price is not asked, and
what a call that timed out has cost counts as all that was set aside.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from .llm.errors import Kind, LLMError
from .llm.exchange import Attempt, Purpose, Target, Usage
from .llm.llm_spans import describe
from .llm.seams import Budget, Hold, Money, Recorder, TokenCounts
from .trace_context import SpanKind
from .tracing import span

if TYPE_CHECKING:
    from .local_vectors import Matrix

OPERATION: Final = "embedding"
_LONG_CHARS: Final = 20_000
"""Estimating the tokens of more takes longer than the event loop may stand still (as in `llm_executor`)."""
_RESERVE_FACTOR: Final = 1.3
"""Estimates are up to that much too low (as in `llm_executor`)."""
_NEVER_BILLED: Final = frozenset(Kind) - {Kind.TIMEOUT, Kind.UNKNOWN, Kind.MALFORMED}


@dataclass(frozen=True, slots=True)
class Embedded:
    """What one request brought."""

    vectors: Matrix
    tokens: int | None
    """Input tokens as the provider counts them; None: it does not say."""


@dataclass(frozen=True, slots=True)
class Books:
    """The accounting of a process, as far as embeddings need it."""

    budget: Budget
    money: Money
    tokens: TokenCounts
    recorder: Recorder
    now: Callable[[], datetime]

    async def kept(
        self, target: Target, texts: Sequence[str], brand: str | None, send: Callable[[], Awaitable[Embedded]]
    ) -> Embedded:
        """Send one request and write it down, whatever becomes of it.

        Raises:
            LLMError: what `send` raises, or of kind `budget`.
            QueueUnavailable: the budget cannot be asked.
        """
        with span(f"embeddings {target.model}", SpanKind.CLIENT):
            return await self._kept(target, texts, brand, send)

    async def _kept(
        self, target: Target, texts: Sequence[str], brand: str | None, send: Callable[[], Awaitable[Embedded]]
    ) -> Embedded:
        began, at = time.monotonic(), self.now()
        estimate = await self._counted(texts, target.model)
        try:
            hold = await self._reserve(target, int(estimate * _RESERVE_FACTOR))
        except LLMError as error:
            self._note(target, brand, at, began, None, error, error.kind.value)
            raise
        usage, failure, outcome, billed = None, None, "cancelled", True
        try:
            done = await send()
            known = done.tokens is not None
            usage = Usage(done.tokens if done.tokens is not None else estimate, 0, estimated=not known)
            outcome = "ok"
            return done
        except LLMError as error:
            failure, outcome, billed = error, error.kind.value, error.kind not in _NEVER_BILLED
            raise
        finally:
            self._note(target, brand, at, began, usage, failure, outcome)
            await self._settle(target, hold, usage, billed=billed)

    async def _counted(self, texts: Sequence[str], model: str) -> int:
        if sum(map(len, texts)) < _LONG_CHARS:
            return self._count(texts, model)
        return await asyncio.to_thread(self._count, texts, model)

    def _count(self, texts: Sequence[str], model: str) -> int:
        return sum(self.tokens.count(text, model) for text in texts)

    async def _reserve(self, target: Target, tokens: int) -> Hold | None:
        if not self.budget.limited:
            return None
        most = self.money.ceiling(target, tokens, 0)
        if most is None:
            raise LLMError(
                Kind.BUDGET,
                f"{target}: its price is unknown, so the daily budget cannot be kept; name it in LLM_PRICES_FILE",
                target=target,
            )
        return await self.budget.reserve(most)

    async def _settle(self, target: Target, hold: Hold | None, usage: Usage | None, *, billed: bool) -> None:
        if hold is None:
            return
        priced = self.money.cost(target, usage) if usage is not None else None
        await self.budget.settle(hold, priced[0] if priced else None if billed else Decimal(0))

    def _note(
        self,
        target: Target,
        brand: str | None,
        at: datetime,
        began: float,
        usage: Usage | None,
        failure: LLMError | None,
        outcome: str,
    ) -> None:
        priced = self.money.cost(target, usage) if usage is not None else None
        status = 200 if outcome == "ok" else failure.status if failure is not None else None
        identity = uuid.uuid4().hex
        attempt = Attempt(
            id=identity,
            call_id=identity,
            number=1,
            target=target,
            purpose=Purpose(OPERATION, brand),
            started_at=at,
            seconds=round(time.monotonic() - began, 4),
            outcome=outcome,
            status=status,
            usage=usage,
            cost_usd=priced[0] if priced else None,
            price=priced[1] if priced else None,
            problem=failure.message if failure is not None else None,
        )
        self.recorder.record(attempt)
        describe(attempt)
