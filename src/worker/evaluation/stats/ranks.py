"""Ranks, Spearman's rho and the Kruskal-Wallis test, with exact p-values where the sample is small.

The distribution functions are SciPy's (`scipy.special`); `scipy.stats` is not imported, because that takes longer than
a whole analysis. The tests hold every figure here against `scipy.stats` and against brute-force enumeration.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT_SPEARMAN_BELOW: Final = 10
"""Up to nine pairs all arrangements are counted: at n = 9 the t approximation is still off by a tenth at p = .05."""
EXACT_ARRANGEMENTS: Final = 20_000
"""Kruskal-Wallis counts all arrangements up to this many (0.2 s in the worst case); 4 + 4 in two groups are 70."""
SMALL_GROUP: Final = 5
"""Below this group size the chi-square approximation is not to be trusted (W.H. Kruskal and W.A. Wallis, 1952)."""
PERMUTATIONS: Final = 9_999
"""Random permutations where neither holds: p has a standard error of .002 at .05."""
_PERMUTED_VALUES: Final = 5_000_000
"""Most values permuted for one test (0.1 s); larger samples use the chi-square distribution."""
_BATCH: Final = 1_000_000


class PMethod(StrEnum):
    """How a p-value was found."""

    EXACT = "exact"
    PERMUTATION = "permutation"
    T = "t_approximation"
    CHI_SQUARE = "chi_square"


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rho of `n` pairs with its two-sided p."""

    rho: float
    p: float
    p_method: PMethod
    n: int


@dataclass(frozen=True, slots=True)
class KruskalWallis:
    """H corrected for ties, `df` = groups - 1, over `n` values; epsilon² is bias-corrected (see `kruskal_wallis`)."""

    h: float
    df: int
    p: float
    p_method: PMethod
    n: int
    epsilon_squared: float | None
    """None where every group has one value."""


def midranks(values: ArrayLike) -> Floats:
    """Ranks from 1; tied values share the mean of their ranks."""
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation | None:
    """Spearman's rho, ties by mid-ranks. None if there are fewer than three pairs or a side is constant.

    p: below ten pairs the share of all arrangements with |rho| at least as large, else Student's t on n - 2 degrees.
    """
    a, b = midranks(x), midranks(y)
    n = len(a)
    if n != len(b):
        raise ValueError("x and y must have the same length")
    da, db = a - (n + 1) / 2, b - (n + 1) / 2
    squares = float(da @ da) * float(db @ db)
    if n < 3 or squares == 0:
        return None
    rho = max(-1.0, min(1.0, float(da @ db) / math.sqrt(squares)))
    if n < EXACT_SPEARMAN_BELOW:
        return Correlation(rho, _exact_spearman_p(a, b), PMethod.EXACT, n)
    from scipy.special import stdtr  # type: ignore[import-untyped]

    p = 0.0
    if abs(rho) < 1:
        p = 2 * float(stdtr(n - 2, -abs(rho) * math.sqrt((n - 2) / (1 - rho * rho))))
    return Correlation(rho, p, PMethod.T, n)


def rho_interval(correlation: Correlation, confidence: float) -> tuple[float, float] | None:
    """Interval of Spearman's rho by Fisher's z with variance (1 + rho²/2) / (n - 3).

    Source: D.G. Bonett and T.A. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65 (2000). None below ten pairs and for a perfect order, where it is no interval.
    """
    if correlation.n < EXACT_SPEARMAN_BELOW or abs(correlation.rho) == 1:
        return None
    from .confidence import normal_quantile

    half = normal_quantile(confidence) * math.sqrt((1 + correlation.rho**2 / 2) / (correlation.n - 3))
    centre = math.atanh(correlation.rho)
    return math.tanh(centre - half), math.tanh(centre + half)


def kruskal_wallis(groups: Sequence[ArrayLike], seed: int | Sequence[int] = 0) -> KruskalWallis | None:
    """Kruskal-Wallis test of groups of values. None if there are fewer than two groups or all values are equal.

    p: exact where all arrangements can be counted; from random permutations (the same for the same seed) where a group
    has fewer than five values; else chi-square on k - 1 degrees.
    Epsilon² = (H - k + 1) / (n - k) is the bias-corrected share of the rank variance between groups: 0 on average
    without an effect, negative where the groups differ less than chance makes them (T.L. Kelley, "An unbiased
    correlation ratio measure", PNAS 21 (1935), applied to ranks).
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if len(np.asarray(group))]
    sizes = [len(array) for array in arrays]
    n, k = sum(sizes), len(sizes)
    if k < 2:
        return None
    doubled = np.rint(2 * midranks(np.concatenate(arrays))).astype(np.int64)
    centred = doubled / 2 - (n + 1) / 2
    total = float(centred @ centred)
    if total == 0:
        return None
    starts = np.cumsum([0, *sizes[:-1]])
    sums = np.add.reduceat(centred, starts)
    h = (n - 1) * float(np.sum(sums**2 / np.array(sizes))) / total
    p, p_method = _kruskal_p(doubled, sizes, h, seed)
    epsilon = (h - k + 1) / (n - k) if n > k else None
    return KruskalWallis(h, k - 1, p, p_method, n, epsilon)


def _exact_spearman_p(a: Floats, b: Floats) -> float:
    """Counted in integers (doubled ranks), so that equal correlations are equal."""
    xs = tuple(int(rank) for rank in np.rint(2 * a))
    ys = tuple(int(rank) for rank in np.rint(2 * b))
    n = len(xs)
    middle = sum(xs) * sum(ys)
    observed = abs(n * sum(x * y for x, y in zip(xs, ys, strict=True)) - middle)
    counts = _arrangements(tuple(sorted(xs)), tuple(sorted(ys)))
    products = np.arange(len(counts))
    return float(counts[np.abs(n * products - middle) >= observed].sum() / counts.sum())


@lru_cache(maxsize=1024)
def _arrangements(xs: tuple[int, ...], ys: tuple[int, ...]) -> Floats:
    """counts[s]: in how many distinct orders of `ys` the sum of products with `xs` is s.

    Dynamic programming over how many of each distinct y are left; at most 2^n states. Nine factorial fits a double.
    """
    levels = sorted(set(ys))
    length = sum(x * y for x, y in zip(xs, ys, strict=True)) + 1  # both sorted: the largest sum there is
    states: dict[tuple[int, ...], Floats] = {tuple(ys.count(level) for level in levels): _unit(length)}
    for x in xs:
        after: dict[tuple[int, ...], Floats] = {}
        for left, counts in states.items():
            for place, level in enumerate(levels):
                if left[place]:
                    key = (*left[:place], left[place] - 1, *left[place + 1 :])
                    step = x * level
                    target = after.setdefault(key, np.zeros(length))
                    target[step:] += counts[: length - step]
        states = after
    (result,) = states.values()
    return result


def _unit(length: int) -> Floats:
    counts = np.zeros(length)
    counts[0] = 1.0
    return counts


def _kruskal_p(doubled: Ints, sizes: Sequence[int], h: float, seed: int | Sequence[int]) -> tuple[float, PMethod]:
    n = len(doubled)
    if n <= _MOST_EXACT and _arrangement_count(sizes) <= EXACT_ARRANGEMENTS:
        return _exact_kruskal_p(doubled, sizes), PMethod.EXACT
    if min(sizes) < SMALL_GROUP and n * PERMUTATIONS <= _PERMUTED_VALUES:
        return _permutation_kruskal_p(doubled, sizes, seed), PMethod.PERMUTATION
    from scipy.special import chdtrc

    return float(chdtrc(len(sizes) - 1, h)), PMethod.CHI_SQUARE


_MOST_EXACT: Final = 200
"""With one value against n - 1 there are n arrangements; beyond 200 values even those few are slow to count."""


def _arrangement_count(sizes: Sequence[int]) -> int:
    count, left = 1, sum(sizes)
    for size in sizes:
        count *= math.comb(left, size)
        left -= size
    return count


def _exact_kruskal_p(doubled: Ints, sizes: Sequence[int]) -> float:
    """Share of all assignments of the ranks to groups of these sizes whose H is at least the observed one.

    H grows with the sum of (rank sum)² / size; times the sizes' common multiple that is an integer.
    """
    common = math.lcm(*sizes)
    weights = [common // size for size in sizes]
    k = len(sizes)
    empty = ((0,) * k, (0,) * k)
    states: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {empty: 1}
    for rank in doubled.tolist():
        after: defaultdict[tuple[tuple[int, ...], tuple[int, ...]], int] = defaultdict(int)
        for (filled, sums), count in states.items():
            for group in range(k):
                if filled[group] < sizes[group]:
                    key = (
                        (*filled[:group], filled[group] + 1, *filled[group + 1 :]),
                        (*sums[:group], sums[group] + rank, *sums[group + 1 :]),
                    )
                    after[key] += count
        states = after

    def statistic(sums: Sequence[int]) -> int:
        return sum(weight * total * total for weight, total in zip(weights, sums, strict=True))

    ends = np.cumsum(sizes)
    observed = statistic([int(part.sum()) for part in np.split(doubled, ends[:-1])])
    extreme = sum(count for (_, sums), count in states.items() if statistic(sums) >= observed)
    return extreme / sum(states.values())


def _permutation_kruskal_p(doubled: Ints, sizes: Sequence[int], seed: int | Sequence[int]) -> float:
    """(b + 1) / (B + 1): B random permutations, of which b are at least as extreme (B. Phipson, G.K. Smyth, 2010)."""
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes[:-1]])
    inverse = 1 / np.array(sizes)
    observed = float(np.add.reduceat(doubled, starts) ** 2 @ inverse)
    edge = observed * (1 - 1e-12)  # equal statistics count as extreme, whatever order they were added in
    extreme, step = 0, max(1, _BATCH // len(doubled))
    for done in range(0, PERMUTATIONS, step):
        sample = rng.permuted(np.tile(doubled, (min(step, PERMUTATIONS - done), 1)), axis=1)
        extreme += int(np.sum(np.add.reduceat(sample, starts, axis=1) ** 2 @ inverse >= edge))
    return (extreme + 1) / (PERMUTATIONS + 1)
