"""Archived days brought back: every mention byte for byte as it was, left alone by the janitor for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..errors import InvalidTask, WorkerError
from .archive_books import ArchiveBooks
from .archive_parts import ArchiveParts
from .archive_records import Part, PartState, day_bounds

HELD_DAYS: Final = 7
"""A day that is brought back is looked at by somebody, this week; then the janitor puts it away again, for it is in the
archive still."""


class NotArchived(WorkerError):
    """There is nothing of that day that could be brought back."""

    code = "NOT_ARCHIVED"


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a day. `changed`: mentions at hand with another content than in the archive, left untouched."""

    brand: str
    day: str
    parts: int
    mentions: int
    """In the archive."""
    inserted: int
    present: int
    """At hand already, byte for byte."""
    changed: int
    held_until: datetime

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "held_until": self.held_until.isoformat()}


class Restorer:
    """To be used by whoever holds the janitor's lock: a janitor at work on the same day would put it away again."""

    def __init__(self, books: ArchiveBooks, parts: ArchiveParts, *, clock: Callable[[], datetime]) -> None:
        self._books = books
        self._parts = parts
        self._clock = clock

    async def restore(self, brand: str, day: str) -> Restored:
        """Bring a day back. All of its blocks are checked before the first mention is inserted; again is no error.

        Raises:
            InvalidTask: `day` is none.
            NotArchived: nothing of that day is in the archive, or not any more.
            ArchiveDamaged, ArchiveMissing: a block cannot be trusted; nothing was inserted.
            ArchiveUnavailable, StorageUnavailable: try again; what has been inserted is found then.
        """
        parts = await self._checked(brand, day)
        until = self._clock() + timedelta(days=HELD_DAYS)
        await self._books.hold_day(brand, day, until)  # before the first mention is back, or a janitor might take it
        inserted = same = mentions = 0
        for part in parts:
            loaded = await self._parts.load(part)
            inserted += await self._books.put_back(loaded.documents)
            same += len(await self._books.unchanged(loaded.documents))
            mentions += part.count
        # A mention that was archived twice, in two versions, comes back in the first.
        return Restored(brand, day, len(parts), mentions, inserted, same - inserted, mentions - same, until)

    async def _checked(self, brand: str, day: str) -> list[Part]:
        try:
            day_bounds(day)
        except ValueError:
            raise InvalidTask("day", "must be of the form YYYY-MM-DD") from None
        parts = await self._books.parts_of(brand, day)
        if not parts:
            raise NotArchived(f"nothing of {brand} on {day} is in the archive")
        there = [part for part in parts if part.state is not PartState.EXPIRED]
        if not there:
            raise NotArchived(f"what was archived of {brand} on {day} has been deleted for good (ARCHIVE_KEEP_DAYS)")
        for part in there:
            await self._parts.load(part)
        return there
