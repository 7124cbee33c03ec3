"""Topics of brands over chunks: each new mention gets its topic before it is stored, and keeps it.

A mention's topic is written with the mention (`$setOnInsert`), so that a second execution finds it there; how much is
said in a topic is counted from there, with everything else that a chunk adds to its brand. The states here only decide
which topic a mention joins: what a kill loses of them is two seconds of centroids' movement, and no id is given twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..embeddings import Embedder
from ..llm.errors import LLMError
from ..local_vectors import has_words
from ..logging import get_logger
from ..models import Mention
from ..pipeline.clusters import chunk_clusters, missing
from ..pipeline.documents import COMPETITORS, Place
from ..pipeline.topic_sums import NOISE, TopicNews
from ..storage import Document
from ..supervision import keep_running
from ..topic_labels import MASK, named, unnamed
from ..topics import Assigned, Joined, Label, TopicState, assign
from .topic_metrics import TopicMetrics
from .topic_names import TopicNames
from .topic_shelf import Entry, Shelf
from .topic_store import TopicStore

if TYPE_CHECKING:
    from ..local_vectors import Matrix

log = get_logger(__name__)

FLUSH_SEC: Final = 2.0
"""Between two writes of a brand's topics: what a kill loses."""
_CLOSE_SEC: Final = 5.0
_CHARS: Final = 8_000
"""Of longer texts the beginning: 2,000 tokens, which every model of embeddings takes, and enough to tell a topic."""


@dataclass(frozen=True, slots=True)
class ChunkTopics:
    """A chunk's mentions by topic, for its result and for what it adds to its brand."""

    clusters: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None
    """Why there are no clusters."""
    news: TopicNews = field(default_factory=TopicNews)


class TopicService:
    """`start` once, `close` after the last chunk."""

    def __init__(
        self,
        embedder: Embedder,
        store: TopicStore,
        cpu: Cpu,
        metrics: TopicMetrics,
        *,
        names: TopicNames | None = None,
        flush_sec: float = FLUSH_SEC,
    ) -> None:
        """`names`: where a model names topics; None: there is no model."""
        self._embedder = embedder
        self._store = store
        self._shelf = Shelf(store, cpu, metrics, space=embedder.space)
        self._cpu = cpu
        self._metrics = metrics
        self._names = names
        self._flush_sec = flush_sec
        self._stopping = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    # -- for the chunks ----------------------------------------------------------------------------------------

    async def place(
        self, brand: str, mentions: Sequence[Mention], terms: BrandTerms, *, last_attempt: bool
    ) -> dict[str, Place]:
        """Topics of new mentions by their content hash; the same ones again when a chunk is tried again soon.

        The brand's name is left out of the texts: all have it, and every text would be like every other one.

        Raises:
            LLMError: the embeddings failed and another attempt may help; on the last one mentions get no topic.
            StorageUnavailable, QueueUnavailable: try again later.
        """
        texts = await self._cpu.run(_texts, mentions, terms)
        places = {mention.content_hash: _without(mention) for mention, text in zip(mentions, texts, strict=True)}
        asked = [
            (mention, text)
            for mention, text in zip(mentions, texts, strict=True)
            if text is not None and mention.competitor is None
        ]
        if asked:
            try:
                vectors = await self._embedder.embed([text for _, text in asked], brand=brand)
            except LLMError as error:
                if error.retryable and not last_attempt:
                    raise
                self._metrics.degraded.inc()
                log.warning("a chunk goes on without topics", brand=brand, problem=error.message)
                lost = Place(None, f"embeddings failed: {error.code}")
                places |= {mention.content_hash: lost for mention, _ in asked}
            else:
                places |= await self._assign(brand, asked, vectors)
        self._count(places)
        return places

    async def chunk(
        self, brand: str, documents: Sequence[Document], topics: Iterable[str], spiking: Collection[str]
    ) -> ChunkTopics:
        """What a chunk's result and contribution say of topics.

        Args:
            documents: stored mentions that the chunk owns.
            topics: of all its mentions, repeats included.
            spiking: topics that take part in a spike of the brand.

        Raises:
            StorageUnavailable: try again later.
        """
        everyone = list(topics)
        async with self._shelf.held(brand) as entry:
            await self._name_repeated(entry, everyone, documents)
            state, merged = entry.known, dict(entry.merged)
        labels = {one.id: one.label for one in state.topics if one.label is not None}
        present = {state.resolved(topic) for topic in everyone}
        news = TopicNews({topic: labels[topic] for topic in sorted(present & labels.keys())}, merged)
        reason = missing(documents)
        if reason is not None or not documents:
            return ChunkTopics((), reason, news)
        return ChunkTopics(await self._cpu.run(chunk_clusters, documents, state, spiking), None, news)

    async def _name_repeated(self, entry: Entry, topics: Iterable[str], documents: Sequence[Document]) -> None:
        """Topics of one mention have no name. Those get one that somebody repeats."""
        own = Counter(one["topic"] for one in documents if one.get("topic") is not None)
        repeated = {entry.known.resolved(topic) for topic in Counter(topics) - own}
        if any(one.id in repeated and unnamed(one) for one in entry.known.topics):
            entry.state = await self._cpu.run(named, entry.known, repeated)
            entry.changes += 1

    async def topics_of(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Topics of stored mentions by `_id`. Raises `StorageUnavailable`."""
        return await self._store.topics_of(keys)

    def carried(self, brand: str, news: TopicNews) -> None:
        """A contribution with these news has been stored."""
        self._shelf.carried(brand, news.merged)

    async def _assign(self, brand: str, asked: Sequence[tuple[Mention, str]], vectors: Matrix) -> dict[str, Place]:
        async with self._shelf.held(brand) as entry:
            state = entry.known
            again = {one.content_hash: entry.placed.get(one.content_hash) for one, _ in asked}
            found = {digest: state.resolved(topic) for digest, topic in again.items() if topic is not None}
            fresh = [row for row, (mention, _) in enumerate(asked) if mention.content_hash not in found]
            if fresh:
                await self._shelf.reserve(brand, entry, len(fresh))
                batch = _Batch(
                    vectors[fresh],
                    [asked[row][0].content_hash for row in fresh],
                    [asked[row][0].created_at for row in fresh],
                    [asked[row][1] for row in fresh],
                )
                found |= await self._join(entry, batch)
            return {digest: Place(topic) for digest, topic in found.items()}

    async def _join(self, entry: Entry, batch: _Batch) -> dict[str, str]:
        before = {one.id for one in entry.known.topics}
        # A copy: the thread may still be at work when this coroutine has been cancelled.
        numbers = iter(tuple(entry.numbers))
        done = await self._cpu.run(batch.assigned, entry.known, numbers)
        entry.numbers = list(numbers)
        entry.move(done, batch.joined(done.topics))
        topics = dict(zip(batch.hashes, done.topics, strict=True))
        entry.remember(topics)
        began = len(set(done.topics) - before)
        self._metrics.placed.labels("began").inc(began)
        self._metrics.placed.labels("joined").inc(len(batch.hashes) - began)
        return topics

    def _count(self, places: Mapping[str, Place]) -> None:
        for place in places.values():
            if place.topic == NOISE:
                self._metrics.placed.labels("noise").inc()
            elif place.topic is None:
                self._metrics.placed.labels("competitor" if place is COMPETITORS else "degraded").inc()

    # -- in the background -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to store and to name topics. Needs a running event loop."""
        if not self._loops:
            self._loops = [asyncio.create_task(keep_running("topics", self._run), name="topics")]
            if self._names is not None:
                naming = partial(self._names.run, self._named)
                self._loops.append(asyncio.create_task(keep_running("topic-names", naming), name="topic-names"))

    async def close(self) -> None:
        """Store what is not stored yet, for a few seconds."""
        self._stopping.set()
        loops, self._loops = self._loops, []
        if loops:
            for task in loops[1:]:
                task.cancel()
            await asyncio.wait(loops, timeout=_CLOSE_SEC)
            for task in loops:
                task.cancel()
            await asyncio.wait(loops)
        try:
            async with asyncio.timeout(_CLOSE_SEC):
                stored = await self._shelf.flush()
        except TimeoutError:
            stored = False
        if not stored:
            log.warning("the last seconds' movement of topics is not stored; ids and counts are")
        await self._embedder.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._flush_sec):
                    await self._stopping.wait()
            try:
                await self._shelf.flush()
                if self._names is not None:
                    for brand, state in self._shelf.states():
                        self._names.offer(brand, state)
            except Exception as error:  # noqa: BLE001 - one brand that nobody foresaw must not stop all the others
                log.error("topics cannot be stored for now", exc=error)

    async def _named(self, brand: str, topic: str, label: Label) -> None:
        async with self._shelf.held(brand) as entry:
            entry.state = entry.known.labelled({entry.known.resolved(topic): label})
            entry.changes += 1


@dataclass(frozen=True, slots=True)
class _Batch:
    """New mentions of a chunk that have words."""

    vectors: Matrix
    hashes: list[str]
    times: list[datetime]
    texts: list[str]

    def assigned(self, state: TopicState, numbers: Iterator[int]) -> Assigned:
        done = assign(state, self.vectors, self.hashes, self.times, numbers=numbers, texts=self.texts)
        return replace(done, state=named(done.state))

    def joined(self, topics: Sequence[str]) -> list[Joined]:
        rows = range(len(topics))
        return [Joined(topics[row], self.vectors[row], self.times[row].timestamp(), self.texts[row]) for row in rows]


def _texts(mentions: Sequence[Mention], terms: BrandTerms) -> list[str | None]:
    """What is embedded of each mention; None where there are no words."""
    masked = [terms.mask(mention.text[:_CHARS], MASK) for mention in mentions]
    return [text if has_words(text) else None for text in masked]


def _without(mention: Mention) -> Place:
    """Of a mention that is not embedded."""
    return COMPETITORS if mention.competitor is not None else Place(NOISE)
