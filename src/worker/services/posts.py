"""Which mentions of a chunk count as posts, and their sums: the contribution that is stored with the chunk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ..cpu import Cpu
from ..models import Mention, Sentiment, SentimentLabel
from ..pipeline.contribution import Contribution, Post, contribution, post_key, same_post
from ..pipeline.topic_sums import TopicNews
from ..storage import Document
from .insight_store import InsightStore

Moods = Callable[[Sequence[Mention]], Awaitable[list[Sentiment]]]
"""Judges mentions by their own text, in order. A repeat may be worded a little differently from what it repeats, and
which of the two came first must not matter."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A mention that is not stored. `stored` is the document of the very same text, None where it is only alike."""

    mention: Mention
    stored: Document | None
    topic: str | None = None
    """Of what it repeats; None where that has none or is not known."""


class Insight(Protocol):
    """What the way of a mention needs to know of insight (`services.insight`)."""

    async def contribution(
        self,
        owned: Sequence[tuple[Mention, Document]],
        repeated: Sequence[Repeated],
        moods: Moods,
        *,
        brand: str,
        owner: str,
        received_at: datetime,
        news: TopicNews,
    ) -> Document:
        """Fields of the chunk's document with what the chunk adds; the same at every execution of it."""
        ...

    async def spike_detected(self, brand: str) -> bool: ...

    async def spiking_topics(self, brand: str) -> frozenset[str]:
        """Topics that take part in the spike that is on."""
        ...

    def signal(self, brand: str) -> None:
        """The chunk's document has been stored."""
        ...


class PostCounter:
    """Built once per process."""

    def __init__(self, store: InsightStore, cpu: Cpu, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._cpu = cpu
        self._clock = clock

    async def count(
        self,
        owned: Sequence[tuple[Mention, Document]],
        repeated: Sequence[Repeated],
        moods: Moods,
        *,
        owner: str,
        received_at: datetime,
        news: TopicNews | None = None,
    ) -> Contribution:
        """Sums of a chunk: of the mentions it owns, with their documents, and of repeats nobody has counted before.

        `news`: names and mergers of topics that the chunk brings along; None: there are none.
        """
        others: dict[str, Repeated] = {}
        for one in repeated:
            if one.stored is None or not same_post(one.mention, one.stored["author"]):
                others.setdefault(post_key(one.mention), one)
        claimed = await self._store.claim_posts(others, owner=owner, now=self._clock())
        counted = [one for key, one in others.items() if key in claimed]
        judged = await moods([one.mention for one in counted]) if counted else []
        posts = [Post(mention, _sentiment(document), document, document.get("topic")) for mention, document in owned]
        posts += [Post(one.mention, mood, None, one.topic) for one, mood in zip(counted, judged, strict=True)]
        sums = await self._cpu.run(_sums, posts, received_at)
        if news is not None:
            sums.clusters.tell(news)
        return sums


def _sums(posts: Sequence[Post], received_at: datetime) -> Contribution:
    return contribution(posts, received_at=received_at)


def _sentiment(document: Mapping[str, Any]) -> Sentiment:
    found = document["sentiment"]
    return Sentiment(SentimentLabel(found["label"]), found["score"])
