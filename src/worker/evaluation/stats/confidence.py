"""Confidence intervals of proportions and of statistics of a sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BATCH: Final = 1_000_000
"""Resampled values held at once (8 MB)."""


class ConfidenceInterval(TypedDict):
    """An interval as it stands in the output."""

    lower: float
    upper: float
    level: float
    method: str


class Statistic(StrEnum):
    """What can be bootstrapped. `std` is the sample standard deviation (n - 1 in the denominator)."""

    MEAN = "mean"
    MEDIAN = "median"
    STD = "std"


class BootstrapMethod(StrEnum):
    PERCENTILE = "percentile"
    BCA = "bca"


def normal_quantile(confidence: float) -> float:
    """Two-sided quantile of the standard normal, 1.96 for .95.

    Raises:
        ValueError: `confidence` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    from scipy.special import ndtri  # type: ignore[import-untyped]

    return float(ndtri(0.5 + confidence / 2))


def wilson_score_ci(successes: float, total: float, confidence: float = 0.95) -> ConfidenceInterval:
    """Wilson score interval of a proportion, without continuity correction.

    Source: E.B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    `total` may be an effective sample size, therefore not an integer.

    Raises:
        ValueError: total <= 0, successes negative or over total, confidence outside (0, 1), or a number is not finite.
    """
    if not (math.isfinite(successes) and math.isfinite(total)):
        raise ValueError("successes and total must be finite")
    if total <= 0:
        raise ValueError(f"total must be positive, not {total}")
    if not 0 <= successes <= total:
        raise ValueError(f"successes must be between 0 and total ({total}), not {successes}")
    z2 = normal_quantile(confidence) ** 2
    failures = total - successes
    centre = successes + z2 / 2
    half = math.sqrt(z2) * math.sqrt(successes * failures / total + z2 / 4)
    return ConfidenceInterval(
        # At the ends the bound is 0 or 1 exactly; the formula misses it by a rounding error.
        lower=0.0 if successes == 0 else max(0.0, (centre - half) / (total + z2)),
        upper=1.0 if failures == 0 else min(1.0, (centre + half) / (total + z2)),
        level=confidence,
        method="wilson_score",
    )


def clustered_wilson_ci(
    successes: Sequence[int], totals: Sequence[int], confidence: float = 0.95
) -> tuple[ConfidenceInterval, float] | None:
    """Wilson interval of a proportion whose observations come in clusters (repeats of a scenario), and its sample size.

    The sample is taken as large as it is worth: n / design effect, the design effect being the variance of the ratio
    estimate between clusters over the binomial one (E.L. Korn and B.I. Graubard, "Confidence intervals for proportions
    with small expected number of positive counts", Survey Methodology 24 (1998), with Wilson's interval in place of
    the exact one). Clustering is never credited with more than n observations. All successes or none say nothing of
    the variance between clusters: then each cluster is worth one observation.

    None if there are fewer than two clusters.
    """
    hits = np.asarray(successes, dtype=np.float64)
    sizes = np.asarray(totals, dtype=np.float64)
    kept = sizes > 0
    hits, sizes = hits[kept], sizes[kept]
    clusters, total = len(sizes), float(sizes.sum())
    if clusters < 2:
        return None
    share = float(hits.sum()) / total
    if share in (0.0, 1.0):
        effective = float(clusters)
    else:
        residual = hits - share * sizes
        between = clusters / (clusters - 1) * float(residual @ residual) / total**2
        effective = min(total, share * (1 - share) / between) if between > 0 else total
    interval = wilson_score_ci(share * effective, effective, confidence)
    interval["method"] = "wilson_score_effective_n"
    return interval, effective


def bootstrap_ci(
    data: Sequence[float],
    statistic: str = "mean",
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
    method: str = "percentile",
) -> ConfidenceInterval | None:
    """Bootstrap interval of the mean, median or standard deviation of a sample; the same for the same seed.

    `percentile` or `bca` (bias-corrected and accelerated; B. Efron, "Better bootstrap confidence intervals",
    JASA 82 (1987)). None where BCa is undefined because all values, or all resampled statistics, are the same.

    Raises:
        ValueError: fewer than two values, a value that is not finite, an unknown statistic or method,
            n_bootstrap < 1, confidence outside (0, 1).
    """
    which, how = Statistic(statistic), BootstrapMethod(method)
    normal_quantile(confidence)
    sample = np.asarray(data, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2 or not np.isfinite(sample).all():
        raise ValueError("data must be at least two finite numbers")
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap must be at least 1, not {n_bootstrap}")
    estimate = _ESTIMATORS[which]
    statistics = _resampled(sample, estimate, n_bootstrap, seed)
    tails: tuple[float, float] | None = ((1 - confidence) / 2, (1 + confidence) / 2)
    if how is BootstrapMethod.BCA:
        tails = _bca_tails(sample, estimate, statistics, confidence)
    if tails is None:
        return None
    lower, upper = np.percentile(statistics, [100 * tail for tail in tails])
    return ConfidenceInterval(lower=float(lower), upper=float(upper), level=confidence, method=f"bootstrap_{how}")


def _std(values: Floats, axis: int) -> Any:
    return np.std(values, axis=axis, ddof=1)


_ESTIMATORS: Final[dict[Statistic, Callable[[Floats, int], Any]]] = {
    Statistic.MEAN: lambda values, axis: np.mean(values, axis=axis),
    Statistic.MEDIAN: lambda values, axis: np.median(values, axis=axis),
    Statistic.STD: _std,
}


def _resampled(sample: Floats, estimate: Callable[[Floats, int], Any], times: int, seed: int) -> Floats:
    """The statistic of `times` resamples, drawn in batches so that memory stays bounded."""
    rng = np.random.default_rng(seed)
    step = max(1, _BATCH // sample.size)
    parts = [
        estimate(sample[rng.integers(0, sample.size, (min(step, times - done), sample.size))], -1)
        for done in range(0, times, step)
    ]
    return np.concatenate(parts)


def _bca_tails(
    sample: Floats, estimate: Callable[[Floats, int], Any], statistics: Floats, confidence: float
) -> tuple[float, float] | None:
    """The two probabilities at which the bootstrap distribution is cut."""
    from scipy.special import ndtr, ndtri

    observed = float(estimate(sample, -1))
    below = (np.sum(statistics < observed) + np.sum(statistics <= observed)) / (2 * statistics.size)
    if not 0 < below < 1:
        return None
    bias = float(ndtri(below))
    left_out = np.array([float(estimate(np.delete(sample, index), -1)) for index in range(sample.size)])
    spread = left_out.mean() - left_out
    denominator = 6 * float(np.sum(spread**2)) ** 1.5
    if denominator == 0 or not math.isfinite(denominator):
        return None
    acceleration = float(np.sum(spread**3)) / denominator
    z = normal_quantile(confidence)

    def tail(quantile: float) -> float:
        shifted = bias + quantile
        return float(ndtr(bias + shifted / (1 - acceleration * shifted)))

    return tail(-z), tail(z)
