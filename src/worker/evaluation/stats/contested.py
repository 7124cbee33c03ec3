"""Scenarios on which the models differ most, with the variance between models apart from that within each."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .cells import TIE_DECIMALS, Cells

MOST: Final = 5
"""Scenarios listed (contract 4.6)."""
MIN_MODELS: Final = 2
NO_REPEATS: Final = "no model answered the scenario more than once"


def compute_contested_scenarios(cells: Cells, most: int = MOST) -> list[dict[str, Any]]:
    """Scenarios by the population variance of the models' mean scores, largest first, ties by id.

    Repeats are averaged before, so that a model that was asked more often weighs no more; their own variance is
    `withinModelVariance`, the mean of the models' sample variances. Scenarios without a difference are not listed.
    """
    size = len(cells.scenarios)
    if size == 0:
        return []
    models = np.bincount(cells.scenario, minlength=size)
    mean = np.bincount(cells.scenario, cells.mean, size) / models
    squares = np.bincount(cells.scenario, (cells.mean - mean[cells.scenario]) ** 2, size)
    variance = np.round(squares / models, TIE_DECIMALS)
    candidates = np.flatnonzero((models >= MIN_MODELS) & (variance > 0))
    order = candidates[np.lexsort((candidates, -variance[candidates]))][:most]
    return [_entry(cells, int(index), float(variance[index])) for index in order]


def _entry(cells: Cells, scenario: int, variance: float) -> dict[str, Any]:
    here = cells.scenario == scenario
    within = cells.within[here]
    repeated = within[~np.isnan(within)]
    scenario_id = cells.scenarios[scenario]
    return {
        "scenarioId": scenario_id,
        "scenarioName": cells.names.get(scenario_id),
        "variance": variance,
        "modelScores": {
            cells.models[model]: mean
            for model, mean in zip(cells.model[here].tolist(), cells.mean[here].tolist(), strict=True)
        },
        "withinModelVariance": float(repeated.mean()) if repeated.size else None,
        "reasons": {} if repeated.size else {"withinModelVariance": NO_REPEATS},
    }
