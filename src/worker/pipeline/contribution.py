"""What a chunk of mentions adds to the picture of its brand: numbers and small sets that add up in any order. Pure.

Counted are *posts*: what one author says in one text, once, however often producers deliver it. A stored mention is
one; so is each repeat of it by somebody else, because a thousand people who share a complaint are a thousand voices.
The same text by the same author (or twice by nobody) is the same post found again: aggregators push all they know in
every cycle, often under a new id and time. Mentions of a competitor count as that and nothing else: its angry customers
are no crisis of the brand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, Self

from ..crisis_state import gather
from ..health_score import Day
from ..models import Intent, Mention, Sentiment, SentimentLabel
from ..spike_detector import BUCKET_MS
from ..times import to_ms
from ..voices import Hour, voice_of
from .topic_sums import TopicSums

FUTURE_MS: Final = 3_600_000
"""What is dated later than this after it reached the queue has a wrong clock: it is stored, and counted as `future`
only, or one such mention would close all the hours before it."""
EXCERPT_CHARS: Final = 200
EXCERPTS: Final = 20
"""Most the platform's readers take of each list (contract 3.15)."""
EXCERPT_LISTS: Final = {
    Intent.FEATURE_REQUEST: "feature_requests",
    Intent.BUG_REPORT: "pain_points",
    Intent.CHURN_RISK: "churn_risks",
}
"""Lists of the summary by the intent that fills them."""
_NEUTRAL: Final = Sentiment(SentimentLabel.NEUTRAL, 0.0)
_ABOUT: Final = ("topics", "intents", "tiers", "sentiments")


@dataclass(frozen=True, slots=True)
class Post:
    """A mention that counts. `document` is the stored form where the chunk owns it, None for somebody's repeat."""

    mention: Mention
    sentiment: Sentiment
    document: Mapping[str, Any] | None = None
    topic: str | None = None
    """Of the mention or of what it repeats; None where it has none or it is not known."""


@dataclass(slots=True)
class DaySums:
    """One UTC day: what health needs, and posts by sentiment."""

    health: Day
    labels: Counter[str] = field(default_factory=Counter)

    def merge(self, other: DaySums) -> None:
        self.health = self.health + other.health
        self.labels.update(other.labels)

    def row(self) -> list[int]:
        day = self.health
        labels = [self.labels[label.value] for label in SentimentLabel]
        return [day.mentions, day.milli, day.reported, day.engaging, day.crises, *labels]

    @classmethod
    def from_row(cls, day: str, row: Iterable[Any]) -> Self:
        mentions, milli, reported, engaging, crises, *labels = map(int, row)
        health = Day(date.fromisoformat(day), mentions, milli, reported, engaging, crises)
        counts = {label.value: count for label, count in zip(SentimentLabel, labels, strict=True) if count}
        return cls(health, Counter(counts))


@dataclass(frozen=True, slots=True, order=True)
class Excerpt:
    """A stored mention's words for a list of the summary; ordered by time, so that the newest can be kept."""

    at_ms: int
    id: str
    text: str


@dataclass(slots=True)
class Contribution:
    """Sums of a chunk. `merge` adds another; the order does not matter."""

    posts: int = 0
    stored: int = 0
    """Posts that are mentions of their own; the others repeat one."""
    future: int = 0
    competitor: int = 0
    """Mentions of competitors, which are in no other figure."""
    buckets: Counter[int] = field(default_factory=Counter)
    """Five-minute bucket (epoch time // 5 minutes) → posts."""
    hours: dict[int, Hour] = field(default_factory=dict)
    days: dict[str, DaySums] = field(default_factory=dict)
    topics: Counter[str] = field(default_factory=Counter)
    """Of stored mentions, as the counters that follow."""
    intents: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    sentiments: Counter[str] = field(default_factory=Counter)
    lead_sum: int = 0
    leads: int = 0
    """Mentions with a lead score above zero, and the sum of theirs."""
    excerpts: dict[str, list[Excerpt]] = field(default_factory=dict)
    clusters: TopicSums = field(default_factory=TopicSums)
    """By topic of the stream (`worker.topics`); `topics` above are those of a closed vocabulary."""

    @property
    def first_ms(self) -> int | None:
        """Beginning of the oldest bucket; None when no post can be counted."""
        return min(self.buckets) * BUCKET_MS if self.buckets else None

    @property
    def last_ms(self) -> int | None:
        return max(self.buckets) * BUCKET_MS if self.buckets else None

    def merge(self, other: Contribution) -> None:
        self.posts += other.posts
        self.stored += other.stored
        self.future += other.future
        self.competitor += other.competitor
        self.buckets.update(other.buckets)
        for hour, said in other.hours.items():
            self.hours.setdefault(hour, Hour()).merge(said)
        for name, sums in other.days.items():
            mine = self.days.setdefault(name, DaySums(Day(sums.health.day)))
            mine.merge(sums)
        for name in _ABOUT:
            getattr(self, name).update(getattr(other, name))
        self.lead_sum += other.lead_sum
        self.leads += other.leads
        for name, found in other.excerpts.items():
            self.excerpts[name] = newest([*self.excerpts.get(name, ()), *found])
        self.clusters.merge(other.clusters)

    def to_dict(self) -> dict[str, Any]:
        """For MongoDB. Names that texts could choose (topics) are values, never keys."""
        return {
            "posts": self.posts,
            "stored": self.stored,
            "future": self.future,
            "competitor": self.competitor,
            "buckets": [[bucket, count] for bucket, count in sorted(self.buckets.items())],
            "hours": [[hour, self.hours[hour].to_dict()] for hour in sorted(self.hours)],
            "days": [[day, self.days[day].row()] for day in sorted(self.days)],
            **{name: pairs(getattr(self, name)) for name in _ABOUT},
            "leadSum": self.lead_sum,
            "leads": self.leads,
            "excerpts": excerpts_to_dict(self.excerpts),
            "clusters": self.clusters.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when the document is not one of `to_dict`."""
        return cls(
            posts=int(document["posts"]),
            stored=int(document["stored"]),
            future=int(document["future"]),
            competitor=int(document["competitor"]),
            buckets=Counter({int(bucket): int(count) for bucket, count in document["buckets"]}),
            hours={int(hour): Hour.from_dict(said) for hour, said in document["hours"]},
            days={str(day): DaySums.from_row(str(day), row) for day, row in document["days"]},
            topics=counter(document["topics"]),
            intents=counter(document["intents"]),
            tiers=counter(document["tiers"]),
            sentiments=counter(document["sentiments"]),
            lead_sum=int(document["leadSum"]),
            leads=int(document["leads"]),
            excerpts=excerpts_from_dict(document["excerpts"]),
            clusters=TopicSums.from_dict(document.get("clusters")),
        )


def contribution(posts: Iterable[Post], *, received_at: datetime) -> Contribution:
    """Sums of a chunk's posts. `received_at` is when it reached the queue: the same at every execution."""
    out = Contribution()
    limit = to_ms(received_at) + FUTURE_MS
    voices = []
    for post in posts:
        mention, sentiment = post.mention, post.sentiment
        if mention.competitor is not None:
            out.competitor += 1
            continue
        out.posts += 1
        if post.document is not None:
            _add_stored(out, post.document)
            if post.topic is not None:
                out.clusters.judged(post.topic, post.document["sentiment"])
        at_ms = to_ms(mention.created_at)
        if at_ms > limit:
            out.future += 1
            continue
        out.buckets[at_ms // BUCKET_MS] += 1
        if post.topic is not None:
            out.clusters.count(post.topic, at_ms, at_ms // BUCKET_MS)
        voices.append(voice_of(mention, sentiment))
        day = mention.created_at.date()
        sums = DaySums(Day.of_mention(day, sentiment.score, mention.metadata), Counter({str(sentiment.label.value): 1}))
        mine = out.days.setdefault(day.isoformat(), DaySums(Day(day)))
        mine.merge(sums)
    out.hours = gather(voices)
    return out


def same_post(mention: Mention, author: str | None) -> bool:
    """Whether a mention is the post of that author found again; its text is known to be the author's."""
    return person(mention) == person(replace(mention, author=author))


def person(mention: Mention) -> int:
    """The number of whoever speaks, as the crisis detector counts people (`voices`)."""
    return voice_of(mention, _NEUTRAL).who


def post_key(mention: Mention) -> str:
    """One per brand, text and person."""
    return f"{mention.brand}:{mention.content_hash}:{person(mention):x}"


def newest(found: Iterable[Excerpt]) -> list[Excerpt]:
    """The newest `EXCERPTS`, newest first, whatever order they came in."""
    return sorted(set(found), reverse=True)[:EXCERPTS]


def pairs(counts: Mapping[str, int]) -> list[list[Any]]:
    return [[name, count] for name, count in sorted(counts.items())]


def counter(rows: Iterable[Any]) -> Counter[str]:
    return Counter({str(name): int(count) for name, count in rows})


def excerpts_to_dict(excerpts: Mapping[str, Iterable[Excerpt]]) -> dict[str, Any]:
    return {name: [[one.at_ms, one.id, one.text] for one in found] for name, found in excerpts.items()}


def excerpts_from_dict(document: Mapping[str, Any]) -> dict[str, list[Excerpt]]:
    return {
        str(name): [Excerpt(int(at_ms), str(key), str(text)) for at_ms, key, text in rows]
        for name, rows in document.items()
    }


def _add_stored(out: Contribution, document: Mapping[str, Any]) -> None:
    out.stored += 1
    out.topics.update(document["topics"])
    out.intents[document["intent"]] += 1
    out.tiers[str(document["tier"])] += 1
    out.sentiments[document["sentiment"]["label"]] += 1
    if document["lead_score"] > 0:
        out.lead_sum += document["lead_score"]
        out.leads += 1
    name = EXCERPT_LISTS.get(document["intent"])
    if name is not None:
        text = " ".join(document["text"].split())
        text = text if len(text) <= EXCERPT_CHARS else text[: EXCERPT_CHARS - 1] + "…"
        excerpt = Excerpt(to_ms(document["created_at"]), str(document["id"]), text)
        out.excerpts[name] = newest([*out.excerpts.get(name, ()), excerpt])
