"""What each model answered in each scenario: repeats aggregated, one cell per pair that has a score.

Everything that compares models or scenarios starts from cells, so that a scenario asked five times counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..rows import Row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIE_DECIMALS: Final = 9
"""Scenario scores and variances are rounded to this before they are ranked: two that are equal but for a rounding error
of the last bits are equal. Distinct means of up to ten thousand repeats of scores on the scale differ by more."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Parallel arrays, one element per (model, scenario) with a score, ordered by model, then scenario."""

    models: tuple[str, ...]
    """Sorted; every model that has a score in a named scenario."""
    scenarios: tuple[str, ...]
    """Sorted; every scenario that has a score."""
    names: Mapping[str, str]
    """Scenario id -> its first name in the payload."""
    model: Ints
    scenario: Ints
    mean: Floats
    median: Floats
    count: Ints
    within: Floats
    """Sample variance of the repeats; NaN where there is one."""

    def of_model(self, index: int) -> tuple[Ints, Floats]:
        """Scenario indices (ascending) and medians of one model."""
        start, end = np.searchsorted(self.model, [index, index + 1])
        return self.scenario[start:end], self.median[start:end]


def build_cells(rows: Sequence[Row]) -> Cells:
    """Aggregate the rows that have a score and a scenario."""
    scored = [row for row in rows if row.score is not None and row.scenario is not None]
    models = tuple(sorted({row.model for row in scored}))
    scenarios = tuple(sorted({row.scenario for row in scored if row.scenario is not None}))
    names: dict[str, str] = {}
    for row in rows:
        if row.name is not None and row.scenario is not None:
            names.setdefault(row.scenario, row.name)
    model_at = {model: index for index, model in enumerate(models)}
    scenario_at: dict[Any, int] = {scenario: index for index, scenario in enumerate(scenarios)}
    size = len(scored)
    score = np.fromiter((row.score for row in scored), np.float64, size)
    code = np.fromiter(
        (model_at[row.model] * len(scenarios) + scenario_at[row.scenario] for row in scored), np.int64, size
    )
    return _aggregate(models, scenarios, names, code, score)


def _aggregate(
    models: tuple[str, ...], scenarios: tuple[str, ...], names: Mapping[str, str], code: Ints, score: Floats
) -> Cells:
    order = np.lexsort((score, code))  # scores ascending within a cell: the sum does not depend on the payload's order
    code, score = code[order], score[order]
    start = np.flatnonzero(np.diff(code, prepend=-1))
    count = np.diff(start, append=code.size)
    mean = median = within = np.zeros(0)
    if start.size:
        mean = np.add.reduceat(score, start) / count
        residual = score - np.repeat(mean, count)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN where there is one repeat
            within = np.where(count > 1, np.add.reduceat(residual**2, start) / (count - 1), np.nan)
        median = (score[start + (count - 1) // 2] + score[start + count // 2]) / 2
    width = max(1, len(scenarios))
    return Cells(
        models,
        scenarios,
        names,
        code[start] // width,
        code[start] % width,
        mean,
        median,
        count.astype(np.int64),
        within,
    )
