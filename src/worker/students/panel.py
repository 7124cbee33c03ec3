"""The students at work beside the cold start: what they say of a chunk of texts, and how it becomes an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..fallback_analysis import sarcasm, weigh
from ..models import Intent, SentimentLabel
from ..patterns import Reading
from .features import Features, Opinion, features, rows
from .student import Decision, Student

WEAKEST: Final = 0.06
"""Score of a mood of no strength: just outside the contract's neutral band (0.05, 3.7), so that the label holds."""
_NEUTRAL: Final = 0.05
_WORDLESS: Final = 0.5
"""Share of the score that the student's certainty gives alone; the other half is the strength of VADER's words."""


class Advice(NamedTuple):
    """What the students say of one text; None where there is no student. `names` are theirs, for reasons."""

    sentiment: Decision | None = None
    intent: Decision | None = None
    names: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Students:
    """The students in use. Without any, nothing changes."""

    sentiment: Student | None = None
    intent: Student | None = None

    def advise(self, texts: Sequence[tuple[Reading, float]]) -> Iterator[Advice]:
        """One piece of advice per text, in order. A text comes as its reading and the cold start's score, -1..1."""
        if not texts or (self.sentiment is None and self.intent is None):
            return iter([Advice()] * len(texts))
        batch = [features_of(reading, score) for reading, score in texts]
        tokens = [reading.tokens for reading, _ in texts]
        packed = rows(batch)
        none: list[Decision | None] = [None] * len(texts)
        moods = none if self.sentiment is None else self.sentiment.decide(batch, tokens, packed)
        intents = none if self.intent is None else self.intent.decide(batch, tokens, packed)
        names = tuple("" if one is None else one.name for one in (self.sentiment, self.intent))
        return (Advice(mood, intent, (names[0], names[1])) for mood, intent in zip(moods, intents, strict=True))


UNTAUGHT: Final = Students()


def features_of(reading: Reading, score: float) -> Features:
    """The features of a text with the cold start's score as one of them."""
    chances = {family: evidence.chance for family, evidence in weigh(reading, score).items()}
    return features(reading, Opinion(score, chances, bool(sarcasm(reading, score))))


def score_of(decision: Decision, cold: float) -> float:
    """A score in -1..1 whose label is the student's.

    Its sign and half of its size come from the student's certainty, the rest from the strength of VADER's words where
    they point the same way: being sure that a text is negative does not make it furious.
    """
    lean = decision.probabilities.get("positive", 0.0) - decision.probabilities.get("negative", 0.0)
    if decision.label == SentimentLabel.NEUTRAL:
        return round(max(-_NEUTRAL, min(_NEUTRAL, _NEUTRAL * lean)), 4)
    sign = 1.0 if decision.label == SentimentLabel.POSITIVE else -1.0
    words = max(0.0, sign * cold)
    size = abs(lean) * (_WORDLESS + (1.0 - _WORDLESS) * words)
    return round(sign * max(WEAKEST, min(1.0, size)), 4)


def intent_of(decision: Decision, cold: Intent, confidence: float) -> tuple[Intent, float]:
    """The student's intent, unless the rules found one that the student was never taught and it has nothing better."""
    label, chance = Intent(decision.label), decision.probabilities[decision.label]
    if cold.value not in decision.probabilities and (label is Intent.GENERAL or confidence > chance):
        return cold, confidence
    return label, round(chance, 3)


def reason(task: str, name: str, decision: Decision) -> str:
    """`sentiment:student:v3 delayed+0.18 thank-0.04`."""
    return " ".join((f"{task}:{name}", *decision.why))
