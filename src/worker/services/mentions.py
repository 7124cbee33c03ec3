"""A chunk of mentions from its raw items to stored verdicts: normalise, deduplicate, analyse the new, store, count.

A mention that is known word for word or nearly so (`services/duplicates`) is linked to the first of its kind and
counted with its own time and author, because it is volume; it is neither analysed nor stored again.

Idempotent: the chunk that brought a mention first owns it. A second execution of the same chunk finds its own mentions
stored, counts them as its own, and comes to the same numbers and the same result as the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from ..analyzer import BrandTerms
from ..cpu import Cpu
from ..metrics import Metrics
from ..models import Analysed, Chunk, Mention, Rejected, Sentiment
from ..pipeline.chunk_result import chunk_result, tallies
from ..pipeline.documents import mention_key, public_analysed, to_document
from ..pipeline.intake import chunk_key
from ..pipeline.normalize import Normalised, normalise
from ..storage import Document, Storage
from .brands import BrandDirectory
from .duplicates import NearLinks, links_within
from .posts import Insight, Repeated
from .tiers import Tiers

_DUPLICATES_LISTED: Final = 500
_REASONS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Repeat:
    """A mention that is not stored because another one like it is; volume all the same."""

    id: str
    duplicate_of: str
    """`_id` of the stored mention."""
    created_at: datetime
    author: str | None
    near: bool
    """Alike, not equal."""


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What became of a chunk. `result` is None when there is nothing to publish."""

    counts: Mapping[str, Any]
    result: dict[str, Any] | None
    rejected: tuple[Rejected, ...]
    repeats: tuple[Repeat, ...] = ()
    again: bool = False
    """The same chunk was processed by another task before: nothing of it is to be published again."""
    own: tuple[Document, ...] = ()
    """Stored mentions that this chunk owns and is to publish."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Which task a chunk is executed for."""

    task_id: str
    entry: str
    replayed: bool

    def is_another(self, first: Document) -> bool:
        """Than the one that processed the chunk first? A producer may send the same task, id and all, again; a replay
        is the first one, which had failed."""
        if first["task_id"] != self.task_id:
            return True
        return bool(self.entry and first.get("entry")) and first["entry"] != self.entry and not self.replayed


@dataclass(slots=True)
class _Sorted:
    """Items of a chunk by what they are."""

    own: list[Document]
    """Stored mentions that this chunk owns, in its order."""
    brought: list[Mention]
    """The same as the chunk brought them."""
    repeats: list[Repeat]
    repeated: list[Repeated]


class MentionService:
    """Built once per process."""

    def __init__(
        self,
        storage: Storage,
        brands: BrandDirectory,
        cpu: Cpu,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        max_chars: int,
        tiers: Tiers,
        near: NearLinks | None = None,
        insight: Insight | None = None,
    ) -> None:
        """`near` links mentions across chunks; without it only those of equal canonical text are. `insight` adds chunks
        to the picture of their brand; without it nobody does."""
        self._storage = storage
        self._brands = brands
        self._cpu = cpu
        self._metrics = metrics
        self._clock = clock
        self._max_chars = max_chars
        self._near = near
        self._tiers = tiers
        self._insight = insight

    async def analyse(self, chunk: Chunk) -> tuple[list[dict[str, Any]], tuple[Rejected, ...]]:
        """Verdicts without storing anything, in the chunk's order; repeats inside the chunk name their original."""
        normal = await self._normalise(chunk, self._clock())
        terms = await self._brands.terms(chunk.brand, chunk.keywords)
        firsts = _first_of_each(normal)
        links = await self._cpu.run(links_within, list(firsts.values()))
        originals = [mention for digest, mention in firsts.items() if digest not in links]
        analysed = {
            one.mention.content_hash: one for one in await self._tiers.analyse(originals, terms, brand=chunk.brand)
        }
        verdicts = []
        for index, mention in normal.mentions:
            digest = links.get(mention.content_hash, mention.content_hash)
            first, verdict = firsts[digest], analysed[digest].verdict
            shown = public_analysed(Analysed(mention, verdict), duplicate_of=None if mention is first else first.id)
            verdicts.append({**shown, "index": index})
        return verdicts, tuple(normal.rejected)

    async def process(
        self, chunk: Chunk, *, task_id: str, received_at: datetime, entry: str = "", replayed: bool = False
    ) -> ChunkOutcome:
        """Store and count a chunk. `entry` and `replayed` tell a second execution from a second task, as in `Task`.

        Raises:
            StorageUnavailable, QueueUnavailable: try again later; nothing was counted.
        """
        began = time.perf_counter()
        normal = await self._normalise(chunk, received_at)
        firsts = _first_of_each(normal)
        key = chunk_key(chunk, [mention.content_hash for _, mention in normal.mentions])
        known = await self._known(chunk.brand, firsts)
        fresh = [mention for digest, mention in firsts.items() if digest not in known]
        links = await self._near.of(fresh) if self._near is not None else {}
        fresh = [mention for mention in fresh if mention.content_hash not in links]
        terms = await self._brands.terms(chunk.brand, chunk.keywords)
        analysing = time.perf_counter()
        analysed = await self._tiers.analyse(fresh, terms, brand=chunk.brand, task_id=task_id)
        storing = time.perf_counter()
        known |= await self._store(analysed, owner=key)
        sorted_out = _sort(normal, firsts, known, links, owner=key)
        timings = {
            "preprocessing_time_ms": round((analysing - began) * 1000, 2),
            "analysis_time_ms": round((storing - analysing) * 1000, 2),
            "io_time_ms": round((time.perf_counter() - storing) * 1000, 2),
        }
        waiting = await self._contribution(sorted_out, terms, chunk.brand, owner=key, received_at=received_at)
        origin = _Origin(task_id, entry, replayed)
        return await self._conclude(chunk, key, origin, normal, sorted_out, timings, waiting)

    # -- steps -------------------------------------------------------------------------------------------------

    async def _normalise(self, chunk: Chunk, received_at: datetime) -> Normalised:
        return await self._cpu.run(_normalise, chunk, received_at, self._max_chars)

    async def _known(self, brand: str, firsts: Mapping[str, Mention]) -> dict[str, Document]:
        found = await self._storage.mentions_by_key([mention_key(brand, digest) for digest in firsts])
        return {document["content_hash"]: document for document in found.values()}

    async def _store(self, analysed: Sequence[Analysed], *, owner: str) -> dict[str, Document]:
        """Store new mentions and read back who owns them: another worker may have stored one a moment earlier."""
        if not analysed:
            return {}
        now = self._clock()
        documents = [to_document(one, owner=owner, now=now) for one in analysed]
        await self._storage.insert_mentions(documents)
        stored = await self._storage.mentions_by_key([document["_id"] for document in documents])
        return {document["content_hash"]: document for document in stored.values()}

    async def _contribution(
        self, sorted_out: _Sorted, terms: BrandTerms, brand: str, *, owner: str, received_at: datetime
    ) -> Document:
        """What the chunk adds to its brand, as it waits in the chunk's document."""
        if self._insight is None:
            return {}

        async def moods(mentions: Sequence[Mention]) -> list[Sentiment]:
            return await self._tiers.moods(mentions, terms)

        owned = list(zip(sorted_out.brought, sorted_out.own, strict=True))
        return await self._insight.contribution(
            owned, sorted_out.repeated, moods, brand=brand, owner=owner, received_at=received_at
        )

    async def _conclude(
        self,
        chunk: Chunk,
        key: str,
        origin: _Origin,
        normal: Normalised,
        sorted_out: _Sorted,
        timings: Mapping[str, float],
        waiting: Document,
    ) -> ChunkOutcome:
        now = self._clock()
        counts: dict[str, Any] = {
            "brand": chunk.brand,
            "chunkId": chunk.chunk_id,
            "read": len(chunk.items),
            "stored": len(sorted_out.own),
            "duplicates": len(sorted_out.repeats),
            "nearDuplicates": sum(repeat.near for repeat in sorted_out.repeats),
            "rejected": len(normal.rejected),
            "synthetic": normal.synthetic,
            "rejectedReasons": [bad.reason for bad in normal.rejected[:_REASONS_SHOWN]],
            **tallies(sorted_out.own),
        }
        result = None
        if sorted_out.own:
            result = chunk_result(
                brand=chunk.brand,
                chunk_id=chunk.chunk_id,
                verdicts=sorted_out.own,
                processed_at=now,
                metrics={**timings, "total_task_time_ms": round(sum(timings.values()), 2)},
                spike_detected=self._insight is not None and await self._insight.spike_detected(chunk.brand),
            )
        record = await self._storage.save_chunk(
            key,
            {
                "brand": chunk.brand,
                "chunk_id": chunk.chunk_id,
                "task_id": origin.task_id,
                "entry": origin.entry,
                "envelope_id": chunk.envelope_id,
                "batch_id": chunk.batch_id,
                "org_id": chunk.org_id,
                "first_seen": now,
                **waiting,
            },
            {
                "last_seen": now,
                "counts": counts,
                "result": result,
                "duplicates": [asdict(repeat) for repeat in sorted_out.repeats[:_DUPLICATES_LISTED]],
                "rejected": [{"index": bad.index, "reason": bad.reason} for bad in normal.rejected],
            },
        )
        again = origin.is_another(record)  # sent again by its producer: published by the first task
        if self._insight is not None:
            self._insight.signal(chunk.brand)
        self._count(counts, again)
        own = () if again else tuple(sorted_out.own)
        repeats = tuple(sorted_out.repeats)
        return ChunkOutcome(counts, None if again else result, tuple(normal.rejected), repeats, again, own)

    def _count(self, counts: Mapping[str, Any], again: bool) -> None:
        stored = 0 if again else counts["stored"]
        self._metrics.mentions.labels("stored").inc(stored)
        self._metrics.mentions.labels("duplicate").inc(counts["duplicates"] + counts["stored"] - stored)
        self._metrics.mentions.labels("rejected").inc(counts["rejected"])
        self._metrics.mentions.labels("synthetic").inc(counts["synthetic"])


def _normalise(chunk: Chunk, received_at: datetime, max_chars: int) -> Normalised:
    return normalise(chunk, received_at=received_at, max_chars=max_chars)


def _first_of_each(normal: Normalised) -> dict[str, Mention]:
    firsts: dict[str, Mention] = {}
    for _, mention in normal.mentions:
        firsts.setdefault(mention.content_hash, mention)
    return firsts


def _sort(
    normal: Normalised,
    firsts: Mapping[str, Mention],
    known: Mapping[str, Document],
    links: Mapping[str, str],
    *,
    owner: str,
) -> _Sorted:
    out = _Sorted([], [], [], [])
    for _, mention in normal.mentions:
        target = links.get(mention.content_hash)
        document = known[mention.content_hash] if target is None else None
        if document is not None and mention is firsts[mention.content_hash] and document["owner"] == owner:
            out.own.append(document)
            out.brought.append(mention)
        else:
            out.repeated.append(Repeated(mention, document))
            original = mention_key(mention.brand, target or mention.content_hash)
            out.repeats.append(
                Repeat(mention.id, original, mention.created_at, mention.author, near=target is not None)
            )
    return out
