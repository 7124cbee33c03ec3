"""Which primary workers are alive, seen by their heartbeat keys (`standby`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from . import keys
from .errors import QueueUnavailable
from .queue_commands import Command
from .redis_client import RedisClient, RedisRefused

HEARTBEAT: Final = keys.heartbeat("").encode()
_OWN_SPACE: Final = b"worker:"
"""Keys of this service: never anybody's heartbeat, even where a pattern is as broad as `worker*`."""
_MEMBER: Final = "worker:standby:"
_MEMBER_KEPT: Final = 10.0
_MEMBER_KEPT_MIN_SEC: Final = 60.0
"""A member is remembered far longer than its heartbeat lives, which is max(2 intervals, 1 interval + 5 s)."""

_SCAN_COUNT: Final = 1_000
"""About 0.3 ms of Redis per step, in which it serves nobody else."""
_HUNT_STEPS: Final = 200
"""Steps per look while nobody is seen: at most 60 ms of Redis in half an interval."""
_CALM_STEPS: Final = 10
"""Steps per look while a primary is known to live: only to learn the names of others."""
_KNOWN_MAX: Final = 64


class Primaries:
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
            commands.append(("EXISTS", _MEMBER.encode() + name.removeprefix(HEARTBEAT)))
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
