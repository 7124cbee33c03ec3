"""A real week of two airlines through the crisis detector: events, and a picture of what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench._report import OUT, Figure, Report
from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.crisis_detector import CrisisDetector, CrisisState, gather
from src.worker.crisis_events import HOUR_MS, Crisis, Severity
from src.worker.mention_files import MentionFile, Row
from src.worker.models import Chunk
from src.worker.pipeline.normalize import normalise
from src.worker.times import EPOCH
from src.worker.vader import Vader
from src.worker.voices import Voice, voice_of

_COLOURS = {
    Severity.WATCH: "gold",
    Severity.WARNING: "darkorange",
    Severity.CRITICAL: "red",
    Severity.RECOVERED: "green",
}
_CHARS = 100_000


@dataclass
class Line:
    """A brand, hour by hour."""

    brand: str
    hours: list[datetime] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    negative: list[int] = field(default_factory=list)
    risk: list[float | None] = field(default_factory=list)
    events: list[Crisis] = field(default_factory=list)


def timeline(report: Report, path: Path) -> dict[str, Any]:
    """Figures into the report, the picture to `bench/out/detect_crisis.png`; the events as documents."""
    lines = [follow(brand, voices) for brand, voices in sorted(_voices(path).items())]
    picture = _draw(lines)
    events = [event.as_dict() for line in lines for event in line.events]
    days = sum((line.hours[-1] - line.hours[0]).total_seconds() / 86_400 for line in lines)
    for severity in (Severity.WATCH, Severity.WARNING, Severity.CRITICAL):
        raised = [event for event in events if event["severity"] == severity]
        said = ", ".join(f"{event['brand']} {event['timestamp'][:13]}" for event in raised) or "none"
        report.add(Figure(f"detect.crisis.{severity}", len(raised), "events", note=f"{days:.1f} brand-days: {said}"))
    return {"events": events, "picture": picture.name}


def follow(brand: str, voices: Sequence[Voice]) -> Line:
    """The detector fed hour by hour, as it comes to know what it says."""
    detector, state, line = CrisisDetector(), CrisisState(brand), Line(brand)
    hours = gather(voices)
    for hour in range(min(hours), max(hours) + 1):
        if hour in hours:
            line.events += detector.apply(state, {hour: hours[hour]})
            line.people.append(hours[hour].people)
            line.negative.append(hours[hour].negative_people)
        else:
            line.people.append(0)
            line.negative.append(0)
        line.hours.append(datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC))
        line.risk.append(None if state.risk is None else state.risk["riskScore"])
    line.events += detector.flush(state)
    return line


def _voices(path: Path) -> dict[str, list[Voice]]:
    analyzer = Analyzer(Vader.load())
    found: dict[str, list[Voice]] = {}
    with MentionFile(path) as rows:
        for row in rows:
            if not isinstance(row, Row):
                raise TypeError(f"row {row.number}: {row.reason}")
            chunk = Chunk(row.brand, "", (row.mention,))
            for _, mention in normalise(chunk, received_at=EPOCH, max_chars=_CHARS).mentions:
                verdict = analyzer.analyse(mention, BrandTerms.build(row.brand))
                found.setdefault(row.brand, []).append(voice_of(mention, verdict.sentiment))
    return found


def _draw(lines: Sequence[Line]) -> Path:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(lines), 1, figsize=(14, 4 * len(lines)), sharex=True, squeeze=False)
    for line, (left,) in zip(lines, axes, strict=True):
        left.fill_between(line.hours, line.people, color="lightsteelblue", step="post", label="people per hour")
        left.fill_between(line.hours, line.negative, color="indianred", step="post", label="negative people per hour")
        left.set_title(f"{line.brand}: people who wrote, and the risk score of the hour judged last")
        left.set_ylabel("people")
        right = left.twinx()
        risk = [float("nan") if one is None else one for one in line.risk]
        right.plot(line.hours, risk, color="black", linewidth=0.8)
        right.set_ylim(0, 100)
        right.set_ylabel("risk score (black)")
        for event in line.events:
            if event.severity in _COLOURS:
                at = datetime.fromtimestamp(event.raised_at_ms / 1000, UTC)
                left.axvline(at, color=_COLOURS[event.severity], linewidth=2, label=event.severity.value)
        left.legend(loc="upper left")
    figure.tight_layout()
    OUT.mkdir(exist_ok=True)
    path = OUT / "detect_crisis.png"
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    return path
