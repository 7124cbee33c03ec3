"""What is remembered of a brand's topics: how much was said in each, what they are called, and which spike. Pure.

A topic takes part in a spike when its share of the spike's minutes is larger than chance would make it: with c of its
posts among the n of the spike's window and its usual share p of all the brand's other posts, c >= 3 and
c > n p + 2 sqrt(n p) (two standard deviations of a Poisson count). Three, because one or two people are no part of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from ..spike_detector import BUCKET_MS, LATENESS_MS
from ..topics import Label, number_of, resolved
from .topic_sums import NOISE, TopicRow, TopicSums

KEPT: Final = 100
"""Largest topics that are remembered, as many as a brand has at a time, and half as many of the most recent ones."""
_RECENT: Final = KEPT // 2
_TOO_MANY: Final = 3 * KEPT
_MERGED_KEPT: Final = 500
_BUCKETS: Final = 2 * LATENESS_MS // BUCKET_MS
"""A spike is judged an hour after its buckets; twice that is kept."""
_NAMED: Final = 5
"""Topics that a spike names."""
_LEAST: Final = 3
_DEVIATIONS: Final = 2.0


@dataclass(slots=True)
class BrandTopics:
    """Folded sums of a brand's topics. Rows beyond the bounds are forgotten; the mentions themselves are not."""

    sums: TopicSums = field(default_factory=TopicSums)
    """`buckets`: those of the last two hours of the brand's own time."""
    window: list[Any] = field(default_factory=list)
    """Of the last spike that is certain: [posts, [[topic, posts], …]]; empty: there was none."""
    spiking: list[str] = field(default_factory=list)
    """Topics that take part in the spike that is on."""

    def add(self, added: TopicSums) -> None:
        """Take in what chunks add, under the topics' present names; `added` is changed to those, too."""
        self.sums.merged = _newest({**self.sums.merged, **added.merged})
        if self.sums.merged:
            added.resolve(self.sums.merged)
            self.sums.resolve(self.sums.merged)
        added.merged = {}
        self.sums.merge(added)

    def in_spike(self, bucket_ms: int, minutes: int, posts: int) -> list[Any]:
        """[posts, [[topic, posts], …]] of the spike's window, which ends with the bucket; most posts first."""
        last = bucket_ms // BUCKET_MS
        counts: Counter[str] = Counter()
        for bucket in range(last + 1 - minutes * 60_000 // BUCKET_MS, last + 1):
            counts.update(self.sums.buckets.get(bucket, {}))
        del counts[NOISE]
        ranked = sorted(counts.items(), key=lambda item: (-item[1], number_of(item[0])))
        return [posts, [list(one) for one in ranked]]

    def forget(self, newest_ms: int) -> None:
        """Keep what the bounds allow. `newest_ms`: time of the brand's newest mention."""
        first = newest_ms // BUCKET_MS - _BUCKETS
        self.sums.buckets = {bucket: counts for bucket, counts in self.sums.buckets.items() if bucket >= first}
        rows = self.sums.rows
        if len(rows) > _TOO_MANY:
            large = sorted(rows, key=lambda topic: (-rows[topic].posts, topic))[:KEPT]
            recent = sorted(rows, key=lambda topic: (-rows[topic].last_ms, topic))[:_RECENT]
            kept = {*large, *recent, NOISE}
            self.sums.rows = {topic: row for topic, row in rows.items() if topic in kept}
        self.sums.labels = {topic: label for topic, label in self.sums.labels.items() if topic in self.sums.rows}

    def judge(self, window: list[Any], posts: int) -> None:
        """Find the topics of a spike that is on (`window` as from `in_spike`). `posts`: of the brand, ever."""
        self.spiking = []
        if not window:
            return
        inside, counts = window
        for topic, count in counts:
            row = self.sums.rows.get(resolved(topic, self.sums.merged))
            elsewhere = max(0, (row.posts if row else count) - count)
            expected = inside * elsewhere / max(1, posts - inside)
            if count >= _LEAST and count > expected + _DEVIATIONS * math.sqrt(expected):
                self.spiking.append(resolved(topic, self.sums.merged))

    def shown(self, limit: int) -> list[tuple[str, TopicRow, Label | None]]:
        """The largest topics that are more than one post, without noise."""
        rows = [(topic, row) for topic, row in self.sums.rows.items() if topic != NOISE and row.posts > 1]
        rows.sort(key=lambda item: (-item[1].posts, number_of(item[0])))
        return [(topic, row, self.sums.labels.get(topic)) for topic, row in rows[:limit]]

    def to_dict(self) -> dict[str, Any]:
        return {"sums": self.sums.to_dict(), "window": self.window, "spiking": self.spiking}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | None) -> Self:
        """None: a state of before there were topics. Raises KeyError, TypeError or ValueError for any other."""
        if document is None:
            return cls()
        sums = TopicSums.from_dict(document["sums"])
        return cls(sums, list(document["window"]), [str(topic) for topic in document["spiking"]])


def spike_topics(window: list[Any], labels: Mapping[str, Label]) -> list[dict[str, Any]]:
    """The topics that a spike names, with their posts in its window."""
    named = []
    for topic, posts in window[1][:_NAMED]:
        label = labels.get(topic)
        named.append({"id": topic, "label": label.text if label else None, "mentions": posts})
    return named


def _newest(merged: Mapping[str, str]) -> dict[str, str]:
    """As many as are kept, the youngest ones. A merger always leads to an older topic, or it is none."""
    pairs = [(old, new) for old, new in merged.items() if number_of(new) < number_of(old)]
    return dict(sorted(pairs, key=lambda pair: number_of(pair[0]))[-_MERGED_KEPT:])
