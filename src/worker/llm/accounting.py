"""Everything about the money of model calls, put together from the settings: prices, budget, ledger, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry

from ..config import Settings
from ..redis_client import RedisClient
from ..storage import Storage
from .budget import HOLD_SEC, DailyBudget, Unlimited
from .ledger import Ledger
from .llm_metrics import LLMMetrics
from .price_files import load_prices
from .recorder import Recorder


class Accounting:
    """Built without I/O but for the price file. The executor gets `money`, `budget` and `recorder`.

    Raises `ConfigError` when LLM_PRICES_FILE cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        redis: RedisClient,
        storage: Storage,
        registry: CollectorRegistry,
        now: Callable[[], datetime],
        operations: Iterable[str],
    ) -> None:
        self.money = load_prices(settings.llm_prices_file)
        self.metrics = LLMMetrics(registry, operations=operations)
        self.ledger = Ledger(storage, on_lost=self.metrics.lost.inc)
        self.recorder = Recorder(self.metrics, self.ledger)
        self.budget: DailyBudget | Unlimited = Unlimited()
        if settings.llm_daily_budget_usd is not None:
            show_left = self.metrics.watch_budget()
            self.budget = DailyBudget(
                redis,
                settings.llm_daily_budget_usd,
                now=now,
                # A hold must not end while its call may still be under way.
                hold_sec=max(HOLD_SEC, 2 * settings.llm_timeout_sec),
                on_change=lambda state: show_left(state.left),
            )

    def start(self) -> None:
        """Begin to write the ledger. Needs a running event loop."""
        self.ledger.start()

    async def close(self) -> None:
        """Settle and write what waits. Before Redis and MongoDB are closed, after the last call has ended."""
        await self.ledger.close()
        await self.budget.close()
