"""What the listeners of the live stream share through Redis: who listens, and how far he has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from .. import keys
from ..logging import get_logger
from ..models import TaskPriority
from ..queue_commands import Word
from ..redis_client import RedisClient, Script
from .bluesky_marks import digest

log = get_logger(__name__)

LEASE: Final = "worker:bluesky:listener"
CURSOR: Final = "worker:bluesky:cursor"
LEASE_MS: Final = 30_000
"""Six times as long as batches take to be handed on, each of which renews it."""
REWIND_US: Final = 5_000_000
"""Microseconds that are read again after a reconnect, as the stream's documentation advises: events of one moment
may arrive on either side of a cut."""
_KEPT_SEC: Final = 7 * 86_400
"""Far more than the stream looks back (a day or two)."""
_SEEN_MAX: Final = 2_000


class LeaseLost(Exception):
    """Another worker listens."""


@dataclass(slots=True)
class Cursor:
    """`time_us` of the last event that was handed on, 0 for none; `seen`: posts within `REWIND_US` before it."""

    time_us: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    """Digest of the URI → `time_us`."""

    def knows(self, uri: str) -> bool:
        return digest(uri) in self.seen

    def moved(self, time_us: int, handed: Iterable[tuple[str, int]]) -> Cursor:
        """The cursor after posts (URI, `time_us`) were handed on."""
        latest = max(self.time_us, time_us)
        seen = self.seen | {digest(uri): when for uri, when in handed}
        kept = sorted(((when, name) for name, when in seen.items() if when >= latest - REWIND_US), reverse=True)
        return Cursor(latest, {name: when for when, name in kept[:_SEEN_MAX]})


class StreamState:
    """Of one worker. Methods raise `QueueUnavailable` when Redis cannot serve them."""

    def __init__(self, client: RedisClient, worker_id: str) -> None:
        self._client = client
        self._token = worker_id
        self._script = Script("bluesky_stream")
        self._keys = [LEASE, CURSOR, keys.STREAMS[TaskPriority.NORMAL]]

    async def take(self) -> bool:
        """Become the listener, or stay it; False while another worker is."""
        return bool(await self._script(self._client, self._keys, ["take", self._token, LEASE_MS]))

    async def leave(self) -> None:
        """Let another worker listen at once."""
        await self._script(self._client, self._keys, ["leave", self._token])

    async def commit(self, cursor: Cursor, tasks: Sequence[bytes]) -> None:
        """Enqueue tasks and move the cursor, both or neither.

        Raises:
            LeaseLost: neither was done.
        """
        document = orjson.dumps({"time_us": cursor.time_us, "seen": cursor.seen})
        args: list[Word] = ["commit", self._token, LEASE_MS, document, _KEPT_SEC, *tasks]
        if not await self._script(self._client, self._keys, args):
            raise LeaseLost

    async def cursor(self) -> Cursor:
        raw = await self._client.call("GET", CURSOR)
        if raw is None:
            return Cursor()
        try:
            return _cursor(orjson.loads(raw))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            log.warning("the cursor of the live stream cannot be read; listening begins with what is new")
            return Cursor()


def _cursor(document: Mapping[str, object]) -> Cursor:
    time_us, seen = document["time_us"], document["seen"]
    if not isinstance(time_us, int) or not isinstance(seen, dict):
        raise TypeError("not a cursor")
    return Cursor(time_us, {str(name): int(when) for name, when in seen.items()})
