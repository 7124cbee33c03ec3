"""A budget per UTC day for model calls, kept by all workers together: money is set aside before a call, settled after.

Setting aside is one script in Redis, so that two workers can never both take the last cent. A hold whose worker has
died ends after `HOLD_SEC`. Without Redis no call is allowed while a budget is set (`QueueUnavailable` passes through:
the task is tried again when Redis is back); what calls have cost meanwhile is remembered and settled then.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final

from ..errors import QueueUnavailable
from ..logging import get_logger
from ..redis_client import RedisClient, Script
from ..times import to_ms
from .errors import Kind, LLMError
from .seams import Hold

log = get_logger(__name__)

HOLD_SEC: Final = 900.0
"""Far longer than one call lasts by default (LLM_TIMEOUT_SEC 60), short enough for a crash not to cost the day."""
KEEP_SEC: Final = 3 * 86_400
"""Days stay readable for three days; late settlements of yesterday's calls still find their day."""
UNSETTLED_MAX: Final = 10_000
"""Settlements remembered while Redis is away, about 3 MB. No new call starts meanwhile: only those under way come."""
_NANO: Final = 9
"""Decimals of a nano-dollar: a token at 0.01 per million costs ten of them. Fractions are rounded up."""
_PREFIX: Final = "worker:llm:budget:"


@dataclass(frozen=True, slots=True)
class DayHold:
    """Money set aside for one call, on the day on which it was asked for."""

    id: str
    day: str
    nano_usd: int


@dataclass(frozen=True, slots=True)
class BudgetState:
    """US dollars of one UTC day. `left` is what may still be set aside, never below zero."""

    day: str
    limit: Decimal
    spent: Decimal
    reserved: Decimal

    @property
    def left(self) -> Decimal:
        return max(Decimal(0), self.limit - self.spent - self.reserved)


class Unlimited:
    """No budget is set: every call is allowed and nothing is kept."""

    @property
    def limited(self) -> bool:
        return False

    async def reserve(self, usd: Decimal) -> Hold:
        return DayHold("", "", 0)

    async def settle(self, hold: Hold, actual: Decimal | None) -> None:
        return None

    async def state(self) -> BudgetState | None:
        return None

    async def close(self) -> None:
        return None


class DailyBudget:
    """`limit_usd` per UTC day by the clock `now`. `on_change` is told every state that becomes known (for metrics)."""

    def __init__(
        self,
        redis: RedisClient,
        limit_usd: Decimal,
        *,
        now: Callable[[], datetime],
        hold_sec: float = HOLD_SEC,
        on_change: Callable[[BudgetState], None] | None = None,
    ) -> None:
        self._redis = redis
        self._limit = _nano(limit_usd)
        self._now = now
        self._hold_ms = int(hold_sec * 1000)
        self._on_change = on_change
        self._script = Script("llm_budget")
        self._unsettled: dict[str, tuple[DayHold, int | None]] = {}
        self._sending: set[str] = set()

    @property
    def limited(self) -> bool:
        return True

    async def reserve(self, usd: Decimal) -> DayHold:
        """Set money aside for one call.

        Raises:
            LLMError: of kind `budget`, so much is not left today; the message says what is.
            QueueUnavailable: Redis cannot be asked, so the budget cannot be kept.
        """
        await self._catch_up()
        hold = DayHold(uuid.uuid4().hex, self._now().date().isoformat(), _nano(usd))
        words = ("reserve", self._ms(), hold.id, hold.nano_usd, self._limit, self._hold_ms, KEEP_SEC * 1000)
        try:
            granted, state = await self._run(hold.day, *words)
        except (QueueUnavailable, asyncio.CancelledError):
            # Redis may have set it aside although nobody heard so: given back with the next call.
            if len(self._unsettled) < UNSETTLED_MAX:
                self._unsettled[hold.id] = (hold, 0)
            raise
        if not granted:
            raise LLMError(
                Kind.BUDGET,
                f"the daily budget of {usd_text(state.limit)} USD has {usd_text(state.left)} USD left"
                f" ({usd_text(state.reserved)} USD are set aside for calls under way);"
                f" this call may cost up to {usd_text(usd)} USD",
            )
        return hold

    async def settle(self, hold: Hold, actual: Decimal | None) -> None:
        """Count what a call has cost; None: unknown, all that was set aside counts as spent.

        A second settlement of a hold changes nothing. A call is over when this is called, so nothing is raised when
        Redis is away, and a cancellation loses nothing: the settlement is made with the next call, or at `close`.
        """
        if not isinstance(hold, DayHold):
            raise TypeError(f"not a hold of this budget: {type(hold).__name__}")
        if hold.id not in self._unsettled and len(self._unsettled) >= UNSETTLED_MAX:
            log.error("cost of a model call is lost to the budget: Redis is away too long", hold=hold.id)
            return
        self._unsettled.setdefault(hold.id, (hold, None if actual is None else _nano(actual)))
        try:
            await self._send(hold.id)
        except QueueUnavailable as error:
            log.warning("budget is settled later: Redis does not answer", problem=error.message, calls=self.unsettled)

    @property
    def unsettled(self) -> int:
        """Settlements that wait for Redis."""
        return len(self._unsettled)

    async def state(self) -> BudgetState:
        """Today's figures. Raises `QueueUnavailable`."""
        await self._catch_up()
        return (await self._run(self._now().date().isoformat(), "state", self._ms()))[1]

    async def close(self) -> None:
        """Settle what waits; what cannot be settled is said, and its holds end by themselves, uncounted."""
        try:
            await self._catch_up()
        except QueueUnavailable as error:
            log.error("costs of model calls are lost to the budget", calls=self.unsettled, problem=error.message)

    async def _catch_up(self) -> None:
        """Make the settlements that an outage or a cancellation has left."""
        for identity in self._unsettled.keys() - self._sending:
            await self._send(identity)

    async def _send(self, identity: str) -> None:
        """Make one settlement. It is forgotten only when Redis has it; twice is safe, never is not."""
        if identity in self._sending or identity not in self._unsettled:
            return
        hold, actual = self._unsettled[identity]
        self._sending.add(identity)
        try:
            amount = "" if actual is None else actual
            await self._run(hold.day, "settle", self._ms(), hold.id, amount, KEEP_SEC * 1000)
            del self._unsettled[identity]
        finally:
            self._sending.discard(identity)

    def _ms(self) -> int:
        return to_ms(self._now())

    async def _run(self, day: str, *words: str | int) -> tuple[bool, BudgetState]:
        # The braces make the three keys of a day one slot of a cluster.
        base = f"{_PREFIX}{{{day}}}"
        done, spent, reserved = await self._script(self._redis, [base, f"{base}:amounts", f"{base}:ends"], words)
        state = BudgetState(day, _usd(self._limit), _usd(spent), _usd(reserved))
        if self._on_change is not None and day == self._now().date().isoformat():
            self._on_change(state)
        return bool(done), state


def _nano(usd: Decimal) -> int:
    """Whole nano-dollars, rounded up: a budget errs on the side of spending less."""
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"not an amount of money: {usd}")
    return int(usd.scaleb(_NANO).to_integral_value(ROUND_CEILING))


def _usd(nano: int) -> Decimal:
    return Decimal(nano).scaleb(-_NANO)


def usd_text(usd: Decimal) -> str:
    """An amount for people and JSON: exact, without an exponent and without trailing zeros.

    >>> usd_text(Decimal("5E-7")), usd_text(Decimal("1.500000000"))
    ('0.0000005', '1.5')
    """
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
