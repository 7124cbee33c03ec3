"""Standby (STANDBY_FOR): this worker works only while no primary worker is alive.

A primary is alive while its heartbeat key exists; the key runs out by itself when the primary dies. With I for the
heartbeat interval, looks I/2 apart and d for the time a look takes (d below I/6):

- Taking over needs two looks in succession that see nobody, so that one look which came at a bad moment changes
  nothing. The key runs out just after a look: the first look without it ends after I/2 + d, the second after I + 2d;
  one look more is lost on the way (slow, or Redis did not answer): 1.5 I + 3d. All below 2 I.
- Blind is a worker that has just started, or got no answer for longer than 1.5 I, two looks in a row. Heartbeats may
  be missing only because their owners could not write them: a primary that lives beats within I. So nobody must be
  seen for 1.25 I: the fourth look at the latest, 1.5 I + 3d after the first that was answered.
- Giving back needs one look that sees a heartbeat, so it happens I/2 + d after the heartbeat came back.

A pattern is looked up by SCAN, at most 200,000 keys per look (`_HUNT_STEPS`). In a larger Redis it takes several looks
until "nobody" is certain and until a primary of a new name is seen (one seen before is asked for by name): up to
400,000 keys fit into the times above, then they grow. With an exact key the size of Redis does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from . import keys
from .errors import ConfigError, QueueUnavailable
from .logging import get_logger
from .models import TaskPriority
from .queue_commands import Command, Word
from .redis_client import RedisClient, RedisRefused, Script
from .times import iso

log = get_logger(__name__)

_LOOKS_PER_INTERVAL: Final = 2
_BLIND_AFTER: Final = 1.5
"""Intervals without an answer. One lost look makes a gap of 1 interval, two make 1.5 and the time the looks took."""
_PATIENCE: Final = 0.25
"""Intervals between the two looks that see nobody, at least: looks in quick succession are one look."""
_PATIENCE_BLIND: Final = 1.25
"""Above 1, because a primary that starts or reconnects may take a whole interval to its next beat."""

_SCAN_COUNT: Final = 1_000
"""About 0.3 ms of Redis per step, in which it serves nobody else."""
_HUNT_STEPS: Final = 200
"""Steps per look while nobody is seen: at most 60 ms of Redis in half an interval."""
_CALM_STEPS: Final = 10
"""Steps per look while a primary is known to live: only to learn the names of others."""
_KNOWN_MAX: Final = 64
_SHOWN: Final = 5

_HEARTBEAT: Final = keys.heartbeat("").encode()
_OWN_SPACE: Final = b"worker:"
"""Keys of this service: never anybody's heartbeat, even where a pattern is as broad as `worker*`."""
_MEMBER: Final = "worker:standby:"
_MEMBER_KEPT: Final = 10.0
_MEMBER_KEPT_MIN_SEC: Final = 60.0
"""A member is remembered far longer than its heartbeat lives, which is max(2 intervals, 1 interval + 5 s)."""

_GIVE_BACK_ENTRIES: Final = 1_000
_GIVE_BACK_BYTES: Final = 16 * 2**20
"""What one script looks at, some 20 ms at most: more than a stream normally holds of the platform's lists."""
_FORGET_LANES_EVERY: Final = 24
"""Sweeps after which all lanes are gone through again: a lane may change and have the same length as before."""


class Standby:
    """Decides whether this worker may claim. `look()` is called by one loop, every `pause_sec`."""

    def __init__(
        self,
        client: RedisClient,
        pattern: str,
        *,
        worker_id: str,
        interval_sec: float,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._pattern = pattern.strip()
        if self._pattern in ("", keys.heartbeat(worker_id)):
            raise ConfigError("STANDBY_FOR: must name the heartbeat of another worker, e.g. workers:heartbeat:rust-*")
        self._interval = interval_sec
        self._clock = clock
        self._utc = utc
        self._heartbeats = _Heartbeats(client, self._pattern, worker_id, interval_sec)
        self._active = False
        self._since = utc()
        self._primary: list[bytes] = []
        self._looked_at: float | None = None
        self._absence: _Absence | None = None
        self._sweeps = 0
        self._swept: dict[str, bytes] = {}
        self._lanes: dict[TaskPriority, dict[bytes, int]] = {}

    @property
    def active(self) -> bool:
        """May this worker claim? Never before it has looked long enough to know."""
        return self._active

    @property
    def pause_sec(self) -> float:
        """How long to wait between two looks."""
        return self._interval / _LOOKS_PER_INTERVAL

    @property
    def state(self) -> dict[str, Any]:
        """For /ready."""
        return {
            "role": "active" if self._active else "standby",
            "for": self._pattern,
            "primary": [_name(key) for key in self._primary[:_SHOWN]],
            "since": iso(self._since),
        }

    @property
    def announcement(self) -> Command:
        """The command that says that the heartbeat of this worker is a standby's. Goes before every beat: other
        standbys must never see a heartbeat of ours and take it for a primary's."""
        return self._heartbeats.announcement

    async def look(self) -> bool | None:
        """Look once. Returns True when this look took over, False when it gave back, None otherwise.

        Raises:
            QueueUnavailable: nothing could be seen; everything stays as it is.
        """
        primary = await self._heartbeats.look()
        now = self._clock()
        first = self._looked_at is None
        blind = self._looked_at is None or now - self._looked_at > _BLIND_AFTER * self._interval
        self._looked_at = now
        self._primary = primary
        if primary:
            self._absence = None
            if first:
                log.info("standing by for the primary worker", standby_for=self._pattern, primary=self._shown())
            return self._become(False)
        if blind or self._absence is None:
            self._absence = _Absence(now, (_PATIENCE_BLIND if blind else _PATIENCE) * self._interval)
            return None
        if self._heartbeats.nobody_for_sure and now - self._absence.since >= self._absence.patience:
            return self._become(True)
        return None

    async def hand_over(self) -> int:
        """Give what waits with us to the primary that is alive. Returns how many items went back.

        Belongs after every look, not only after the one that gave back: another standby of ours may have taken items
        in the moment before its own look, and retries of such items come due later.
        """
        if self._active or not self._primary:
            return 0
        readers = await self._readers()
        if any(key.removeprefix(_HEARTBEAT) in readers for key in self._primary):
            return 0  # a primary of our own kind: the streams are its own, it would only take the items again
        return await self._sweep()

    async def leave(self) -> None:
        """Sign off, after the heartbeat was deleted. The last of us gives waiting items back to their lists: nobody
        else may ever look into our streams."""
        if self._active:
            beats = [("EXISTS", _HEARTBEAT + name) for name in await self._readers()]
            if 1 not in await self._client.batch(beats):
                await self._sweep()
        await self._heartbeats.forget()

    async def _readers(self) -> set[bytes]:
        """Ids of the workers that have claimed from our streams, also of some that are gone."""
        replies = await self._client.batch(
            [("XINFO", "CONSUMERS", stream, keys.GROUP) for stream in keys.STREAMS.values()]
        )
        # Refused where there is no stream or no group: nobody has ever read it.
        return {consumer[1] for reply in replies if not isinstance(reply, RedisRefused) for consumer in reply}

    async def _sweep(self) -> int:
        moved = 0
        self._sweeps += 1
        if self._sweeps % _FORGET_LANES_EVERY == 0:
            self._lanes.clear()
        for priority, stream in keys.STREAMS.items():
            given = await give_back(self._client, stream, keys.GROUP, after=self._swept.get(stream, b"0-0"))
            self._swept[stream] = given.newest
            # After the stream: what waits in lanes was claimed before what is still unclaimed, and is older.
            moved += given.moved + await self._sweep_lanes(priority)
        if moved:
            log.info("gave waiting items back to the platform's lists", count=moved, primary=self._shown())
        return moved

    async def _sweep_lanes(self, priority: TaskPriority) -> int:
        lanes = await self._client.call("ZRANGE", keys.LANE_INDEXES[priority], 0, -1)
        lengths = await self._client.batch([("LLEN", _lane_key(priority, lane)) for lane in lanes])
        known, left = self._lanes.get(priority, {}), {}
        moved = 0
        for lane, length in zip(lanes, lengths, strict=True):
            given = 0 if known.get(lane) == length else await give_back_lane(self._client, priority, lane)
            left[lane] = length - given
            moved += given
        self._lanes[priority] = left
        return moved

    def _become(self, active: bool) -> bool | None:
        if active == self._active:
            return None
        self._active = active
        self._since = self._utc()
        if active:
            self._swept.clear()
            self._lanes.clear()
            log.warning("no primary worker is alive, taking over", standby_for=self._pattern)
        else:
            log.warning(
                "a primary worker is alive again, giving back", standby_for=self._pattern, primary=self._shown()
            )
        return active

    def _shown(self) -> list[str]:
        return [_name(key) for key in self._primary[:_SHOWN]]


@dataclass(frozen=True, slots=True)
class _Absence:
    """Nobody has been seen since `since`; believed after `patience` seconds."""

    since: float
    patience: float


class _Heartbeats:
    """Finds the primaries that are alive: known names by EXISTS, unknown ones by a scan that goes on at each look."""

    def __init__(self, client: RedisClient, pattern: str, worker_id: str, interval_sec: float) -> None:
        self._client = client
        self._pattern = pattern
        self._is_glob = any(character in pattern for character in "*?[\\")
        kept_ms = int(max(_MEMBER_KEPT * interval_sec, _MEMBER_KEPT_MIN_SEC) * 1000)
        # One key per member and not one set: each runs out by itself, by the server's own clock.
        self.announcement: Final[Command] = ("SET", f"{_MEMBER}{worker_id}", "alive", "PX", kept_ms)
        self._known: dict[bytes, None] = {} if self._is_glob else {pattern.encode(): None}
        self._cursor = b"0"
        self._hunting = False
        self.nobody_for_sure = False
        """The scan has gone through all keys since a primary was last seen, and has found none."""

    async def forget(self) -> None:
        await self._client.call("DEL", self.announcement[1])

    async def look(self) -> list[bytes]:
        """Names of living primaries: all of the known ones, of the others what the scan came across."""
        try:
            await self._client.call(*self.announcement)
            alive = await self._living(list(self._known))
            if self._is_glob:
                alive = await self._others(alive) if alive else await self._hunt()
        except QueueUnavailable:
            # A cursor is worth nothing to a server that may have been restarted.
            self._hunting, self._cursor = False, b"0"
            raise
        if alive:
            self._hunting = self.nobody_for_sure = False
            self._remember(alive)
        elif not self._is_glob:
            self.nobody_for_sure = True
        return alive

    async def _hunt(self) -> list[bytes]:
        """Search for anybody, from the first key on when this begins."""
        if not self._hunting:
            self._hunting, self.nobody_for_sure = True, False
            self._cursor = b"0"
        for _ in range(_HUNT_STEPS):
            if alive := await self._scan_step():
                return alive
            if self._cursor == b"0":
                self.nobody_for_sure = True
                break
        return []

    async def _others(self, alive: list[bytes]) -> list[bytes]:
        found = dict.fromkeys(alive)
        for _ in range(_CALM_STEPS):
            found.update(dict.fromkeys(await self._scan_step()))
            if self._cursor == b"0" or len(found) >= _KNOWN_MAX:
                break
        return list(found)

    async def _scan_step(self) -> list[bytes]:
        self._cursor, found = await self._client.call(
            "SCAN", self._cursor, "MATCH", self._pattern, "COUNT", _SCAN_COUNT
        )
        return await self._living([key for key in found if not key.startswith(_OWN_SPACE)])

    async def _living(self, names: Sequence[bytes]) -> list[bytes]:
        """Those that exist and are no heartbeats of our own standbys.

        Asked in this order, heartbeat and then member: a standby announces itself before it beats. A key that
        STANDBY_FOR names exactly is meant, whoever writes it.
        """
        if not names:
            return []
        commands: list[Command] = []
        for name in names:
            commands.append(("EXISTS", name))
            commands.append(("EXISTS", _MEMBER.encode() + name.removeprefix(_HEARTBEAT)))
        replies = await self._client.batch(commands)
        for reply in replies:
            if isinstance(reply, RedisRefused):
                raise reply
        pairs = zip(names, replies[::2], replies[1::2], strict=True)
        return [name for name, exists, ours in pairs if exists and not (ours and self._is_glob)]

    def _remember(self, alive: Sequence[bytes]) -> None:
        """The latest seen last, also those that died: they are the most likely to return."""
        if self._is_glob:
            for name in alive:
                self._known.pop(name, None)
                self._known[name] = None
            for name in list(self._known)[:-_KNOWN_MAX]:
                del self._known[name]


@dataclass(frozen=True, slots=True)
class GivenBack:
    """`newest` is the last entry looked at; the next call for this stream may begin after it."""

    moved: int
    newest: bytes


async def give_back(client: RedisClient, stream: str, group: str, *, after: bytes = b"0-0") -> GivenBack:
    """Move items of the platform's lists that wait unclaimed in `stream` back to the head of their lists, in order.

    Native tasks and everything that was delivered stay. Each step (1,000 entries) is atomic, and so is each item.
    """
    moved, newest, upper = 0, b"", b"+"
    script = Script("give_back")
    while upper:
        args: list[Word] = [group, upper, after, _GIVE_BACK_ENTRIES, _GIVE_BACK_BYTES]
        count, not_lists, first, upper = await script(client, [stream], args)
        moved += count
        newest = newest or first
        _say(not_lists)
    return GivenBack(moved, newest or after)


async def give_back_lane(client: RedisClient, priority: TaskPriority, lane: bytes) -> int:
    """The same for what was claimed but had to wait in a lane. Returns how many items were moved."""
    moved, left, more = 0, 0, 1
    script = Script("give_back_lane")
    while more:
        args: list[Word] = [lane, left, _GIVE_BACK_ENTRIES, _GIVE_BACK_BYTES]
        names: list[str | bytes] = [_lane_key(priority, lane), keys.LANE_INDEXES[priority]]
        count, not_lists, left, more = await script(client, names, args)
        moved += count
        _say(not_lists)
    return moved


def _say(not_lists: Sequence[bytes]) -> None:
    for key in not_lists:
        log.error("items cannot go back, their key is not a list", key=key.decode("utf-8", "replace"))


def _lane_key(priority: TaskPriority, lane: bytes) -> bytes:
    """As `lua/park.lua` makes it."""
    return f"{keys.LANE_PREFIX}{list(TaskPriority).index(priority) + 1}:".encode() + lane


def _name(key: bytes) -> str:
    return key.removeprefix(_HEARTBEAT).decode("utf-8", "replace")
