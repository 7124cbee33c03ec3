"""`bluesky_search`: posts of Bluesky about a brand, handed on as chunks of mentions.

What is found is enqueued in the transaction that acknowledges the search, together with the mark from which the next
one goes on: a search that is executed twice, or that a crash cuts off, hands nothing on twice and leaves nothing out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..bluesky.posts import Post
from ..bluesky.xrpc import Line
from ..bluesky_scraper import QUERY_MAX, BlueskyClient, Found, Search
from ..cpu import Cpu
from ..errors import InvalidTask
from ..keys import STREAMS
from ..models import Task
from ..queue_commands import Command
from ..services.bluesky_chunks import Chunks, chunk_tasks
from ..services.bluesky_marks import Marks, mark_of
from ..services.brands import BrandDirectory, BrandMeta
from ..tasks import json_kind, slug_of
from ..times import iso, parse_time
from ..trace_context import outgoing
from . import HandlerResult

LIMIT: Final = 500
LIMIT_MAX: Final = 2_000
"""Posts; twenty calls, far from the network's 3,000 in five minutes."""
PHRASES_MAX: Final = 8
"""Names and keywords searched for by default: each is a search of its own, because the API has no "or"."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    brand: str
    query: str | None
    since: datetime | None
    limit: int


@dataclass(frozen=True, slots=True)
class _Searched:
    """One query and what came of it."""

    query: str
    since: datetime | None
    found: Found
    known: int
    """Posts that an earlier search handed on."""


class BlueskySearch:
    """Built once per process."""

    def __init__(
        self, client: BlueskyClient, brands: BrandDirectory, marks: Marks, cpu: Cpu, *, max_task_bytes: int
    ) -> None:
        self._client = client
        self._brands = brands
        self._marks = marks
        self._cpu = cpu
        self._max_bytes = max_task_bytes

    def check(self, task: Task) -> None:
        _wanted(task)

    async def handle(self, task: Task) -> HandlerResult:
        """Raises `FetchError` when the network cannot be searched, `QueueUnavailable` without Redis."""
        wanted = _wanted(task)
        queries = (
            [wanted.query] if wanted.query is not None else phrases(wanted.brand, await self._brands.meta(wanted.brand))
        )
        asked = queries[:PHRASES_MAX]
        fresh: dict[str, Post] = {}
        outputs: list[Command] = []
        searched = []
        async with self._client.line() as line:
            for query in asked:
                one, mark = await self._search(line, wanted, query, -(-wanted.limit // len(asked)), fresh)
                searched.append(one)
                outputs += mark
        chunks = await self._cpu.run(_chunks, wanted.brand, fresh, self._max_bytes, outgoing())
        stream = STREAMS[task.priority]
        outputs += [("XADD", stream, "*", "task", document) for _, document in chunks.tasks]
        return HandlerResult(_result(wanted, searched, chunks, len(queries) - len(asked)), tuple(outputs))

    async def _search(
        self, line: Line, wanted: _Wanted, query: str, limit: int, fresh: dict[str, Post]
    ) -> tuple[_Searched, list[Command]]:
        """One query; adds to `fresh` what is to be handed on. A search from a `since` of its own neither uses nor moves
        the mark: it may begin after it, which would leave a gap, or look again at what is known on purpose."""
        mark = await self._marks.read(wanted.brand, query) if wanted.since is None else None
        since = mark.since if mark is not None else wanted.since
        found = await self._client.search(line, Search(query, limit, since))
        posts = found.posts if mark is None else [post for post in found.posts if not mark.knows(post)]
        for post in posts:
            fresh.setdefault(post.uri, post)
        moved = mark.moved(found.posts) if mark is not None else mark_of(found.posts)
        outputs: list[Command] = []
        if moved is not None and wanted.since is None:
            outputs.append(self._marks.write(wanted.brand, query, moved))
        return _Searched(query, since, found, len(found.posts) - len(posts)), outputs


def phrases(brand: str, meta: BrandMeta) -> list[str]:
    """What to search for when the task names nothing: name, aliases and keywords, each once.

    Whatever is more than one word is quoted; it could also be an operator of the search, such as `from:name`.
    """
    found: dict[str, str] = {}
    for name in (meta.name or brand.replace("-", " "), *meta.aliases, *meta.keywords):
        words = " ".join(name.replace('"', " ").split())[: QUERY_MAX - 2]
        if any(character.isalnum() for character in words):
            found.setdefault(words.casefold(), words if words.isalnum() else f'"{words}"')
    return list(found.values()) or [brand.replace("-", " ")]  # a meta of signs only; slugs have a letter or digit


def _wanted(task: Task) -> _Wanted:
    if task.brand is None:
        raise InvalidTask("brand", "is required")
    payload = task.payload
    return _Wanted(slug_of(task.brand), _query(payload), _since(payload, task), _limit(payload))


def _query(payload: Mapping[str, Any]) -> str | None:
    value = payload.get("query")
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTask("query", f"must be text, not {json_kind(value)}")
    query = " ".join(value.split())
    if not query:
        raise InvalidTask("query", "is empty")
    if len(query) > QUERY_MAX:
        raise InvalidTask("query", f"is longer than {QUERY_MAX} characters")
    return query


def _since(payload: Mapping[str, Any], task: Task) -> datetime | None:
    value = payload.get("since")
    if value is None:
        return None
    when = parse_time(value)
    if when is None:
        raise InvalidTask("since", "must be an ISO 8601 time or epoch milliseconds")
    if when > task.received_at + timedelta(days=1):
        raise InvalidTask("since", "lies in the future: nothing could be found")
    return when


def _limit(payload: Mapping[str, Any]) -> int:
    value = payload.get("limit", LIMIT)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTask("limit", f"must be a whole number, not {json_kind(value)}")
    if not 1 <= value <= LIMIT_MAX:
        raise InvalidTask("limit", f"must be 1 to {LIMIT_MAX}")
    return value


def _chunks(brand: str, fresh: Mapping[str, Post], max_bytes: int, trace: Mapping[str, str]) -> Chunks:
    """Oldest first, as they would have come; a post without a time is as young as can be."""
    ordered = sorted(fresh.values(), key=lambda post: (post.at.timestamp() if post.at else math.inf, post.uri))
    return chunk_tasks(brand, [post.mention for post in ordered], max_bytes=max_bytes, trace=trace)


def _result(wanted: _Wanted, searched: list[_Searched], chunks: Chunks, phrases_left: int) -> dict[str, Any]:
    """The task's record. What became of the posts is in the records of the tasks named in `chunks`."""
    reasons: Counter[str] = Counter()
    for one in searched:
        reasons.update(one.found.left_out)
    if chunks.too_large:
        reasons["too_large"] += chunks.too_large
    return {
        "brand": wanted.brand,
        "found": sum(len(one.found.posts) for one in searched),
        "known": sum(one.known for one in searched),
        "queued": chunks.posts,
        "leftOut": sum(reasons.values()),
        "reasons": dict(sorted(reasons.items())),
        "pages": sum(one.found.pages for one in searched),
        "complete": phrases_left == 0 and all(one.found.complete for one in searched),
        "phrasesLeftOut": phrases_left,
        "chunks": [identity for identity, _ in chunks.tasks],
        "searches": [_search_shown(one) for one in searched],
    }


def _search_shown(one: _Searched) -> dict[str, Any]:
    return {
        "query": one.query,
        "since": None if one.since is None else iso(one.since),
        "newest": None if one.found.newest is None else iso(one.found.newest),
        "found": len(one.found.posts),
        "known": one.known,
        "repeated": one.found.repeated,
        "pages": one.found.pages,
        "complete": one.found.complete,
    }
