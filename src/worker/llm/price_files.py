"""Reading price tables: strictly, with errors that name the entry. Files of own prices have the form of `prices.json`.

    {"prices": [{"provider": "nvidia", "model": "nvidia/llama-3.1-nemotron-70b-instruct",
                 "input": 0.6, "output": "0.6", "date": "2025-11", "source": "our contract"}]}

`cached`, `cache_write`, `aliases`, `source` and `tiers` (`{"above": 200000, "input": …, "output": …}`) may be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from ..config_llm import PROVIDERS
from ..errors import ConfigError
from .prices import Price, Prices, Rate, Tier, built_in_table

_HIGHEST: Final = Decimal(1_000_000)
"""Dollars per million tokens, one dollar per token: anything above is a slip of the unit."""
_MAX_DECIMALS: Final = 12
"""With these bounds every cost has at most 28 digits, which Decimal calculates exactly without being told to."""
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_RATES: Final = ("input", "output", "cached", "cache_write")
_TIER_FIELDS: Final = frozenset({"above", *_RATES})
_FIELDS: Final = frozenset({"provider", "model", "aliases", "date", "source", "tiers", *_RATES})


class _Wrong(Exception):
    """What is wrong with one entry."""


def load_prices(own: Path | None) -> Prices:
    """The package's table and, before it, the operator's own file.

    Raises:
        ConfigError: one line that names LLM_PRICES_FILE, the entry and what is wrong with it.
    """
    table = read_table(built_in_table(), "prices.json", default_source="")
    if own is None:
        return Prices(table)
    try:
        raw = own.read_bytes()
    except OSError as error:
        raise ConfigError(f"LLM_PRICES_FILE: cannot be read: {error.strerror or error}") from error
    return Prices(table, read_table(raw, "LLM_PRICES_FILE", default_source=own.name))


def read_table(raw: bytes, name: str, *, default_source: str) -> list[Price]:
    """All prices of a table, in its order. `default_source` stands in for entries that name none; empty: they must.

    Raises:
        ConfigError: names the table, the entry and what is wrong.
    """
    try:
        document = json.loads(
            raw.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object
        )
        if not isinstance(document, dict) or not isinstance(document.get("prices"), list):
            raise _Wrong('must be a JSON object with a list "prices"')
        if unknown := sorted(set(document) - {"prices", "note"}):
            raise _Wrong(f"unknown field {unknown[0]!r}")
    except (UnicodeDecodeError, ValueError, RecursionError, _Wrong) as error:
        raise ConfigError(f"{name}: {error}") from error
    prices: list[Price] = []
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(document["prices"]):
        try:
            price = _price(entry, default_source)
            _only_once(price, seen)
        except _Wrong as wrong:
            raise ConfigError(f"{name}: prices[{index}]{_who(entry)}: {wrong}") from None
        prices.append(price)
    return prices


def _refuse(constant: str) -> None:
    raise _Wrong(f"{constant} is no price")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different: of two prices the reader would silently take the last."""
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Wrong(f"the field {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return out


def _who(entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        return ""
    return f" ({str(entry.get('provider'))[:30]}/{entry['model'][:80]})"


def _price(entry: Any, default_source: str) -> Price:
    _checked_object(entry, _FIELDS)
    provider = _text(entry, "provider").lower()
    if provider not in PROVIDERS:
        raise _Wrong(f"provider: {provider[:30]!r} is none; known are {', '.join(PROVIDERS)}")
    date = _text(entry, "date")
    if not _DATE.fullmatch(date):
        raise _Wrong("date: must be YYYY-MM or YYYY-MM-DD")
    rate = _rate(entry, None)
    tiers = _tiers(entry.get("tiers", []), rate)
    return Price(
        provider,
        _text(entry, "model"),
        rate,
        date,
        default_source if default_source and "source" not in entry else _text(entry, "source"),
        tiers,
        _aliases(entry.get("aliases", [])),
        cached_assumed=any("cached" not in part for part in (entry, *entry.get("tiers", []))),
    )


def _checked_object(value: Any, known: frozenset[str]) -> None:
    if not isinstance(value, dict):
        raise _Wrong("must be an object")
    if unknown := sorted(set(value) - known):
        raise _Wrong(f"unknown field {unknown[0][:50]!r}; known are {', '.join(sorted(known))}")


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _Wrong(f"{name}: " + ("is required" if value is None else "must be text that is not empty"))
    return value.strip()


def _aliases(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise _Wrong("aliases: must be a list of names")
    return tuple(name.strip() for name in value)


def _rate(entry: Mapping[str, Any], below: Rate | None) -> Rate:
    """Prices of one entry, or of a tier above `below`. Where no cache price is named, cached input costs full input."""
    asked, answered = _amount(entry, "input"), _amount(entry, "output")
    cached = _amount(entry, "cached") if "cached" in entry else asked
    if "cache_write" in entry:
        return Rate(asked, answered, cached, _amount(entry, "cache_write"))
    if below is not None and below.cache_write != below.input:
        raise _Wrong("cache_write: is required in a tier of a model that has one")
    return Rate(asked, answered, cached, asked)


def _amount(entry: Mapping[str, Any], name: str) -> Decimal:
    value = entry.get(name)
    if value is None:
        raise _Wrong(f"{name}: is required")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _Wrong(f"{name}: must be a number")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise _Wrong(f"{name}: {str(value)[:30]!r} is no number") from None
    if not amount.is_finite():
        raise _Wrong(f"{name}: must be a finite number")
    if not 0 <= amount <= _HIGHEST:
        raise _Wrong(f"{name}: must be from 0 to {_HIGHEST:,} US dollars per million tokens")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _MAX_DECIMALS:
        raise _Wrong(f"{name}: has more than {_MAX_DECIMALS} decimals")
    return abs(amount)  # "-0" is allowed and means 0


def _tiers(value: Any, base: Rate) -> tuple[Tier, ...]:
    if not isinstance(value, list):
        raise _Wrong("tiers: must be a list")
    tiers: list[Tier] = []
    for index, entry in enumerate(value):
        try:
            _checked_object(entry, _TIER_FIELDS)
            above = entry.get("above")
            if isinstance(above, bool) or not isinstance(above, int) or above < 1:
                raise _Wrong("above: must be a whole number from 1")
            if tiers and above <= tiers[-1].above:
                raise _Wrong("above: must rise from tier to tier")
            tiers.append(Tier(above, _rate(entry, base)))
        except _Wrong as wrong:
            raise _Wrong(f"tiers[{index}].{wrong}") from None
    return tuple(tiers)


def _only_once(price: Price, seen: set[tuple[str, str]]) -> None:
    for name in (price.model, *price.aliases):
        key = (price.provider, name.lower())
        if key in seen:
            raise _Wrong(f"{name!r} has a price already")
        seen.add(key)
