"""What is counted of the mentions of a day: whole numbers and sets that add up in any order, nothing rounded. Pure.

The same sums are taken of mentions in the database and of those in the archive, so that a day's history is the same
before and after its mentions were put away. Means are shown from whole millionths: sums of floating-point numbers
would depend on the order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

FIELDS: Final = (
    "sentiment",
    "intent",
    "priority",
    "strategic_tag",
    "tier",
    "topics",
    "topic",
    "source",
    "author",
    "lead_score",
    "competitor",
    "degraded",
)
"""The fields of a mention that are counted; nothing else need be read of those in the database."""
_MICRO: Final = 1_000_000
_SHOWN: Final = 20
"""Topics and clusters shown of a day, most frequent first; `distinct` says how many there are."""
_HASH_BYTES: Final = 8
"""Of an author: in a day of a million authors, two have one number with a chance of 1 in 37 million."""
_NUMBERS: Final = ("mentions", "scored", "score_micro", "leads", "lead_sum", "competitor", "degraded")
_COUNTED: Final = ("sentiments", "intents", "priorities", "tags", "tiers", "sources", "topics", "clusters")


@dataclass(slots=True)
class Sums:
    """Sums of any number of mentions. `merge` adds others; the order does not matter."""

    mentions: int = 0
    scored: int = 0
    score_micro: int = 0
    """Sum of the sentiment scores in millionths, and over how many mentions."""
    leads: int = 0
    lead_sum: int = 0
    """Mentions with a lead score above zero, and the sum of theirs."""
    competitor: int = 0
    degraded: int = 0
    sentiments: Counter[str] = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)
    priorities: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    """By `topics`, what mentions are about in the vocabulary of the analysis."""
    clusters: Counter[str] = field(default_factory=Counter)
    """By `topic`, the topics that were found in the brand's stream."""
    authors: set[bytes] = field(default_factory=set)
    """Hashes of source and name, to count people across parts; mentions without an author are nobody's."""

    def add(self, document: Mapping[str, Any]) -> None:
        """Count one mention. A field that is missing or of another type than ours is not counted, the mention is."""
        self.mentions += 1
        self._judged(document)
        self.competitor += bool(document.get("competitor"))
        self.degraded += document.get("degraded") is True
        lead = document.get("lead_score")
        if isinstance(lead, int) and lead > 0:
            self.leads += 1
            self.lead_sum += lead
        _count(self.intents, document.get("intent"))
        _count(self.priorities, document.get("priority"))
        _count(self.tags, document.get("strategic_tag"))
        _count(self.sources, document.get("source"))
        _count(self.clusters, document.get("topic"))
        tier = document.get("tier")
        _count(self.tiers, str(tier) if isinstance(tier, int) else None)
        topics = document.get("topics")
        for topic in topics if isinstance(topics, list) else ():
            _count(self.topics, topic)
        author = document.get("author")
        if isinstance(author, str) and author.strip("@ "):
            self.authors.add(author_hash(document.get("source"), author))

    def _judged(self, document: Mapping[str, Any]) -> None:
        sentiment = document.get("sentiment")
        if not isinstance(sentiment, Mapping):
            return
        _count(self.sentiments, sentiment.get("label"))
        score = sentiment.get("score")
        if isinstance(score, int | float) and -1 <= score <= 1:  # NaN is in no range
            self.scored += 1
            self.score_micro += round(score * _MICRO)

    def merge(self, other: Sums) -> None:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTED:
            getattr(self, name).update(getattr(other, name))
        self.authors |= other.authors

    def to_dict(self) -> dict[str, Any]:
        """For MongoDB. Names that texts could choose are values, never keys; `authors` are bytes, in order."""
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: [[key, count] for key, count in sorted(getattr(self, name).items())] for name in _COUNTED},
            "authors": b"".join(sorted(self.authors)),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when the document is not one of `to_dict`."""
        out = cls()
        for name in _NUMBERS:
            setattr(out, name, int(document[name]))
        for name in _COUNTED:
            setattr(out, name, Counter({str(key): int(count) for key, count in document[name]}))
        hashes = bytes(document["authors"])
        out.authors = {hashes[at : at + _HASH_BYTES] for at in range(0, len(hashes), _HASH_BYTES)}
        return out

    def shown(self) -> dict[str, Any]:
        """As the API shows them: `sentiment.score` is the mean, null of nothing that has one."""
        return {
            "mentions": self.mentions,
            "sentiment": {
                **{label: self.sentiments[label] for label in ("positive", "neutral", "negative")},
                "score": round(self.score_micro / self.scored / _MICRO, 6) if self.scored else None,
            },
            "intents": dict(sorted(self.intents.items())),
            "priorities": dict(sorted(self.priorities.items())),
            "strategicTags": dict(sorted(self.tags.items())),
            "tiers": dict(sorted(self.tiers.items())),
            "sources": dict(sorted(self.sources.items())),
            "topics": _ranked(self.topics),
            "topicsDistinct": len(self.topics),
            "clusters": _ranked(self.clusters),
            "clustersDistinct": len(self.clusters),
            "authors": len(self.authors),
            "leads": self.leads,
            "avgLeadScore": round(self.lead_sum / self.leads) if self.leads else None,
            "competitorMentions": self.competitor,
            "degraded": self.degraded,
        }


def sums_of(documents: Iterable[Mapping[str, Any]]) -> Sums:
    out = Sums()
    for document in documents:
        out.add(document)
    return out


def author_hash(source: object, author: str) -> bytes:
    """The number of whoever wrote: names are the same whatever their case and with or without an @."""
    name = f"{source if isinstance(source, str) else ''}\x00{author.strip('@ ').casefold()}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:_HASH_BYTES]


def _count(counts: Counter[str], value: object) -> None:
    if isinstance(value, str) and value:
        counts[value] += 1


def _ranked(counts: Counter[str]) -> list[dict[str, Any]]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return [{"name": name, "count": count} for name, count in ranked]
