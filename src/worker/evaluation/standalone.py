"""The LLM layer for a process of its own: no Redis, no ledger, no budget, and the specification's waits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..config import Settings, load_settings
from ..config_llm import LLMSettings
from ..llm.budget import Unlimited
from ..llm.policy import Backoff
from ..llm_adapter import LLMAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..llm.exchange import Attempt, Target, Usage

RATE_LIMIT_WAITS: Final = (30.0, 60.0, 90.0, 120.0)
"""Seconds after the first, second … rate limit of a request, by the specification. The deadline cuts them short."""
_CALL_TIMEOUT_SEC: Final = 120.0
"""Of one call where LLM_TIMEOUT_SEC says nothing: 8,192 tokens at some 70 a second."""


class _NoPrices:
    """Prices come with each probe's input; nothing is looked up or limited here."""

    def ceiling(self, target: Target, input_tokens: int, max_tokens: int | None) -> Decimal | None:
        return None

    def cost(self, target: Target, usage: Usage) -> tuple[Decimal, str] | None:
        return None


class _NoRecord:
    """A script's attempts are told in its answer; it has no ledger."""

    def record(self, attempt: Attempt) -> None:
        return None


def llm_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of the language models alone: a queue's setting that cannot be used is no reason to fail a probe.

    Raises:
        ConfigError: a setting of the language models cannot be used.
    """
    fields = Settings.model_fields
    others: dict[str, Any] = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if name not in LLMSettings.model_fields
    }
    if not environ.get("LLM_TIMEOUT_SEC", "").strip():
        others["llm_timeout_sec"] = _CALL_TIMEOUT_SEC
    return load_settings(**others)


def standalone_adapter(environ: Mapping[str, str]) -> LLMAdapter:
    """Raises `ConfigError` for a setting of the language models that cannot be used."""
    return LLMAdapter(
        llm_settings(environ),
        recorder=_NoRecord(),
        money=_NoPrices(),
        budget=Unlimited(),
        backoff=Backoff(rate_limit_steps=RATE_LIMIT_WAITS),
    )
