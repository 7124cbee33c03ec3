"""What the crisis detector remembers of a brand, as strict JSON, and the batches it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from .crisis_events import HOUR_MS, Ongoing, State
from .voices import Hour, Voice


@dataclass(slots=True)
class Judged:
    """What is kept of an hour that has been judged."""

    angry: int
    """Negative people in the window that ends with it, at most as many as would just have been unusual."""
    signed: int
    """Those of them who gave their name, bounded in the same way."""
    negative_people: int
    """In the hour itself, as the fields below."""
    people: int
    mentions: int
    milli: int
    usual: bool
    """Whether its share and mood are the brand's own: no crisis was going on."""

    @classmethod
    def from_row(cls, row: Sequence[int]) -> Self:
        angry, signed, negative_people, people, mentions, milli, usual = map(int, row)
        return cls(angry, signed, negative_people, people, mentions, milli, bool(usual))

    def row(self) -> list[int]:
        numbers = (self.angry, self.signed, self.negative_people, self.people, self.mentions, self.milli)
        return [*numbers, int(self.usual)]


@dataclass(slots=True)
class CrisisState:
    """All that is remembered of a brand. Hours are numbers: epoch time // one hour.

    At most a week of hours of seven numbers, and the few hours that are open or in the window in full: some 100 KB for
    the busiest brands, 10 KB for most.
    """

    brand: str
    newest: int = 0
    """The watermark: the newest hour in which somebody wrote."""
    open: dict[int, Hour] = field(default_factory=dict)
    window: dict[int, Hour] = field(default_factory=dict)
    """The hours before the next, judged already, that are judged with it again."""
    since: int | None = None
    next: int | None = None
    past: dict[int, Judged] = field(default_factory=dict)
    """Hour → what was found; an hour since `since` that is missing was silent."""
    told: bool = False
    """Whether insufficient history has been said."""
    state: State = State.CALM
    current: Ongoing | None = None
    """The event that is open, or the last one while a new rise would still belong to it."""
    calm_hours: int = 0
    ended: int | None = None
    """Hour of the last recovery."""
    risk: dict[str, Any] | None = None
    """Figures of the last hour judged (`crisis:metrics:{brand}`)."""
    late: int = 0
    future: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON; keys are text, so that MongoDB takes it too."""
        return {
            "brand": self.brand,
            "newest": self.newest,
            "open": {str(hour): self.open[hour].to_dict() for hour in sorted(self.open)},
            "window": {str(hour): self.window[hour].to_dict() for hour in sorted(self.window)},
            "since": self.since,
            "next": self.next,
            "past": {str(hour): self.past[hour].row() for hour in sorted(self.past)},
            "told": self.told,
            "state": self.state.value,
            "current": None if self.current is None else self.current.to_dict(),
            "calmHours": self.calm_hours,
            "ended": self.ended,
            "risk": self.risk,
            "late": self.late,
            "future": self.future,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when the document is not one of `to_dict`."""
        current = document["current"]
        return cls(
            brand=str(document["brand"]),
            newest=int(document["newest"]),
            open={int(hour): Hour.from_dict(one) for hour, one in document["open"].items()},
            window={int(hour): Hour.from_dict(one) for hour, one in document["window"].items()},
            since=document["since"],
            next=document["next"],
            past={int(hour): Judged.from_row(row) for hour, row in document["past"].items()},
            told=bool(document["told"]),
            state=State(document["state"]),
            current=None if current is None else Ongoing.from_dict(current),
            calm_hours=int(document["calmHours"]),
            ended=document["ended"],
            risk=document["risk"],
            late=int(document["late"]),
            future=int(document["future"]),
        )

    def copy(self) -> CrisisState:
        return CrisisState.from_dict(self.to_dict())


def gather(voices: Iterable[Voice]) -> dict[int, Hour]:
    """Hour → what was said in it: what `CrisisDetector.apply` takes. Hours of parts of a stream may be merged."""
    hours: dict[int, Hour] = {}
    for voice in voices:
        hours.setdefault(voice.at_ms // HOUR_MS, Hour()).add(voice)
    return hours
