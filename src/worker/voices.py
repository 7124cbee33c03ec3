"""Who spoke within an hour, and in which mood: what the crisis detector counts. Pure, bounded, mergeable.

A crisis is many people, not many posts, so people are counted. An hour of a brand may have a hundred thousand authors;
sets of names would grow with them (and keep names), so an hour keeps the smallest hashes only: the k-minimum-values
sketch (Bar-Yossef et al. 2002; Beyer et al. 2007). Up to `KEPT` people it is exact, beyond that its standard error is
1 / sqrt(KEPT - 2). Union, like everything here, is the same in any order: hours may be filled by several batches or
workers and added up (`merge`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from .crisis_words import crisis_words
from .models import Mention, Sentiment, SentimentLabel
from .times import to_ms

KEPT: Final = 256
"""Hashes per sketch: exact for the counts at which crises begin (tens), 6 % off for thousands. 2 KB in binary."""
_BITS: Final = 48
"""So that a hash is a whole number in every JSON reader (53 bits); of a million people two share one at 0.2 %."""
EVIDENCE: Final = 20
"""Mentions kept per hour as evidence, the worst first, one per person: as many as somebody reads."""
_MILLI: Final = 1_000


@dataclass(frozen=True, slots=True)
class Voice:
    """One mention as the detector sees it."""

    id: str
    at_ms: int
    who: int
    """`hash_of` its author; of its canonical text where the author is not known."""
    named: bool
    score: float
    """Mood, -1..1."""
    label: SentimentLabel
    words: tuple[str, ...] = ()
    """Words of crises in it (`crisis_words`)."""

    def row(self) -> list[Any]:
        """Strict JSON."""
        return [self.id, self.at_ms, self.who, self.named, self.score, self.label.value, list(self.words)]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        name, at_ms, who, named, score, label, words = row
        return cls(str(name), int(at_ms), int(who), bool(named), float(score), SentimentLabel(label), tuple(words))


def voice_of(mention: Mention, sentiment: Sentiment) -> Voice:
    """A mention that has been judged. One name is one person on all networks: counting too few people is the safer
    mistake, and the same post often comes from several sources."""
    author = (mention.author or "").strip().lstrip("@").casefold()
    return Voice(
        id=mention.id,
        at_ms=to_ms(mention.created_at),
        # A text must not pass for an author of that name: the two are hashed apart.
        who=hash_of(f"author:{author}" if author else f"text:{mention.canonical}"),
        named=bool(author),
        score=sentiment.score,
        label=sentiment.label,
        words=crisis_words(mention.text) if sentiment.label is SentimentLabel.NEGATIVE else (),
    )


def hash_of(name: str) -> int:
    """A person's number: the same in every process, and no way back to the name without a list of names."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=_BITS // 8).digest(), "big")


@dataclass(slots=True)
class Distinct:
    """Counts different numbers of `hash_of`: the `KEPT` smallest, in order."""

    smallest: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        kept = self.smallest
        if len(kept) == KEPT and number >= kept[-1]:
            return
        place = bisect_left(kept, number)
        if place == len(kept) or kept[place] != number:
            kept.insert(place, number)
            del kept[KEPT:]

    def merge(self, other: Distinct) -> None:
        self.smallest = sorted({*self.smallest, *other.smallest})[:KEPT]

    @property
    def count(self) -> int:
        """Exact below `KEPT`, else the unbiased estimate (k - 1) / (the k-th smallest as a share of the range)."""
        if len(self.smallest) < KEPT:
            return len(self.smallest)
        return round((KEPT - 1) * (1 << _BITS) / max(self.smallest[-1], 1))


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """A mention that says what is wrong. Ordered from the worst."""

    milli: int
    """Mood in thousandths."""
    id: str
    who: int

    def row(self) -> list[Any]:
        return [self.milli, self.id, self.who]


def worst(rows: Iterable[Evidence], most: int = EVIDENCE) -> list[Evidence]:
    """The worst mentions, one of each person, whatever order they came in."""
    found: dict[int, Evidence] = {}
    for row in sorted(rows):
        if found.setdefault(row.who, row) is row and len(found) == most:
            break
    return list(found.values())


_SKETCHES: Final = ("named", "negative_named", "unnamed", "negative_unnamed", "alarmed")


@dataclass(slots=True)
class Hour:
    """What was said within an hour, or within several when merged. Sums are whole numbers: order does not matter."""

    mentions: int = 0
    negative: int = 0
    milli: int = 0
    """Sum of the moods, in thousandths."""
    named: Distinct = field(default_factory=Distinct)
    """Authors."""
    negative_named: Distinct = field(default_factory=Distinct)
    unnamed: Distinct = field(default_factory=Distinct)
    """Different texts whose author is not known."""
    negative_unnamed: Distinct = field(default_factory=Distinct)
    alarmed: Distinct = field(default_factory=Distinct)
    """Authors of negative mentions with a word of crises in it."""
    words: dict[str, int] = field(default_factory=dict)
    """Such a word → negative mentions. Bounded by the vocabulary."""
    evidence: list[Evidence] = field(default_factory=list)

    def add(self, voice: Voice) -> None:
        milli = round(voice.score * _MILLI)
        self.mentions += 1
        self.milli += milli
        (self.named if voice.named else self.unnamed).add(voice.who)
        if voice.label is not SentimentLabel.NEGATIVE:
            return
        self.negative += 1
        (self.negative_named if voice.named else self.negative_unnamed).add(voice.who)
        if voice.words and voice.named:
            self.alarmed.add(voice.who)
        for word in voice.words:
            self.words[word] = self.words.get(word, 0) + 1
        if len(self.evidence) < EVIDENCE or milli <= self.evidence[-1].milli:
            self.evidence = worst([*self.evidence, Evidence(milli, voice.id, voice.who)])

    def merge(self, other: Hour) -> None:
        self.mentions += other.mentions
        self.negative += other.negative
        self.milli += other.milli
        for name in _SKETCHES:
            getattr(self, name).merge(getattr(other, name))
        for word, count in other.words.items():
            self.words[word] = self.words.get(word, 0) + count
        self.evidence = worst([*self.evidence, *other.evidence])

    @property
    def people(self) -> int:
        return _people(self.named, self.unnamed)

    @property
    def negative_people(self) -> int:
        return min(_people(self.negative_named, self.negative_unnamed), self.people)

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON."""
        return {
            "mentions": self.mentions,
            "negative": self.negative,
            "milli": self.milli,
            **{name: list(getattr(self, name).smallest) for name in _SKETCHES},
            "words": dict(sorted(self.words.items())),
            "evidence": [row.row() for row in self.evidence],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when the document is not one of `to_dict`."""
        return cls(
            mentions=int(document["mentions"]),
            negative=int(document["negative"]),
            milli=int(document["milli"]),
            **{name: Distinct([int(number) for number in document[name]]) for name in _SKETCHES},
            words={str(word): int(count) for word, count in document["words"].items()},
            evidence=[Evidence(int(milli), str(name), int(who)) for milli, name, who in document["evidence"]],
        )


def _people(named: Distinct, unnamed: Distinct) -> int:
    """Authors, and half the texts nobody signed, of which at most as many as there are authors.

    News sites and forums that name no author do speak for somebody, but one person can write any number of unsigned
    texts: they add to what named people say and can never be a crisis alone.
    """
    return named.count + min(unnamed.count // 2, named.count)
