"""What a call costs. Decimal throughout: no float, no rounding, and an unknown price is None, never zero.

The table of the package is `prices.json`; a file of own prices (`LLM_PRICES_FILE`) has the same form and wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final

from .exchange import Target, Usage

PER_MILLION: Final = -6
"""Prices are per 10^6 tokens: an exponent, so that scaling is exact."""
OPEN_OUTPUT_TOKENS: Final = 128_000
"""Output set aside for a request that names no maximum: the most a model of the table writes in one answer (gpt-5)."""
ANY_MODEL: Final = "*"
_VARIANT: Final = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest|00\d)$")
"""Ends that name a version of a model without changing its price: a full date, `latest`, Google's `-001`. Short dates
(`-2409`, `-05-20`) do not count: providers changed prices between such versions; the table lists those it means."""
_HOSTED_OLLAMA: Final = re.compile(r"[:-]cloud$")
"""Models that an Ollama server passes on to Ollama's own machines: not local, not free."""


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens, cached input at full price where no other is known."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """The rate of a whole request whose input has more than `above` tokens."""

    above: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one model at one provider, in US dollars."""

    provider: str
    model: str
    """`*`: every model of the provider that runs on the operator's own machine."""
    rate: Rate
    date: str
    """ISO month or day for which the figure is known."""
    source: str
    """Who says so: the name of a public page, or of the operator's file."""
    tiers: tuple[Tier, ...] = ()
    """By rising `above`."""
    aliases: tuple[str, ...] = ()
    cached_assumed: bool = False
    """No price of cached input is known: it counts as full input, so a cost may be too high, never too low."""

    @property
    def id(self) -> str:
        """What records carry: provider, model and date, and whether cached tokens went at full price."""
        assumed = "+cached-at-full-price" if self.cached_assumed else ""
        return f"{self.provider}/{self.model}@{self.date}{assumed}"

    def rate_for(self, input_tokens: int) -> Rate:
        rate = self.rate
        for tier in self.tiers:
            if input_tokens > tier.above:
                rate = tier.rate
        return rate


def cost(usage: Usage | None, price: Price | None) -> Decimal | None:
    """What the tokens cost in US dollars, exactly: one token at 0.15 per million is 0.00000015.

        plain input · input + cached · cached price + cache writes · write price + output · output price

    where plain input = input - cached - cache writes (`Usage.input_tokens` holds all three). None when either is
    unknown.
    """
    if usage is None or price is None:
        return None
    rate = price.rate_for(usage.input_tokens)
    # A provider that reports more cached tokens than input counts them beside it; a negative rest would be a discount.
    plain = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
    total = (
        plain * rate.input
        + usage.cached_tokens * rate.cached
        + usage.cache_write_tokens * rate.cache_write
        + usage.output_tokens * rate.output
    )
    return total.scaleb(PER_MILLION)


def ceiling(price: Price | None, input_tokens: int, max_tokens: int | None) -> Decimal | None:
    """The most a call can cost in US dollars: all input at the dearest input price, all output that is allowed.

    `input_tokens` is an estimate and may stand just below the border of a dearer tier, which then counts.
    """
    if price is None:
        return None
    output_tokens = OPEN_OUTPUT_TOKENS if max_tokens is None else max_tokens
    most = max(
        input_tokens * max(rate.input, rate.cached, rate.cache_write) + output_tokens * rate.output
        for rate in _reachable(price, input_tokens)
    )
    return most.scaleb(PER_MILLION)


def _reachable(price: Price, input_tokens: int) -> Iterable[Rate]:
    """Rates that apply if the input turns out up to twice as long as estimated."""
    return (price.rate, *(tier.rate for tier in price.tiers if 2 * input_tokens > tier.above))


class Prices:
    """Prices by model; implements `seams.Money`. Own prices stand before the table's."""

    def __init__(self, table: Iterable[Price], own: Iterable[Price] = ()) -> None:
        self._table, self._own = _index(table), _index(own)

    def find(self, target: Target) -> Price | None:
        """The price of a model: by its exact name, else without the end that names a version.

        Never by a common beginning: gpt-4o and gpt-4o-mini are two models, and so are names nobody has listed. An own
        price of a model holds for the other names the table knows it by, too.
        """
        provider, model = target.provider, _plain(target.provider, target.model)
        base = _VARIANT.sub("", model)
        for name in dict.fromkeys((model, base)):
            if (own := self._own.get((provider, name))) is not None:
                return own
            if (listed := self._table.get((provider, name))) is not None:
                return self._own.get((provider, _plain(provider, listed.model)), listed)
        if (own := self._own.get((provider, ANY_MODEL))) is not None:
            return own
        hosted = provider == "ollama" and _HOSTED_OLLAMA.search(model)
        return None if hosted else self._table.get((provider, ANY_MODEL))

    def ceiling(self, target: Target, input_tokens: int, max_tokens: int | None) -> Decimal | None:
        """The most a call can cost; None when the model's price is unknown."""
        return ceiling(self.find(target), input_tokens, max_tokens)

    def cost(self, target: Target, usage: Usage) -> tuple[Decimal, str] | None:
        """What a call has cost and the id of the price that was applied; None when the price is unknown."""
        price = self.find(target)
        amount = cost(usage, price)
        return None if price is None or amount is None else (amount, price.id)


def _index(prices: Iterable[Price]) -> Mapping[tuple[str, str], Price]:
    return {
        (price.provider, _plain(price.provider, name)): price
        for price in prices
        for name in (price.model, *price.aliases)
    }


def _plain(provider: str, model: str) -> str:
    """A model's name as the table writes it: lower case, without Google's resource prefix."""
    name = model.strip().lower()
    return name.removeprefix("models/") if provider == "gemini" else name


@cache
def built_in_table() -> bytes:
    """`prices.json` of the package, as it stands."""
    return resources.files(__package__).joinpath("prices.json").read_bytes()
