"""Gives items of the platform's lists that wait unbegun with us back to their lists (`standby`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from . import keys
from .logging import get_logger
from .models import TaskPriority
from .queue_commands import Word
from .redis_client import RedisClient, Script

log = get_logger(__name__)

_ENTRIES: Final = 1_000
_BYTES: Final = 16 * 2**20
"""What one script looks at, some 20 ms at most: more than a stream normally holds of the platform's lists."""
_FORGET_LANES_EVERY: Final = 24
"""Sweeps after which all lanes are gone through again: a lane may change and have the same length as before."""


class Sweeper:
    """Goes through our streams and lanes again and again, and through each only as far as it is new."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._sweeps = 0
        self._swept: dict[str, bytes] = {}
        self._known: dict[TaskPriority, dict[bytes, int]] = {}

    def forget(self) -> None:
        """Look through everything at the next sweep: others may have added meanwhile."""
        self._swept.clear()
        self._known.clear()

    async def sweep(self) -> int:
        """Give back what waits in all streams and lanes. Returns how many items were moved."""
        moved = 0
        self._sweeps += 1
        if self._sweeps % _FORGET_LANES_EVERY == 0:
            self._known.clear()
        for priority, stream in keys.STREAMS.items():
            given = await give_back(self._client, stream, keys.GROUP, after=self._swept.get(stream, b"0-0"))
            self._swept[stream] = given.newest
            # After the stream: what waits in lanes was claimed before what is still unclaimed, and is older.
            moved += given.moved + await self._lanes_of(priority)
        return moved

    async def _lanes_of(self, priority: TaskPriority) -> int:
        lanes = await self._client.call("ZRANGE", keys.LANE_INDEXES[priority], 0, -1)
        lengths = await self._client.batch([("LLEN", _lane_key(priority, lane)) for lane in lanes])
        known, left = self._known.get(priority, {}), {}
        moved = 0
        for lane, length in zip(lanes, lengths, strict=True):
            given = 0 if known.get(lane) == length else await give_back_lane(self._client, priority, lane)
            left[lane] = length - given
            moved += given
        self._known[priority] = left
        return moved


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
        args: list[Word] = [group, upper, after, _ENTRIES, _BYTES]
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
        args: list[Word] = [lane, left, _ENTRIES, _BYTES]
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
