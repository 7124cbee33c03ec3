"""A chunk of mentions from its raw items to stored verdicts: normalise, deduplicate, analyse the new, store, count.

A mention that is known word for word or nearly so (`services/duplicates`) is linked to the first of its kind and
counted with its own time and author, because it is volume; it is neither analysed nor stored again.

Idempotent: the chunk that brought a mention first owns it. A second execution of the same chunk finds its own mentions
stored, counts them as its own, and comes to the same numbers and the same result as the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .analyzer import BrandTerms
from .cpu import Cpu
from .metrics import Metrics
from .models import Analysed, Chunk, Mention, Rejected, Sentiment
from .pipeline.chunk_result import chunk_result
from .pipeline.clusters import missing
from .pipeline.documents import NO_TOPICS, Place, mention_key, public_analysed, to_document
from .pipeline.intake import chunk_key
from .pipeline.normalize import Normalised, normalise
from .services.brands import BrandDirectory
from .services.chunk_records import Executed, Origin, timings
from .services.duplicates import NearLinks, links_within
from .services.posts import Insight
from .services.sorting import Repeat, Sorted, first_of_each, sort_out
from .services.tiers import Tiers
from .services.topics import ChunkTopics, TopicService
from .storage import Document, Storage
from .times import to_ms


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


class BatchProcessor:
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
        topics: TopicService | None = None,
    ) -> None:
        """`near` links mentions across chunks; without it only those of equal canonical text are. `insight` adds chunks
        to the picture of their brand; without it nobody does. `topics` gives mentions their topics; without it they
        have none."""
        self._storage = storage
        self._brands = brands
        self._cpu = cpu
        self._metrics = metrics
        self._clock = clock
        self._max_chars = max_chars
        self._near = near
        self._tiers = tiers
        self._insight = insight
        self._topics = topics

    async def analyse(self, chunk: Chunk) -> tuple[list[dict[str, Any]], tuple[Rejected, ...]]:
        """Verdicts without storing anything, in the chunk's order; repeats inside the chunk name their original."""
        normal = await self._normalise(chunk, self._clock())
        terms = await self._brands.terms(chunk.brand, chunk.keywords)
        firsts = first_of_each(normal)
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
        self,
        chunk: Chunk,
        *,
        task_id: str,
        received_at: datetime,
        entry: str = "",
        replayed: bool = False,
        last_attempt: bool = False,
    ) -> ChunkOutcome:
        """Store and count a chunk. `entry` and `replayed` tell a second execution from a second task, as in `Task`.

        Args:
            last_attempt: nobody will try again: what can be left out (topics) is, rather than failing.

        Raises:
            StorageUnavailable, QueueUnavailable: try again later; nothing was counted.
            LLMError: the same, because of the embeddings.
        """
        moments = [time.perf_counter()]
        stage = self._metrics.stage
        with stage("normalise") as here:
            normal = await self._normalise(chunk, received_at)
            here.set("worker.mentions", len(chunk.items))
        firsts = first_of_each(normal)
        key = chunk_key(chunk, [mention.content_hash for _, mention in normal.mentions])
        with stage("dedup") as here:
            known, links, fresh = await self._sift(chunk.brand, firsts, owner=key)
            here.set("worker.mentions.new", len(fresh))
        terms = await self._brands.terms(chunk.brand, chunk.keywords)
        moments.append(time.perf_counter())
        with stage("analyse"):
            analysed = await self._tiers.analyse(fresh, terms, brand=chunk.brand, task_id=task_id)
        moments.append(time.perf_counter())
        places = await self._place(chunk.brand, analysed, terms, last_attempt=last_attempt)
        moments.append(time.perf_counter())
        with stage("store"):
            known |= await self._store(analysed, places, owner=key)
        sorted_out = sort_out(normal, firsts, known, links, await self._alike(chunk.brand, links), owner=key)
        moments.append(time.perf_counter())
        with stage("conclude"):
            about = await self._about(chunk.brand, sorted_out)
            waiting = await self._contribution(
                sorted_out, terms, chunk.brand, about, owner=key, received_at=received_at
            )
            origin = Origin(task_id, entry, replayed)
            executed = Executed(chunk, key, origin, normal, sorted_out, timings(moments), self._clock())
            return await self._conclude(executed, waiting, about)

    # -- steps -------------------------------------------------------------------------------------------------

    async def _normalise(self, chunk: Chunk, received_at: datetime) -> Normalised:
        return await self._cpu.run(_normalise, chunk, received_at, self._max_chars)

    async def _sift(
        self, brand: str, firsts: Mapping[str, Mention], *, owner: str
    ) -> tuple[dict[str, Document], Mapping[str, str], list[Mention]]:
        """What is known already, what is nearly so (with what it is like), and what has to be analysed."""
        known = await self._known(brand, firsts, owner=owner)
        fresh = [mention for digest, mention in firsts.items() if digest not in known]
        links = await self._near.of(fresh) if self._near is not None else {}
        return known, links, [mention for mention in fresh if mention.content_hash not in links]

    async def _place(
        self, brand: str, analysed: Sequence[Analysed], terms: BrandTerms, *, last_attempt: bool
    ) -> Mapping[str, Place]:
        """Topics of the mentions, by content hash."""
        if self._topics is None or not analysed:
            return {}
        with self._metrics.stage("topics"):
            return await self._topics.place(brand, [one.mention for one in analysed], terms, last_attempt=last_attempt)

    async def _known(self, brand: str, firsts: Mapping[str, Mention], *, owner: str) -> dict[str, Document]:
        """Mentions that are stored or archived. What a chunk that is executed again has brought itself, and the janitor
        has archived meanwhile, is not known: it is its own, and no repeat."""
        keys = [mention_key(brand, digest) for digest in firsts]
        found = await self._storage.mentions_by_key(keys, owner=owner)
        return {document["content_hash"]: document for document in found.values()}

    async def _alike(self, brand: str, links: Mapping[str, str]) -> dict[str, str | None]:
        """Topics of the mentions that others are alike to, by content hash."""
        if self._topics is None or not links:
            return {}
        keys = {mention_key(brand, digest): digest for digest in links.values()}
        return {keys[key]: topic for key, topic in (await self._topics.topics_of(list(keys))).items()}

    async def _about(self, brand: str, sorted_out: Sorted) -> ChunkTopics:
        """What the chunk's result and contribution say of topics."""
        if self._topics is None:
            return ChunkTopics(reason=missing(sorted_out.own))
        spiking = await self._insight.spiking_topics(brand) if self._insight is not None else frozenset[str]()
        named = [document.get("topic") for document in sorted_out.own] + [one.topic for one in sorted_out.repeated]
        return await self._topics.chunk(brand, sorted_out.own, [one for one in named if one is not None], spiking)

    async def _store(
        self, analysed: Sequence[Analysed], places: Mapping[str, Place], *, owner: str
    ) -> dict[str, Document]:
        """Store new mentions and read back who owns them: another worker may have stored one a moment earlier."""
        if not analysed:
            return {}
        now = self._clock()
        documents = [
            to_document(one, owner=owner, now=now, place=places.get(one.mention.content_hash, NO_TOPICS))
            for one in analysed
        ]
        await self._storage.insert_mentions(documents)
        stored = await self._storage.mentions_by_key([document["_id"] for document in documents])
        return {document["content_hash"]: document for document in stored.values()}

    async def _contribution(
        self,
        sorted_out: Sorted,
        terms: BrandTerms,
        brand: str,
        about: ChunkTopics,
        *,
        owner: str,
        received_at: datetime,
    ) -> Document:
        """What the chunk adds to its brand, as it waits in the chunk's document."""
        if self._insight is None:
            return {}

        async def moods(mentions: Sequence[Mention]) -> list[Sentiment]:
            return await self._tiers.moods(mentions, terms)

        owned = list(zip(sorted_out.brought, sorted_out.own, strict=True))
        return await self._insight.contribution(
            owned, sorted_out.repeated, moods, brand=brand, owner=owner, received_at=received_at, news=about.news
        )

    async def _conclude(self, executed: Executed, waiting: Document, about: ChunkTopics) -> ChunkOutcome:
        """Write the chunk down, and what it comes to. `waiting`: fields of its document for the brand's picture."""
        chunk, sorted_out, now = executed.chunk, executed.sorted_out, executed.ended_at
        counts = executed.counts()
        result = None
        if sorted_out.own:
            result = chunk_result(
                brand=chunk.brand,
                chunk_id=chunk.chunk_id,
                verdicts=sorted_out.own,
                processed_at=now,
                metrics=executed.timings,
                clusters=about.clusters,
                clusters_reason=about.reason,
                spike_detected=self._insight is not None and await self._insight.spike_detected(chunk.brand),
            )
        record = await self._storage.save_chunk(
            executed.key, {**executed.first_fields(), **waiting}, executed.last_fields(counts, result)
        )
        again = executed.origin.is_another(record)  # sent again by its producer: published by the first task
        if self._topics is not None and to_ms(record["first_seen"]) == to_ms(now):  # not an earlier execution's
            self._topics.carried(chunk.brand, about.news)
        if self._insight is not None:
            self._insight.signal(chunk.brand)
        self._count(counts, again)
        own = () if again else tuple(sorted_out.own)
        repeats = tuple(sorted_out.repeats)
        return ChunkOutcome(counts, None if again else result, tuple(executed.normal.rejected), repeats, again, own)

    def _count(self, counts: Mapping[str, Any], again: bool) -> None:
        stored = 0 if again else counts["stored"]
        self._metrics.mentions.labels("stored").inc(stored)
        self._metrics.mentions.labels("duplicate").inc(counts["duplicates"] + counts["stored"] - stored)
        self._metrics.mentions.labels("rejected").inc(counts["rejected"])
        self._metrics.mentions.labels("synthetic").inc(counts["synthetic"])


def _normalise(chunk: Chunk, received_at: datetime, max_chars: int) -> Normalised:
    return normalise(chunk, received_at=received_at, max_chars=max_chars)
