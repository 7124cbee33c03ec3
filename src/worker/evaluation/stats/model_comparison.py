"""How far models agree: pairs on the scenarios both answered, all together, and who stands apart.

Repeats are aggregated first (the median is the model's answer in a scenario), each pair uses every scenario that both
answered, and what cannot be computed is None with a reason: it enters neither a mean nor a correction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from ..rows import as_rows
from .agreement import (
    cliffs_delta,
    cohen_d,
    cohen_kappa,
    fisher_mean,
    krippendorff_alpha,
    paired_d,
    rank_biserial,
    weighted_kappa,
)
from .cells import Cells, Floats, build_cells
from .ranks import Correlation, spearman

ALPHA: Final = 0.05
"""Family-wise level of every set of tests unless the caller names another."""
MAX_MODELS: Final = 100
"""Models compared with each other: 4,950 pairs, some seconds. Runs have up to a few dozen."""
MIN_PAIRS: Final = 3
"""Scenarios in common below which a rank correlation is 1 or -1 whatever the models do."""
OUTLIER_THRESHOLD: Final = 3.5
"""Robust z beyond which a model stands apart (B. Iglewicz, D. Hoaglin, "How to detect and handle outliers", 1993)."""
OUTLIER_GAP: Final = 0.2
"""Least distance below the median of the models' mean kappa, one band of J.R. Landis and G.G. Koch (1977): with few
models the spread around the median can be next to nothing by chance."""
MIN_MODELS_FOR_OUTLIER: Final = 3
"""Of two models that disagree neither is the odd one."""
MIN_FOR_SPREAD: Final = 2
"""One scenario shows neither chance agreement nor spread."""
_MAD_TO_SD: Final = 0.6745
"""Median absolute deviation of a standard normal."""
_BANDS: Final = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"))
"""Upper bounds of |d| (J. Cohen, 1988)."""

NO_COMMON: Final = "the two models have no scored scenario in common"
FEW_COMMON: Final = f"fewer than {MIN_PAIRS} scored scenarios in common"
CONSTANT: Final = "one of the two models gave the same score in every common scenario"
SAME_VALUE: Final = "both models gave one and the same score throughout, so chance agreement is 1"
NO_VARIATION: Final = "neither model's scores vary"
TOO_FEW: Final = "fewer than 2 scored scenarios in common"
SAME_DIFFERENCE: Final = "the difference is the same in every common scenario"
NO_DIFFERENCE: Final = "the scores do not differ in any common scenario"
NO_COMPARISON: Final = "no two models have a scored scenario in common"
ALL_UNDEFINED: Final = "the figure is undefined for every pair of models"
ALL_EQUAL: Final = "all scores that could be compared are equal"
TOO_MANY: Final = f"more than {MAX_MODELS} models are not compared with each other"

_FIGURES: Final = (
    "kappa",
    "unweightedKappa",
    "exactAgreement",
    "withinOne",
    "spearmanRho",
    "meanDifference",
    "effectSize",
    "pairedEffectSize",
    "rankBiserial",
    "cliffsDelta",
)


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two models, `model_a` before `model_b` in the order of ids; differences are a - b. Reasons by output field."""

    model_a: str
    model_b: str
    n: int
    kappa: float | None = None
    """With quadratic weights: the one kind used for all pairs."""
    unweighted_kappa: float | None = None
    exact_agreement: float | None = None
    within_one: float | None = None
    correlation: Correlation | None = None
    mean_difference: float | None = None
    d: float | None = None
    d_z: float | None = None
    rank_biserial: float | None = None
    cliffs_delta: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


def compute_effect_size(group1: ArrayLike, group2: ArrayLike) -> float | None:
    """Cohen's d, pooled standard deviation; None where it is undefined, never 0."""
    return cohen_d(group1, group2)


def interpret_effect_size(d: float | None) -> str | None:
    """negligible < 0.2 <= small < 0.5 <= medium < 0.8 <= large, by size; None of None."""
    if d is None:
        return None
    return next((name for bound, name in _BANDS if abs(d) < bound), "large")


def apply_holm_bonferroni(
    p_values: Sequence[float | None], alpha: float = ALPHA
) -> list[tuple[float | None, bool | None]]:
    """Holm's adjusted p-values in the order given, monotone, and whether each is at most `alpha`.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979). A test
    that could not be made (None) stays None and does not count into the family.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    tested = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    if any(not 0 <= p <= 1 for p, _ in tested):
        raise ValueError("p-values must be between 0 and 1")
    result: list[tuple[float | None, bool | None]] = [(None, None)] * len(p_values)
    highest = 0.0
    for done, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - done)))
        result[index] = (highest, highest <= alpha)
    return result


def compare(model_a: str, model_b: str, x: Floats, y: Floats) -> PairAgreement:
    """Everything about two models from their answers in the same scenarios."""
    n = len(x)
    if n == 0:
        return PairAgreement(model_a, model_b, 0, reasons=dict.fromkeys(_FIGURES, NO_COMMON))
    enough = n >= MIN_FOR_SPREAD
    kappa, correlation = weighted_kappa(x, y) if enough else None, spearman(x, y)
    d, d_z, biserial = cohen_d(x, y), paired_d(x, y), rank_biserial(x, y)
    undefined = {
        "kappa": None if kappa is not None else SAME_VALUE if enough else TOO_FEW,
        "unweightedKappa": None if kappa is not None else SAME_VALUE if enough else TOO_FEW,
        "spearmanRho": None if correlation else FEW_COMMON if n < MIN_PAIRS else CONSTANT,
        "effectSize": None if d is not None else NO_VARIATION if enough else TOO_FEW,
        "pairedEffectSize": None if d_z is not None else SAME_DIFFERENCE if enough else TOO_FEW,
        "rankBiserial": NO_DIFFERENCE if biserial is None else None,
    }
    return PairAgreement(
        model_a,
        model_b,
        n,
        kappa=kappa,
        unweighted_kappa=cohen_kappa(x, y) if enough else None,
        exact_agreement=float(np.mean(x == y)),
        within_one=float(np.mean(np.abs(x - y) <= 1)),
        correlation=correlation,
        mean_difference=float(np.mean(x - y)),
        d=d,
        d_z=d_z,
        rank_biserial=biserial,
        cliffs_delta=cliffs_delta(x, y),
        reasons={name: reason for name, reason in undefined.items() if reason is not None},
    )


def compute_pairwise_agreement(transcripts: Sequence[Any], cells: Cells | None = None) -> list[PairAgreement]:
    """Every pair of models of the run, by sorted ids; a pair without common scenarios is there, with its reason."""
    rows = as_rows(transcripts)
    table = build_cells(rows) if cells is None else cells
    models = sorted({row.model for row in rows})
    place = {model: index for index, model in enumerate(table.models)}
    nothing = (np.zeros(0, dtype=np.int64), np.zeros(0))
    answers = {model: table.of_model(place[model]) if model in place else nothing for model in models}
    pairs = []
    for model_a, model_b in combinations(models, 2):
        (at_a, x), (at_b, y) = answers[model_a], answers[model_b]
        if not np.array_equal(at_a, at_b):
            _, of_a, of_b = np.intersect1d(at_a, at_b, assume_unique=True, return_indices=True)
            x, y = x[of_a], y[of_b]
        pairs.append(compare(model_a, model_b, x, y))
    return pairs


def rank_models(pairs: Sequence[PairAgreement], threshold: float = OUTLIER_THRESHOLD) -> list[dict[str, Any]]:
    """Each model's mean kappa with the others, highest first, its robust z, and whether it stands apart.

    A model stands apart if its mean kappa is at least `OUTLIER_GAP` below the median and its robust z (0.6745 times
    the distance over the median absolute deviation) below -threshold. Unusually high agreement is no outlier. The z is
    None if the deviation is 0; from three models on the question can be asked at all.
    """
    kappas: dict[str, list[float]] = {}
    for pair in pairs:
        for model in (pair.model_a, pair.model_b):
            kappas.setdefault(model, []).extend([] if pair.kappa is None else [pair.kappa])
    means = {model: sum(found) / len(found) for model, found in kappas.items() if found}
    middle = float(np.median(list(means.values()))) if means else 0.0
    deviation = float(np.median([abs(mean - middle) for mean in means.values()])) if means else 0.0
    ranking = []
    for model in sorted(kappas, key=lambda name: (-means.get(name, -np.inf), name)):
        mean = means.get(model)
        entry: dict[str, Any] = {"modelId": model, "meanKappa": mean, "comparedWith": len(kappas[model])}
        entry["robustZ"] = None if mean is None or deviation == 0 else _MAD_TO_SD * (mean - middle) / deviation
        entry["outlier"] = None
        if mean is not None and len(means) >= MIN_MODELS_FOR_OUTLIER:
            far = deviation == 0 or _MAD_TO_SD * (mean - middle) / deviation < -threshold
            entry["outlier"] = far and middle - mean >= OUTLIER_GAP
        ranking.append(entry)
    return ranking


def detect_outlier_models(pairs: Sequence[PairAgreement], threshold: float = OUTLIER_THRESHOLD) -> list[str]:
    """Ids of the models that stand apart (see `rank_models`), sorted."""
    return sorted(entry["modelId"] for entry in rank_models(pairs, threshold) if entry["outlier"])


def pair_keys(pairs: Sequence[PairAgreement]) -> list[str]:
    """The specification's "A_vs_B". Where two pairs would share a key, all keys are JSON lists of the two ids."""
    keys = [f"{pair.model_a}_vs_{pair.model_b}" for pair in pairs]
    if len(set(keys)) < len(keys):
        return [json.dumps([pair.model_a, pair.model_b], ensure_ascii=False) for pair in pairs]
    return keys


def compute_model_agreement(
    transcripts: Sequence[Any], alpha: float = ALPHA, cells: Cells | None = None
) -> dict[str, Any]:
    """The `modelAgreement` block: pairwise kappa, `pairs` with everything else, overall figures, who stands apart."""
    rows = as_rows(transcripts)
    table = build_cells(rows) if cells is None else cells
    compared = len({row.model for row in rows}) <= MAX_MODELS
    pairs = compute_pairwise_agreement(rows, table) if compared else []
    holm = apply_holm_bonferroni([pair.correlation.p if pair.correlation else None for pair in pairs], alpha)
    keys = pair_keys(pairs)
    kappas = [pair.kappa for pair in pairs if pair.kappa is not None]
    correlations = [pair.correlation for pair in pairs if pair.correlation is not None]
    kappa = sum(kappas) / len(kappas) if kappas else None
    agreement = fisher_mean([found.rho for found in correlations], [found.n for found in correlations])
    reliability = krippendorff_alpha(table.scenario, table.median)
    met = any(pair.n for pair in pairs)
    undefined = {
        "overallKappa": kappa is None and (TOO_MANY if not compared else ALL_UNDEFINED if met else NO_COMPARISON),
        "overallAgreement": agreement is None
        and (TOO_MANY if not compared else ALL_UNDEFINED if met else NO_COMPARISON),
        "krippendorffAlpha": reliability is None and (ALL_EQUAL if met else NO_COMPARISON),
    }
    ranking = rank_models(pairs)
    return {
        "overallKappa": kappa,
        "pairwise": {key: pair.kappa for key, pair in zip(keys, pairs, strict=True)},
        "overallAgreement": agreement,
        "krippendorffAlpha": None if reliability is None else reliability._asdict(),
        "pairs": [_pair_entry(key, pair, test) for key, pair, test in zip(keys, pairs, holm, strict=True)],
        "comparedPairs": len(kappas),
        "testedPairs": len(correlations),
        "outlierModels": sorted(entry["modelId"] for entry in ranking if entry["outlier"]),
        "ranking": ranking,
        "reasons": {name: reason for name, reason in undefined.items() if reason},
    }


def _pair_entry(key: str, pair: PairAgreement, test: tuple[float | None, bool | None]) -> dict[str, Any]:
    found = pair.correlation
    return {
        "key": key,
        "modelA": pair.model_a,
        "modelB": pair.model_b,
        "scenarios": pair.n,
        "kappa": pair.kappa,
        "unweightedKappa": pair.unweighted_kappa,
        "exactAgreement": pair.exact_agreement,
        "withinOne": pair.within_one,
        "spearmanRho": found.rho if found else None,
        "pValue": found.p if found else None,
        "pValueMethod": found.p_method if found else None,
        "pValueCorrected": test[0],
        "significant": test[1],
        "meanDifference": pair.mean_difference,
        "effectSize": pair.d,
        "effectInterpretation": interpret_effect_size(pair.d),
        "pairedEffectSize": pair.d_z,
        "rankBiserial": pair.rank_biserial,
        "cliffsDelta": pair.cliffs_delta,
        "reasons": dict(pair.reasons),
    }
