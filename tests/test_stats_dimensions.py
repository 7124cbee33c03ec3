"""Dimensions are tested on scenarios, by the test their levels call for, and corrected over all of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kruskal, rankdata, spearmanr, t
from statsmodels.api import OLS, add_constant
from statsmodels.stats.multitest import multipletests

from src.worker.evaluation.rows import read_rows
from src.worker.evaluation.stats import (
    analyze_dimension,
    compute_dimension_analysis,
    compute_dimension_effects,
    compute_eta_squared,
    dimension_effect,
)
from src.worker.evaluation.stats.cells import build_cells
from src.worker.evaluation.stats.contested import compute_contested_scenarios
from src.worker.evaluation.stats.dimension_levels import label_of, read_level
from src.worker.evaluation.stats.scenario_scores import scenario_scores


def answer(model: str, scenario: str, score: float, dimensions: Any = None) -> dict[str, Any]:
    return {
        "modelId": model,
        "scenarioId": scenario,
        "summary": {"score": score},
        "scenario": {"name": f"name of {scenario}", "dimensions": dimensions},
    }


def run_of(scores: list[float], **dimensions: list[Any]) -> list[dict[str, Any]]:
    """One model, one answer per scenario; dimensions by keyword, None where a scenario has no level."""
    return [
        answer("m", f"s{index:03}", score, {name: levels[index] for name, levels in dimensions.items()})
        for index, score in enumerate(scores)
    ]


scores_of_twelve = st.lists(st.integers(1, 5).map(float), min_size=12, max_size=30)


@given(scores_of_twelve, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_ordered_dimensions_equal_scipys_spearman(scores: list[float], random: Any) -> None:
    levels = [random.randint(1, 4) for _ in scores]
    entry = compute_dimension_analysis(run_of(scores, severity=levels)).dimensions["severity"]
    if len(set(scores)) == 1 or len(set(levels)) == 1:
        assert (entry["correlation"], entry["pValue"], entry["significant"]) == (None, None, None)
        assert {"correlation", "pValue", "effectSize"} <= set(entry["reasons"])
        return
    theirs = spearmanr(levels, scores)
    n = len(scores)
    assert entry["correlation"] == pytest.approx(theirs.statistic, abs=1e-9)
    assert entry["pValue"] == pytest.approx(theirs.pvalue, abs=1e-9)
    assert entry["effectSize"] == pytest.approx(1 - (1 - theirs.statistic**2) * (n - 1) / (n - 2), abs=1e-9)
    assert (entry["test"], entry["kind"], entry["scenarios"]) == ("spearman_rho", "ordered", n)


@given(scores_of_twelve, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_labels_equal_scipys_kruskal_wallis(scores: list[float], random: Any) -> None:
    levels = [random.choice(["low", "mid", "high"]) for _ in scores]
    entry = compute_dimension_analysis(run_of(scores, stake=levels)).dimensions["stake"]
    groups = [[s for s, level in zip(scores, levels, strict=True) if level == name] for name in ("low", "mid", "high")]
    tested = [group for group in groups if len(group) > 1]
    assert entry["correlation"] is None
    assert "correlation" in entry["reasons"]
    if len(tested) < 2 or len({score for group in tested for score in group}) == 1:
        assert entry["pValue"] is None
        return
    theirs = kruskal(*tested)
    n, k = sum(map(len, tested)), len(tested)
    assert entry["statistic"] == pytest.approx(theirs.statistic, abs=1e-9)
    assert entry["degreesOfFreedom"] == k - 1
    assert entry["effectSize"] == pytest.approx((theirs.statistic - k + 1) / (n - k), abs=1e-9)
    if entry["pValueMethod"] == "chi_square":
        assert entry["pValue"] == pytest.approx(theirs.pvalue, abs=1e-9)


def test_d3_repeats_and_models_are_no_further_scenarios() -> None:
    """D3: six models asked five times made thirty rows of one scenario, and p fell accordingly."""
    levels = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
    scores = [2, 2, 3, 3, 4, 3, 1, 4, 2, 4, 2, 3]
    once = [answer("m0", f"s{i:02}", score, {"d": levels[i]}) for i, score in enumerate(scores)]
    often = [{**row, "modelId": f"m{model}"} for row in once for model in range(6) for _ in range(5)]
    one, many = (compute_dimension_analysis(rows).dimensions["d"] for rows in (once, often))
    assert one == many
    assert many["scenarios"] == 12
    assert spearmanr(levels * 30, scores * 30).pvalue < 1e-6 < one["pValue"]


def test_d4_numbers_are_ordered_however_they_are_written() -> None:
    """D4: "1" and "1.0" were two levels, and a monotone effect was tested as if the levels had no order."""
    rng = np.random.default_rng(0)
    levels = [1, 2, 3, 4] * 10
    scores = [min(5.0, max(1.0, round(level / 2 + 1 + rng.normal(), 1))) for level in levels]
    written = [str(level) if index % 3 else f" {level}.0" for index, level in enumerate(levels)]
    numeric = compute_dimension_analysis(run_of(scores, d=levels)).dimensions["d"]
    assert compute_dimension_analysis(run_of(scores, d=written)).dimensions["d"] == numeric
    assert [level["level"] for level in numeric["levels"]] == ["1", "2", "3", "4"]
    assert numeric["pValue"] < kruskal(*(scores[i::4] for i in range(4))).pvalue


def test_d5_a_level_with_one_scenario_does_not_explain_itself() -> None:
    """D5: eta² is 1 by construction where every scenario has a level of its own."""
    scores = [1.0, 2.0, 3.0, 4.0, 5.0, 2.0]
    unique = compute_dimension_analysis(run_of(scores, d=list("abcdef"))).dimensions["d"]
    assert (unique["effectSize"], unique["pValue"], unique["rank"]) == (None, None, None)
    assert unique["refusedLevels"] == list("abcdef")
    assert "more than one scenario" in unique["reasons"]["effectSize"]
    mixed = compute_dimension_analysis(run_of(scores, d=["a", "a", "b", "b", "c", "b"])).dimensions["d"]
    assert mixed["refusedLevels"] == ["c"]
    assert (mixed["scenarios"], mixed["scenariosTotal"], mixed["degreesOfFreedom"]) == (5, 6, 1)
    groups = [[score for score, level in zip(scores, "aabbcb", strict=True) if level == name] for name in "abc"]
    assert compute_eta_squared([[score] for score in scores], scores) == pytest.approx(1)
    assert compute_eta_squared(groups, scores) == pytest.approx(
        1 - sum(np.var(g) * len(g) for g in groups) / (np.var(scores) * 6)
    )
    assert compute_eta_squared([[3.0], [3.0]], [3.0, 3.0]) is None


def test_d5_the_effect_size_is_zero_on_average_without_an_effect() -> None:
    rng = np.random.default_rng(5)
    effects = {"labels": [], "numbers": []}  # type: dict[str, list[float]]
    for _ in range(400):
        scores = rng.normal(3, 1, 24)
        for name, levels in (("labels", list("abcdef") * 4), ("numbers", [1, 2, 3, 4, 5, 6] * 4)):
            effect = analyze_dimension(scores.tolist(), levels)[0]
            assert effect is not None
            effects[name].append(effect)
    for found in effects.values():
        assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 20)  # raw eta² would have 5/23 = .22


def test_d6_effect_size_and_test_are_of_the_same_ranks() -> None:
    scores, levels = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5], list("aabbaabb")
    stretched = [score**3 for score in scores]
    assert analyze_dimension(scores, levels) == analyze_dimension(stretched, levels)
    assert analyze_dimension([1, 2, 3, 4, 5, 6], list("aaabbb"))[1:] == (pytest.approx(0.1), "kruskal_wallis")


def test_d2_the_correction_runs_over_the_dimensions_that_were_tested() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(1, 6, 40).astype(float).tolist()
    noise = {f"d{index}": rng.integers(1, 4, 40).tolist() for index in range(9)}
    analysis = compute_dimension_analysis(run_of(scores, effect=scores, constant=[1] * 40, **noise)).dimensions
    tested = [name for name, entry in analysis.items() if entry["pValue"] is not None]
    assert set(tested) == set(noise) | {"effect"}
    rejected, corrected, _, _ = multipletests([analysis[name]["pValue"] for name in tested], 0.05, method="holm")
    assert [analysis[name]["pValueCorrected"] for name in tested] == pytest.approx(corrected.tolist())
    assert [analysis[name]["significant"] for name in tested] == rejected.tolist()
    assert analysis["constant"]["significant"] is None


def test_d7_two_copies_of_a_dimension_explain_no_more_than_one() -> None:
    """D7: .64 + .64 was reported as 1.0."""
    rng = np.random.default_rng(7)
    levels = rng.integers(1, 5, 40).tolist()
    scores = [float(level) + float(rng.normal()) / 4 for level in levels]
    scores = [min(5.0, max(1.0, score)) for score in scores]
    one = compute_dimension_analysis(run_of(scores, a=levels)).model
    two = compute_dimension_analysis(run_of(scores, a=levels, b=levels)).model
    assert two["share"] == pytest.approx(one["share"])
    assert two["parameters"] == one["parameters"] == 1


def test_the_joint_model_equals_statsmodels() -> None:
    rng = np.random.default_rng(8)
    number, label = rng.integers(1, 6, 50).tolist(), rng.choice(list("xyz"), 50).tolist()
    scores = np.clip(rng.normal(3, 0.7, 50) + 0.2 * np.array(number), 1, 5).tolist()
    gaps = [None if index < 5 else level for index, level in enumerate(number)]
    model = compute_dimension_analysis(run_of(scores, n=gaps, c=label)).model
    columns = [rankdata(number[5:]), *(np.array(label[5:]) == name for name in "xy")]
    fit = OLS(rankdata(scores[5:]), add_constant(np.column_stack(columns).astype(float))).fit()
    assert model["share"] == pytest.approx(fit.rsquared, abs=1e-9)
    assert model["adjustedShare"] == pytest.approx(fit.rsquared_adj, abs=1e-9)
    assert (model["scenarios"], model["parameters"], model["dimensions"]) == (45, 3, ["c", "n"])


def test_the_joint_model_says_when_there_is_none() -> None:
    assert (
        compute_dimension_analysis(run_of([1, 2, 3], a=[1, 1, 1])).model["reasons"]["share"]
        == "no dimension could be tested"
    )
    few = compute_dimension_analysis(run_of([1, 2, 3, 4], a=[1, 2, 4, 3], b=[1, 3, 2, 2], c=[4, 1, 4, 2])).model
    assert few["share"] is None
    assert "too few" in few["reasons"]["share"]


def test_a_joint_model_of_more_labels_than_it_is_worth_is_refused() -> None:
    scores, labels = [float(1 + index % 5) for index in range(402)], [f"label {index // 2}" for index in range(402)]
    found = compute_dimension_analysis(run_of(scores, d=labels))
    assert found.model["share"] is None
    assert "more than 200" in found.model["reasons"]["share"]
    assert found.dimensions["d"]["degreesOfFreedom"] == 200


def test_d18_a_dimension_is_tested_on_the_scenarios_that_have_it() -> None:
    """D18: one transcript without it made a dimension vanish."""
    scores = [float(1 + index % 5) for index in range(20)]
    levels: list[Any] = [index % 3 for index in range(20)]
    levels[3] = None
    entry = compute_dimension_analysis(run_of(scores, d=levels)).dimensions["d"]
    kept = [index for index in range(20) if index != 3]
    assert (entry["scenarios"], entry["scenariosTotal"]) == (19, 20)
    assert entry["correlation"] == pytest.approx(
        spearmanr([levels[i] for i in kept], [scores[i] for i in kept]).statistic
    )


def test_what_one_transcript_lacks_another_of_its_scenario_supplies_and_conflicts_are_left_out() -> None:
    rows = [answer("a", f"s{i}", 1 + i % 5, {"d": i % 4}) for i in range(12)]
    rows += [answer("b", f"s{i}", 1 + i % 5, None if i else {"d": 9}) for i in range(12)]
    found = compute_dimension_analysis(rows)
    assert found.table.conflicts == {"d": ("s0",)}
    assert found.dimensions["d"]["scenarios"] == 11


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        *((1, 1.0), ("1.0", 1.0), (" 2e1 ", 20.0), (-0.0, 0.0)),
        *((True, "true"), ("high", "high"), (" high ", "high"), ("1_0", "1_0"), ("nan", "nan")),
        *((None, None), ([], None), ({}, None), ("", None), ("\ud800", None)),
        *((float("nan"), None), (float("inf"), None), (10**400, None)),
    ],
)
def test_levels_are_numbers_labels_or_missing(raw: Any, level: Any) -> None:
    assert read_level(raw) == level
    assert isinstance(read_level(raw), type(level))


def test_levels_are_shown_as_people_write_them() -> None:
    assert [label_of(level) for level in (1.0, 2.5, -3.0, 1e20, "high")] == ["1", "2.5", "-3", "1e+20", "high"]


def test_numbers_and_labels_mixed_are_labels() -> None:
    entry = compute_dimension_analysis(run_of([1, 2, 3, 4, 5, 1], d=[1, "1.0", "many", "many", 2, 2])).dimensions["d"]
    assert (entry["kind"], [level["level"] for level in entry["levels"]]) == ("categorical", ["1", "2", "many"])


def test_levels_come_with_the_mean_of_their_scenarios_and_students_interval() -> None:
    entry = compute_dimension_analysis(run_of([1, 2, 4, 5, 3, 3.5], d=[1, 1, 2, 2, 2, 3])).dimensions["d"]
    low = entry["levels"][1]
    interval = t.interval(0.95, 2, loc=4, scale=1 / np.sqrt(3))
    assert (low["level"], low["scenarios"], low["mean"]) == ("2", 3, pytest.approx(4))
    assert (low["interval"]["lower"], low["interval"]["upper"]) == pytest.approx(interval)
    assert entry["levels"][2]["interval"] is None
    many = compute_dimension_analysis(run_of([1 + index % 5 for index in range(60)], d=list(range(60)))).dimensions["d"]
    assert many["levels"] is None
    assert "50 levels" in many["reasons"]["levels"]
    assert many["correlation"] is not None


# -- scenario scores ---------------------------------------------------------------------------------------------------

design = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(1, 5)),
    min_size=1,
    max_size=40,
    unique_by=lambda a: a[:2],
)


@given(design)
@settings(deadline=None)
def test_scenario_scores_equal_the_least_squares_fit(answers: list[tuple[int, int, int]]) -> None:
    cells = build_cells(read_rows([answer(f"m{m}", f"s{s}", score) for m, s, score in answers]).rows)
    found = scenario_scores(cells)
    models, scenarios = len(cells.models), len(cells.scenarios)
    if not found.adjusted:
        assert len(answers) == models * scenarios
        means = [np.mean([score for _, s, score in answers if f"s{s}" == name]) for name in cells.scenarios]
        assert found.score.tolist() == pytest.approx(means, abs=1e-8)
        return
    matrix = np.zeros((len(answers), models + scenarios))
    for row, (m, s) in enumerate(zip(cells.model, cells.scenario, strict=True)):
        matrix[row, m] = matrix[row, models + s] = 1
    rank = np.linalg.matrix_rank(matrix)
    assert found.connected == (rank == models + scenarios - 1)
    fitted = matrix @ np.linalg.lstsq(matrix, cells.mean, rcond=None)[0]
    # The fit itself is unique, and so are the differences between scenarios where all is connected.
    if found.connected:
        effect = np.linalg.lstsq(matrix, cells.mean, rcond=None)[0][models:]
        assert (found.score - found.score[0]).tolist() == pytest.approx((effect - effect[0]).tolist(), abs=1e-7)
    else:
        assert np.isfinite(found.score).all()
        assert np.isfinite(fitted).all()


@pytest.mark.parametrize("missing", [0, 1])
def test_scores_that_are_equal_but_for_rounding_are_ties(missing: int) -> None:
    """The same means handed to other models add up to another last bit; that is no difference to rank."""
    means = [(1, 1, 2), (2, 2, 3), (1, 3, 3), (2, 5, 5)]
    rows = [
        answer(f"m{model}", f"s{place:02}", score)
        for place, order in enumerate(itertools.permutations(means))
        for model, repeats in enumerate(order)
        for score in repeats
    ]
    raw = {np.mean([np.mean(repeats) for repeats in order]) for order in itertools.permutations(means)}
    assert len(raw) > 1
    if missing:  # one more scenario, answered by one model: the scores come from the fit
        rows += [answer("m0", "s99", 2)]
    found = scenario_scores(build_cells(read_rows(rows).rows))
    assert found.adjusted == bool(missing)
    assert len(set(found.score[:24].tolist())) == 1


def test_a_model_that_answers_only_some_scenarios_does_not_make_a_dimension() -> None:
    """A model that always says one more, asked only in scenarios of one level, is no effect of that level."""
    base = [2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3]
    rows = [answer("plain", f"s{i:02}", score, {"d": i // 6}) for i, score in enumerate(base)]
    rows += [answer("high", f"s{i:02}", score + 2, {"d": i // 6}) for i, score in enumerate(base) if i // 6]
    entry = compute_dimension_analysis(rows).dimensions["d"]
    assert entry["correlation"] == pytest.approx(0, abs=1e-9)
    assert entry["pValue"] == pytest.approx(1)


def test_effects_do_not_depend_on_other_dimensions_or_the_order_of_transcripts() -> None:
    rng = np.random.default_rng(4)
    rows = run_of(
        rng.integers(1, 6, 30).tolist(), a=rng.choice(list("pqrstuv"), 30).tolist(), b=rng.integers(1, 4, 30).tolist()
    )
    alone = [{**row, "scenario": {"dimensions": {"a": row["scenario"]["dimensions"]["a"]}}} for row in rows]
    effects, reversed_effects, of_a = (compute_dimension_effects(x, seed=3) for x in (rows, rows[::-1], alone))
    assert effects["a"].p == of_a["a"].p == reversed_effects["a"].p
    assert effects["b"].p == reversed_effects["b"].p


# -- contested scenarios -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8), st.integers(1, 5)), max_size=60))
@settings(deadline=None)
def test_contested_scenarios_are_those_whose_model_means_differ_most(answers: list[tuple[str, int, int]]) -> None:
    cells = build_cells(read_rows([answer(m, f"s{s}", score) for m, s, score in answers]).rows)
    expected = []
    for scenario in sorted({s for _, s, _ in answers}):
        means = {
            m: float(np.mean(list(scores)))
            for m in "abc"
            if (scores := [score for model, s, score in answers if (model, s) == (m, scenario)])
        }
        if len(means) > 1 and np.var(list(means.values())) > 1e-9:
            expected.append((round(float(np.var(list(means.values()))), 6), f"s{scenario}", means))
    expected.sort(key=lambda entry: (-entry[0], entry[1]))
    found = compute_contested_scenarios(cells)
    assert [entry["scenarioId"] for entry in found] == [scenario for _, scenario, _ in expected[:5]]
    for entry, (variance, _, means) in zip(found, expected, strict=False):
        assert entry["variance"] == pytest.approx(variance, abs=1e-6)
        assert entry["modelScores"] == pytest.approx(means)


def test_d13_variance_within_models_is_kept_apart_from_that_between_them() -> None:
    """D13: modelScores 5 and 5 stood beside a variance of 3.56 that came from the repeats."""
    rows = [answer(m, "s", score) for m in "ab" for score in (1, 5, 5)]
    assert compute_contested_scenarios(build_cells(read_rows(rows).rows)) == []
    (entry,) = compute_contested_scenarios(build_cells(read_rows([*rows, answer("c", "s", 2)]).rows))
    means = [11 / 3, 11 / 3, 2]
    assert entry["modelScores"] == pytest.approx(dict(zip("abc", means, strict=True)))
    assert entry["variance"] == pytest.approx(np.var(means))
    assert entry["withinModelVariance"] == pytest.approx(np.var([1, 5, 5], ddof=1))


def test_contested_scenarios_of_equal_variance_come_in_the_order_of_their_ids() -> None:
    rows = [answer(m, f"s{i}", score) for i, (m, score) in itertools.product(range(7), (("a", 1), ("b", 5)))]
    found = compute_contested_scenarios(build_cells(read_rows(rows[::-1]).rows))
    assert [entry["scenarioId"] for entry in found] == ["s0", "s1", "s2", "s3", "s4"]
    assert found[0]["scenarioName"] == "name of s0"
    assert found[0]["withinModelVariance"] is None
    assert found[0]["reasons"]


@pytest.mark.parametrize(
    ("scores", "levels", "kind", "why"),
    [
        ([1.0, 2.0], [1.0, 2.0], "ORDERED", "TOO_FEW"),
        ([1.0, 2.0], ["a", "b"], "CATEGORICAL", "TOO_FEW"),
        ([1.0, 2.0, 3.0, 4.0], [1.0] * 4, "ORDERED", "ONE_LEVEL"),
        ([1.0, 2.0, 3.0, 4.0], ["a"] * 4, "CATEGORICAL", "ONE_LEVEL"),
        ([2.0] * 4, [1.0, 2.0, 3.0, 4.0], "ORDERED", "CONSTANT"),
        ([2.0] * 4, ["a", "a", "b", "b"], "CATEGORICAL", "CONSTANT"),
        ([1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "c"], "CATEGORICAL", "SINGLETONS"),
    ],
)
def test_what_cannot_be_tested_says_why(scores: list[float], levels: list[Any], kind: str, why: str) -> None:
    found = dimension_effect.dimension_effect(np.array(scores), levels)
    assert found.kind is dimension_effect.Kind[kind]
    reason = getattr(dimension_effect, why)
    correlation = reason if kind == "ORDERED" else dimension_effect.LABELS
    assert found.reasons == {"correlation": correlation, "pValue": reason, "effectSize": reason}
    assert (found.p, found.effect, found.correlation, found.interval) == (None, None, None, None)
    assert (found.statistic, found.df, found.p_method) == (None, None, None)
    assert (found.scores.tolist(), found.levels) == (scores, tuple(levels))
    assert found.refused == (("a", "b") if why == "SINGLETONS" else ())


def test_an_ordered_dimension_has_all_its_figures() -> None:
    levels = [float(level) for level in range(1, 11)]
    swapped = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 9.0])
    found = dimension_effect.dimension_effect(swapped, levels)
    rho = spearmanr(swapped, levels).statistic
    assert (found.correlation, found.statistic, found.df) == (pytest.approx(rho), pytest.approx(rho), 1)
    assert found.effect == pytest.approx(1 - (1 - rho**2) * 9 / 8)
    assert found.p_method is not None
    assert found.interval is not None
    assert (found.reasons, found.test) == ({}, dimension_effect.Test.SPEARMAN)
    perfect = dimension_effect.dimension_effect(np.array(levels), levels)
    assert perfect.correlation == pytest.approx(1)
    assert (perfect.interval, perfect.reasons) == (None, {"correlationInterval": dimension_effect.NO_INTERVAL})
