"""A brand's history by days, across mentions at hand and in the archive, each counted once whatever the janitor is at.

A part of the archive counts from the moment it is sealed; mentions at hand count unless their stone says that they are
in a part that counts. When a part was sealed while a day's mentions were read, the day is read again: otherwise, what
has left MongoDB meanwhile would be in neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from ..cpu import Cpu
from ..errors import StorageUnavailable
from ..pipeline.archive_sums import FIELDS, Sums, sums_of
from ..raw_storage import id_bytes, patient
from ..storage import MENTIONS, Document, Storage
from .archive_books import ArchiveBooks
from .archive_records import DayState, Part, day_bounds, within
from .day_events import DayEvents

SLICE: Final = 200
"""Mentions counted in one go, off the event loop: some 2 ms, and as few in memory."""
HOT_PER_PAGE: Final = 100_000
"""Mentions at hand that one page counts before it ends, whatever its limit: some five seconds of reading."""
WALK_DAYS: Final = 200
"""Days one page looks at, those without any mention among them."""
_READ_SEC: Final = 60.0
_TRIES: Final = 3
"""A part of 5,000 mentions takes the janitor a second or more, reading them again takes less."""


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """`mentions_hot`: at hand and in no part; `parts`: those that count."""

    day: str
    sums: Sums
    mentions_hot: int
    parts: tuple[Part, ...]
    events: Document
    record: Document | None
    """The day in `historical_summaries`; None for one of which nothing is archived."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first; `following` is the day to go on with, None on the last page."""

    days: list[HistoryDay]
    following: str | None


class History:
    """Raises `StorageUnavailable` when waiting may help."""

    def __init__(self, storage: Storage, cpu: Cpu, *, hot_per_page: int = HOT_PER_PAGE) -> None:
        self._storage = storage
        self._cpu = cpu
        self._books = ArchiveBooks(storage)
        self._events = DayEvents(storage)
        self._hot_per_page = hot_per_page

    async def page(self, brand: str, *, since: date, until: date, limit: int) -> HistoryPage:
        """Days from `until` back to `since`, both included, on which somebody wrote; `limit` of them at most."""
        found: list[HistoryDay] = []
        read = 0
        day, oldest = until, max(since, until - timedelta(days=WALK_DAYS - 1))
        silent = 1  # days looked at in one go: a brand's silence must not cost three queries for each of its days
        while day >= oldest:
            if len(found) == limit or read >= self._hot_per_page:
                return HistoryPage(found, day.isoformat())
            first = max(oldest, day - timedelta(days=silent - 1))
            if first < day:
                if await self._anything(brand, first, day):
                    silent = ((day - first).days + 1) // 2
                else:
                    day, silent = first - timedelta(days=1), 2 * silent
                continue
            one, seen = await self._one(brand, day.isoformat())
            read += seen
            if one is not None:
                found.append(one)
            day, silent = day - timedelta(days=1), 2 if one is None else 1
        return HistoryPage(found, day.isoformat() if day >= since else None)

    async def _anything(self, brand: str, first: date, last: date) -> bool:
        """Whether somebody wrote on one of these days. Mentions are looked for first: they go only after their part
        counts."""
        begin, end = day_bounds(first.isoformat())[0], day_bounds(last.isoformat())[1]
        async with patient("look for mentions", _READ_SEC):
            query = {"brand": brand, "created_at": within(begin, end)}
            hot = await self._storage.collection(MENTIONS).find_one(query, {"_id": 1})
        return hot is not None or await self._books.counted_within(brand, first.isoformat(), last.isoformat())

    async def day(self, brand: str, day: str) -> HistoryDay | None:
        """One day; None when nobody wrote on it. Raises `ValueError` for a text that is no day."""
        day_bounds(day)
        return (await self._one(brand, day))[0]

    async def _one(self, brand: str, day: str) -> tuple[HistoryDay | None, int]:
        """The day, and how many mentions at hand had to be read for it."""
        for _ in range(_TRIES):
            parts = (await self._books.sums(brand, [day])).get(day, [])
            numbers = {part.number for part, _ in parts}
            total, seen = await self._at_hand(brand, day, numbers)
            if await self._books.counted_numbers(brand, day) == numbers:
                return await self._made(brand, day, total, parts), seen
        raise StorageUnavailable(f"{day} of {brand} is being archived at this moment; ask again", not_before_sec=5.0)

    async def _made(self, brand: str, day: str, total: Sums, parts: Sequence[tuple[Part, Sums]]) -> HistoryDay | None:
        hot = total.mentions
        for _, sums in parts:
            total.merge(sums)
        if not total.mentions:
            return None
        record = await self._books.day(brand, day) if parts else None
        # Leads, spikes and crises go after 400 days by themselves: of an archived day, what was known then is told.
        if record is not None and record["state"] == DayState.CLOSED.value:
            events = record["events"]
        else:
            events = await self._events.of(brand, day)
        return HistoryDay(day, total, hot, tuple(part for part, _ in parts), events, record)

    async def _at_hand(self, brand: str, day: str, numbers: set[int]) -> tuple[Sums, int]:
        """Sums of the mentions at hand that are in none of these parts, and how many were read."""
        begin, end = day_bounds(day)
        query = {"brand": brand, "created_at": within(begin, end)}
        total, seen = Sums(), 0
        async with patient("read the mentions of a day", _READ_SEC):
            cursor = self._storage.collection(MENTIONS).find(query, dict.fromkeys(FIELDS, 1), batch_size=SLICE)
            while found := await cursor.to_list(SLICE):
                seen += len(found)
                taken = await self._books.taken([one["_id"] for one in found]) if numbers else {}
                elsewhere = {key for key, number in taken.items() if number in numbers}
                total.merge(await self._cpu.run(_sums, found, elsewhere))
                found = []  # or these stay while the next ones are read
        return total, seen


def _sums(documents: Sequence[Document], elsewhere: set[bytes]) -> Sums:
    if elsewhere:
        documents = [one for one in documents if id_bytes(one["_id"]) not in elsewhere]
    return sums_of(documents)
