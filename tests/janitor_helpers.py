"""What the janitor's tests share: a run without a lock, keys of any age, and what is in Redis as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from src.worker.janitor_seams import LockLost, Run
from src.worker.keys import PlatformKeys
from src.worker.queue_commands import Command
from src.worker.redis_client import RedisClient
from src.worker.redis_families import families
from src.worker.services.redis_memory import RedisMemory

DAY = 86_400
TABLE = families(PlatformKeys(), hot_days=90, result_ttl_sec=DAY)


@dataclass
class OpenFence:
    """A lock that is held, until it has been asked `holds` times."""

    holds: int = 1_000_000
    token: int = 1
    asked: int = 0

    async def hold(self) -> None:
        self.asked += 1
        if self.asked > self.holds:
            raise LockLost("lost in a test")


@dataclass
class Seen:
    """Progress that remembers."""

    totals: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    def total(self, name: str, count: int) -> None:
        self.totals[name] = count

    def advance(self, name: str, count: int = 1) -> None:
        self.done[name] = self.done.get(name, 0) + count


async def no_sleep(seconds: float) -> None:
    assert seconds >= 0


def a_run(*, dry: bool = False, fence: OpenFence | None = None, progress: Seen | None = None) -> Run:
    return Run(dry, datetime.now(UTC), fence or OpenFence(), progress or Seen())


class AgedClient(RedisClient):
    """Says of some keys that nobody has used them for so many seconds; everything else is the server's own answer.

    Redis cannot be told idle times in a way that always holds: its clock of uses wraps around every 194 days, and
    RESTORE … IDLETIME then sets nonsense. `measured` are the keys whose length was asked for.
    """

    def __init__(self, url: str, idle: Mapping[str, int]) -> None:
        super().__init__(url, max_connections=4)
        self._idle = idle
        self.measured: set[str] = set()

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        replies = await super().batch(commands)
        for at, words in enumerate(commands):
            if words[0] == "LLEN" and isinstance(words[1], bytes):
                self.measured.add(words[1].decode())
            if words[:2] == ("OBJECT", "IDLETIME") and isinstance(words[2], bytes) and words[2].decode() in self._idle:
                replies[at] = self._idle[words[2].decode()]
        return replies


async def tidy(
    url: str,
    *,
    limit: int | None = None,
    run: Run | None = None,
    dry: bool = False,
    idle: Mapping[str, int] | None = None,
    client: AgedClient | None = None,
) -> dict[str, Any]:
    """One run of the step in Redis. `idle`: seconds for which nobody has used these keys."""
    client = client or AgedClient(url, idle or {})
    try:
        step = RedisMemory(client, TABLE, brands_key="brands:set", limit_bytes=limit, sleep=no_sleep)
        return await step.run(run or a_run(dry=dry))
    finally:
        await client.close()


class Moment(float):
    """A moment in epoch seconds, known to the second: two readings of the same one are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(float(self) - float(other)) <= 2

    __hash__ = None  # type: ignore[assignment]  # what is equal within a tolerance has no hash


def everything(client: redis.Redis) -> dict[bytes, tuple[bytes | None, Moment | None]]:
    """Every key's content and the moment it ends (None: never)."""
    found = {}
    for key in client.scan_iter(count=1000):
        with client.pipeline(transaction=True) as together:  # nothing passes between what is left and when that was
            content, ttl, (seconds, micros) = together.dump(key).pttl(key).time().execute()
        found[key] = (content, None if ttl < 0 else Moment(seconds + micros / 1e6 + ttl / 1000))
    return found


def entry(number: int, size: int = 0, **fields: Any) -> bytes:
    """An entry of a feed as this worker writes it."""
    return json.dumps({"id": f"m{number}", "text": "x" * size, "time_source": "event", **fields}).encode()
