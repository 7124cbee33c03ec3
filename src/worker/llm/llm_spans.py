"""Spans of model calls, under the names of OpenTelemetry's conventions for generative AI (status: development).

Figures and names only: what was asked and what was answered never enters a trace.
"""

from __future__ import annotations

from ..tracing import here
from .exchange import Attempt, Request
from .llm_metrics import OTEL_NAMES


def describe(attempt: Attempt, request: Request | None = None) -> None:
    """Say on the span that is open here what became of one attempt; nothing where none is recorded. Embeddings have no
    `request` of the form that questions have."""
    span = here()
    if span is None:
        return
    provider, model = attempt.target
    name = OTEL_NAMES.get(provider, provider)
    span.set("gen_ai.operation.name", "chat" if request is not None else "embeddings")
    span.set("gen_ai.provider.name", name)
    span.set("gen_ai.system", name)  # its name until version 1.36 of the conventions, which many backends still read
    span.set("gen_ai.request.model", model)
    if request is not None:
        span.set("gen_ai.request.max_tokens", request.max_tokens)
        span.set("gen_ai.request.temperature", request.temperature)
    span.set("gen_ai.response.model", attempt.served_model)
    span.set("gen_ai.response.finish_reasons", (attempt.stop.value,) if attempt.stop is not None else None)
    span.set("http.response.status_code", attempt.status)
    if attempt.usage is not None:
        span.set("gen_ai.usage.input_tokens", attempt.usage.input_tokens)
        if request is not None:
            span.set("gen_ai.usage.output_tokens", attempt.usage.output_tokens)
        span.set("worker.llm.usage_estimated", attempt.usage.estimated)
    if attempt.cost_usd is not None:
        span.set("worker.llm.cost_usd", float(attempt.cost_usd))
    span.set("worker.llm.operation", attempt.purpose.operation)
    span.set("worker.llm.attempt", attempt.number)
    span.set("worker.llm.repair", attempt.repair)
    if attempt.outcome != "ok":
        span.fail(attempt.outcome)
