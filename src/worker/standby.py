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

A pattern is looked up by SCAN, at most 200,000 keys per look (`standby_primaries`). In a larger Redis it takes several
looks until "nobody" is certain and until a primary of a new name is seen (one seen before is asked for by name): up to
400,000 keys fit into the times above, then they grow. With an exact key the size of Redis does not matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from . import keys
from .errors import ConfigError
from .give_back import Sweeper
from .logging import get_logger
from .queue_commands import Command
from .redis_client import RedisClient, RedisRefused
from .standby_primaries import HEARTBEAT, Primaries
from .times import iso

log = get_logger(__name__)

_LOOKS_PER_INTERVAL: Final = 2
_BLIND_AFTER: Final = 1.5
"""Intervals without an answer. One lost look makes a gap of 1 interval, two make 1.5 and the time the looks took."""
_PATIENCE: Final = 0.25
"""Intervals between the two looks that see nobody, at least: looks in quick succession are one look."""
_PATIENCE_BLIND: Final = 1.25
"""Above 1, because a primary that starts or reconnects may take a whole interval to its next beat."""

_SHOWN: Final = 5


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
        self._primaries = Primaries(client, self._pattern, worker_id, interval_sec)
        self._active = False
        self._since = utc()
        self._primary: list[bytes] = []
        self._looked_at: float | None = None
        self._absence: _Absence | None = None
        self._sweeper = Sweeper(client)

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
        return self._primaries.announcement

    async def look(self) -> bool | None:
        """Look once. Returns True when this look took over, False when it gave back, None otherwise.

        Raises:
            QueueUnavailable: nothing could be seen; everything stays as it is.
        """
        primary = await self._primaries.look()
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
        if self._primaries.nobody_for_sure and now - self._absence.since >= self._absence.patience:
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
        if any(key.removeprefix(HEARTBEAT) in readers for key in self._primary):
            return 0  # a primary of our own kind: the streams are its own, it would only take the items again
        return await self._sweep()

    async def leave(self) -> None:
        """Sign off, after the heartbeat was deleted. The last of us gives waiting items back to their lists: nobody
        else may ever look into our streams."""
        if self._active:
            beats = [("EXISTS", HEARTBEAT + name) for name in await self._readers()]
            if 1 not in await self._client.batch(beats):
                await self._sweep()
        await self._primaries.forget()

    async def _readers(self) -> set[bytes]:
        """Ids of the workers that have claimed from our streams, also of some that are gone."""
        replies = await self._client.batch(
            [("XINFO", "CONSUMERS", stream, keys.GROUP) for stream in keys.STREAMS.values()]
        )
        # Refused where there is no stream or no group: nobody has ever read it.
        return {consumer[1] for reply in replies if not isinstance(reply, RedisRefused) for consumer in reply}

    async def _sweep(self) -> int:
        moved = await self._sweeper.sweep()
        if moved:
            log.info("gave waiting items back to the platform's lists", count=moved, primary=self._shown())
        return moved

    def _become(self, active: bool) -> bool | None:
        if active == self._active:
            return None
        self._active = active
        self._since = self._utc()
        if active:
            self._sweeper.forget()
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


def _name(key: bytes) -> str:
    return key.removeprefix(HEARTBEAT).decode("utf-8", "replace")
