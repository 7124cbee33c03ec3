"""Which providers are used and in what order, why the others are not, and how each is at this moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from ..secrecy import masked_url
from .exchange import Target
from .health import Condition, Health
from .providers import PROVIDERS

if TYPE_CHECKING:
    from ..config import Settings
    from ..config_llm import Account
    from .view import ProviderState


class Roster:
    """`calls`: calls at a time of a provider, `now` and the `limit`."""

    def __init__(
        self, settings: Settings, targets: Sequence[Target], health: Health, calls: Callable[[str], dict[str, int]]
    ) -> None:
        self._settings = settings
        self._accounts = settings.llm_accounts
        self._targets = tuple(targets)
        self._health = health
        self._calls = calls

    def states(self) -> list[ProviderState]:
        """All nine: those that are used in the order in which they are asked, then those that are left out."""
        used = {target.provider: target for target in self._targets}
        others = [name for name in PROVIDERS if name not in used]
        return [self._used(target) for target in self._targets] + [self._unused(name) for name in others]

    def _used(self, target: Target) -> ProviderState:
        condition = self._health.state(target)
        rates = self._settings.llm_rates(target.provider)
        return {
            "provider": target.provider,
            "model": target.model,
            "configured": True,
            "state": _state(condition),
            "breaker": condition.breaker,
            "why": condition.why,
            "resting_sec": condition.resting_sec,
            "base_url": self._shown_url(target.provider),
            "calls": self._calls(target.provider),
            "per_minute": {"requests": rates.requests or None, "tokens": rates.tokens or None},
        }

    def _unused(self, name: str) -> ProviderState:
        return {
            "provider": name,
            "model": self._accounts[name].model or PROVIDERS[name].default_model,
            "configured": False,
            "state": "left_out",
            "breaker": None,
            "why": left_out(self._settings, name),
            "resting_sec": 0.0,
            "base_url": self._shown_url(name),
            "calls": None,
            "per_minute": None,
        }

    def _shown_url(self, name: str) -> str | None:
        url = self._accounts[name].base_url
        return masked_url(url) if url else None


def configured_targets(settings: Settings) -> tuple[Target, ...]:
    """What may be asked, in order: every provider that has what it needs, as LLM_PROVIDER says."""
    accounts = settings.llm_accounts
    return tuple(
        Target(name, accounts[name].model or PROVIDERS[name].default_model)
        for name in settings.llm_order
        if left_out(settings, name) is None
    )


def left_out(settings: Settings, name: str) -> str | None:
    """Why a provider is not used; None: it is."""
    account: Account = settings.llm_accounts[name]
    row = PROVIDERS[name]
    if name not in settings.llm_order:
        return "LLM_PROVIDER names others"
    if row.key_needed and account.api_key is None:
        return f"{' or '.join(row.key_variables)} is not set"
    if not row.key_needed and account.base_url is None and name not in settings.llm_named:
        return f"{name.upper()}_BASE_URL is not set and LLM_PROVIDER does not name it"
    return None


def _state(condition: Condition) -> Literal["ready", "resting", "open", "half_open"]:
    if condition.breaker != "closed":
        return condition.breaker
    return "ready" if condition.available else "resting"
