"""Relief for a Redis that is over its limit: caches first, then the oldest buckets of feeds, then long feeds.

Only what can be had again goes: caches, and copies of mentions whose authority is MongoDB. A copy is known by a mark
that this worker's entries carry; feeds that an older worker has written may be the only place where its mentions are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from ..janitor_seams import Run
from ..queue_commands import Command
from ..redis_client import RedisClient, RedisRefused
from ..redis_families import Authority, Bound, Classifier, Family, Keep, Known, Relief, fixed_start
from .redis_survey import Look, Pace, length_of, shortened, survey

_TARGET: Final = 0.9
"""Of the limit: a tenth of room, or the next few mentions would need the next relief."""
_BIN_SEC: Final = 3_600
"""Keys are ordered by age in hours: which go is decided from some hundred numbers, not from a list of keys."""
_MARK: Final = "time_source"
"""A field of every entry that this worker writes into feeds (pipeline/enriched.py), and of none that others write."""


class Candidates:
    """How many bytes of each age the survey has seen, per family that may be relieved as a whole."""

    def __init__(self) -> None:
        self._bins: dict[str, dict[int, list[int]]] = {}

    def add(self, look: Look, now: datetime) -> None:
        rank = _rank(look, now)
        if rank is not None:
            entry = self._bins.setdefault(look.known.family.pattern, {}).setdefault(rank, [0, 0])
            entry[0] += 1
            entry[1] += look.size

    def until(self, family: Family, need: int) -> tuple[int | None, int, int]:
        """The youngest hour that has to go so that `need` bytes go, and how many keys and bytes that are."""
        last, keys, size = None, 0, 0
        for rank, (count, held) in sorted(self._bins.get(family.pattern, {}).items()):
            if size >= need:
                break
            last, keys, size = rank, keys + count, size + held
        return last, keys, size


def _rank(look: Look, now: datetime) -> int | None:
    """Hours, the oldest key's first; None for a key that does not go."""
    relief = look.known.family.relief
    if relief is None or relief.shorten_to is not None:
        return None
    if look.known.moment is not None:
        age = (now - look.known.moment).total_seconds()
        return None if age < relief.min_age_sec else int(look.known.moment.timestamp() // _BIN_SEC)
    # Equal lives: what has least of it left is oldest. A cache's entry without an end is the oldest of all.
    return -1 if look.ttl_sec is None else int(look.ttl_sec // _BIN_SEC)


@dataclass(slots=True)
class Relieved:
    """What a relief came to."""

    needed: int
    freed: int = 0
    families: dict[str, dict[str, int]] = field(default_factory=dict)

    def note(self, family: Family, *, keys: int = 0, size: int = 0, others: int = 0) -> None:
        entry = self.families.setdefault(family.pattern, {"keys": 0, "bytes": 0, "not_ours": 0})
        entry["keys"] += keys
        entry["bytes"] += size
        entry["not_ours"] += others
        self.freed += size

    @property
    def enough(self) -> bool:
        return self.freed >= self.needed

    def report(self) -> dict[str, Any]:
        return {"bytes_needed": self.needed, "bytes_freed": self.freed, "families": self.families}


async def relieve(
    client: RedisClient,
    table: Iterable[Family],
    classify: Classifier,
    candidates: Candidates,
    run: Run,
    pace: Pace,
    *,
    used: int,
    limit: int,
) -> Relieved:
    """Free memory until a tenth below the limit, or until nothing is left that may go. In a dry run: what would go.

    Raises:
        QueueUnavailable, LockLost: it ends where it is; every key is either there or gone.
    """
    relieved = Relieved(used - int(limit * _TARGET))
    ordered = sorted(
        ((family.relief.order, family, family.relief) for family in table if family.relief is not None),
        key=lambda item: item[0],
    )
    for _, family, relief in ordered:
        if relieved.enough:
            break
        one = _One(client, classify, family, relief, candidates, run, pace, relieved)
        await (one.evict() if relief.shorten_to is None else one.shorten(relief.shorten_to))
    return relieved


@dataclass(frozen=True, slots=True)
class _One:
    """The relief of one family."""

    client: RedisClient
    classify: Classifier
    family: Family
    relief: Relief
    candidates: Candidates
    run: Run
    pace: Pace
    relieved: Relieved

    async def evict(self) -> None:
        """Whole keys, oldest hours first, as many as are needed."""
        last, _, _ = self.candidates.until(self.family, self.relieved.needed - self.relieved.freed)
        if last is None:
            return
        async with aclosing(self._steps()) as steps:
            async for looks in steps:
                if await self._evict(looks, last):
                    return

    async def _evict(self, looks: Sequence[Look], last: int) -> bool:
        due = [look for look in looks if (rank := _rank(look, self.run.now)) is not None and rank <= last]
        due = await self._copies(due)
        if due and not self.run.dry_run:
            await self.run.fence.hold()
            await self.client.call("UNLINK", *(look.key for look in due))
        self.relieved.note(self.family, keys=len(due), size=sum(look.size for look in due))
        return self.relieved.enough

    async def shorten(self, items: int) -> None:
        """The newest entries of each key stay."""
        bound = self.family.bound
        if bound is None or bound.keep is Keep.TAIL:
            raise ValueError(f"{self.family.pattern}: what is shortened needs a bound and its newest first")
        async with aclosing(self._steps()) as steps:
            async for looks in steps:
                if await self._shorten(looks, bound, items):
                    return

    async def _shorten(self, looks: Sequence[Look], bound: Bound, items: int) -> bool:
        lengths = await self.client.batch([length_of(look) for look in looks])
        longer = {
            look.key: length
            for look, length in zip(looks, lengths, strict=True)
            if isinstance(length, int) and length > items
        }
        due = await self._copies([look for look in looks if look.key in longer])
        if due and not self.run.dry_run:
            await self.run.fence.hold()
            await self._all([shortened(look.key, bound, items) for look in due])
        size = sum(look.size * (longer[look.key] - items) // longer[look.key] for look in due)
        self.relieved.note(self.family, keys=len(due), size=size)
        return self.relieved.enough

    async def _steps(self) -> AsyncGenerator[list[Look], None]:
        async with aclosing(survey(self.client, self._of_family, self.pace, match=fixed_start(self.family))) as steps:
            async for step in steps:
                yield step.looks

    def _of_family(self, key: str) -> Known | None:
        known = self.classify(key)
        return known if known is not None and known.family is self.family else None

    async def _copies(self, looks: Sequence[Look]) -> list[Look]:
        """Those of which MongoDB has the original, as their newest and oldest entries say."""
        if self.family.authority is not Authority.MONGODB or not looks:
            return list(looks)
        read = "LRANGE" if self.family.type == "list" else "ZRANGE"
        replies = await self.client.batch([(read, look.key, end, end) for look in looks for end in (0, -1)])
        ours = [look for at, look in enumerate(looks) if _is_copy(replies[2 * at]) and _is_copy(replies[2 * at + 1])]
        self.relieved.note(self.family, others=len(looks) - len(ours))
        return ours

    async def _all(self, commands: Sequence[Command]) -> None:
        for reply in await self.client.batch(commands):
            if isinstance(reply, RedisRefused):
                raise reply


def _is_copy(reply: Any) -> bool:
    if isinstance(reply, RedisRefused) or not reply:
        return False
    try:
        entry = orjson.loads(reply[0])
    except orjson.JSONDecodeError:
        return False
    return isinstance(entry, dict) and _MARK in entry
