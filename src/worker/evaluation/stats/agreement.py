"""Chance-corrected agreement of raters (here: models) and effect sizes of paired ordinal scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ranks import midranks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Alpha(NamedTuple):
    """Krippendorff's alpha by two metrics, and what it was computed from: units with at least two ratings."""

    ordinal: float
    interval: float
    units: int
    ratings: int


def cohen_kappa(x: ArrayLike, y: ArrayLike) -> float | None:
    """Cohen's kappa without weights (J. Cohen, 1960): each distinct value is a category.

    None where chance agreement is 1: both raters use one and the same value.
    """
    a, b = _pair(x, y)
    _, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    first, second = codes[: len(a)], codes[len(a) :]
    size = int(codes.max(initial=0)) + 1
    expected = int(np.bincount(first, minlength=size) @ np.bincount(second, minlength=size))
    squared = len(a) ** 2
    if expected == squared:
        return None
    agreed = int(np.sum(first == second)) * len(a)
    return (agreed - expected) / (squared - expected)


def weighted_kappa(x: ArrayLike, y: ArrayLike) -> float | None:
    """Cohen's kappa with quadratic weights (J. Cohen, 1968): 1 - observed / expected squared difference.

    A value between two codes (the median of repeats) keeps its place on the scale. None where both raters use one and
    the same value, so that no disagreement can be expected.
    """
    a, b = _pair(x, y)
    if len(a) == 0:
        return None
    expected = float(np.var(a) + np.var(b) + (a.mean() - b.mean()) ** 2)
    if np.ptp(np.concatenate([a, b])) == 0:
        return None
    return 1 - float(np.mean((a - b) ** 2)) / expected


def krippendorff_alpha(unit: Ints, value: Floats) -> Alpha | None:
    """Krippendorff's alpha of ratings given as parallel arrays (unit index, value); raters are interchangeable.

    Source: K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011). The ordinal metric between two values
    is the squared difference of their mid-ranks among all pairable ratings, hence alpha of the ranks by the interval
    metric. None if no unit has two ratings or all pairable ratings are equal.
    """
    if len(unit) == 0:
        return None
    ratings_of = np.bincount(unit)
    pairable = ratings_of[unit] > 1
    unit, value = unit[pairable], value[pairable]
    if len(value) == 0 or np.ptp(value) == 0:
        return None
    _, unit = np.unique(unit, return_inverse=True)
    ordinal = _interval_alpha(unit, midranks(value))
    return Alpha(ordinal, _interval_alpha(unit, value), int(unit.max()) + 1, len(value))


def cohen_d(x: ArrayLike, y: ArrayLike) -> float | None:
    """Cohen's d of two independent groups, mean(x) - mean(y) over the pooled standard deviation.

    None if a group has fewer than two values or neither varies.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 2 or len(b) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return None
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
    return float((a.mean() - b.mean()) / math.sqrt(pooled))


def paired_d(x: ArrayLike, y: ArrayLike) -> float | None:
    """d_z: mean of the paired differences over their standard deviation. None below two pairs or if it is 0."""
    a, b = _pair(x, y)
    difference = np.round(a - b, 12)
    if len(difference) < 2 or np.ptp(difference) == 0:
        return None
    return float(difference.mean() / difference.std(ddof=1))


def rank_biserial(x: ArrayLike, y: ArrayLike) -> float | None:
    """Matched-pairs rank-biserial correlation (D.S. Kerby, 2014): signed share of the Wilcoxon rank sum.

    Pairs without a difference are left out; None if no pair differs.
    """
    a, b = _pair(x, y)
    difference = np.round(a - b, 12)
    difference = difference[difference != 0]
    if len(difference) == 0:
        return None
    ranks = midranks(np.abs(difference))
    return float(np.sum(ranks * np.sign(difference)) / np.sum(ranks))


def cliffs_delta(x: ArrayLike, y: ArrayLike) -> float | None:
    """Cliff's delta: P(a value of x is above one of y) - P(it is below). None if a group is empty."""
    a, b = np.asarray(x, dtype=np.float64), np.sort(np.asarray(y, dtype=np.float64))
    if len(a) == 0 or len(b) == 0:
        return None
    below = int(np.searchsorted(b, a, side="left").sum())
    not_above = int(np.searchsorted(b, a, side="right").sum())
    return (below - (len(a) * len(b) - not_above)) / (len(a) * len(b))


def fisher_mean(correlations: Sequence[float], sizes: Sequence[int]) -> float | None:
    """Mean of correlations by Fisher's z, each from a sample of its own size. None of none.

    A perfect order has no finite z. Among imperfect ones it is taken half a step below perfection: Spearman's
    1 - 6 d² / (n (n² - 1)) at d² = 1, where one swap of neighbours has d² = 2; but not below an imperfect one, which
    ties can bring nearer to 1. If all are equal, that is the mean.
    """
    if not correlations:
        return None
    if max(correlations) == min(correlations):
        return correlations[0]
    strongest = max((abs(rho) for rho in correlations if abs(rho) < 1), default=0.0)
    total = 0.0
    for rho, n in zip(correlations, sizes, strict=True):
        limit = max(strongest, 1 - 6 / (n * (n * n - 1)))
        total += math.atanh(max(-limit, min(limit, rho)))
    return math.tanh(total / len(correlations))


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) != len(b):
        raise ValueError("x and y must have the same length")
    return a, b


def _interval_alpha(unit: Ints, value: Floats) -> float:
    """1 - observed / expected squared difference; every unit has at least two ratings, not all of them equal."""
    centred = value - value.mean()  # the metric does not change, cancellation becomes harmless
    ratings = np.bincount(unit)
    sums = np.bincount(unit, centred)
    squares = np.bincount(unit, centred**2)
    total = len(value)
    # Sum over ordered pairs of (a - b)² = 2 (m sum a² - (sum a)²), in each unit and over all.
    observed = float(np.sum((ratings * squares - sums**2) / (ratings - 1))) / total
    expected = (total * float(squares.sum()) - float(sums.sum()) ** 2) / (total * (total - 1))
    return 1 - observed / expected
