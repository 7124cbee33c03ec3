"""The days of the archive: when the parts of a day are there, its figures are added up and it gets its summary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ..pipeline.archive_sums import Sums
from ..raw_storage import decoded
from ..storage import Document
from .archive_books import ArchiveBooks
from .archive_parts import ArchiveParts
from .archive_records import Part, PartState
from .archive_summary import SAMPLE, Summarizer, sample_of
from .day_events import DayEvents

_STILL_TELLS: Final = 0.9
"""A summary that knew nine tenths of a day's mentions stays when others come late; asking again costs as much."""
_BLOCKS_SAMPLED: Final = 4
"""Blocks of a day that are read for a sample, spread over it: 20,000 mentions, of which 50 are shown."""


class Days:
    """Built once per run."""

    def __init__(
        self, books: ArchiveBooks, events: DayEvents, summaries: Summarizer, *, clock: Callable[[], datetime]
    ) -> None:
        self._books = books
        self._events = events
        self._summaries = summaries
        self._clock = clock

    async def close(self, brand: str, day: str, parts: ArchiveParts) -> bool:
        """Write a day's figures, from its parts, and its summary. True when a model wrote the summary now."""
        counted = (await self._books.sums(brand, [day])).get(day, [])
        total = Sums()
        for _, sums in counted:
            total.merge(sums)
        events = await self._events.of(brand, day)
        known = await self._books.day(brand, day)
        summary = None if known is None else known.get("summary")
        asked = False
        if summary is None or summary["mentions"] < total.mentions * _STILL_TELLS:
            sample = await self._sample([part for part, _ in counted], parts) if self._summaries.asks else []
            summary = await self._summaries.summary(brand, day, total, events, sample)
            summary |= {"mentions": total.mentions, "at": self._clock()}
            asked = summary["source"] == "model"
        fields: Document = {
            "mentions": total.mentions,
            "aggregates": total.shown(),
            "events": events,
            "summary": summary,
            "parts": [_listed(part) for part, _ in counted],
            "raw_bytes": sum(part.raw_bytes for part, _ in counted),
            "bytes": sum(part.bytes for part, _ in counted),
            "closed_at": self._clock(),
        }
        await self._books.close_day(brand, day, fields)
        return asked

    async def _sample(self, parts: list[Part], loader: ArchiveParts) -> list[Document]:
        there = [part for part in parts if part.state is not PartState.EXPIRED]
        step = max(1, len(there) // _BLOCKS_SAMPLED)
        chosen: list[Document] = []
        some = there[::step][:_BLOCKS_SAMPLED]
        for part in some:
            loaded = await loader.load(part)
            # A part is decoded whole in 0.1 s; every hundredth mention will do for a sample of fifty.
            documents = loaded.documents[:: max(1, len(loaded.documents) // (SAMPLE * 10))]
            chosen += sample_of([decoded(one.bson) for one in documents], SAMPLE // len(some))
        return sorted(chosen, key=lambda one: one["created_at"])


def _listed(part: Part) -> Document:
    names = ("name", "count", "bytes", "sha256", "first_id", "last_id")
    return {name: getattr(part, name) for name in names}
