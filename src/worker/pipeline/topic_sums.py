"""What a chunk adds to its brand's topics: counts that add up in any order, names, topics that became one. Pure.

Mentions keep the topic that they were stored with. Where topics have become one since, whoever reads sums (`merged`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from ..models import SentimentLabel
from ..topics import Label, LabelBy, better, number_of, resolved

NOISE: Final = "noise"
"""The topic of a mention without words. Mentions that are alone are shown with it."""
_LABELS: Final = tuple(label.value for label in SentimentLabel)


@dataclass(slots=True)
class TopicRow:
    """Sums of one topic. Whole numbers: no rounding depends on the order of additions."""

    posts: int = 0
    """Stored mentions and repeats of them."""
    stored: int = 0
    first_ms: int = 0
    last_ms: int = 0
    """Times of the oldest and the newest post; 0: none that can be counted."""
    milli: int = 0
    """Sum of the stored mentions' sentiment scores, in thousandths."""
    labels: Counter[str] = field(default_factory=Counter)
    """Stored mentions by sentiment."""

    def merge(self, other: TopicRow) -> None:
        self.posts += other.posts
        self.stored += other.stored
        self.milli += other.milli
        self.labels.update(other.labels)
        self.last_ms = max(self.last_ms, other.last_ms)
        known = [ms for ms in (self.first_ms, other.first_ms) if ms]
        self.first_ms = min(known, default=0)

    @property
    def score(self) -> float | None:
        """Mean sentiment of the stored mentions, -1..1; None where there are none."""
        return round(self.milli / 1000 / self.stored, 4) if self.stored else None

    def row(self) -> list[int]:
        counts = [self.labels[label] for label in _LABELS]
        return [self.posts, self.stored, self.first_ms, self.last_ms, self.milli, *counts]

    @classmethod
    def from_row(cls, row: Iterable[Any]) -> Self:
        posts, stored, first_ms, last_ms, milli, *labels = map(int, row)
        counts = Counter({label: n for label, n in zip(_LABELS, labels, strict=True) if n})
        return cls(posts, stored, first_ms, last_ms, milli, counts)


@dataclass(frozen=True, slots=True)
class TopicNews:
    """What a chunk learned about topics beside its own mentions."""

    labels: Mapping[str, Label] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class TopicSums:
    """Sums by topic. `merge` adds another; the order does not matter."""

    rows: dict[str, TopicRow] = field(default_factory=dict)
    buckets: dict[int, Counter[str]] = field(default_factory=dict)
    """Five-minute bucket → posts by topic."""
    labels: dict[str, Label] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)

    def count(self, topic: str, at_ms: int, bucket: int) -> None:
        """A post whose time can be counted."""
        self.rows.setdefault(topic, TopicRow()).merge(TopicRow(posts=1, first_ms=at_ms, last_ms=at_ms))
        self.buckets.setdefault(bucket, Counter())[topic] += 1

    def judged(self, topic: str, sentiment: Mapping[str, Any]) -> None:
        """A stored mention's sentiment, as in its document."""
        row = self.rows.setdefault(topic, TopicRow())
        row.stored += 1
        row.milli += round(sentiment["score"] * 1000)
        row.labels[sentiment["label"]] += 1

    def tell(self, news: TopicNews) -> None:
        for topic, label in news.labels.items():
            self.labels[topic] = better(label, self.labels.get(topic)) or label
        self.merged.update(news.merged)

    def merge(self, other: TopicSums) -> None:
        for topic, row in other.rows.items():
            self.rows.setdefault(topic, TopicRow()).merge(row)
        for bucket, counts in other.buckets.items():
            self.buckets.setdefault(bucket, Counter()).update(counts)
        self.tell(TopicNews(other.labels, other.merged))

    def resolve(self, merged: Mapping[str, str]) -> None:
        """Move everything that topics have which became others."""
        for topic in [one for one in self.rows if one in merged]:
            row = self.rows.pop(topic)
            self.rows.setdefault(resolved(topic, merged), TopicRow()).merge(row)
        for topic in [one for one in self.labels if one in merged]:
            label, heir = self.labels.pop(topic), resolved(topic, merged)
            self.labels.setdefault(heir, label)
        for bucket, counts in self.buckets.items():
            if any(topic in merged for topic in counts):
                moved: Counter[str] = Counter()
                for topic, posts in counts.items():
                    moved[resolved(topic, merged)] += posts
                self.buckets[bucket] = moved

    def to_dict(self) -> dict[str, Any]:
        """For MongoDB; topics are values, never keys."""
        return {
            "rows": [[topic, *self.rows[topic].row()] for topic in sorted(self.rows)],
            "buckets": [[bucket, *map(list, sorted(self.buckets[bucket].items()))] for bucket in sorted(self.buckets)],
            "labels": [[topic, *_label_row(self.labels[topic])] for topic in sorted(self.labels)],
            "merged": [[old, new] for old, new in sorted(self.merged.items())],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | None) -> Self:
        """None: a document of before there were topics. Raises KeyError, TypeError or ValueError for any other."""
        if document is None:
            return cls()
        return cls(
            rows={_name(topic): TopicRow.from_row(row) for topic, *row in document["rows"]},
            buckets={
                int(bucket): Counter({_name(topic): int(posts) for topic, posts in counts})
                for bucket, *counts in document["buckets"]
            },
            labels={
                _name(topic): Label(str(text), LabelBy(by), int(at), summary)
                for topic, text, by, at, summary in document["labels"]
            },
            merged={_name(old): _name(new) for old, new in document["merged"]},
        )


def _name(value: Any) -> str:
    """A topic's id. Ids become names of fields: nothing else may."""
    if value == NOISE or f"t{number_of(value)}" == value:
        return str(value)
    raise ValueError(f"{value!r} is no topic")


def _label_row(label: Label) -> list[Any]:
    return [label.text, label.by.value, label.at, label.summary]
