"""One score per scenario, the unit on which dimensions are tested.

A dimension is a property of a scenario. Its transcripts are no independent observations of it: five repeats of six
models are thirty rows and one scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from .cells import TIE_DECIMALS, Cells, Floats, Ints

_TOLERANCE: Final = 1e-13
"""Residual of the fit, relative to its right side, well under what `TIE_DECIMALS` can see."""


@dataclass(frozen=True, slots=True)
class ScenarioScores:
    """`score[i]` belongs to `Cells.scenarios[i]`."""

    score: Floats
    adjusted: bool
    """Whether the models' general leanings were taken out because not every model answered every scenario."""
    connected: bool
    """False where models fall into groups without a common scenario: leanings and scenarios cannot be told apart."""


def scenario_scores(cells: Cells) -> ScenarioScores:
    """Mean over the models of their mean over the repeats.

    Where models are missing in some scenarios, a plain mean would show which models answered, not what the scenario is
    like. Then models are blocks: the score is the scenario's effect in the least-squares fit of
    mean[model, scenario] = model + scenario, with the models' effects balanced around 0.
    """
    size, models = len(cells.scenarios), len(cells.models)
    if size == 0:
        return ScenarioScores(np.zeros(0), adjusted=False, connected=True)
    per_scenario = np.bincount(cells.scenario, minlength=size)
    if len(cells.mean) == size * models:
        plain = np.bincount(cells.scenario, cells.mean, size) / per_scenario
        return ScenarioScores(np.round(plain, TIE_DECIMALS), adjusted=False, connected=True)
    leaning = _model_effects(cells, per_scenario)
    score = np.bincount(cells.scenario, cells.mean - leaning[cells.model], size) / per_scenario
    return ScenarioScores(np.round(score, TIE_DECIMALS), adjusted=True, connected=_connected(cells))


def _model_effects(cells: Cells, per_scenario: Ints) -> Floats:
    """Least-squares effects of the models, of least norm, by conjugate gradients on the normal equations.

    Scenario effects are eliminated: (n_m a_m - sum over its scenarios of their mean a) = the model's summed deviation
    from the scenario means. The matrix is positive semidefinite and the system consistent, which is all the method
    asks for; it needs at most as many steps as there are models.
    """
    size, models = len(per_scenario), len(cells.models)

    def reduced(values: Floats) -> Floats:
        means = np.bincount(cells.scenario, values, size) / per_scenario
        return np.asarray(np.bincount(cells.model, values - means[cells.scenario], models))

    right = reduced(cells.mean)
    effect = np.zeros(models)
    residual, direction = right.copy(), right.copy()
    power = float(residual @ residual)
    enough = _TOLERANCE**2 * power
    for _ in range(4 * models):  # rounding can cost a few steps more than exact arithmetic needs
        if power <= enough:
            break
        image = reduced(direction[cells.model])
        step = power / float(direction @ image)
        effect += step * direction
        residual -= step * image
        previous, power = power, float(residual @ residual)
        direction = residual + (power / previous) * direction
    return np.asarray(effect - effect.mean())


def _connected(cells: Cells) -> bool:
    """Whether every model can be reached from every other over common scenarios: labels spread until they rest."""
    label = np.arange(len(cells.models))
    while True:
        seen = np.full(len(cells.scenarios), len(cells.models))
        np.minimum.at(seen, cells.scenario, label[cells.model])
        spread = label.copy()
        np.minimum.at(spread, cells.model, seen[cells.scenario])
        if np.array_equal(spread, label):
            return bool(label.max(initial=0) == 0)
        label = spread
