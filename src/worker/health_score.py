"""Brand health, 0..100 per day, from daily sums in event time. Pure.

The formula is the meaningful one of the platform's two (contract 3.16):

    0.40 * (mean sentiment of 7 days + 1) / 2 * 100
    0.25 * min(50 * mentions of 7 days / weekly mentions of 30 days, 100)     50 means: as much as usual
    0.20 * min(100 * engagement rate, 100)
    0.15 * (100 - min(10 * crises of 7 days, 100))

A part that cannot be known is null with a reason, and the weights of the others are scaled up to 1; while there is too
little to judge, the score itself is null. Sums are whole numbers, so any order of mentions gives the same score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Self

WEIGHTS: Final = {"sentiment": 0.40, "volume": 0.25, "engagement": 0.20, "crisis": 0.15}
LEAST_MENTIONS: Final = 20
"""In 7 days. Scores of single mentions deviate by about 0.45: a mean of 20 is then known to 0.1, health to 2 points."""
_WEEK: Final = 7
_MONTH: Final = 30
_MONTH_WEEKS: Final = 4
"""Weeks that the formula takes a month for."""
_MILLI: Final = 1_000

_REACTIONS: Final = (
    ("likes", "like_count", "likeCount", "favorite_count", "favorites", "ups", "upvotes", "score"),
    ("reposts", "repost_count", "repostCount", "retweets", "retweet_count", "shares", "share_count"),
    ("replies", "reply_count", "replyCount", "comments", "num_comments", "comment_count"),
    ("quotes", "quote_count", "quoteCount"),
)
"""Names by which sources report the same reaction; of each row the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one UTC day. Two of the same day add up (`a + b`)."""

    day: date
    mentions: int = 0
    milli: int = 0
    """Sum of the sentiment scores, in thousandths."""
    reported: int = 0
    """Mentions whose source says how many reacted."""
    engaging: int = 0
    """Those of them to which somebody did."""
    crises: int = 0
    """Crises of at least a warning that were raised on that day."""

    def __add__(self, other: Day) -> Day:
        if self.day != other.day:
            raise ValueError(f"days differ: {self.day} and {other.day}")
        return Day(
            self.day,
            self.mentions + other.mentions,
            self.milli + other.milli,
            self.reported + other.reported,
            self.engaging + other.engaging,
            self.crises + other.crises,
        )

    @classmethod
    def of_mention(cls, day: date, score: float, metadata: Mapping[str, Any]) -> Self:
        """One mention; `score` in -1..1."""
        reactions = reactions_of(metadata)
        return cls(day, 1, round(score * _MILLI), int(reactions is not None), int(bool(reactions)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "date": self.day.isoformat(),
            "mentions": self.mentions,
            "milli": self.milli,
            "reported": self.reported,
            "engaging": self.engaging,
            "crises": self.crises,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError or ValueError when the document is not one of `to_dict`."""
        names = ("mentions", "milli", "reported", "engaging", "crises")
        return cls(date.fromisoformat(document["date"]), *(int(document[name]) for name in names))


@dataclass(frozen=True, slots=True)
class Part:
    """0..100, or None and why."""

    points: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """`score` is None while there is too little data; `reason` then says so."""

    day: date
    score: float | None
    reason: str
    mentions: int
    """Of the 7 days."""
    parts: Mapping[str, Part]

    def as_dict(self) -> dict[str, Any]:
        """Strict JSON."""
        weights = _weights(self.parts)
        return {
            "date": self.day.isoformat(),
            "healthScore": self.score,
            "reason": self.reason,
            "mentions7d": self.mentions,
            "parts": {
                name: {
                    "points": None if part.points is None else round(part.points, 1),
                    "weight": round(weights[name], 4),
                    "reason": part.reason,
                }
                for name, part in self.parts.items()
            },
        }


def reactions_of(metadata: Mapping[str, Any]) -> int | None:
    """Likes, reposts, replies and quotes together; None where the source says nothing of them."""
    found = [
        next((number for name in names if (number := _count(metadata.get(name))) is not None), None)
        for names in _REACTIONS
    ]
    known = [number for number in found if number is not None]
    return sum(known) if known else None


def sum_days(days: Iterable[Day]) -> dict[date, Day]:
    """Days by date, those of the same date added up."""
    found: dict[date, Day] = {}
    for day in days:
        found[day.day] = found[day.day] + day if day.day in found else day
    return found


def health(days: Mapping[date, Day], on: date, *, since: date | None = None) -> Health:
    """Health of a brand at the end of a day.

    Args:
        days: what is known by date; a day that is missing was silent.
        since: first day on which the brand was watched; by default the first one in `days`.
    """
    week = _last(days, on, _WEEK)
    mentions = sum(day.mentions for day in week)
    began = since if since is not None else min((one for one in days if one <= on), default=on)
    parts = {
        "sentiment": _sentiment(week, mentions),
        "volume": _volume(mentions, sum(day.mentions for day in _last(days, on, _MONTH)), (on - began).days + 1),
        "engagement": _engagement(week),
        "crisis": _crisis(week),
    }
    if mentions < LEAST_MENTIONS:
        reason = f"{mentions} mentions within 7 days, {LEAST_MENTIONS} are needed"
        return Health(on, None, reason, mentions, parts)
    weights = _weights(parts)
    score = sum(weights[name] * part.points for name, part in parts.items() if part.points is not None)
    missing = [name for name, part in parts.items() if part.points is None]
    reason = f"without {', '.join(missing)}: {parts[missing[0]].reason}" if missing else "all parts are known"
    return Health(on, round(score, 1), reason, mentions, parts)


def history(days: Mapping[date, Day], *, until: date, since: date | None = None) -> list[Health]:
    """Health of every day from the first that is known until `until`, oldest first."""
    first = min((one for one in days if one <= until), default=None)
    if first is None:
        return []
    span = range((until - first).days + 1)
    return [health(days, first + timedelta(days=number), since=since) for number in span]


def _last(days: Mapping[date, Day], on: date, count: int) -> Sequence[Day]:
    found = (days.get(on - timedelta(days=back)) for back in range(count))
    return [day for day in found if day is not None]


def _sentiment(week: Sequence[Day], mentions: int) -> Part:
    if not mentions:
        return Part(None, "no mention within 7 days")
    mean = sum(day.milli for day in week) / _MILLI / mentions
    return Part((mean + 1) / 2 * 100, f"mean sentiment {mean:+.2f} of {mentions:,} mentions")


def _volume(week: int, month: int, watched_days: int) -> Part:
    """The formula's baseline is a quarter of 30 days. Of a brand watched for less than that it would be too small, and
    the ratio up to four times too large: its weeks are counted as they are. In the first week there is none: 1."""
    if watched_days <= _WEEK or not month:
        return Part(50.0, "no week to compare with: taken as usual")
    weeks = min(watched_days / _WEEK, _MONTH_WEEKS)
    ratio = week / (month / weeks)
    return Part(min(50 * ratio, 100.0), f"{week:,} mentions within 7 days, {month / weeks:,.0f} in a usual week")


def _engagement(week: Sequence[Day]) -> Part:
    """The rate is the share of mentions that somebody reacted to. Reactions per follower would be near zero for any
    brand, and reactions per mention the figure of its one viral post."""
    reported, engaging = sum(day.reported for day in week), sum(day.engaging for day in week)
    if reported < LEAST_MENTIONS:
        return Part(None, f"{reported} mentions come with numbers of reactions, {LEAST_MENTIONS} are needed")
    return Part(min(100 * engaging / reported, 100.0), f"{engaging:,} of {reported:,} mentions got a reaction")


def _crisis(week: Sequence[Day]) -> Part:
    crises = sum(day.crises for day in week)
    return Part(100.0 - min(10 * crises, 100), f"{crises} crises within 7 days")


def _weights(parts: Mapping[str, Part]) -> dict[str, float]:
    known = sum(WEIGHTS[name] for name, part in parts.items() if part.points is not None)
    return {name: WEIGHTS[name] / known if part.points is not None else 0.0 for name, part in parts.items()}


def _count(value: Any) -> int | None:
    """A number of reactions as sources write it; what is none counts as not reported."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return int(value)
