"""What the archive's books hold: parts, days, and how far each has come. Pure.

A part is a block and what is counted of it; a day is a brand's UTC day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ..storage import Document

PARTS: Final = "archive_parts"
HISTORY: Final = "historical_summaries"
FIELDS: Final = ("brand", "day", "count", "bytes", "raw_bytes", "sha256", "first_id", "last_id")
"""Of a part, as they stand in its document."""


class PartState(StrEnum):
    """How far a part has come; it only goes on, but for one that expired and whose mentions come back."""

    PLANNED = "planned"
    """Its block may be in the archive, or half of it: nothing depends on it. Written down first, so that what a killed
    janitor leaves behind in the archive is known."""
    WRITTEN = "written"
    """Its block is in the archive, verified. Its mentions are all at hand, and counted there."""
    SEALED = "sealed"
    """It is known what is counted of it; from here on its mentions count here, and those at hand are copies."""
    DONE = "done"
    """Its mentions have left MongoDB."""
    EXPIRED = "expired"
    """Its block has been deleted (ARCHIVE_KEEP_DAYS); what was counted stays."""


class DayState(StrEnum):
    """Whether a day's figures are settled."""

    OPEN = "open"
    """Parts have been added since it was closed."""
    CLOSED = "closed"
    """Its figures are the sum of its parts, and it has a summary."""


COUNTED: Final = (PartState.SEALED, PartState.DONE, PartState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a day. `name` is where it lies; `number` (64 bits of `sha256`) is how stones name it."""

    name: str
    brand: str
    day: str
    count: int
    bytes: int
    raw_bytes: int
    sha256: str
    first_id: str
    last_id: str
    state: PartState = PartState.WRITTEN

    @property
    def number(self) -> int:
        return int.from_bytes(bytes.fromhex(self.sha256[:16]), "big", signed=True)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Part:
        fields = {name: document[name] for name in FIELDS}
        return cls(name=document["_id"], state=PartState(document["state"]), **fields)


@dataclass(frozen=True, slots=True)
class OldDay:
    """A brand's UTC day with mentions at hand."""

    brand: str
    day: str
    mentions: int


def day_bounds(day: str) -> tuple[datetime, datetime]:
    """Beginning of a UTC day (YYYY-MM-DD) and of the next. Raises `ValueError` for anything else."""
    found = date.fromisoformat(day)
    if found.isoformat() != day:  # it also reads 20260301 and 2026-W09-7
        raise ValueError(f"{day!r} is not of the form YYYY-MM-DD")
    begin = datetime(found.year, found.month, found.day, tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def within(begin: datetime, end: datetime) -> Document:
    """From `begin` on, before `end`. Times in MongoDB are whole milliseconds, so that this is what `$gte` would say;
    the embedded server leaves the bound itself out where an index is in descending order."""
    return {"$gt": begin - timedelta(milliseconds=1), "$lt": end}


def day_id(brand: str, day: str) -> str:
    return f"{brand}:{day}"
