"""Figures of one model, and the data of the plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from src.worker.evaluation.rows import as_rows, read_rows
from src.worker.evaluation.stats import (
    aggregate_transcripts_by_model,
    compute_model_summary,
    compute_value_stats,
    compute_visualization_data,
    compute_win_rate,
)
from src.worker.evaluation.stats.cells import build_cells


def transcript(model: str, scenario: str | None, score: Any, values: Any = None, name: str = "S") -> dict[str, Any]:
    return {
        "modelId": model,
        "scenarioId": scenario,
        "summary": {"score": score, "values": values},
        "scenario": {"name": name},
    }


@given(st.lists(st.floats(1, 5), min_size=2, max_size=60))
@settings(deadline=None)
def test_mean_and_deviation_equal_numpys(scores: list[float]) -> None:
    summary = compute_model_summary("m", [transcript("m", "s", score) for score in scores])
    assert summary["mean"] == pytest.approx(np.mean(scores))
    assert summary["stdDev"] == pytest.approx(np.std(scores, ddof=1), abs=1e-12)
    overall = summary["overall"]
    assert (overall["min"], overall["max"], overall["count"]) == (min(scores), max(scores), len(scores))
    assert overall["median"] == pytest.approx(np.median(scores))
    assert summary["sampleSize"] == summary["transcripts"] == len(scores)


def test_d19_nothing_has_no_mean_and_one_score_no_deviation() -> None:
    """D19: the older workers answered 0.0, which is off the scale."""
    nothing = compute_model_summary("m", [transcript("m", "s", None)])
    assert (nothing["mean"], nothing["stdDev"], nothing["sampleSize"]) == (None, None, 0)
    assert set(nothing["reasons"]) == {"mean", "stdDev"}
    assert all(nothing["overall"][name] is None for name in ("min", "max", "median", "mean", "stdDev"))
    one = compute_model_summary("m", [transcript("m", "s", 4)])
    assert (one["mean"], one["stdDev"], set(one["reasons"])) == (4.0, None, {"stdDev"})


def test_d19_d21_a_value_nobody_decided_on_has_no_win_rate() -> None:
    """D21: the older workers said 0.5, with an interval of 0 to 1."""
    assert compute_win_rate(0, 0) is None
    stats = compute_value_stats(0, 0, 7)
    assert (stats["winRate"], stats["confidenceInterval"]) == (None, None)
    assert stats["count"] == {"prioritized": 0, "deprioritized": 0, "neutral": 7}
    assert set(stats["reasons"]) == {"winRate", "confidenceInterval"}
    for counts in ((-1, 2, 0), (1, -2, 0), (1, 2, -1)):
        with pytest.raises(ValueError, match="negative"):
            compute_value_stats(*counts)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
@settings(deadline=None)
def test_win_rates_leave_neutral_answers_out(won: int, lost: int, neutral: int) -> None:
    stats = compute_value_stats(won, lost, neutral)
    if won + lost == 0:
        assert stats["winRate"] is None
        return
    assert stats["winRate"] == pytest.approx(won / (won + lost))
    theirs = binomtest(won, won + lost).proportion_ci(0.95, method="wilson")
    interval = stats["confidenceInterval"]
    assert (interval["lower"], interval["upper"]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_values_of_a_model_are_counted_and_unknown_words_are_not_called_neutral() -> None:
    rows = [
        transcript("m", "a", 4, {"Care": "prioritized", "Duty": "deprioritized"}),
        transcript("m", "b", 2, {"Care": "deprioritized", "Duty": "neutral", "Joy": "maybe", "": "neutral", "Odd": 3}),
        transcript("m", "c", None, {"Care": "prioritized"}),
        transcript("other", "a", 1, {"Care": "deprioritized"}),
    ]
    summary = compute_model_summary("m", rows)
    assert list(summary["values"]) == ["Care", "Duty"]
    assert summary["values"]["Care"]["count"] == {"prioritized": 2, "deprioritized": 1, "neutral": 0}
    assert summary["values"]["Duty"]["winRate"] == 0
    assert "clusteredInterval" not in summary["values"]["Care"]
    assert summary["unrecognisedValues"] == 3
    assert (summary["sampleSize"], summary["overall"]["count"]) == (3, 2)


def test_d21_win_rates_of_repeats_have_an_interval_that_knows_it() -> None:
    rows = [
        transcript("m", f"s{index % 4}", 3, {"Care": "prioritized" if index % 4 else "deprioritized"})
        for index in range(40)
    ]
    care = compute_model_summary("m", rows)["values"]["Care"]
    plain, clustered = care["confidenceInterval"], care["clusteredInterval"]
    assert care["effectiveSampleSize"] == pytest.approx(3)
    assert clustered["upper"] - clustered["lower"] > 2 * (plain["upper"] - plain["lower"])
    alone = compute_model_summary("m", rows[::4])["values"]["Care"]
    assert alone["clusteredInterval"] is None
    assert "clusteredInterval" in alone["reasons"]


def test_models_are_grouped_in_the_order_of_their_ids() -> None:
    groups = aggregate_transcripts_by_model([transcript("b", "s", 1), transcript("a", "s", 2), transcript("b", "s", 3)])
    assert [(model, [row.score for row in rows]) for model, rows in groups.items()] == [("a", [2.0]), ("b", [1.0, 3.0])]


def test_d20_scenarios_of_one_name_stay_apart() -> None:
    data = compute_visualization_data([transcript("m", "s1", 1, name="Same"), transcript("m", "s2", 5, name="Same")])
    matrix = data["modelScenarioMatrix"]
    assert [(cell["scenarioId"], cell["scenarioName"], cell["score"]) for cell in matrix] == [
        ("s1", "Same", 1),
        ("s2", "Same", 5),
    ]


def test_d20_scores_between_codes_are_not_cut_off() -> None:
    """D20: int() made a 3 of 3.7."""
    data = compute_visualization_data([transcript("m", "s", score) for score in (3.7, 3.5, 3.4, 1, "5")])
    assert data["decisionDistribution"] == {"m": {"1": 1, "2": 0, "3": 1, "4": 2, "5": 1}}


def test_the_matrix_is_a_list_of_means_with_their_counts() -> None:
    data = compute_visualization_data(
        [transcript("b", "s", 1), transcript("b", "s", 2), transcript("b", "s", 2), transcript("a", "s", 5)]
    )
    assert data["modelScenarioMatrix"] == [
        {"scenarioId": "s", "scenarioName": "S", "modelId": "a", "score": 5.0, "sampleSize": 1},
        {"scenarioId": "s", "scenarioName": "S", "modelId": "b", "score": 1.67, "sampleSize": 3},
    ]
    assert compute_visualization_data([]) == {"decisionDistribution": {}, "modelScenarioMatrix": []}


scored = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 5)), max_size=40)


@given(scored)
@settings(deadline=None)
def test_cells_are_the_means_medians_and_variances_of_the_repeats(answers: list[tuple[str, str, int]]) -> None:
    cells = build_cells(read_rows([transcript(*answer) for answer in answers]).rows)
    repeats: dict[tuple[str, str], list[int]] = {}
    for model, scenario, score in answers:
        repeats.setdefault((model, scenario), []).append(score)
    found = [
        (cells.models[model], cells.scenarios[scenario])
        for model, scenario in zip(cells.model, cells.scenario, strict=True)
    ]
    assert found == sorted(repeats)
    for place, key in enumerate(found):
        assert cells.mean[place] == pytest.approx(np.mean(repeats[key]), abs=1e-9)
        assert cells.median[place] == np.median(repeats[key])
        assert cells.count[place] == len(repeats[key])
        if len(repeats[key]) > 1:
            assert cells.within[place] == pytest.approx(np.var(repeats[key], ddof=1))
        else:
            assert np.isnan(cells.within[place])


def test_the_level_of_confidence_reaches_every_interval() -> None:
    assert compute_value_stats(3, 1, confidence=0.8)["confidenceInterval"]["level"] == 0.8
    said = [transcript("m", "s", 3, {"care": "prioritized"}), transcript("m", "t", 3, {"care": "deprioritized"})]
    twice = compute_model_summary("m", [*said, *said], 0.9)["values"]["care"]
    assert (twice["confidenceInterval"]["level"], twice["clusteredInterval"]["level"]) == (0.9, 0.9)
    # Two decisions of one scenario are repeats already; one of each are none.
    assert "clusteredInterval" not in compute_model_summary("m", said)["values"]["care"]


def test_most_repeats_are_those_of_one_scenario_with_a_score() -> None:
    said = [transcript("m", "s", 3), transcript("m", "s", 4), transcript("m", "t", 3), transcript("m", "t", None)]
    summary = compute_model_summary("m", [*said, transcript("other", "s", 1)])
    assert (summary["mostRepeats"], summary["scenarios"], summary["transcripts"]) == (2, 2, 4)
    nothing = compute_model_summary("m", [])
    assert (nothing["mostRepeats"], nothing["scenarios"], nothing["unrecognisedValues"]) == (0, 0, 0)


def test_cells_of_one_model_are_its_scenarios_in_order() -> None:
    said = [("b", "t", 5), ("a", "t", 2), ("a", "s", 1), ("a", "s", 4), ("a", "s", 2), ("b", "u", 3)]
    cells = build_cells(as_rows([transcript(model, scenario, score) for model, scenario, score in said]))
    assert (cells.models, cells.scenarios) == (("a", "b"), ("s", "t", "u"))
    for index, (scenarios, medians) in enumerate((([0, 1], [2.0, 2.0]), ([1, 2], [5.0, 3.0]))):
        found = cells.of_model(index)
        assert (found[0].tolist(), found[1].tolist()) == (scenarios, medians)
    assert cells.mean.tolist() == [pytest.approx(7 / 3), 2.0, 5.0, 3.0]
    assert cells.count.tolist() == [3, 1, 1, 1]
    assert cells.within[0] == pytest.approx(7 / 3)
    assert np.isnan(cells.within[1:]).all()
    nothing = build_cells([])
    assert [nothing.mean.size, nothing.median.size, nothing.within.size, nothing.model.size] == [0, 0, 0, 0]
