"""What a conversation has cost. Decimal inside; floats only where a document needs them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from .errors import ValidationError

_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class ModelCost:
    """US dollars per million tokens.

    Raises:
        ValidationError: a price is negative, NaN, infinite or no number.
    """

    cost_input_per_million: float
    cost_output_per_million: float

    def __post_init__(self) -> None:
        for name in ("cost_input_per_million", "cost_output_per_million"):
            price = getattr(self, name)
            number = isinstance(price, int | float | Decimal) and not isinstance(price, bool)
            if not number or not math.isfinite(price) or price < 0:
                raise ValidationError(f"{name} must be a finite number from 0 on")

    def exact(self, input_tokens: int | None, output_tokens: int | None) -> Decimal:
        """Dollars. No tokens, or fewer than none, cost nothing."""
        return (
            _decimal(self.cost_input_per_million) * max(input_tokens or 0, 0)
            + _decimal(self.cost_output_per_million) * max(output_tokens or 0, 0)
        ) / _MILLION

    def calculate_cost(self, input_tokens: int | None, output_tokens: int | None) -> float:
        return float(self.exact(input_tokens, output_tokens))


@dataclass(frozen=True, slots=True)
class CostSnapshot:
    """Prices, tokens and what they make. `estimated_cost` is not rounded: one token at 0.15 a million is no zero."""

    cost_input_per_million: float
    cost_output_per_million: float
    input_tokens: int
    output_tokens: int
    estimated_cost: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "costInputPerMillion": self.cost_input_per_million,
            "costOutputPerMillion": self.cost_output_per_million,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "estimatedCost": self.estimated_cost,
        }


def calculate_cost(
    input_tokens: int | None,
    output_tokens: int | None,
    cost_input_per_million: float,
    cost_output_per_million: float,
) -> float:
    return ModelCost(cost_input_per_million, cost_output_per_million).calculate_cost(input_tokens, output_tokens)


def create_cost_snapshot(
    input_tokens: int | None,
    output_tokens: int | None,
    cost_input_per_million: float,
    cost_output_per_million: float,
) -> CostSnapshot:
    """Raises `ValidationError` for a price that is none."""
    prices = ModelCost(cost_input_per_million, cost_output_per_million)
    tokens_in, tokens_out = max(input_tokens or 0, 0), max(output_tokens or 0, 0)
    return CostSnapshot(
        float(cost_input_per_million),
        float(cost_output_per_million),
        tokens_in,
        tokens_out,
        prices.calculate_cost(tokens_in, tokens_out),
    )


def estimate_tokens(text: str, model: str | None = None) -> int:
    """About how many tokens a text has; 0 for an empty one. For counts a provider did not give.

    Four characters of ASCII per token and one and a half of everything else: within 35 % of o200k for English, German
    and Chinese; up to three times too high for other scripts. `model` is accepted for callers that have it: loading a
    model's own tokeniser may wait for a download, which a worker never does.
    """
    if not text:
        return 0
    ascii_chars = sum(char.isascii() for char in text)
    return max(1, math.ceil(ascii_chars / 4 + (len(text) - ascii_chars) / 1.5))


def _decimal(price: float | Decimal) -> Decimal:
    # By its shortest decimal form, which is what the price was written as: 0.1 is a tenth.
    return price if isinstance(price, Decimal) else Decimal(str(price))
