"""How good are the detectors with their shipped parameters? NAB's score and false alarms of the spike detector on the
development series (5 brands, 8 weeks of tweet counts), how much both depend on the parameters, and what the crisis
detector makes of a real week of two airlines (a timeline as PNG).

The parameters were argued before they were measured. The table of neighbours and the leave-one-out figure (the best of
a grid on four brands, scored on the fifth) say how much of a score a search on so few series would have been luck.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from bench._crisis_timeline import timeline
from bench._nab import Scored, Series, score
from bench._report import Figure, Report, at_least, at_most, table
from src.worker.spike_detector import BUCKET_MS, SpikeDetector, SpikeRules, SpikeState

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WANTED_SCORE = 70
WANTED_FALSE_ALARMS = 1.0
PUBLISHED = {
    "ARTime": (81.8, 0.9),
    "CAD OSE": (74.5, 0.1),
    "Skyline": (68.9, 2.0),
    "HTM": (68.0, 0.8),
    "KNN CAD": (64.3, 1.8),
    "Relative Entropy": (59.8, 0.3),
    "Twitter ADVec": (59.6, 1.4),
    "Windowed Gaussian": (51.4, 1.6),
    "Random Cut Forest": (48.1, 2.1),
    "Bayes changepoint": (2.7, 3.7),
}
"""Published results on all ten realTweets series by NAB's own scorer: score (standard profile), false alarms per
brand-week. The development series are five of the ten, so the figures stand beside ours, not under them."""
_DAY = 86_400_000 // BUCKET_MS
NEIGHBOURS: Sequence[Mapping[str, Any]] = (
    *({"deviations": value} for value in (5.0, 6.0, 8.0, 10.0)),
    *({"span": value} for value in (1, 3, 6)),
    *({"blocks": 4 * days} for days in (7, 10, 21, 28)),
    {"block": _DAY // 24, "blocks": 14 * 24},
    {"block": _DAY, "blocks": 14},
    *({"silence": hours * _DAY // 24} for hours in (6, 12, 36, 48, 72)),
    *({"history": hours * _DAY // 24} for hours in (12, 48)),
    *({"least": value} for value in (5, 20, 40)),
)
"""One thing changed at a time."""
NEAREST: Sequence[Mapping[str, Any]] = ({"deviations": 6.0}, {"deviations": 8.0}, {"span": 3}, {"blocks": 84})
GRID = {"deviations": (5.0, 6.0, 7.0, 8.0, 10.0), "span": (1, 2, 3, 6), "blocks": (28, 56, 112)}
QUICK_GRID = {"deviations": (6.0, 7.0, 8.0), "span": (2, 3)}
Detect = Callable[[Series], list[int]]


def main(quick: bool = False) -> Report:
    report = Report("detect", quick, " ".join((__doc__ or "").split()))
    if not DATA.is_dir():
        report.leave_out("everything: the development data is not there")
        return report
    series = load()
    _shipped(report, series)
    _sensitivity(report, series)
    _left_out(report, series, QUICK_GRID if quick else GRID)
    report.details["crisis"] = timeline(report, DATA / "airline_stream.csv.gz")
    return report


def load() -> list[Series]:
    """The development series with their labelled windows, by brand."""
    points: dict[str, list[tuple[int, int]]] = {}
    for row in _rows("volume.csv.gz"):
        points.setdefault(row["brand"], []).append((_seconds(row["timestamp"]), int(float(row["value"]))))
    windows: dict[str, list[tuple[int, int]]] = {}
    for row in _rows("volume_windows.csv.gz"):
        windows.setdefault(row["brand"], []).append((_seconds(row["start"]), _seconds(row["end"])))
    return [Series(brand, *zip(*sorted(points[brand]), strict=True), windows[brand]) for brand in sorted(points)]


def detect(series: Series, rules: SpikeRules) -> list[int]:
    """Indices of the records at which our detector raises an alarm."""
    detector, state = SpikeDetector(rules), SpikeState(series.brand)
    records: dict[int, int] = {}
    counts: Counter[int] = Counter()
    for index, (seconds, value) in enumerate(zip(series.times, series.values, strict=True)):
        bucket = seconds * 1000 // BUCKET_MS
        records.setdefault(bucket, index)
        counts[bucket] += value
    alarms = detector.apply(state, counts) + detector.flush(state)
    return [records[alarm.bucket_ms // BUCKET_MS] for alarm in alarms]


def older_rule(series: Series) -> list[int]:
    """The rule of the older workers: a count above 10 and above twice the mean of the last hundred."""
    values = series.values
    return [
        index
        for index in range(1, len(values))
        if values[index] > max(10, 2 * sum(values[max(0, index - 100) : index]) / min(index, 100))
    ]


def total(series: Iterable[Series], find: Detect) -> Scored:
    scored = [score(one, find(one)) for one in series]
    return sum(scored[1:], scored[0])


def _shipped(report: Report, series: Sequence[Series]) -> None:
    rules = SpikeRules()
    find = partial(detect, rules=rules)
    weeks = sum(one.weeks for one in series)
    ours = total(series, find)
    rate = ours.false_alarms / weeks
    ratios = {f"of {name} (ten series)": ours.normalised / value for name, (value, _) in list(PUBLISHED.items())[:4]}
    met = at_least(ours.normalised, WANTED_SCORE)
    report.add(Figure("detect.nab_score", ours.normalised, "of 100", ratios, met))
    met = at_most(rate, WANTED_FALSE_ALARMS)
    report.add(Figure("detect.false_alarms", rate, "per brand-week", wanted=met, note=f"{weeks:.1f} brand-weeks"))
    report.add(Figure("detect.windows_hit", ours.hits, f"of {ours.windows}"))
    for one in series:
        alone = score(one, find(one))
        note = f"{alone.hits} of {alone.windows} windows, {alone.false_alarms} false alarms"
        report.add(Figure(f"detect.nab_score.{one.brand}", alone.normalised, "of 100", note=note))
    older = total(series, older_rule)
    note = f"{older.false_alarms / weeks:.1f} false alarms per brand-week"
    report.add(Figure("detect.nab_score.older_rule", older.normalised, "of 100", note=note))
    report.details["rules"] = {one.name: getattr(rules, one.name) for one in fields(rules)}
    report.details["published"] = {name: {"score": a, "false_alarms": b} for name, (a, b) in PUBLISHED.items()}


def _sensitivity(report: Report, series: Sequence[Series]) -> None:
    weeks = sum(one.weeks for one in series)
    rows: list[tuple[Mapping[str, Any], float, float]] = []
    for changed in NEIGHBOURS:
        scored = total(series, partial(detect, rules=SpikeRules(**changed)))
        rows.append((changed, scored.normalised, scored.false_alarms / weeks))
    shown = [(", ".join(f"{name} {value:g}" for name, value in a.items()), f"{b:.1f}", f"{c:.2f}") for a, b, c in rows]
    print(table(("changed", "NAB", "false/week"), shown), flush=True)
    report.details["neighbours"] = [{"changed": a, "nab": b, "false_alarms": c} for a, b, c in rows]
    lowest = min(value for _, value, _ in rows)
    report.add(Figure("detect.neighbours.lowest", lowest, "of 100", note=f"{len(rows)} neighbours, far ones too"))
    nearest = min(value for changed, value, _ in rows if changed in NEAREST)
    report.add(Figure("detect.neighbours.nearest_lowest", nearest, "of 100", note="6 or 8 deviations, 15 min, 21 days"))


def _left_out(report: Report, series: Sequence[Series], grid: Mapping[str, Sequence[Any]]) -> None:
    """What a search on four brands gives on the fifth, summed up over the five."""
    tried: list[tuple[dict[str, Any], list[Scored]]] = []
    for values in product(*grid.values()):
        changed = dict(zip(grid, values, strict=True))
        tried.append((changed, [score(one, detect(one, SpikeRules(**changed))) for one in series]))
    found: list[Scored] = []
    chosen = {}
    for place, one in enumerate(series):
        changed, scored = max(tried, key=partial(_without, place=place))
        found.append(scored[place])
        chosen[one.brand] = changed
    unseen = sum(found[1:], found[0]).normalised
    best = max(sum(scored[1:], scored[0]).normalised for _, scored in tried)
    report.add(Figure("detect.searched.best_of_grid", best, "of 100", note=f"{len(tried)} combinations, all seen"))
    report.add(Figure("detect.searched.leave_one_out", unseen, "of 100", note="the best of four brands, on the fifth"))
    report.details["leave_one_out"] = {"grid": {name: list(one) for name, one in grid.items()}, "chosen": chosen}


def _without(one: tuple[dict[str, Any], list[Scored]], place: int) -> float:
    rest = [scored for at, scored in enumerate(one[1]) if at != place]
    return sum(rest[1:], rest[0]).normalised


def _rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
