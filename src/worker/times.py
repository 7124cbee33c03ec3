"""Reading and writing times. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MS: Final = 100_000_000_000
"""Numbers below this are epoch seconds (until the year 5138), above it milliseconds (from March 1973)."""
_MAX_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last moment a datetime can hold
_MAX_TEXT: Final = 64
_TWITTER: Final = "%a %b %d %H:%M:%S %z %Y"


def parse_time(value: Any) -> datetime | None:
    """A moment in UTC from ISO 8601, RFC 2822, Twitter's form, epoch seconds or milliseconds (number or text).

    A text without a zone is UTC. None when it cannot be read; never "now".
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _from_epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > _MAX_TEXT:
        return None
    try:
        return _from_epoch(float(text))
    except ValueError:
        return _from_text(text)


def from_ms(ms: int) -> datetime:
    """A moment from epoch milliseconds."""
    return EPOCH + timedelta(milliseconds=ms)


def to_ms(when: datetime) -> int:
    """Epoch milliseconds of a moment."""
    return (when - EPOCH) // timedelta(milliseconds=1)


def iso(when: datetime) -> str:
    """ISO 8601 with milliseconds and Z, the form every consumer of the platform parses."""
    return iso_ms(to_ms(when))


def iso_ms(ms: int) -> str:
    """The same for epoch milliseconds. Each task writes three, most of them of the same second."""
    seconds, rest = divmod(ms, 1000)
    return f"{_iso_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _iso_second(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def _from_epoch(number: float) -> datetime | None:
    ms = number * 1000 if abs(number) < _SECONDS_MS else number
    if not 0 < ms <= _MAX_MS:  # 0 and negative numbers are "unset", not 1970; NaN fails both comparisons
        return None
    return datetime.fromtimestamp(ms / 1000, UTC)


def _from_text(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime, _twitter):
        try:
            when = read(text)
        except (ValueError, IndexError, TypeError, OverflowError):
            continue
        try:
            return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        except OverflowError:
            return None
    return None


def _twitter(text: str) -> datetime:
    return datetime.strptime(text, _TWITTER)  # noqa: DTZ007 - the form ends with the zone
