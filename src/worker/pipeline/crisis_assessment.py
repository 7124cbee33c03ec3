"""How bad is it, by the mentions of one task? The contract's formula (2.2), its parts and reasons in words. Pure.

An assessment is one task's opinion of the mentions it was given. What is usual for a brand is known to the crisis
detector alone, which stays the authority for the brand's state; documents say `source: "task"`. Words of crises are
told as evidence and add nothing: only mood, urgency and velocity make a score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..crisis_words import crisis_words
from ..models import Analysed, SentimentLabel, Urgency
from ..queue_commands import Command
from ..times import iso_ms
from .announcements import QUEUE_CRISES, QUEUE_CRISES_SEC, collected, newest_first

SOURCE: Final = "task"
_URGENCY_POINTS: Final = {Urgency.HIGH: 40, Urgency.MEDIUM: 20, Urgency.LOW: 0}
_WARNING, _CRITICAL = 50, 75
_VELOCITY: Final = 3.0
_INTENSE: Final = 0.5
"""All contract 2.2: what urgency adds, scores above which it is a warning or critical, the multiplier above which an
event is raised in any case, the intensity that is called high."""
_MANY: Final = 0.5
"""Share of mentions that must be negative and urgent for the whole to be so (contract 3.17)."""
_EVENTS_MAX: Final = 50
_SHOWN_WORDS, _SHOWN_IDS = 3, 5
_ACTIONS: Final = {
    "critical": "Escalate at once: answer in public, one message, one owner",
    "warning": "Monitor closely and prepare an answer",
    "normal": "Monitor closely",
}


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks in the mentions of a task, counted once per person and text."""

    mentions: int
    repeats: int
    """Left out: the same text by the same person."""
    signed: int
    authors: int
    negative: int
    sentiment: float
    """Mean score, -1..1, by the local analysis."""
    urgency: Urgency
    """By the local analysis."""
    words: tuple[str, ...]
    """Words of crises in negative mentions, the most frequent first."""
    alarmed: int
    """Negative mentions that use them."""
    ids: tuple[str, ...]
    """The most negative ones."""


def once_each(analysed: Sequence[Analysed]) -> list[Analysed]:
    """Without repeats: a text that one person posts five times is one voice. Unsigned ones may be anybody's."""
    seen: set[tuple[str, str]] = set()
    out = []
    for one in analysed:
        author = _author(one)
        if author is not None:
            key = (author, one.mention.content_hash)
            if key in seen:
                continue
            seen.add(key)
        out.append(one)
    return out


def voices(analysed: Sequence[Analysed]) -> Voices:
    """Raises `ValueError` for no mentions at all."""
    kept = once_each(analysed)
    if not kept:
        raise ValueError("nothing was said")
    negative = [one for one in kept if one.verdict.sentiment.label is SentimentLabel.NEGATIVE]
    authors = [author for one in kept if (author := _author(one)) is not None]
    found = [words for one in negative if (words := crisis_words(one.mention.text))]
    counted: dict[str, int] = {}
    for words in found:
        for word in words:
            counted[word] = counted.get(word, 0) + 1
    worst = sorted(negative, key=lambda one: (one.verdict.sentiment.score, one.mention.id))
    return Voices(
        mentions=len(kept),
        repeats=len(analysed) - len(kept),
        signed=len(authors),
        authors=len(set(authors)),
        negative=len(negative),
        sentiment=sum(one.verdict.sentiment.score for one in kept) / len(kept),
        urgency=_urgency(negative, len(kept)),
        words=tuple(sorted(counted, key=lambda word: (-counted[word], word))),
        alarmed=len(found),
        ids=tuple(one.mention.id for one in worst[:_SHOWN_IDS]),
    )


def _author(one: Analysed) -> str | None:
    author = (one.mention.author or "").strip().lstrip("@").casefold()
    return f"{one.mention.source}:{author}" if author else None


def _urgency(negative: Sequence[Analysed], mentions: int) -> Urgency:
    high = sum(one.verdict.urgency is Urgency.HIGH for one in negative)
    raised = sum(one.verdict.urgency is not Urgency.LOW for one in negative)
    if high >= _MANY * mentions:
        return Urgency.HIGH
    return Urgency.MEDIUM if raised >= _MANY * mentions else Urgency.LOW


@dataclass(frozen=True, slots=True)
class Assessment:
    """Figures of contract 2.2, and what they rest on."""

    voices: Voices
    sentiment: float
    """Mean score, -1..1, by whoever decided."""
    urgency: Urgency
    velocity: float
    """As the producer says it, against the usual; 1 where it said nothing."""
    by: str
    """Who judged mood and urgency, in words."""
    notes: tuple[str, ...] = ()

    @property
    def intensity(self) -> float:
        return max(0.0, -self.sentiment)

    @property
    def base(self) -> float:
        return 100 * self.intensity + _URGENCY_POINTS[self.urgency]

    @property
    def risk(self) -> int:
        """0..100. Rounded before it is cut, because 100 * 0.29 * 3 is 86.99999999999999 and means 87."""
        return int(round(min(100.0, self.base * max(1.0, self.velocity / 2)), 6))

    @property
    def severity(self) -> str:
        return "critical" if self.risk > _CRITICAL else "warning" if self.risk > _WARNING else "normal"

    @property
    def is_event(self) -> bool:
        return self.risk > _WARNING or self.velocity > _VELOCITY

    def triggers(self) -> list[str]:
        """Short names for programs; the first two are the platform's."""
        found = {
            "high_negative_sentiment": self.intensity > _INTENSE,
            "high_velocity": self.velocity > _VELOCITY,
            "high_urgency": self.risk > _WARNING and self.urgency is Urgency.HIGH,
        }
        named = [name for name, holds in found.items() if holds]
        return named or (["negative_sentiment"] if self.is_event else [])

    def reasons(self) -> list[str]:
        """The same for people, with what it rests on."""
        heard = self.voices
        said = [f"mean mood {self.sentiment:+.2f} over {heard.mentions:,} mentions, by {self.by}"]
        said.append(f"urgency {self.urgency.value}, which adds {_URGENCY_POINTS[self.urgency]} points")
        if self.velocity > 2:
            said.append(
                f"{self.velocity:g} times the usual velocity, by the producer's word: times {self.velocity / 2:g}"
            )
        if heard.signed:
            said.append(f"{heard.authors:,} people wrote the {heard.signed:,} mentions that are signed")
        else:
            said.append("no mention is signed: how many people speak is not known")
        if heard.repeats:
            said.append(f"{heard.repeats:,} repeats by the same people are not counted")
        if heard.alarmed:
            words = ", ".join(heard.words[:_SHOWN_WORDS])
            said.append(f"{heard.alarmed:,} negative mentions use words like {words}, which adds no points")
        if heard.ids:
            said.append(f"for example mentions {', '.join(heard.ids)}")
        return [*said, *self.notes]

    def figures(self) -> dict[str, Any]:
        """Fields that event, metrics and result share."""
        return {
            "riskScore": self.risk,
            "severity": self.severity,
            "velocityMultiplier": self.velocity,
            "sentimentIntensity": round(self.intensity, 4),
            "mentionCount": self.voices.mentions,
            "distinctAuthors": self.voices.authors if self.voices.signed else None,
            "reasons": self.reasons(),
            "riskParts": {
                "intensity": round(100 * self.intensity, 1),
                "urgency": _URGENCY_POINTS[self.urgency],
                "times": round(max(1.0, self.velocity / 2), 3),
            },
        }


def assessment_id(brand: str | None, monitor_id: str | None, hashes: Sequence[str], velocity: float, day: str) -> str:
    """The same mentions assessed again on the same day (UTC) are the same event, whatever task carries them."""
    content = "\x00".join([brand or "", monitor_id or "", f"{velocity:g}", day, *sorted(hashes)])
    return f"crisis-task-{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def event_document(
    found: Assessment,
    *,
    identity: str,
    brand: str | None,
    monitor_id: str | None,
    at_ms: int,
    marks: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of both shapes of crisis events (contract 1.4), of the detector's, and whose opinion it is."""
    heard, action = found.voices, _ACTIONS[found.severity]
    return {
        "id": identity,
        "type": "crisis_event",
        "source": SOURCE,
        "brand": brand,
        "monitorId": monitor_id,
        "createdAt": iso_ms(at_ms),
        "timestamp": iso_ms(at_ms),
        **found.figures(),
        "triggeredReasons": found.triggers(),
        "evidence": list(heard.ids),
        "recommendedAction": action,
        "recommended_action": action,
        "metrics": {
            "avg_sentiment": round(found.sentiment, 4),
            "urgency": found.urgency.value,
            "negative_ratio": round(heard.negative / heard.mentions, 4),
            "mention_count": heard.mentions,
            "distinct_authors": heard.authors if heard.signed else None,
            "alarmed_mentions": heard.alarmed,
        },
        "isResolved": False,
        "provisional": False,
        **marks,
    }


def metrics_document(found: Assessment, *, at_ms: int) -> dict[str, Any]:
    """`crisis:metrics:{brand}` as the detector writes it; `source` tells whose it is."""
    return {**found.figures(), "source": SOURCE, "state": None, "updatedAt": iso_ms(at_ms)}


def event_commands(event: Mapping[str, Any], brand: str | None) -> list[Command]:
    """The queue of the notification worker, which the detector fills too, and the brand's list."""
    commands = collected(QUEUE_CRISES, [event], seconds=QUEUE_CRISES_SEC)
    if brand is not None:
        commands += newest_first(f"crisis:events:{brand}", [event], most=_EVENTS_MAX)
    return commands
