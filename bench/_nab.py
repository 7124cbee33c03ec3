"""The scoring rule of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015), for detectors that say yes or no.

Own code after the paper and the benchmark's description. The standard profile weighs a missed window 1, a hit up to 1
and a false alarm 0.11; positions are weighed by the scaled sigmoid 2 / (1 + exp(5 y)) - 1, where y is -1 at the
beginning of a window, 0 at its end, and counts on in lengths of the window before (beyond 3, or before the first
window, a false alarm costs its full weight). Of several alarms in a window the earliest counts. The first 15 % of a
series, at most 750 records, are for learning: nothing counts there. Normalised: 0 = a detector that says nothing,
100 = every window hit in its first record and no false alarm.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FALSE_ALARM = 0.11
"""Weight in the standard profile; hits and misses weigh 1."""
PROBATION_SHARE = 0.15
PROBATION_MOST = 750
_FAR = 3.0


@dataclass(frozen=True)
class Series:
    """One file of the benchmark: times (epoch seconds, ascending), values, and labelled windows (begin, end)."""

    brand: str
    times: Sequence[int]
    values: Sequence[int]
    windows: Sequence[tuple[int, int]]

    @property
    def weeks(self) -> float:
        return (self.times[-1] - self.times[0]) / (7 * 86_400)


@dataclass(frozen=True)
class Scored:
    """`raw` lies between -windows and +windows; `false_alarms` are those outside of windows, learning time included."""

    raw: float
    windows: int
    hits: int
    false_alarms: int

    def __add__(self, other: Scored) -> Scored:
        return Scored(
            self.raw + other.raw,
            self.windows + other.windows,
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
        )

    @property
    def normalised(self) -> float:
        return 100 * (self.raw + self.windows) / (2 * self.windows)


def sigmoid(position: float) -> float:
    """Weight of an alarm at a position relative to a window."""
    return -1.0 if position > _FAR else 2 / (1 + math.exp(5 * position)) - 1


def score(series: Series, alarms: Sequence[int]) -> Scored:
    """Score alarms (indices of records). Windows that end within the learning time do not count."""
    learning = min(int(PROBATION_SHARE * len(series.times)), PROBATION_MOST)
    spans = [(bisect_left(series.times, begin), bisect_right(series.times, end) - 1) for begin, end in series.windows]
    spans = sorted((first, last) for first, last in spans if last >= max(learning, first))
    best: dict[int, float] = {}
    cost = 0.0
    outside = 0
    for index in sorted(alarms):
        inside = next((place for place, (first, last) in enumerate(spans) if first <= index <= last), None)
        if inside is None:
            outside += 1
        if index < learning:
            continue
        if inside is not None:
            first, last = spans[inside]
            weight = sigmoid(-(last - index + 1) / (last - first + 1)) / sigmoid(-1.0)
            best[inside] = max(weight, best.get(inside, -1.0))
        else:
            cost += FALSE_ALARM * _penalty(index, spans)
    raw = sum(best.values()) - (len(spans) - len(best)) + cost
    return Scored(raw, len(spans), len(best), outside)


def _penalty(index: int, spans: Sequence[tuple[int, int]]) -> float:
    """-1..0: an alarm just after a window is nearly forgiven."""
    before = [span for span in spans if span[1] < index]
    if not before:
        return -1.0
    first, last = before[-1]
    return sigmoid((index - last) / max(last - first, 1))
