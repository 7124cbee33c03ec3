"""Topics of a brand as people look at them: what was said in a span of time, by the topics' present names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..cluster_labels import NOISE_LABEL
from ..models import SentimentLabel
from ..pipeline.brand_state import BrandState
from ..pipeline.topic_sums import NOISE, TopicRow
from ..times import from_ms, iso, iso_ms
from ..topic_records import label_of
from ..topics import Label, better, resolved
from .insight_store import InsightStore
from .topic_store import Names, TopicStore

_EXAMPLES: Final = 3
"""Ids of the newest mentions that are shown of a topic."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was said of a brand by topic since a moment."""

    since: datetime
    mentions: int
    """Stored mentions that have a topic."""
    alone: int
    """Those of them that are alone in theirs, which is not listed."""
    items: Sequence[Mapping[str, Any]]
    """Largest first."""


class TopicView:
    """Raises like the stores."""

    def __init__(self, topics: TopicStore, insight: InsightStore) -> None:
        self._topics = topics
        self._insight = insight

    async def named(self, brand: str, topic: str) -> list[str]:
        """All names under which mentions and counts of a topic are stored: its own, and those of what became it."""
        names, folded = await asyncio.gather(self._topics.names(brand), self._insight.merged_topics(brand))
        merged = {**folded, **names.merged}
        final = resolved(topic, merged)
        return sorted({topic, final} | {old for old in merged if resolved(old, merged) == final})

    async def span(self, state: BrandState, days: int) -> Span:
        """The last days of the brand's own time. `examples` of the items are left to `with_examples`."""
        since = from_ms(state.as_of_ms) - timedelta(days=days)
        rows, names = await asyncio.gather(self._topics.rows(state.brand, since), self._topics.names(state.brand))
        merged = {**state.clusters.sums.merged, **names.merged}
        found: dict[str, TopicRow] = {}
        for topic, row in rows.items():
            found.setdefault(resolved(topic, merged), TopicRow()).merge(row)
        ever = state.clusters.sums.rows
        alone = {topic for topic, row in found.items() if topic != NOISE and row.posts == 1 and _alone(ever.get(topic))}
        total = sum(row.stored for row in found.values())
        spiking = {resolved(topic, merged) for topic in state.clusters.spiking}
        ordered = sorted(found.items(), key=lambda item: (-item[1].stored, item[0]))
        items = [
            {
                **_named(topic, _label(topic, names, state)),
                **_counted(row, ever.get(topic), total),
                "spike": topic in spiking,
            }
            for topic, row in ordered
            if topic not in alone
        ]
        return Span(since, total, len(alone), items)

    async def with_examples(self, brand: str, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The items with ids of their newest mentions."""

        async def one(item: Mapping[str, Any]) -> dict[str, Any]:
            newest = await self._topics.newest(brand, await self.named(brand, item["id"]), _EXAMPLES)
            return {**item, "examples": [document["_id"] for document in newest]}

        return list(await asyncio.gather(*(one(item) for item in items)))


def _alone(ever: TopicRow | None) -> bool:
    return ever is None or ever.posts <= 1


def _label(topic: str, names: Names, state: BrandState) -> Label | None:
    row = names.labels.get(topic)
    return better(None if row is None else label_of(row), state.clusters.sums.labels.get(topic))


def _named(topic: str, label: Label | None) -> dict[str, Any]:
    if label is None:
        return {"id": topic, "label": NOISE_LABEL if topic == NOISE else None, "labelBy": None, "summary": None}
    return {"id": topic, "label": label.text, "labelBy": label.by.value, "summary": label.summary}


def _counted(row: TopicRow, ever: TopicRow | None, total: int) -> dict[str, Any]:
    """`mentions` are the span's stored ones, `mentionsAll` and `postsAll` all that are remembered of the topic."""
    return {
        "mentions": row.stored,
        "share": round(row.stored / total, 4),
        "mentionsAll": ever.stored if ever is not None else None,
        "postsAll": ever.posts if ever is not None else None,
        "sentiments": {label.value: row.labels[label.value] for label in SentimentLabel},
        "sentimentScore": row.score,
        "firstMention": iso_ms(row.first_ms),
        "lastMention": iso_ms(row.last_ms),
    }


def span_shown(brand: str, days: int, as_of_ms: int, span: Span) -> dict[str, Any]:
    """What is said of a span as a whole."""
    return {
        "brand": brand,
        "days": days,
        "since": iso(span.since),
        "asOf": iso_ms(as_of_ms),
        "mentions": span.mentions,
        "alone": span.alone,
    }
