"""A line through noisy figures that no outlier bends: the median of all pairwise slopes, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_Z95 = 1.959964


class Trend(NamedTuple):
    """Slope per unit of time, and the bounds of its 95 % interval."""

    slope: float
    low: float
    high: float


def theil_sen(points: Sequence[tuple[float, float]]) -> Trend:
    """Theil-Sen's slope with Sen's interval (Sen, JASA 63, 1968): order statistics of the slopes, from the normal
    approximation of Kendall's S. It takes the points' noise as independent; memory has steps that last, so that the
    true interval is wider.

    Args:
        points: time and value, at least three moments.
    """
    slopes = sorted((b - a) / (t - s) for index, (s, a) in enumerate(points) for t, b in points[index + 1 :] if t != s)
    if len(points) < 3 or not slopes:
        raise ValueError("a slope needs three moments at least")
    count = len(points)
    half = _Z95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, math.floor((len(slopes) - half) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + half) / 2))
    return Trend(median(slopes), slopes[low], slopes[high])
