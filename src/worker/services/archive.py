"""The archive's part of the janitor's work: mentions that are old leave MongoDB, by brand and day, and stay known.

A day is archived when all of it is older than MENTIONS_HOT_DAYS, in parts of bounded size, so that memory does not grow
with the amount. What comes late becomes another part. A day that cannot be archived (a damaged block) does not keep
the others from it; an archive that cannot be written does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..cpu import Cpu
from ..errors import WorkerError
from ..janitor_seams import Run
from ..logging import get_logger
from ..pipeline.archive_block import ArchiveDamaged
from ..raw_storage import Raw, decoded, id_bytes
from .archive_books import ArchiveBooks
from .archive_days import Days
from .archive_parts import ArchiveParts
from .archive_records import OldDay, Part, PartState
from .archive_store import ArchiveMissing, ArchiveStore

log = get_logger(__name__)

PART_MENTIONS: Final = 2_500
"""Blocks of 500 mentions come out 7.5 times smaller, of 1,667 7.9, of 5,000 8.2. A process that archives parts of 2,500
peaks at 102 MB for a day of 12,000 and 109 for one of 40,000 (the code alone is 70). Where a model writes summaries,
the packages that ask it come on top: 161 MB with OpenAI's, all in all."""
PART_BYTES: Final = 4 << 20
"""Of BSON, usual mentions being of 1.2 kB: a part of long ones takes no more memory than one of many."""
_WINDOW_MENTIONS: Final = 1_000
"""Mentions of a window of a large day, on average."""
_EXPIRED_AT_ONCE: Final = 200
_ABANDONED: Final = timedelta(days=1)
"""A block that was not recorded within a day never will be: its janitor would have lost its lock long ago."""


class ArchiveTrouble(WorkerError):
    """Some days could not be archived; the message counts them and says what is wrong with the first."""

    code = "ARCHIVE_INCOMPLETE"


@dataclass(slots=True)
class _Tally:
    """What a run has done so far."""

    mentions: int = 0
    days: int = 0
    parts: int = 0
    raw_bytes: int = 0
    bytes: int = 0
    finished: int = 0
    expired: int = 0
    summaries: int = 0
    swept: int = 0


class ArchiveStep:
    """`janitor_seams.Step`. Built once per run."""

    name: Final = "archive"

    def __init__(
        self,
        books: ArchiveBooks,
        store: ArchiveStore,
        cpu: Cpu,
        days: Days,
        *,
        clock: Callable[[], datetime],
        hot_days: int,
        keep_days: int = 0,
        part_mentions: int = PART_MENTIONS,
        part_bytes: int = PART_BYTES,
    ) -> None:
        """`keep_days`: age at which archived mentions are deleted for good; 0 is never."""
        self._books = books
        self._parts = ArchiveParts(books, store, cpu, clock=clock)
        self._days = days
        self._hot = timedelta(days=hot_days)
        self._keep = timedelta(days=keep_days) if keep_days else None
        self._part_mentions = part_mentions
        self._part_bytes = part_bytes
        self._tally = _Tally()
        self._troubles: list[WorkerError] = []

    async def run(self, run: Run) -> dict[str, Any]:
        """The report: `mentions_archived` and `days` (what would be, when dry), `parts`, `bytes_before` (BSON),
        `bytes_after` (blocks), `ratio` (null when nothing was packed), `parts_finished` of runs that were cut short,
        `summaries`, `parts_expired`, `blocks_swept` (of janitors that were killed before they recorded them),
        `days_held` (brought back, left alone), `cutoff` (first day that stays).

        Raises:
            ArchiveTrouble: some days could not be archived; the others were.
            ArchiveUnavailable, StorageUnavailable: try again later; nothing is lost.
        """
        self._tally, self._troubles = _Tally(), []
        # The whole of a day must be old: today minus the hot days, from its midnight on, stays.
        cutoff = (run.now - self._hot).replace(hour=0, minute=0, second=0, microsecond=0)
        held = await self._books.held(run.now)
        days = [one for one in await self._books.old_days(cutoff) if (one.brand, one.day) not in held]
        if run.dry_run:
            self._tally.mentions, self._tally.days = sum(one.mentions for one in days), len(days)
        else:
            await self._books.ensure_indexes()
            await self._finish_parts(run, held)
            await self._archive(days, run)
            await self._close_days(run, held)
            await self._expire(run)
            self._tally.swept = await self._parts.sweep(run.now - _ABANDONED, run.fence)
        if self._troubles:
            first = self._troubles[0].message
            raise ArchiveTrouble(
                f"{len(self._troubles)} problem(s) in the archive, the first: {first}; "
                f"{self._tally.mentions} mentions of other days were archived"
            )
        return self._report(cutoff, held)

    async def _archive(self, days: Sequence[OldDay], run: Run) -> None:
        run.progress.total(self.name, sum(one.mentions for one in days))
        for one in days:
            try:
                await self._day(one, run)
                self._tally.days += 1
            except (ArchiveDamaged, ArchiveMissing) as error:
                self._trouble(error, one.brand, one.day)
            else:
                self._tally.summaries += await self._close(one.brand, one.day)

    async def _day(self, old: OldDay, run: Run) -> None:
        brand, day, windows = old.brand, old.day, 1 + old.mentions // _WINDOW_MENTIONS
        await self._books.open_day(brand, day)
        after: tuple[datetime, Any] | None = None
        while True:
            found = await self._books.mentions(
                brand, day, after=after, count=self._part_mentions, size=self._part_bytes, windows=windows
            )
            if not found:
                return
            after = decoded(found[-1].bson)["created_at"], found[-1].id
            new = await self._not_yet_archived(found, run)
            if new:
                part = await self._parts.put_away(brand, day, new, run.fence)
                self._add(part)
            run.progress.advance(self.name, len(found))

    async def _not_yet_archived(self, found: Sequence[Raw], run: Run) -> list[Raw]:
        """Those the archive does not hold as they are. Of days that were brought back, and of runs that were cut short
        in a day that was held, it does: they only have to leave."""
        taken = await self._books.taken([one.id for one in found])
        if not taken:
            return list(found)
        parts = await self._books.parts_by_number(sorted(set(taken.values())))
        for part in parts.values():
            if part.state is PartState.EXPIRED:
                continue
            loaded = await self._parts.load(part)
            if part.state is PartState.DONE:
                await self._parts.clear(loaded.documents, run.fence)
            else:
                await self._parts.finish(loaded, run.fence)
        known = [one for one in found if id_bytes(one.id) in taken]
        left = {id_bytes(one) for one in await self._books.unchanged(known)}
        return [one for one in found if id_bytes(one.id) not in taken or id_bytes(one.id) in left]

    async def _finish_parts(self, run: Run, held: set[tuple[str, str]]) -> None:
        """Parts of runs that were cut short."""
        for part in await self._books.unfinished():
            if (part.brand, part.day) in held:
                continue
            try:
                await self._books.open_day(part.brand, part.day)
                await self._parts.finish(await self._parts.load(part), run.fence)
                self._tally.finished += 1
            except (ArchiveDamaged, ArchiveMissing) as error:
                self._trouble(error, part.brand, part.day)

    async def _close_days(self, run: Run, held: set[tuple[str, str]]) -> None:
        """Days of runs that were cut short, and those in which something was damaged."""
        for brand, day in await self._books.open_days():
            if (brand, day) not in held:
                await run.fence.hold()  # a model may take its time over each, and somebody may want an end
                self._tally.summaries += await self._close(brand, day)

    async def _close(self, brand: str, day: str) -> bool:
        try:
            return await self._days.close(brand, day, self._parts)
        except (ArchiveDamaged, ArchiveMissing) as error:
            self._trouble(error, brand, day)
            return False

    async def _expire(self, run: Run) -> None:
        if self._keep is None:
            return
        before = (run.now - self._keep).date().isoformat()
        while found := await self._books.older(before, _EXPIRED_AT_ONCE):
            troubled = 0
            for part in found:
                try:
                    await self._parts.expire(part, run.fence)
                    self._tally.expired += 1
                except ArchiveMissing:
                    await self._parts.expire_missing(part)
                except ArchiveDamaged as error:
                    troubled += 1
                    self._trouble(error, part.brand, part.day)
            if troubled:
                return

    def _add(self, part: Part) -> None:
        self._tally.parts += 1
        self._tally.mentions += part.count
        self._tally.raw_bytes += part.raw_bytes
        self._tally.bytes += part.bytes

    def _trouble(self, error: WorkerError, brand: str, day: str) -> None:
        log.error("a day could not be archived", brand=brand, day=day, problem=error.message)
        self._troubles.append(error)

    def _report(self, cutoff: datetime, held: set[tuple[str, str]]) -> dict[str, Any]:
        done = self._tally
        return {
            "mentions_archived": done.mentions,
            "days": done.days,
            "parts": done.parts,
            "bytes_before": done.raw_bytes,
            "bytes_after": done.bytes,
            "ratio": round(done.raw_bytes / done.bytes, 2) if done.bytes else None,
            "parts_finished": done.finished,
            "summaries": done.summaries,
            "parts_expired": done.expired,
            "blocks_swept": done.swept,
            "days_held": len(held),
            "cutoff": cutoff.date().isoformat(),
        }
