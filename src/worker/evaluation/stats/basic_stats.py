"""Figures of one model: scores, win rates of values, and the data of the plots."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import floor
from typing import Any, Final

import numpy as np

from ..rows import SCALE_MAX, SCALE_MIN, Row, as_rows, clean_text
from .cells import Cells, build_cells
from .confidence import clustered_wilson_ci, wilson_score_ci

CODES: Final = tuple(str(code) for code in range(SCALE_MIN, SCALE_MAX + 1))
STATUSES: Final = ("prioritized", "deprioritized", "neutral")
_MATRIX_DECIMALS: Final = 2
"""The readers of the matrix expect its means so (contract 4.1)."""

NO_SCORES: Final = "no transcript of the model has a usable score"
ONE_SCORE: Final = "a single score has no spread"
NO_DECISIONS: Final = "the value was neither prioritized nor deprioritized in any transcript"


def compute_win_rate(prioritized: int, deprioritized: int) -> float | None:
    """prioritized / (prioritized + deprioritized); neutral answers are not in it. None where there is neither.

    Raises:
        ValueError: a negative count.
    """
    if prioritized < 0 or deprioritized < 0:
        raise ValueError("counts must not be negative")
    decided = prioritized + deprioritized
    return prioritized / decided if decided else None


def compute_value_stats(
    prioritized: int, deprioritized: int, neutral: int = 0, confidence: float = 0.95
) -> dict[str, Any]:
    """Win rate of a value with its Wilson interval and the counts behind it."""
    if neutral < 0:
        raise ValueError("counts must not be negative")
    rate = compute_win_rate(prioritized, deprioritized)
    decided = prioritized + deprioritized
    return {
        "winRate": rate,
        "confidenceInterval": wilson_score_ci(prioritized, decided, confidence) if decided else None,
        "count": dict(zip(STATUSES, (prioritized, deprioritized, neutral), strict=True)),
        "reasons": {} if decided else {"winRate": NO_DECISIONS, "confidenceInterval": NO_DECISIONS},
    }


def aggregate_transcripts_by_model(transcripts: Sequence[Any]) -> dict[str, list[Row]]:
    """Rows by model, models sorted, rows in the order of the payload."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in as_rows(transcripts):
        groups[row.model].append(row)
    return {model: groups[model] for model in sorted(groups)}


def compute_model_summary(model_id: str, transcripts: Sequence[Any], confidence: float = 0.95) -> dict[str, Any]:
    """Everything that `perModel` says of a model. Rows of other models are ignored.

    `sampleSize` counts the transcripts that have a usable score or usable values; `overall.count` the scores.
    """
    rows = [row for row in as_rows(transcripts) if row.model == model_id]
    scores = np.sort(np.array([row.score for row in rows if row.score is not None], dtype=np.float64))
    values, unrecognised = _value_summaries(rows, confidence)
    count = len(scores)
    reasons: dict[str, str] = {}
    if count == 0:
        reasons = {"mean": NO_SCORES, "stdDev": NO_SCORES}
    elif count == 1:
        reasons = {"stdDev": ONE_SCORE}
    mean = float(scores.mean()) if count else None
    deviation = float(scores.std(ddof=1)) if count > 1 else None
    repeats = Counter(row.scenario for row in rows if row.score is not None and row.scenario is not None)
    return {
        "sampleSize": sum(row.score is not None or row.values is not None for row in rows),
        "mean": mean,
        "stdDev": deviation,
        "values": values,
        "overall": {
            "mean": mean,
            "stdDev": deviation,
            "min": float(scores[0]) if count else None,
            "max": float(scores[-1]) if count else None,
            "median": float(np.median(scores)) if count else None,
            "count": count,
        },
        "transcripts": len(rows),
        "scenarios": len(repeats),
        "mostRepeats": max(repeats.values(), default=0),
        "unrecognisedValues": unrecognised,
        "reasons": reasons,
    }


def compute_visualization_data(transcripts: Sequence[Any], cells: Cells | None = None) -> dict[str, Any]:
    """Plot data: how often each model chose each code, and each model's mean per scenario (a list of cells).

    A score between two codes counts for the nearer one, halfway for the upper. Scenarios are told apart by id.
    """
    rows = as_rows(transcripts)
    table = build_cells(rows) if cells is None else cells
    distribution = {model: dict.fromkeys(CODES, 0) for model in sorted({row.model for row in rows})}
    for row in rows:
        if row.score is not None:
            distribution[row.model][CODES[floor(row.score + 0.5) - SCALE_MIN]] += 1
    order = np.lexsort((table.model, table.scenario))
    columns = (column[order].tolist() for column in (table.scenario, table.model, table.mean, table.count))
    return {
        "decisionDistribution": distribution,
        "modelScenarioMatrix": [
            {
                "scenarioId": table.scenarios[scenario],
                "scenarioName": table.names.get(table.scenarios[scenario]),
                "modelId": table.models[model],
                "score": round(mean, _MATRIX_DECIMALS),
                "sampleSize": count,
            }
            for scenario, model, mean, count in zip(*columns, strict=True)
        ],
    }


def _value_summaries(rows: Iterable[Row], confidence: float) -> tuple[dict[str, Any], int]:
    """By value name, sorted; and how many entries were none of the three statuses."""
    # value -> cluster -> counts of the three statuses. A row without a scenario is a cluster of its own.
    counts: defaultdict[str, defaultdict[Any, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    unrecognised = 0
    for index, row in enumerate(rows):
        for name, status in (row.values or {}).items():
            value = clean_text(name)
            if value is None or not isinstance(status, str) or status not in STATUSES:
                unrecognised += 1
                continue
            counts[value][index if row.scenario is None else row.scenario][STATUSES.index(status)] += 1
    return {value: _value_summary(counts[value], confidence) for value in sorted(counts)}, unrecognised


def _value_summary(clusters: Mapping[Any, Sequence[int]], confidence: float) -> dict[str, Any]:
    totals = [sum(cluster[status] for cluster in clusters.values()) for status in range(len(STATUSES))]
    summary = compute_value_stats(totals[0], totals[1], totals[2], confidence)
    decided = [cluster[0] + cluster[1] for cluster in clusters.values()]
    if max(decided, default=0) > 1:  # repeats of a scenario resemble each other: the plain interval is too narrow
        adjusted = clustered_wilson_ci([cluster[0] for cluster in clusters.values()], decided, confidence)
        summary["clusteredInterval"] = None if adjusted is None else adjusted[0]
        summary["effectiveSampleSize"] = None if adjusted is None else adjusted[1]
        if adjusted is None:
            summary["reasons"]["clusteredInterval"] = "all decisions are repeats of one scenario"
    return summary
