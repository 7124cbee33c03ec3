"""Prometheus metrics of model calls, under the names of OpenTelemetry's conventions for generative AI where it has one
(status: development; metrics `gen_ai.client.token.usage` and `gen_ai.client.operation.duration`).

Label values are bounded: providers are a table, operations a closed list, models collapse beyond `MODELS_MAX`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..config_llm import PROVIDERS
from .exchange import Attempt

MODELS_MAX: Final = 50
"""Models with series of their own. A deployment uses a handful; evaluation runs may name any number."""
OTHER: Final = "other"
_EMBEDDINGS: Final = "embeddings"
"""The convention's name of the kind of call that has no answer in words."""
TOKEN_BUCKETS: Final = tuple(4.0**power for power in range(14))
"""1, 4, 16 … 67,108,864: the convention's."""
SECOND_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))
"""0.01, 0.02 … 81.92: the convention's."""
OTEL_NAMES: Final = {"gemini": "gcp.gemini", "xai": "x_ai", "mistral": "mistral_ai"}
"""The convention's well-known provider names where they are not ours. It has none for nvidia and ollama."""


class LLMMetrics:
    """Registered on the registry given. `operations`: those that get series of their own, all others are `other`."""

    def __init__(self, registry: CollectorRegistry, *, operations: Iterable[str]) -> None:
        self._operations = frozenset(operations)
        self._models: set[tuple[str, str]] = set()
        convention = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
        ours = ("provider", "model", "operation")
        r = registry
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of one model call.",
            (*convention, "gen_ai_token_type"),
            buckets=TOKEN_BUCKETS,
            registry=r,
        )
        self.seconds = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Duration of one model call.",
            (*convention, "error_type"),
            buckets=SECOND_BUCKETS,
            registry=r,
        )
        self.cost = Counter(
            "worker_llm_cost_usd", "Cost of model calls in US dollars, as far as prices are known.", ours, registry=r
        )
        self.calls = Counter("worker_llm_calls", "Model calls by outcome.", (*ours, "outcome"), registry=r)
        self.unpriced = Counter(
            "worker_llm_unpriced_calls", "Model calls that used tokens at an unknown price.", ours, registry=r
        )
        self.lost = Counter("worker_llm_calls_lost", "Records of model calls that are in no ledger.", registry=r)
        self._registry = registry

    def observe(self, attempt: Attempt) -> None:
        """Count one attempt."""
        provider, model = self._target(attempt)
        operation = attempt.purpose.operation if attempt.purpose.operation in self._operations else OTHER
        kind = _EMBEDDINGS if attempt.purpose.operation == "embedding" else "chat"
        chat = (kind, OTEL_NAMES.get(provider, provider), model)
        ours = (provider, model, operation)
        self.calls.labels(*ours, attempt.outcome).inc()
        # An empty label is an absent one, as the convention has it for calls that succeeded.
        self.seconds.labels(*chat, "" if attempt.outcome == "ok" else attempt.outcome).observe(attempt.seconds)
        if attempt.usage is not None:
            self.tokens.labels(*chat, "input").observe(attempt.usage.input_tokens)
            if kind != _EMBEDDINGS:
                self.tokens.labels(*chat, "output").observe(attempt.usage.output_tokens)
        if attempt.cost_usd is not None:
            self.cost.labels(*ours).inc(float(attempt.cost_usd))
        elif attempt.usage is not None:
            self.unpriced.labels(*ours).inc()

    def watch_providers(self, states: Callable[[], Mapping[str, str]]) -> None:
        """Show the state of each provider, asked for at every scrape: rests end without anybody doing anything."""
        self._registry.register(_ProviderStates(states))

    def watch_budget(self) -> Callable[[Decimal], None]:
        """Add the gauge of what is left of the daily budget; the function returned sets it."""
        gauge = Gauge(
            "worker_llm_budget_left_usd",
            "What is left of today's budget, as of this worker's last call.",
            registry=self._registry,
        )
        gauge.set(float("nan"))  # unknown until the first call; 0 would raise an alarm
        return lambda left: gauge.set(float(left))

    def _target(self, attempt: Attempt) -> tuple[str, str]:
        provider, model = attempt.target
        if provider not in PROVIDERS:
            return OTHER, OTHER
        if (provider, model) not in self._models:
            if len(self._models) >= MODELS_MAX:
                return provider, OTHER
            self._models.add((provider, model))
        return provider, model


class _ProviderStates(Collector):
    def __init__(self, states: Callable[[], Mapping[str, str]]) -> None:
        self._states = states

    def describe(self) -> Iterable[Metric]:
        """Without it, registering would ask for the states before there are any."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        family = self._family()
        for provider, state in sorted(self._states().items()):
            family.add_metric([provider, state], 1)
        return [family]

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "worker_llm_provider_state",
            "1 for the state each provider is in (ready, resting, half_open, open, left_out).",
            labels=["provider", "state"],
        )
