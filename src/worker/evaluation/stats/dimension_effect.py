"""The test of one dimension: one score and one level per scenario. Pure.

Levels that are numbers have an order and are tested with Spearman's rho; labels with Kruskal-Wallis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from .cells import Floats
from .dimension_levels import Level, label_of
from .ranks import PMethod, kruskal_wallis, rho_interval, spearman

MIN_SCENARIOS: Final = 3
CONFIDENCE: Final = 0.95

TOO_FEW: Final = f"fewer than {MIN_SCENARIOS} scored scenarios have a usable level"
ONE_LEVEL: Final = "all scenarios have the same level"
CONSTANT: Final = "all scenarios have the same score"
SINGLETONS: Final = "fewer than two levels have more than one scenario"
LABELS: Final = "the levels are labels without an order"
NO_INTERVAL: Final = "an interval needs at least 10 scenarios and an imperfect order"


class Kind(StrEnum):
    ORDERED = "ordered"
    CATEGORICAL = "categorical"


class Test(StrEnum):
    SPEARMAN = "spearman_rho"
    KRUSKAL_WALLIS = "kruskal_wallis"


@dataclass(frozen=True, slots=True)
class DimensionEffect:
    """What a dimension does. `scores` and `levels` are the scenarios tested; what is None has its reason."""

    kind: Kind
    scores: Floats
    levels: tuple[Level, ...]
    refused: tuple[str, ...] = ()
    """Labels with a single scenario: one value has no spread, its level would explain itself."""
    correlation: float | None = None
    interval: tuple[float, float] | None = None
    statistic: float | None = None
    df: int | None = None
    p: float | None = None
    p_method: PMethod | None = None
    effect: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def test(self) -> Test:
        return Test.SPEARMAN if self.kind is Kind.ORDERED else Test.KRUSKAL_WALLIS


def dimension_effect(scores: Floats, levels: Sequence[Level], seed: int | Sequence[int] = 0) -> DimensionEffect:
    """Test one dimension on its complete cases."""
    kind = Kind.ORDERED if all(isinstance(level, float) for level in levels) else Kind.CATEGORICAL
    if kind is Kind.CATEGORICAL:
        levels = [label_of(level) for level in levels]
    if len(scores) < MIN_SCENARIOS:
        return _untested(kind, scores, levels, TOO_FEW)
    if len(set(levels)) < 2:
        return _untested(kind, scores, levels, ONE_LEVEL)
    if kind is Kind.ORDERED:
        return _ordered_effect(scores, levels)
    return _categorical_effect(scores, [str(level) for level in levels], seed)


def _untested(
    kind: Kind, scores: Floats, levels: Sequence[Level], why: str, refused: tuple[str, ...] = ()
) -> DimensionEffect:
    reasons = dict.fromkeys(("correlation", "pValue", "effectSize"), why)
    if kind is Kind.CATEGORICAL:
        reasons["correlation"] = LABELS
    return DimensionEffect(kind, scores, tuple(levels), refused, reasons=reasons)


def _ordered_effect(scores: Floats, levels: Sequence[Level]) -> DimensionEffect:
    found = spearman(np.array(levels, dtype=np.float64), scores)
    if found is None:
        return _untested(Kind.ORDERED, scores, levels, CONSTANT)
    interval = rho_interval(found, CONFIDENCE)
    return DimensionEffect(
        Kind.ORDERED,
        scores,
        tuple(levels),
        correlation=found.rho,
        interval=interval,
        statistic=found.rho,
        df=1,
        p=found.p,
        p_method=found.p_method,
        effect=1 - (1 - found.rho**2) * (found.n - 1) / (found.n - 2),
        reasons={} if interval else {"correlationInterval": NO_INTERVAL},
    )


def _categorical_effect(scores: Floats, labels: Sequence[str], seed: int | Sequence[int]) -> DimensionEffect:
    sizes = Counter(labels)
    refused = tuple(sorted(label for label, size in sizes.items() if size == 1))
    names = sorted(sizes.keys() - set(refused))
    if len(names) < 2:
        return _untested(Kind.CATEGORICAL, scores, labels, SINGLETONS, refused)
    groups = [scores[index] for index in indices_by_level(labels, names)]
    tested = np.concatenate(groups)
    used = tuple(name for name in names for _ in range(sizes[name]))
    found = kruskal_wallis(groups, seed)
    if found is None:
        return _untested(Kind.CATEGORICAL, tested, used, CONSTANT, refused)
    return DimensionEffect(
        Kind.CATEGORICAL,
        tested,
        used,
        refused,
        statistic=found.h,
        df=found.df,
        p=found.p,
        p_method=found.p_method,
        effect=found.epsilon_squared,
        reasons={"correlation": LABELS},
    )


def indices_by_level(levels: Sequence[Level], wanted: Sequence[Level]) -> list[list[int]]:
    """Where each of the wanted levels stands, in one pass."""
    found: dict[Level, list[int]] = {level: [] for level in wanted}
    for index, level in enumerate(levels):
        if level in found:
            found[level].append(index)
    return list(found.values())
