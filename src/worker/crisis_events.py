"""What a crisis is called and how it is told: severities, risk score, reasons in words, documents. Pure.

The documents carry the fields of both shapes that readers of `crisis:events:{brand}` know (platform contract 1.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from .times import iso_ms
from .voices import Evidence

HOUR_MS: Final = 3_600_000


class Severity(StrEnum):
    """What an event says."""

    INSUFFICIENT_HISTORY = "insufficient_history"
    WATCH = "watch"
    WARNING = "warning"
    CRITICAL = "critical"
    RECOVERED = "recovered"


class State(StrEnum):
    """Where a brand stands."""

    CALM = "calm"
    WATCH = "watch"
    WARNING = "warning"
    CRITICAL = "critical"
    RECOVERING = "recovering"


RANK: Final = {None: 0, Severity.WATCH: 1, Severity.WARNING: 2, Severity.CRITICAL: 3}
"""Order of what a window can show; None shows nothing."""
BANDS: Final = {None: (0, 50), Severity.WATCH: (0, 50), Severity.WARNING: (51, 75), Severity.CRITICAL: (76, 100)}
"""Risk scores by severity, platform contract 2.2: whoever reads the number only decides like who reads the word."""
ACTIONS: Final = {
    Severity.INSUFFICIENT_HISTORY: "Wait: what is usual for this brand is not known yet",
    Severity.WATCH: "Look at the evidence once; nothing has to be done yet",
    Severity.WARNING: "Monitor closely and prepare an answer",
    Severity.CRITICAL: "Escalate at once: answer in public, one message, one owner",
    Severity.RECOVERED: "Thank those who helped, and write down what happened",
}
_VELOCITY, _SHARE, _INTENSITY, _WORDS = 50, 20, 20, 10
"""Points of the parts of the risk score. How unusual the number of people is counts as much as all else together: it
is what the other signs were found to need."""
_FULL_VELOCITY: Final = 10.0
"""Deviations for all points; a critical one begins at 6."""
_FULL_INTENSITY: Final = 0.5
"""The mean mood that the platform calls high (contract 2.2)."""
_FULL_WORDS: Final = 10
_ENOUGH_PEOPLE: Final = 10
"""Fewer angry people scale the score down: one is a tenth of a risk, however angry."""
_SHOWN_WORDS: Final = 3
_SHOWN_IDS: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What a window shows, beside what is usual. People are counted as `voices.Hour` does."""

    hour: int
    """The window's last hour."""
    window_hours: int
    mentions: int
    angry: int
    """Negative people."""
    people: int
    usual_angry: float
    deviation: float
    share: float
    usual_share: float
    share_deviations: float
    mood: float
    """Mean score of the mentions, -1..1."""
    usual_mood: float
    alarmed: int
    words: tuple[str, ...]
    """Words of crises in negative mentions, the most frequent first."""
    evidence: tuple[Evidence, ...]
    level: Severity | None
    calm: bool
    """Whether the hour counts towards a recovery."""

    @property
    def z(self) -> float:
        return (self.angry - self.usual_angry) / self.deviation

    @property
    def velocity_multiplier(self) -> float:
        """Angry people against the usual number, which is taken as 1 where it is less."""
        return self.angry / max(self.usual_angry, 1.0)

    @property
    def intensity(self) -> float:
        """Contract 2.2: the mean mood where it is negative, else 0."""
        return max(0.0, -self.mood)

    def risk_parts(self) -> dict[str, float]:
        """Points per part; their sum, held in the band of the level, is the risk score."""
        people = min(1.0, self.angry / _ENOUGH_PEOPLE)
        room = max(1.0 - self.usual_share, 0.01)
        parts = {
            "velocity": _VELOCITY * _unit(self.z / _FULL_VELOCITY),
            "share": _SHARE * _unit((self.share - self.usual_share) / room),
            "intensity": _INTENSITY * _unit(self.intensity / _FULL_INTENSITY),
            "words": _WORDS * _unit(self.alarmed / _FULL_WORDS),
        }
        return {name: round(people * points, 1) for name, points in parts.items()}

    def risk_score(self) -> int:
        low, high = BANDS[self.level]
        return max(low, min(high, round(sum(self.risk_parts().values()))))

    def triggers(self) -> tuple[str, ...]:
        """Short names for programs; the first two are the platform's."""
        if self.level is None:
            return ()
        found = ["high_velocity"]
        if self.intensity > _FULL_INTENSITY:
            found.append("high_negative_sentiment")
        found.append("negative_share_above_usual")
        if self.alarmed:
            found.append("crisis_words")
        return tuple(found)

    def reasons(self) -> tuple[str, ...]:
        """The same for people."""
        said = [
            f"{self.angry:,} people are negative within {self.window_hours} hours, {self.usual_angry:.1f} usually at "
            f"this time of day (z {self.z:.1f})",
            f"{self.share:.0%} of {self.people:,} people are negative, {self.usual_share:.0%} usually",
            f"mean mood {self.mood:+.2f}, {self.usual_mood:+.2f} usually",
        ]
        if self.alarmed:
            said.append(f"{self.alarmed:,} of them use words like {', '.join(self.words[:_SHOWN_WORDS])}")
        if self.evidence:
            said.append(f"for example mentions {', '.join(row.id for row in self.evidence[:_SHOWN_IDS])}")
        return tuple(said)

    def metrics(self) -> dict[str, Any]:
        return {
            "window_hours": self.window_hours,
            "mention_count": self.mentions,
            "people": self.people,
            "negative_people": self.angry,
            "usual_negative_people": round(self.usual_angry, 2),
            "z": round(self.z, 2),
            "negative_ratio": round(self.share, 4),
            "usual_negative_ratio": round(self.usual_share, 4),
            "avg_sentiment": round(self.mood, 4),
            "usual_avg_sentiment": round(self.usual_mood, 4),
            "alarmed_people": self.alarmed,
            "risk_parts": self.risk_parts(),
        }


@dataclass(slots=True)
class Ongoing:
    """The event that is open."""

    id: str
    opened: int
    """Hour at whose end it was raised."""
    peak: Severity
    most: int
    """Angry people in its worst window."""

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "opened": self.opened, "peak": self.peak.value, "most": self.most}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        peak = Severity(document["peak"])
        return cls(str(document["id"]), int(document["opened"]), peak, int(document["most"]))


@dataclass(frozen=True, slots=True)
class Crisis:
    """Something to be told: an event is raised, escalates, or is over. The id stays the same for one event."""

    id: str
    brand: str
    severity: Severity
    raised_at_ms: int
    """End of the hour that showed it."""
    opened_at_ms: int
    reasons: tuple[str, ...]
    finding: Finding | None
    """None while there is too little history for one."""
    provisional: bool = False
    """Judged before the hour for late mentions was over; the final one may differ."""

    def as_dict(self) -> dict[str, Any]:
        """Strict JSON. Figures that do not exist are null; `reasons` says why."""
        found = self.finding
        action = ACTIONS[self.severity]
        return {
            "id": self.id,
            "type": "crisis_event",
            "brand": self.brand,
            "monitorId": None,
            "createdAt": iso_ms(self.opened_at_ms),
            "timestamp": iso_ms(self.raised_at_ms),
            "severity": self.severity.value,
            "riskScore": None if found is None else found.risk_score(),
            "riskParts": None if found is None else found.risk_parts(),
            "velocityMultiplier": None if found is None else round(found.velocity_multiplier, 3),
            "sentimentIntensity": None if found is None else round(found.intensity, 4),
            "mentionCount": None if found is None else found.mentions,
            "triggeredReasons": [] if found is None else list(found.triggers()),
            "reasons": list(self.reasons),
            "evidence": [] if found is None else [row.id for row in found.evidence],
            "recommendedAction": action,
            "recommended_action": action,
            "metrics": None if found is None else found.metrics(),
            "isResolved": self.severity is Severity.RECOVERED,
            "provisional": self.provisional,
        }


def current_risk(finding: Finding, state: State) -> dict[str, Any]:
    """`crisis:metrics:{brand}`, renewed with every hour judged: it falls again when a crisis is over."""
    return {
        "riskScore": finding.risk_score(),
        "severity": "normal" if finding.level is None else finding.level.value,
        "state": state.value,
        "velocityMultiplier": round(finding.velocity_multiplier, 3),
        "sentimentIntensity": round(finding.intensity, 4),
        "mentionCount": finding.mentions,
        "reasons": [] if finding.level is None else list(finding.reasons()),
        "riskParts": finding.risk_parts(),
        "updatedAt": iso_ms((finding.hour + 1) * HOUR_MS),
    }


def no_risk_known(hour: int, reason: str) -> dict[str, Any]:
    """The same while there is too little history: null, and why."""
    return {
        "riskScore": None,
        "severity": Severity.INSUFFICIENT_HISTORY.value,
        "state": State.CALM.value,
        "velocityMultiplier": None,
        "sentimentIntensity": None,
        "mentionCount": None,
        "reasons": [reason],
        "riskParts": None,
        "updatedAt": iso_ms((hour + 1) * HOUR_MS),
    }


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
