"""The newest mentions of a brand, read for who else is named in them: bounded, in slices, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING

from ..brand_terms import BrandTerms
from ..competitor_discovery import Candidate, Discovery, Post
from ..cpu import Cpu
from ..storage import MENTIONS, Document, Storage, call
from .audience import AudienceView, Span

DAYS: Final = 90
"""How far back, from the brand's newest mention: rivals of a season, not of a decade."""
POSTS_MAX: Final = 5_000
"""Newest mentions read in one run: some two seconds of the processor, in slices of 50."""
_BATCH: Final = 100
SLICE: Final = 50
"""As everywhere on that thread: some 15 ms of work between two looks at what else waits for the processor."""
_FIELDS: Final = {"id": 1, "text": 1, "author": 1, "source": 1, "competitor": 1}


@dataclass(frozen=True, slots=True)
class MentionsRead:
    """What was read, and who stands in it."""

    candidates: tuple[Candidate, ...]
    posts: int
    span: Span


class MentionScan:
    """Built once per process."""

    def __init__(self, storage: Storage, cpu: Cpu, *, posts_max: int = POSTS_MAX, days: int = DAYS) -> None:
        self._storage = storage
        self._cpu = cpu
        self._posts_max = posts_max
        self._days = days
        self._one_at_a_time = asyncio.Lock()

    async def read(self, brand: str, terms: BrandTerms, own_names: Sequence[str], *, now: datetime) -> MentionsRead:
        """One brand after another: they share a processor, and two would only need the memory of both.

        Raises:
            StorageUnavailable: nothing was changed, try again.
        """
        async with self._one_at_a_time:
            return await self._read(brand, terms, own_names, now)

    async def _read(self, brand: str, terms: BrandTerms, own_names: Sequence[str], now: datetime) -> MentionsRead:
        span = await AudienceView(self._storage).span(brand, days=self._days, now=now)
        discovery = Discovery(terms, own_names)
        query = {"brand": brand, "created_at": {"$gte": span.since, "$lte": span.until}}
        found = self._storage.collection(MENTIONS).find(query, _FIELDS).sort([("created_at", DESCENDING)])
        cursor = found.limit(self._posts_max).batch_size(_BATCH)
        try:
            while batch := await self._next(cursor):
                posts = [_post(document) for document in batch]
                for start in range(0, len(posts), SLICE):
                    await self._cpu.run(discovery.add, posts[start : start + SLICE])
        finally:
            await cursor.close()
        return MentionsRead(tuple(await gathered(discovery, self._cpu)), discovery.posts, span)

    async def _next(self, cursor: Any) -> list[Document]:
        async with call("read mentions for discovery"):
            batch: list[Document] = await cursor.to_list(_BATCH)
        return batch


async def gathered(discovery: Discovery, cpu: Cpu) -> list[Candidate]:
    """Have everything read that was added, part by part: `SLICE` posts each, or a page's."""
    for part in range(discovery.parts):
        await cpu.run(discovery.gather, part)
    return await cpu.run(discovery.candidates)


def _post(document: Document) -> Post:
    author = document.get("author")
    return Post(
        id=document["id"],
        text=document["text"],
        author=f"{document['source']}:{author.strip().lstrip('@').lower()}" if isinstance(author, str) else None,
        tracked=document.get("competitor"),
    )
