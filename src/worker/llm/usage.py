"""Token counts of nine providers in one form. Pure.

What is counted where differs: Anthropic counts cached input beside the input, xAI and Gemini count reasoning beside the
output, the others inside. The rule that needs no list of servers: the total that came along decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exchange import Usage
from .providers import UsageRule


def from_metadata(metadata: Mapping[str, Any] | None, rule: UsageRule) -> Usage | None:
    """`AIMessage.usage_metadata` as Usage. None where nothing was reported; 0 and 0 is how ChatAnthropic says that."""
    if not metadata:
        return None
    into, out = _mapping(metadata, "input_token_details"), _mapping(metadata, "output_token_details")
    written = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    given, reasoning = _count(metadata, "input_tokens"), _count(out, "reasoning")
    output, total = _count(metadata, "output_tokens"), _count(metadata, "total_tokens")
    if rule is UsageRule.REASONING_ADDED and total == given + output - reasoning:
        output -= reasoning  # the server had counted it already
    return _usage(
        given, output, total, reasoning, _count(into, "cache_read"), sum(_count(into, one) for one in written)
    )


def from_openai(usage: Any) -> Usage | None:
    """The `usage` of an OpenAI-style body, as a mapping or as the SDK's object."""
    if usage is not None and not isinstance(usage, Mapping):
        dump = getattr(usage, "model_dump", None)
        usage = dump() if callable(dump) else None
    if not usage:
        return None
    reasoning = _count(_mapping(usage, "completion_tokens_details"), "reasoning_tokens")
    cached = _count(_mapping(usage, "prompt_tokens_details"), "cached_tokens")
    # DeepSeek counts what was read from its cache at the top.
    cached = cached or _count(usage, "prompt_cache_hit_tokens")
    given, output, total = (_count(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    return _usage(given, output, total, reasoning, cached, 0)


def _usage(given: int, output: int, total: int, reasoning: int, cached: int, written: int) -> Usage | None:
    if reasoning and total == given + output + reasoning:
        output += reasoning  # counted beside the output
    if not given and not output:
        return None
    # Parts are parts: a gateway's odd counts must not make a price negative.
    cached = min(cached, given)
    return Usage(given, output, cached, min(written, given - cached), min(reasoning, output))


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _count(holder: Mapping[str, Any], name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) and value > 0 else 0
