"""Looking at Redis without weighing on it: small steps of SCAN, what a key is, and what is to become of it.

None of the commands of a look counts as a use of the key (TYPE, PTTL, MEMORY USAGE and OBJECT leave its idle time as it
is). Asking for a length does, so that is asked only of keys that others have used since the last run: the length of the
others was seen then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ..queue_commands import Command
from ..redis_client import RedisClient, RedisRefused
from ..redis_families import Authority, Bound, Keep, Known

SCAN_COUNT: Final = 250
"""Keys per step: some 0.1 ms of Redis for the step and 0.5 ms for the looks, in which it serves nobody else."""
_SHARE: Final = 0.5
"""Part of the time in which the janitor asks Redis for something; it rests for the other."""
_SAMPLES: Final = 5
"""Redis' own default: elements looked at for the size of a key."""
ORPHAN_SEC: Final = 7 * 86_400
"""A key that should have a TTL and has none is given one when nobody has touched it for a week: longer than a weekend,
a holiday's outage or a neighbour's slowest cycle."""
_KNOWN_AFTER_SEC: Final = 600.0
"""Runs closer together than this look at everything again: idle times are rounded to seconds, and nothing is gained."""

Sleep = Callable[[float], Awaitable[None]]
Classify = Callable[[str], Known | None]


class Deed(StrEnum):
    """What is done to a key."""

    TTL_SET = "ttl_set"
    TTL_RENEWED = "ttl_renewed"
    UNLINKED = "unlinked"


class Look(NamedTuple):
    """One key of a known family."""

    key: bytes
    known: Known
    size: int
    """Bytes."""
    ttl_sec: float | None
    idle_sec: int | None
    """Since anybody used it; None where Redis does not say (a policy that counts uses, LFU)."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the decisions of one run depend on besides the key."""

    now: datetime
    since_last_sec: float | None
    """Since the last run ended; None when there was none."""
    brands: frozenset[str]
    """Of the platform's set; empty where there is none, and then nothing is concluded from it."""


class Pace:
    """Rests after every step for as long as the step took."""

    def __init__(self, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.perf_counter) -> None:
        self._sleep = sleep
        self._clock = clock
        self._began = clock()

    async def rest(self) -> None:
        await self._sleep(max(0.0, self._clock() - self._began) * (1 - _SHARE) / _SHARE)
        self._began = self._clock()


class Found(NamedTuple):
    """One step of a survey."""

    looks: list[Look]
    unknown: int
    wrong_type: list[bytes]


async def survey(
    client: RedisClient, classify: Classify, pace: Pace, *, match: str | None = None
) -> AsyncGenerator[Found, None]:
    """All keys (whose names match), in steps. A key that is there all the time is seen at least once, seldom twice.

    Raises:
        QueueUnavailable: Redis cannot be reached.
    """
    cursor: Any = b"0"
    pattern = () if match is None else ("MATCH", match)
    while True:
        cursor, names = await client.call("SCAN", cursor, *pattern, "COUNT", SCAN_COUNT)
        known = [(name, classify(name.decode("utf-8", "replace"))) for name in names]
        yield await _look(client, [(name, what) for name, what in known if what is not None], len(names))
        await pace.rest()
        if int(cursor) == 0:
            return


async def _look(client: RedisClient, keys: Sequence[tuple[bytes, Known]], seen: int) -> Found:
    commands: list[Command] = []
    for name, _ in keys:
        commands += [
            ("TYPE", name),
            ("PTTL", name),
            ("MEMORY", "USAGE", name, "SAMPLES", _SAMPLES),
            ("OBJECT", "IDLETIME", name),
        ]
    replies = await client.batch(commands)
    looks: list[Look] = []
    wrong: list[bytes] = []
    for at, (name, known) in enumerate(keys):
        kind, ttl, size, idle = replies[4 * at : 4 * at + 4]
        if isinstance(size, RedisRefused):
            raise size  # a user who may not ask: every key would seem to be gone
        if isinstance(kind, RedisRefused) or not isinstance(ttl, int) or ttl == -2 or size is None:
            continue  # gone meanwhile
        if known.family.type not in (None, kind.decode()):
            wrong.append(name)
            continue
        looks.append(Look(name, known, size, None if ttl < 0 else ttl / 1000, idle if isinstance(idle, int) else None))
    return Found(looks, seen - len(keys), wrong)


def used_since_last(look: Look, at: Circumstances) -> bool | None:
    """Has anybody but the last run used the key since that? None where nobody can say."""
    if look.idle_sec is None or at.since_last_sec is None or at.since_last_sec < _KNOWN_AFTER_SEC:
        return None
    return look.idle_sec < at.since_last_sec - 1  # idle times are rounded: one second less can be the last run's own


def life(look: Look, at: Circumstances) -> tuple[Deed, int] | None:
    """What is to be done about the key's end, with the TTL in seconds where one is given; None: nothing."""
    family = look.known.family
    if family.ttl_sec is None:
        return None
    idle = look.idle_sec if look.idle_sec is not None else 0
    if look.ttl_sec is None:
        moment = look.known.moment
        over = moment is not None and (at.now - moment).total_seconds() > family.ttl_sec
        if over and family.authority is Authority.NOWHERE:
            return Deed.UNLINKED, 0
        there = family.orphan_when_brand_gone and (not at.brands or look.known.brand in at.brands)
        return (Deed.TTL_SET, family.ttl_sec) if idle >= ORPHAN_SEC and not there else None
    if family.renewed or not used_since_last(look, at):
        return None
    # Who uses it has not renewed it: had it a writer that does, the TTL would be nearly whole.
    worn = family.ttl_sec - max(at.since_last_sec or 0.0, 86_400.0)
    return (Deed.TTL_RENEWED, family.ttl_sec) if look.ttl_sec < worn else None


def to_be_measured(look: Look, at: Circumstances) -> bool:
    """Is its length to be asked for?"""
    bound = look.known.family.bound
    # One that is forgotten is given its end; asking for its length would make it look used.
    forgotten = look.ttl_sec is None and (look.idle_sec or 0) >= ORPHAN_SEC and look.known.family.ttl_sec is not None
    return bound is not None and not forgotten and used_since_last(look, at) is not False


def length_of(look: Look) -> Command:
    return ("LLEN" if look.known.family.type == "list" else "ZCARD", look.key)


def shortened(key: bytes, bound: Bound, keep: int) -> Command:
    """The command that leaves `keep` entries, said so that it is right whatever others add meanwhile."""
    if bound.keep is Keep.HEAD:
        return ("LTRIM", key, 0, keep - 1)
    if bound.keep is Keep.TAIL:
        return ("LTRIM", key, -keep, -1)
    return ("ZREMRANGEBYRANK", key, 0, -keep - 1)


def command_of(look: Look, deed: Deed, ttl_sec: int) -> Command:
    """The command of a deed."""
    if deed is Deed.UNLINKED:
        return ("UNLINK", look.key)
    return ("EXPIRE", look.key, ttl_sec)
