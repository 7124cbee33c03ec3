"""How long a provider asks to be left alone, in whatever notation it says so. Pure: the caller gives the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN: Final = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_WHOLE_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+", re.IGNORECASE)
_IN_WORDS: Final = re.compile(
    r"(?:try again|retry|wait)(?:\s+(?:in|after|for))?\s+"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|s|m|h)(?:ec(?:ond)?s?|in(?:ute)?s?)?\s*)+)",
    re.IGNORECASE,
)
_RESETS: Final = ("x-ratelimit-reset", "ratelimit-reset", "anthropic-ratelimit")
# A number this large is a moment (seconds since 1970), not a wait: it would be one of thirty years.
_EPOCH: Final = 1e9


def retry_after(headers: Mapping[str, str], body: Any, text: str, now: datetime) -> float | None:
    """Seconds to wait by the answer's own word, never negative; None where it says nothing that can be read.

    In this order: `retry-after-ms` (milliseconds), `retry-after` (seconds, also with a fraction or a unit, or an HTTP
    date), `retryDelay` of Google's RetryInfo, the rate-limit headers of what is used up, and only then words such as
    "try again in 20s".

    Args:
        headers: names in lower case.
        body: the decoded JSON body, or None.
        text: the body or the error's text.
        now: with a time zone.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for said in (headers.get("retry-after"), _google_delay(body)):
        seconds = _wait(said, now)
        if seconds is not None:
            return seconds
    resets = _reset(headers, now)
    if resets is not None:
        return resets
    words = _IN_WORDS.search(text)
    return None if words is None else _span(words[1])


def _wait(said: str | None, now: datetime) -> float | None:
    """A number of seconds, a span such as `1m30s`, or a moment: HTTP date, ISO 8601, seconds since 1970."""
    if said is None:
        return None
    said = said.strip()
    number = _number(said)
    if number is not None:
        return max(0.0, number - now.timestamp()) if number > _EPOCH else number
    if _WHOLE_SPAN.fullmatch(said):
        return _span(said)
    moment = _moment(said)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _number(said: str | None) -> float | None:
    try:
        number = float(said) if said is not None else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) and number >= 0 else None


def _span(said: str) -> float:
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _SPAN.findall(said))


def _moment(said: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(said)
        except ValueError:
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return None


def _google_delay(body: Any) -> str | None:
    """`error.details[].retryDelay` of google.rpc.RetryInfo, e.g. `27s`. An error may come in a list of one."""
    first = body[0] if isinstance(body, list) and body else body
    error = first.get("error") if isinstance(first, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            return delay
    return None


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """The longest reset among the budgets that are used up; among all, when the answer does not say which are."""
    resets: list[float] = []
    used_up: list[float] = []
    for name, value in headers.items():
        if "reset" not in name or not name.startswith(_RESETS):
            continue
        seconds = _wait(value, now)
        if seconds is None:
            continue
        resets.append(seconds)
        if _number(headers.get(name.replace("reset", "remaining"))) == 0:
            used_up.append(seconds)
    return max(used_up or resets, default=None)
