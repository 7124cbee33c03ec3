"""How far searches of Bluesky have come, so that one without `since` goes on where the last one ended.

A mark is kept in Redis and written in the transaction that acknowledges the search and enqueues what it found: either
all of it is there or nothing. A mark that is lost costs a search that finds known posts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from ..bluesky.posts import Post
from ..logging import get_logger
from ..queue_commands import Command
from ..redis_client import RedisClient
from ..times import iso, parse_time

log = get_logger(__name__)

OVERLAP: Final = timedelta(minutes=15)
"""Looked at again: posts reach the index out of order, and those written offline come later than their time."""
_KEPT_SEC: Final = 30 * 86_400
"""A brand that nobody has searched for that long begins anew."""
_SEEN_MAX: Final = 2_000
_PREFIX: Final = "worker:bluesky:mark:"


@dataclass(frozen=True, slots=True)
class Mark:
    """`newest`: time of the newest post so far; `seen`: digests of the posts within `OVERLAP` before it."""

    newest: datetime
    seen: frozenset[str] = frozenset()

    @property
    def since(self) -> datetime:
        """Where the next search begins."""
        return self.newest - OVERLAP

    def knows(self, post: Post) -> bool:
        """Whether the post was handed on by an earlier search."""
        return digest(post.uri) in self.seen

    def moved(self, posts: Sequence[Post]) -> Mark:
        """The mark after a search from `since` on has found these posts."""
        return mark_of(posts, self.newest) or self


def mark_of(posts: Sequence[Post], newest: datetime | None = None) -> Mark | None:
    """The mark of a search; None when none of its posts has a time. `newest`: of searches before it."""
    times = [post.at for post in posts if post.at is not None] + ([newest] if newest is not None else [])
    if not times:
        return None
    latest = max(times)
    seen = [digest(post.uri) for post in posts if post.at is None or post.at >= latest - OVERLAP]
    return Mark(latest, frozenset(seen[:_SEEN_MAX]))


def digest(uri: str) -> str:
    """64 bits: among 2,000 posts two of one digest are as likely as one in 10^13."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]


class Marks:
    """Marks by brand and query. `read` raises `QueueUnavailable`."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def read(self, brand: str, query: str) -> Mark | None:
        """How far a search has come; None: it begins anew. Raises `QueueUnavailable`."""
        raw = await self._client.call("GET", _key(brand, query))
        if raw is None:
            return None
        try:
            document = orjson.loads(raw)
            newest = parse_time(document["newest"])
            if newest is not None:
                return Mark(newest, frozenset(str(one) for one in document["seen"]))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            newest = None
        log.warning("a mark of a search cannot be read; the search begins anew", brand=brand, query=query)
        return None

    def write(self, brand: str, query: str, mark: Mark) -> Command:
        """The command that belongs to the outputs of the search."""
        document = {"newest": iso(mark.newest), "seen": sorted(mark.seen)}
        return ("SET", _key(brand, query), orjson.dumps(document), "EX", _KEPT_SEC)


def _key(brand: str, query: str) -> str:
    return _PREFIX + hashlib.sha256(f"{brand}\x00{query}".encode()).hexdigest()[:40]
