"""The statistics of a run: transcripts in, the `analysis` of the specification out.

Every figure that cannot be computed is null, and the `reasons` beside it says why. Pure but for the clock it is given;
the same payload gives the same figures in any order of transcripts, on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from ..errors import InvalidTask
from ..times import iso
from .cautions import collect_warnings
from .rows import Reading, Row, clean_text, read_rows

CODE_VERSION: Final = "1.0.0"
"""Readers key stored results by it; it is the specification's."""
DEFAULT_ALPHA: Final = 0.05
DEFAULT_SEED: Final = 0
"""Of the permutation tests. Any value will do; a fixed one makes results repeatable."""
DECIMALS: Final = 6
"""Rounding of every figure (contract 4.1)."""
EXAMPLES: Final = 20
"""Excluded transcripts listed one by one; all are counted."""

Clock = Callable[[], datetime]


def analyse(payload: Any, *, now: Clock, seed: int = DEFAULT_SEED, alpha: float = DEFAULT_ALPHA) -> dict[str, Any]:
    """Analyse `{"runId": …, "transcripts": [...]}`; `{"runId": …, "transcriptIds": [...]}` gives the older STUB.

    `now` is asked twice, at the beginning and at the end: `computedAt` and `durationMs`.

    Raises:
        InvalidTask: the payload is no object, names no run, or its transcripts are not a list. What is wrong with a
            single transcript never raises.
        ValueError: alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, not {alpha}")
    begun = now()
    if not isinstance(payload, Mapping):
        raise InvalidTask("input", "must be an object")
    if payload.get("runId") is None:
        raise InvalidTask("runId", "Missing required field: runId")
    if clean_text(payload["runId"]) is None:
        raise InvalidTask("runId", "runId must be a text that names a run")
    if "transcripts" not in payload and "transcriptIds" in payload:
        return _stub(payload["transcriptIds"], begun)
    if "transcripts" not in payload:
        raise InvalidTask("transcripts", "Missing required field: transcripts")
    if not isinstance(payload["transcripts"], list):
        raise InvalidTask("transcripts", "transcripts must be an array")
    figures = _figures(read_rows(payload["transcripts"]), seed, alpha)
    ended = now()
    duration = max(0, round((ended - begun).total_seconds() * 1000))  # the clock of a machine may be set back
    return {**figures, "computedAt": iso(ended), "durationMs": duration}


def rounded(value: Any) -> Any:
    """A copy with every float rounded, enumerations as their texts, and no negative zero."""
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def methods_used(alpha: float, seed: int) -> dict[str, Any]:
    """Every method by name: the specification's block, then the choices it leaves open."""
    return {
        "winRateCI": "wilson_score",
        "modelComparison": "spearman_rho",
        "pValueCorrection": "holm_bonferroni",
        "effectSize": "cohens_d",
        "dimensionTest": "kruskal_wallis",
        "alpha": alpha,
        "codeVersion": CODE_VERSION,
        "kappa": "cohen_quadratic_weights",
        "overallKappa": "mean_of_pairwise_kappa",
        "overallAgreement": "mean_of_pairwise_rho_by_fisher_z",
        "reliability": "krippendorff_alpha_ordinal_and_interval",
        "pairwiseDeletion": True,
        "pairedEffectSize": "d_z",
        "rankEffectSizes": ["matched_pairs_rank_biserial", "cliffs_delta"],
        "outlierModels": "robust_z_of_mean_kappa",
        "agreementRepeats": "median_per_model_and_scenario",
        "scenarioScore": "mean_over_models_of_mean_over_repeats",
        "unitOfAnalysis": "scenario",
        "orderedDimensionTest": "spearman_rho",
        "dimensionEffectSize": "bias_corrected_share_of_rank_variance",
        "smallSamplePValues": "exact_or_permutation",
        "correctionFamilies": ["model_pairs", "dimensions"],
        "contestedVariance": "population_variance_of_model_means",
        "winRateNeutral": "excluded",
        "clusteredWinRateCI": "wilson_score_effective_n",
        "randomSeed": seed,
    }


def _figures(reading: Reading, seed: int, alpha: float) -> dict[str, Any]:
    # Imported by the first analysis: NumPy and the special functions of SciPy cost a third of a second.
    from .stats.basic_stats import compute_visualization_data
    from .stats.cells import build_cells
    from .stats.contested import compute_contested_scenarios
    from .stats.dimension_impact import compute_dimension_analysis
    from .stats.model_comparison import compute_model_agreement

    rows = reading.rows
    cells = build_cells(rows)
    per_model = _per_model(rows)
    agreement = compute_model_agreement(rows, alpha, cells)
    dimensions = compute_dimension_analysis(rows, alpha, seed, cells)
    warnings = collect_warnings(
        reading,
        per_model,
        agreement,
        dimensions.dimensions,
        dimensions.table.conflicts,
        adjusted=dimensions.scores.adjusted,
        connected=dimensions.scores.connected,
    )
    return {
        "perModel": rounded(per_model),
        "modelAgreement": rounded(agreement),
        "dimensionAnalysis": rounded(dimensions.dimensions),
        "dimensionModel": rounded(dimensions.model),
        "mostContestedScenarios": rounded(compute_contested_scenarios(cells)),
        "visualizationData": compute_visualization_data(rows, cells),
        "methodsUsed": methods_used(alpha, seed),
        "warnings": warnings,
        "excluded": _excluded(reading),
    }


def _per_model(rows: tuple[Row, ...]) -> dict[str, dict[str, Any]]:
    from .stats.basic_stats import aggregate_transcripts_by_model, compute_model_summary

    groups = aggregate_transcripts_by_model(rows)
    return {model: compute_model_summary(model, group) for model, group in groups.items()}


def _excluded(reading: Reading) -> dict[str, Any]:
    reasons = Counter(excluded.reason for excluded in reading.excluded)
    return {
        "count": len(reading.excluded),
        "byReason": [
            {"code": reason.name, "reason": reason.value, "count": reasons[reason]}
            for reason in sorted(reasons, key=lambda reason: reason.name)
        ],
        "examples": [
            {"index": excluded.position, "id": excluded.id, "code": excluded.reason.name}
            for excluded in reading.excluded[:EXAMPLES]
        ],
    }


def _stub(transcript_ids: Any, now: datetime) -> dict[str, Any]:
    """What callers of the first generation, who send ids only, have always been answered."""
    if not isinstance(transcript_ids, list):
        raise InvalidTask("transcriptIds", "transcriptIds must be an array")
    return {
        "status": "STUB",
        "message": "No statistics: transcriptIds name transcripts without their scores. Send transcripts instead.",
        "transcriptCount": len(transcript_ids),
        "completedAt": iso(now),
    }
