"""What people may see of the language models: which providers are used, how they are, what is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypedDict

from .budget import BudgetState
from .ledger import Ledger


class ProviderState(TypedDict):
    """One provider as this worker sees it now."""

    provider: str
    model: str | None
    """The model that is asked; None where none is set."""
    configured: bool
    state: Literal["ready", "resting", "open", "half_open", "left_out"]
    breaker: Literal["closed", "open", "half_open"] | None
    """None for a provider that is left out."""
    why: str | None
    """Why it is left out or rests."""
    resting_sec: float
    """Seconds until it may be asked again; 0: at once."""
    base_url: str | None
    """Another server than the provider's own, without its secrets."""
    calls: dict[str, int] | None
    """Calls at a time: `now` and the `limit` that has been found to work."""
    per_minute: dict[str, int | None] | None
    """`requests` and `tokens` it is given at most; None: no limit."""


class LLMStatus(Protocol):
    def providers(self) -> list[ProviderState]:
        """All providers in the order in which they are asked, those that are left out last."""
        ...


class BudgetView(Protocol):
    async def state(self) -> BudgetState | None:
        """Today's figures, None when no budget is set. Raises `QueueUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class LLMView:
    """What the REST routes work with."""

    status: LLMStatus
    ledger: Ledger
    budget: BudgetView
    now: Callable[[], datetime]
