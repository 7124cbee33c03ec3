"""Which dimensions of the scenarios go with the decisions. The unit of analysis is the scenario.

A dimension whose levels are numbers is tested with Spearman's rho, one with labels with Kruskal-Wallis; Holm's
correction runs over all dimensions that could be tested. Effect sizes are on the scale of the test: the bias-corrected
share of the rank variance, 0 on average without an effect, comparable between the two kinds because it knows the
degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike

from ..rows import as_rows
from .cells import Cells, Floats, build_cells
from .confidence import ConfidenceInterval
from .dimension_effect import CONFIDENCE, MIN_SCENARIOS, DimensionEffect, Kind, dimension_effect, indices_by_level
from .dimension_levels import DimensionTable, Level, label_of, read_dimensions, read_level
from .model_comparison import ALPHA, apply_holm_bonferroni
from .ranks import midranks
from .scenario_scores import ScenarioScores, scenario_scores

MAX_LEVELS_SHOWN: Final = 50
"""Levels listed one by one; a numeric dimension can have as many as there are scenarios."""
MANY_LEVELS: Final = f"more than {MAX_LEVELS_SHOWN} levels"
MAX_COLUMNS: Final = 200
"""Ordered dimensions plus labels in the joint model; its cost grows with their square (0.5 s for 20,000 scenarios)."""
_RANK_TOLERANCE: Final = 1e-9
"""Least eigenvalue of a correlation matrix that is not rounding error of 0; sums of 10⁵ products err by 1e-13."""
TOO_LARGE: Final = f"more than {MAX_COLUMNS} dimensions and labels to fit together"
NO_FREEDOM: Final = "too few scenarios for a model of all dimensions together"
NOTHING_TESTED: Final = "no dimension could be tested"


def compute_eta_squared(groups: Sequence[ArrayLike], all_values: ArrayLike) -> float | None:
    """Raw eta²: squared deviations of the group means over all squared deviations. None if all values are equal.

    Biased upwards, (k - 1) / (n - 1) without any effect: the analysis reports the corrected form of its ranks instead.
    """
    values = np.asarray(all_values, dtype=np.float64)
    if len(values) == 0 or np.ptp(values) == 0:
        return None
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if len(np.asarray(group))]
    between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in arrays)
    return float(between / np.sum((values - values.mean()) ** 2))


def analyze_dimension(
    scores: Sequence[float], values: Sequence[Any], seed: int = 0
) -> tuple[float | None, float | None, str]:
    """(effect, p, test) of one dimension: one score and one raw value per scenario."""
    levels = [read_level(value) for value in values]
    known = [(score, level) for score, level in zip(scores, levels, strict=True) if level is not None]
    found = dimension_effect(np.array([score for score, _ in known]), [level for _, level in known], seed)
    return found.effect, found.p, found.test


def compute_dimension_effects(
    transcripts: Sequence[Any], seed: int = 0, cells: Cells | None = None
) -> dict[str, DimensionEffect]:
    """Every dimension of the run, sorted by name. Adding a dimension does not change the p-values of the others."""
    rows = as_rows(transcripts)
    table = build_cells(rows) if cells is None else cells
    return _effects(read_dimensions(rows), table, scenario_scores(table), seed)


def compute_variance_explained(
    effects: Mapping[str, DimensionEffect], columns: Mapping[str, Sequence[Level | None]], scores: Floats
) -> dict[str, Any]:
    """How much of the rank variance all tested dimensions explain together: one additive model, nothing counted twice.

    `columns` has a level or None per scenario and dimension; complete cases only. Ordered dimensions enter by the ranks
    of their levels, labels as indicators.
    """
    tested = [name for name, effect in effects.items() if effect.p is not None]
    usable = [_usable(columns[name], effects[name]) for name in tested]
    complete = [index for index, known in enumerate(zip(*usable, strict=True)) if all(known)]
    result: dict[str, Any] = {"share": None, "adjustedShare": None, "scenarios": len(complete), "parameters": None}
    result["dimensions"] = tested
    size = sum(1 if effects[name].kind is Kind.ORDERED else len(set(effects[name].levels)) for name in tested)
    why = NOTHING_TESTED if not tested else TOO_LARGE if size > MAX_COLUMNS else NO_FREEDOM
    result["reasons"] = dict.fromkeys(("share", "adjustedShare"), why)
    if why is not NO_FREEDOM or len(complete) < MIN_SCENARIOS:
        return result
    ranks = midranks(scores[complete])
    design = np.column_stack([part for name in tested for part in _design(effects[name].kind, columns[name], complete)])
    explained, parameters = _explained_share(design, ranks)
    freedom = len(complete) - 1 - parameters
    result["parameters"] = parameters
    if explained is None or freedom < 1:
        return result
    adjusted = 1 - (1 - explained) * (len(complete) - 1) / freedom
    return result | {"share": explained, "adjustedShare": adjusted, "reasons": {}}


def _explained_share(design: Floats, target: Floats) -> tuple[float | None, int]:
    """Explained share of the variance in the least-squares fit with intercept, and the rank of the centred design.

    By the eigenvectors of the columns' correlation matrix, small however many scenarios there are; directions under
    `_RANK_TOLERANCE` are copies of others. None if the target does not vary.
    """
    columns = design - design.mean(axis=0)
    lengths = np.sqrt(np.sum(columns**2, axis=0))
    columns = columns[:, lengths > 0] / lengths[lengths > 0]
    centred = target - target.mean()
    total = float(centred @ centred)
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > _RANK_TOLERANCE
    projections = vectors[:, kept].T @ (columns.T @ centred)
    if total == 0:
        return None, int(kept.sum())
    return min(1.0, float(np.sum(projections**2 / values[kept])) / total), int(kept.sum())


@dataclass(frozen=True, slots=True)
class DimensionAnalysis:
    """`dimensions` is the output's `dimensionAnalysis`, `model` its `dimensionModel`; the rest feeds the warnings."""

    dimensions: dict[str, dict[str, Any]]
    model: dict[str, Any]
    table: DimensionTable
    scores: ScenarioScores


def compute_dimension_analysis(
    transcripts: Sequence[Any], alpha: float = ALPHA, seed: int = 0, cells: Cells | None = None
) -> DimensionAnalysis:
    """Test all dimensions, correct over them, rank them by effect, and fit them together."""
    rows = as_rows(transcripts)
    table = build_cells(rows) if cells is None else cells
    dimensions, scores = read_dimensions(rows), scenario_scores(table)
    effects = _effects(dimensions, table, scores, seed)
    holm = apply_holm_bonferroni([effect.p for effect in effects.values()], alpha)
    strongest = sorted(
        (name for name, effect in effects.items() if effect.effect is not None),
        key=lambda name: (-round(effects[name].effect or 0.0, 9), name),
    )
    rank = {name: place for place, name in enumerate(strongest, 1)}
    entries = {
        name: _entry(effect, test, rank.get(name), len(table.scenarios))
        for (name, effect), test in zip(effects.items(), holm, strict=True)
    }
    columns = {name: [dimensions.levels[name].get(scenario) for scenario in table.scenarios] for name in effects}
    model = compute_variance_explained(effects, columns, scores.score)
    return DimensionAnalysis(entries, model, dimensions, scores)


def _effects(dimensions: DimensionTable, cells: Cells, scores: ScenarioScores, seed: int) -> dict[str, DimensionEffect]:
    effects = {}
    for name, levels in dimensions.levels.items():
        index = [place for place, scenario in enumerate(cells.scenarios) if scenario in levels]
        known = [levels[cells.scenarios[place]] for place in index]
        effects[name] = dimension_effect(scores.score[index], known, (seed, crc32(name.encode())))
    return effects


def _usable(column: Sequence[Level | None], effect: DimensionEffect) -> list[bool]:
    refused = frozenset(effect.refused)
    return [level is not None and label_of(level) not in refused for level in column]


def _design(kind: Kind, column: Sequence[Level | None], complete: Sequence[int]) -> list[Floats]:
    levels = [column[index] for index in complete]
    if kind is Kind.ORDERED:
        return [midranks(np.array(levels, dtype=np.float64))]
    labels = [label_of(level) for level in levels if level is not None]
    return [np.array([label == name for label in labels], dtype=np.float64) for name in sorted(set(labels))]


def _entry(
    effect: DimensionEffect, test: tuple[float | None, bool | None], rank: int | None, scenarios: int
) -> dict[str, Any]:
    reasons = dict(effect.reasons)
    levels = _level_means(effect)
    if levels is None:
        reasons["levels"] = MANY_LEVELS
    interval: ConfidenceInterval | None = None
    if effect.interval is not None:
        interval = ConfidenceInterval(
            lower=effect.interval[0], upper=effect.interval[1], level=CONFIDENCE, method="fisher_z_bonett_wright"
        )
    measure = "adjusted_rho_squared" if effect.kind is Kind.ORDERED else "epsilon_squared"
    return {
        "correlation": effect.correlation,
        "pValue": effect.p,
        "significant": test[1],
        "pValueCorrected": test[0],
        "pValueMethod": effect.p_method,
        "correlationInterval": interval,
        "kind": effect.kind,
        "test": effect.test,
        "statistic": effect.statistic,
        "degreesOfFreedom": effect.df,
        "effectSize": effect.effect,
        "effectMeasure": measure,
        "rank": rank,
        "scenarios": len(effect.scores),
        "scenariosTotal": scenarios,
        "levels": levels,
        "refusedLevels": list(effect.refused),
        "reasons": reasons,
    }


def _level_means(effect: DimensionEffect) -> list[dict[str, Any]] | None:
    """Mean scenario score of each level with its t interval over scenarios, in the order of the levels."""
    order: list[Any] = sorted(set(effect.levels))
    if len(order) > MAX_LEVELS_SHOWN:
        return None
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    shown = []
    for level, index in zip(order, indices_by_level(effect.levels, order), strict=True):
        scores = effect.scores[index]
        n, mean = len(scores), float(scores.mean())
        interval: ConfidenceInterval | None = None
        if n > 1:
            half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * float(scores.std(ddof=1)) / math.sqrt(n)
            interval = ConfidenceInterval(lower=mean - half, upper=mean + half, level=CONFIDENCE, method="student_t")
        shown.append({"level": label_of(level), "scenarios": n, "mean": mean, "interval": interval})
    return shown
