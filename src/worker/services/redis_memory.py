"""The janitor's work in Redis: every known key is bounded and has an end, and a Redis over its limit is relieved.

What may be done to which key is said in `redis_families`; a key of no known family is counted and left alone. Memory of
this process does not grow with the number of keys. Steps are small, and the janitor rests as long as it asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from ..janitor_seams import Run
from ..logging import get_logger
from ..queue_commands import Command
from ..redis_client import RedisClient, RedisRefused
from ..redis_families import Bound, Classifier, Family
from ..times import parse_time
from . import janitor_report
from .redis_relief import Candidates, Relieved, relieve
from .redis_survey import (
    Circumstances,
    Deed,
    Found,
    Look,
    Pace,
    Sleep,
    command_of,
    length_of,
    life,
    shortened,
    survey,
    to_be_measured,
)

log = get_logger(__name__)

_SLICE: Final = 5_000
"""Entries taken off a list or sorted set by one command: a few milliseconds in which Redis serves nobody else."""
_OF_MAXMEMORY: Final = 0.8
"""Where the server has a limit of its own (`maxmemory`), ours is below it: at the server's, writes are refused."""
_WRONG_SHOWN: Final = 10
_SETTLE_LOOKS, _SETTLE_SEC = 20, 0.05


@dataclass(slots=True)
class Tally:
    """What was seen of one family, and done to it."""

    keys: int = 0
    bytes: int = 0
    deeds: dict[Deed, int] = field(default_factory=dict)
    trimmed_keys: int = 0
    trimmed_items: int = 0
    freed: int = 0

    def report(self) -> dict[str, int]:
        done = {deed.value: count for deed, count in sorted(self.deeds.items())}
        if self.trimmed_keys:
            done |= {"trimmed_keys": self.trimmed_keys, "trimmed_items": self.trimmed_items}
        return {"keys": self.keys, "bytes": self.bytes, **done}


@dataclass(slots=True)
class _State:
    """One run: what it depends on, and what it has found."""

    run: Run
    at: Circumstances
    pace: Pace
    tallies: dict[str, Tally] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=Candidates)
    unknown: int = 0
    scanned: int = 0
    wrong: list[str] = field(default_factory=list)
    wrong_count: int = 0

    def tally(self, family: Family) -> Tally:
        return self.tallies.setdefault(family.pattern, Tally())


class _Long(NamedTuple):
    """A key that has a bound, and how many entries it has."""

    look: Look
    bound: Bound
    length: int

    @property
    def over(self) -> int:
        return max(0, self.length - self.bound.items)


class RedisMemory:
    """A step of the janitor. `run` raises `QueueUnavailable` when Redis cannot be reached or refuses a look."""

    name: Final = "redis"

    def __init__(
        self,
        client: RedisClient,
        table: Sequence[Family],
        *,
        brands_key: str,
        limit_bytes: int | None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """
        Args:
            limit_bytes: over this Redis is relieved; None: over 80 % of the server's own `maxmemory`, if it has one.
        """
        self._client = client
        self._table = tuple(table)
        self._classify = Classifier(table)
        self._brands_key = brands_key
        self._limit = limit_bytes
        self._sleep = sleep

    async def run(self, run: Run) -> dict[str, Any]:
        """Go through all keys once, give an end to what has none, and relieve Redis where it holds more than it may.

        Returns what was found and done (with `run.dry_run`: what would be) for the report: bytes, seconds and counts.

        Raises:
            QueueUnavailable: Redis is away; what was done until then stays.
        """
        began = time.perf_counter()
        used, limit, source = await self._memory()
        state = _State(run, await self._circumstances(run.now), Pace(self._sleep))
        run.progress.total(self.name, await self._client.call("DBSIZE"))
        async with aclosing(survey(self._client, self._classify, state.pace)) as steps:
            async for step in steps:
                await self._step(state, step)
        freed = sum(tally.freed for tally in state.tallies.values())
        now = used - freed if run.dry_run else await self._settled()
        relieved = await self._relieve(state, now, limit)
        if relieved is not None:
            freed += relieved.freed
            now = now - relieved.freed if run.dry_run else await self._settled()
        return {
            "used_bytes_before": used,
            "used_bytes_after": now,
            "limit_bytes": limit,
            "limit_from": source,
            "over_limit": limit is not None and now > limit,
            "bytes_freed": freed,
            "keys_scanned": state.scanned,
            "keys_unknown": state.unknown,
            "keys_of_wrong_type": {"count": state.wrong_count, "examples": state.wrong},
            "actions": _actions(state.tallies.values()),
            "relief": None if relieved is None else relieved.report(),
            "families": {name: tally.report() for name, tally in sorted(state.tallies.items())},
            "seconds": round(time.perf_counter() - began, 3),
        }

    async def _settled(self) -> int:
        """Used bytes, when Redis has given back in the background what was unlinked (a second at most)."""
        for _ in range(_SETTLE_LOOKS):
            if not int((await self._info()).get("lazyfree_pending_objects", "0")):
                break
            await self._sleep(_SETTLE_SEC)
        return int((await self._info())["used_memory"])

    async def _info(self) -> dict[str, str]:
        text = (await self._client.call("INFO", "memory")).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def _memory(self) -> tuple[int, int | None, str]:
        """Used bytes, the limit, and where the limit is from (or why there is none)."""
        info = await self._info()
        used, maxmemory = int(info["used_memory"]), int(info.get("maxmemory", "0"))
        if self._limit is not None:
            return used, self._limit, "REDIS_MEMORY_LIMIT_MB"
        if maxmemory:
            return used, int(maxmemory * _OF_MAXMEMORY), "80 % of the server's maxmemory"
        return used, None, "no limit: REDIS_MEMORY_LIMIT_MB is 0 and the server has no maxmemory"

    async def _circumstances(self, now: datetime) -> Circumstances:
        last = await janitor_report.read(self._client)
        ended = parse_time(last.get("completed_at")) if last else None
        slugs: set[str] = set()
        async for member in self._members():
            slugs.add(member.decode("utf-8", "replace"))
        return Circumstances(now, (now - ended).total_seconds() if ended else None, frozenset(slugs))

    async def _members(self) -> AsyncIterator[bytes]:
        cursor: Any = b"0"
        while True:
            try:
                cursor, members = await self._client.call("SSCAN", self._brands_key, cursor, "COUNT", 1_000)
            except RedisRefused as error:
                if not error.reply.startswith("WRONGTYPE"):
                    raise
                return  # not the set we know: nothing is concluded from it
            for member in members:
                yield member
            if int(cursor) == 0:
                return

    async def _step(self, state: _State, found: Found) -> None:
        if not state.run.dry_run:
            await state.run.fence.hold()  # also where nothing is to be done: a run that is to end does not look on
        state.scanned += len(found.looks) + found.unknown + len(found.wrong_type)
        state.unknown += found.unknown
        state.wrong_count += len(found.wrong_type)
        room = _WRONG_SHOWN - len(state.wrong)
        state.wrong += [key.decode("utf-8", "backslashreplace")[:200] for key in found.wrong_type[:room]]
        for look in found.looks:
            tally = state.tally(look.known.family)
            tally.keys += 1
            tally.bytes += look.size
            state.candidates.add(look, state.run.now)
        await self._ends(state, found.looks)
        await self._bounds(state, [look for look in found.looks if to_be_measured(look, state.at)])
        state.run.progress.advance(self.name, len(found.looks) + found.unknown + len(found.wrong_type))

    async def _ends(self, state: _State, looks: Sequence[Look]) -> None:
        due = [(look, *what) for look in looks if (what := life(look, state.at)) is not None]
        if not due:
            return
        if not state.run.dry_run:
            await state.run.fence.hold()
            await self._do([command_of(look, deed, ttl) for look, deed, ttl in due])
        for look, deed, _ in due:
            tally = state.tally(look.known.family)
            tally.deeds[deed] = tally.deeds.get(deed, 0) + 1
            if deed is Deed.UNLINKED:
                tally.freed += look.size

    async def _bounds(self, state: _State, looks: Sequence[Look]) -> None:
        lengths = await self._do([length_of(look) for look in looks])
        long = [
            _Long(look, bound, length)
            for look, length in zip(looks, lengths, strict=True)
            if length and (bound := look.known.family.bound) is not None
        ]
        await self._shorten(state, [one for one in long if one.over])
        old = await self._too_old(state, [one for one in long if one.bound.max_age_sec is not None])
        for one in long:
            dropped = one.over + old.get(one.look.key, 0)
            if dropped:
                tally = state.tally(one.look.known.family)
                tally.trimmed_keys += 1
                tally.trimmed_items += dropped
                tally.freed += one.look.size * dropped // one.length  # measured would be a look more per key

    async def _shorten(self, state: _State, long: Sequence[_Long]) -> None:
        """In slices, so that nobody waits behind a list of millions, nor behind hundreds of short ones."""
        commands: list[Command] = []
        entries = 0
        for one in () if state.run.dry_run else long:
            for keep in range(one.length - _SLICE, one.bound.items - _SLICE, -_SLICE):
                commands.append(shortened(one.look.key, one.bound, max(keep, one.bound.items)))
                entries += min(_SLICE, keep + _SLICE - one.bound.items)
                if entries >= _SLICE:
                    await self._send(state, commands)
                    commands, entries = [], 0
        await self._send(state, commands)

    async def _send(self, state: _State, commands: Sequence[Command]) -> None:
        if commands:
            await state.run.fence.hold()
            await self._do(commands)
            await state.pace.rest()

    async def _too_old(self, state: _State, long: Sequence[_Long]) -> dict[bytes, int]:
        """How many members' time is over, besides those of which the number has disposed."""
        commands: list[Command] = []
        for one in long:
            before = f"({state.run.now.timestamp() - (one.bound.max_age_sec or 0):.3f}"
            name = "ZCOUNT" if state.run.dry_run else "ZREMRANGEBYSCORE"
            commands.append((name, one.look.key, "-inf", before))
        if not commands:
            return {}
        if not state.run.dry_run:
            await state.run.fence.hold()
        counts = await self._do(commands)
        return {
            one.look.key: max(0, count - one.over) if state.run.dry_run else count
            for one, count in zip(long, counts, strict=True)
        }

    async def _relieve(self, state: _State, used: int, limit: int | None) -> Relieved | None:
        if limit is None or used <= limit:
            return None
        relieved = await relieve(
            self._client,
            self._table,
            self._classify,
            state.candidates,
            state.run,
            state.pace,
            used=used,
            limit=limit,
        )
        if used - relieved.freed > limit:
            # Not a failure of the janitor's: people have to decide what Redis is to hold, or how much it may.
            largest = sorted(state.tallies.items(), key=lambda item: -item[1].bytes)[:3]
            log.warning(
                "Redis stays over its limit: what is left must not be evicted",
                used_bytes=used - relieved.freed,
                limit_bytes=limit,
                largest={name: tally.bytes for name, tally in largest},
            )
        return relieved

    async def _do(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._client.batch(commands)
        for reply in replies:
            if isinstance(reply, RedisRefused):
                raise reply
        return replies


def _actions(tallies: Any) -> dict[str, int]:
    """Sums over all families."""
    totals: dict[str, int] = dict.fromkeys((*(deed.value for deed in Deed), "trimmed_keys", "trimmed_items"), 0)
    for tally in tallies:
        for name, count in tally.report().items():
            if name in totals:
                totals[name] += count
    return totals
