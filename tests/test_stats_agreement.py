"""Agreement of models equals independent implementations; what is undefined is None with a reason."""

from __future__ import annotations

import itertools
import math
from typing import Any

import krippendorff
import numpy as np
import pingouin
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr, ttest_rel
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa, to_table
from statsmodels.stats.multitest import multipletests

from src.worker.evaluation.stats import (
    apply_holm_bonferroni,
    compute_effect_size,
    compute_model_agreement,
    compute_pairwise_agreement,
    detect_outlier_models,
    interpret_effect_size,
)
from src.worker.evaluation.stats.agreement import (
    cliffs_delta,
    cohen_kappa,
    fisher_mean,
    krippendorff_alpha,
    paired_d,
    rank_biserial,
    weighted_kappa,
)
from src.worker.evaluation.stats.model_comparison import PairAgreement, compare, pair_keys, rank_models

code = st.integers(1, 5)
both = st.lists(st.tuples(code, code), min_size=2, max_size=40)


def run(scores: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    """Model -> its score in scenario 0, 1, …; None where it gave none. Scores as lists are repeats."""
    return [
        {"modelId": model, "scenarioId": f"s{index:03}", "summary": {"score": score}}
        for model, answers in scores.items()
        for index, score in enumerate(answers)
        if score is not None
    ]


def answer(model: str, scenario: str, score: float) -> dict[str, Any]:
    return {"modelId": model, "scenarioId": scenario, "summary": {"score": score}}


# -- kappa, alpha ------------------------------------------------------------------------------------------------------


@given(both)
@settings(deadline=None)
def test_both_kappas_equal_scikit_learns_and_statsmodels(sample: list[tuple[int, int]]) -> None:
    x, y = zip(*sample, strict=True)
    if len(set(x + y)) == 1:
        assert cohen_kappa(x, y) is weighted_kappa(x, y) is None
        return
    assert cohen_kappa(x, y) == pytest.approx(cohen_kappa_score(x, y), abs=1e-12)
    theirs = cohen_kappa_score(x, y, labels=[1, 2, 3, 4, 5], weights="quadratic")
    assert weighted_kappa(x, y) == pytest.approx(theirs, abs=1e-12)
    table, _ = to_table(np.column_stack([x, y]), bins=np.arange(0.5, 6))
    assert weighted_kappa(x, y) == pytest.approx(cohens_kappa(table, wt="quadratic", return_results=False), abs=1e-12)


@given(both)
@settings(deadline=None)
def test_kappa_is_symmetric_at_most_one_and_one_only_for_equal_answers(sample: list[tuple[int, int]]) -> None:
    x, y = zip(*sample, strict=True)
    for kappa in (cohen_kappa, weighted_kappa):
        found = kappa(x, y)
        if found is None:
            continue
        assert found == pytest.approx(kappa(y, x))
        assert found == pytest.approx(kappa([6 - value for value in x], [6 - value for value in y]))
        assert -1 - 1e-12 <= found <= 1
        assert (found > 1 - 1e-12) == (x == y)


def test_d9_a_constant_shift_correlates_and_does_not_agree() -> None:
    """D9: rho of models that always differ by one is 1; their kappa is not."""
    x, y = [1, 2, 3, 4] * 3, [2, 3, 4, 5] * 3
    (pair,) = compute_pairwise_agreement(run({"a": x, "b": y}))
    assert pair.correlation is not None
    assert pair.correlation.rho == pytest.approx(1)
    assert pair.unweighted_kappa == pytest.approx(cohen_kappa_score(x, y))
    assert pair.unweighted_kappa is not None
    assert pair.unweighted_kappa < 0
    assert pair.kappa == pytest.approx(5 / 7)
    block = compute_model_agreement(run({"a": x, "b": y}))
    assert block["overallKappa"] == block["pairwise"]["a_vs_b"] == pytest.approx(5 / 7)


ratings = st.lists(st.lists(st.one_of(st.none(), code), min_size=4, max_size=4), min_size=1, max_size=12)


@given(ratings)
@settings(deadline=None)
def test_alpha_equals_the_krippendorff_packages(table: list[list[int | None]]) -> None:
    cells = [(unit, value) for unit, row in enumerate(table) for value in row if value is not None]
    found = krippendorff_alpha(
        np.array([u for u, _ in cells], dtype=np.int64), np.array([v for _, v in cells], dtype=float)
    )
    pairable = [[v for v in row if v is not None] for row in table if sum(v is not None for v in row) > 1]
    if len({value for row in pairable for value in row}) < 2:
        assert found is None
        return
    data = np.array([[np.nan if v is None else v for v in row] for row in table], dtype=float).T
    assert found is not None
    for level, ours in (("ordinal", found.ordinal), ("interval", found.interval)):
        assert ours == pytest.approx(krippendorff.alpha(reliability_data=data, level_of_measurement=level), abs=1e-9)
    assert (found.units, found.ratings) == (len(pairable), sum(map(len, pairable)))


# -- effect sizes ------------------------------------------------------------------------------------------------------


@given(both)
@settings(deadline=None)
def test_effect_sizes_equal_pingouins_scipys_and_a_count(sample: list[tuple[int, int]]) -> None:
    x, y = (np.array(side, dtype=float) for side in zip(*sample, strict=True))
    if np.ptp(x) == 0 and np.ptp(y) == 0:
        assert compute_effect_size(x, y) is None
    else:
        assert compute_effect_size(x, y) == pytest.approx(pingouin.compute_effsize(x, y, eftype="cohen"), abs=1e-12)
    if np.ptp(x - y) == 0:
        assert paired_d(x, y) is None
    else:
        assert paired_d(x, y) == pytest.approx(ttest_rel(x, y).statistic / math.sqrt(len(x)), abs=1e-12)
    count = sum((a > b) - (a < b) for a in x.tolist() for b in y.tolist())
    assert cliffs_delta(x, y) == pytest.approx(count / len(x) ** 2)


@given(both)
@settings(deadline=None, max_examples=20)  # a call of theirs takes 50 ms
def test_the_rank_biserial_correlation_equals_pingouins(sample: list[tuple[int, int]]) -> None:
    x, y = zip(*sample, strict=True)
    if x == y:
        assert rank_biserial(x, y) is None
    else:
        assert rank_biserial(x, y) == pytest.approx(float(pingouin.wilcoxon(x, y)["RBC"].iloc[0]), abs=1e-12)


@given(both)
@settings(deadline=None)
def test_effect_sizes_turn_with_the_order_and_stay_in_bounds(sample: list[tuple[int, int]]) -> None:
    x, y = zip(*sample, strict=True)
    for effect in (compute_effect_size, paired_d, rank_biserial, cliffs_delta):
        there, back = effect(x, y), effect(y, x)
        if there is None or back is None:
            assert there is back is None
            continue
        assert there == pytest.approx(-back)
        if effect in (rank_biserial, cliffs_delta):
            assert -1 <= there <= 1


def test_d15_paired_scores_have_a_paired_effect_size() -> None:
    """D15: a steady half-step difference is small beside the spread of scenarios and large beside its own."""
    x = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 3]
    y = [value - (index % 2) * 0.5 for index, value in enumerate(x)]
    (pair,) = compute_pairwise_agreement(run({"a": [*x], "b": [max(value, 1) for value in y]}))
    assert pair.d is not None
    assert pair.d_z is not None
    assert pair.rank_biserial == 1
    assert abs(pair.d_z) > 3 * abs(pair.d)


def test_effect_sizes_have_cohens_names() -> None:
    named = [interpret_effect_size(d) for d in (0.0, 0.19, -0.2, 0.5, -0.79, 0.8, -3, None)]
    assert named == ["negligible", "negligible", "small", "medium", "medium", "large", "large", None]


# -- Holm --------------------------------------------------------------------------------------------------------------

p_value = st.floats(0, 1)


@given(st.lists(p_value, min_size=1, max_size=30), st.floats(0.001, 0.2))
@settings(deadline=None, max_examples=25)  # a call of theirs takes 30 ms
def test_holm_equals_statsmodels(ps: list[float], alpha: float) -> None:
    ours = apply_holm_bonferroni(ps, alpha)
    _, adjusted, _, _ = multipletests(ps, alpha, method="holm")
    assert [p for p, _ in ours] == pytest.approx(list(adjusted), abs=1e-12)
    assert [significant for _, significant in ours] == [p is not None and p <= alpha for p, _ in ours]


@given(st.lists(p_value, min_size=1, max_size=30))
@settings(deadline=None)
def test_d1_adjusted_p_values_keep_the_order_of_the_raw_ones(ps: list[float]) -> None:
    adjusted = [p for p, _ in apply_holm_bonferroni(ps)]
    for (raw, fixed), (other, other_fixed) in itertools.combinations(zip(ps, adjusted, strict=True), 2):
        assert fixed is not None
        assert other_fixed is not None
        assert raw <= fixed <= 1
        assert (fixed <= other_fixed) if raw <= other else (fixed >= other_fixed)


def test_d1_equal_p_values_stay_equal_and_significance_follows_the_adjusted_one() -> None:
    """D1: .000406 twice came out .000813 and .000406; [.02, .025, .04] had a corrected .04 called not significant."""
    assert [p for p, _ in apply_holm_bonferroni([0.000406, 0.000406])] == pytest.approx([0.000812, 0.000812])
    assert apply_holm_bonferroni([0.02, 0.025, 0.04]) == [(pytest.approx(0.06), False)] * 3
    assert apply_holm_bonferroni([0.05]) == [(0.05, True)]


def test_d11_tests_that_could_not_be_made_do_not_count_into_the_family() -> None:
    assert apply_holm_bonferroni([None, 0.03, None, 0.02]) == [(None, None), (0.04, True), (None, None), (0.04, True)]
    with pytest.raises(ValueError, match="between 0 and 1"):
        apply_holm_bonferroni([0.1, 1.5])


# -- pairs and models --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(code, code, code), min_size=10, max_size=30))
@settings(deadline=None)
def test_every_pair_equals_scipys_spearman(answers: list[tuple[int, int, int]]) -> None:
    columns = {name: [float(row[index]) for row in answers] for index, name in enumerate("abc")}
    for pair in compute_pairwise_agreement(run(columns)):  # type: ignore[arg-type]
        x, y = columns[pair.model_a], columns[pair.model_b]
        if len(set(x)) == 1 or len(set(y)) == 1:
            assert pair.correlation is None
            assert "spearmanRho" in pair.reasons
            continue
        theirs = spearmanr(x, y)
        assert pair.correlation is not None
        assert pair.correlation.rho == pytest.approx(theirs.statistic, abs=1e-12)
        assert pair.correlation.p == pytest.approx(theirs.pvalue, abs=1e-9)


def test_d10_degenerate_pairs_are_null_with_a_reason() -> None:
    """D10: both always 4 was rho 0, all-1 against all-5 was d 0 and "negligible"."""
    block = compute_model_agreement(run({"a": [4] * 6, "b": [4] * 6, "c": [1] * 6, "d": [5] * 6}))
    pairs = {pair["key"]: pair for pair in block["pairs"]}
    same, far = pairs["a_vs_b"], pairs["c_vs_d"]
    assert (same["spearmanRho"], same["kappa"], same["exactAgreement"]) == (None, None, 1.0)
    assert {"spearmanRho", "kappa", "effectSize"} <= set(same["reasons"])
    assert (far["effectSize"], far["effectInterpretation"], far["spearmanRho"]) == (None, None, None)
    assert (far["cliffsDelta"], far["rankBiserial"], far["kappa"]) == (-1.0, -1.0, 0.0)
    assert block["overallAgreement"] is None
    assert block["testedPairs"] == 0


def test_d11_nothing_compared_is_null_and_not_perfect_agreement() -> None:
    apart = [answer("a", "s1", 3), answer("a", "s2", 4), answer("b", "s3", 3), answer("b", "s4", 1)]
    for transcripts in ([], [answer("a", "s1", 3)], apart):
        block = compute_model_agreement(transcripts)
        assert (block["overallKappa"], block["overallAgreement"], block["krippendorffAlpha"]) == (None, None, None)
        assert set(block["reasons"]) == {"overallKappa", "overallAgreement", "krippendorffAlpha"}
    assert compute_model_agreement(apart)["pairwise"] == {"a_vs_b": None}


def test_d12_a_model_with_one_answer_costs_only_its_own_pairs() -> None:
    x, y = [1, 2, 3, 4, 5, 2], [1, 3, 2, 4, 5, 2]
    with_third = compute_model_agreement(run({"a": x, "b": y, "c": [3]}))
    alone = compute_model_agreement(run({"a": x, "b": y}))
    assert with_third["pairwise"]["a_vs_b"] == alone["pairwise"]["a_vs_b"] is not None
    assert with_third["overallKappa"] == alone["overallKappa"]
    assert [pair["scenarios"] for pair in with_third["pairs"]] == [6, 1, 1]
    assert with_third["pairwise"]["a_vs_c"] is None


def test_pairs_use_every_scenario_both_answered() -> None:
    (pair,) = compute_pairwise_agreement(run({"a": [1, None, 3, 4, 5], "b": [None, 2, 3, 5, 5]}))
    assert pair.n == 3
    assert pair.kappa == pytest.approx(cohen_kappa_score([3, 4, 5], [3, 5, 5], weights="quadratic"))


def test_d13_repeats_are_aggregated_before_models_are_compared() -> None:
    """D13: the last sample won. Here the last repeats agree perfectly and the medians do not."""
    transcripts = []
    for index, (a, b) in enumerate(zip([1, 2, 4, 5], [5, 4, 2, 1], strict=True)):
        transcripts += [answer("a", f"s{index}", score) for score in (a, a, 3)]
        transcripts += [answer("b", f"s{index}", score) for score in (b, b, 3)]
    (pair,) = compute_pairwise_agreement(transcripts)
    assert pair.correlation is not None
    assert pair.correlation.rho == pytest.approx(-1)
    assert pair.kappa == pytest.approx(cohen_kappa_score([1, 2, 4, 5], [5, 4, 2, 1], weights="quadratic"))


def test_d15_correlations_are_averaged_by_fishers_z() -> None:
    assert fisher_mean([0.9, 0.1], [20, 20]) == pytest.approx(math.tanh((math.atanh(0.9) + math.atanh(0.1)) / 2))
    assert fisher_mean([1.0, 1.0, 1.0], [5, 6, 7]) == 1.0
    assert fisher_mean([], []) is None
    half_step = 1 - 6 / (10 * 99)
    assert fisher_mean([1.0, 0.5], [10, 10]) == pytest.approx(math.tanh((math.atanh(half_step) + math.atanh(0.5)) / 2))


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(3, 50)), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_mean_of_correlations_lies_among_them(found: list[tuple[float, int]]) -> None:
    rhos = [rho for rho, _ in found]
    mean = fisher_mean(rhos, [n for _, n in found])
    assert mean is not None
    assert min(rhos) - 1e-9 <= mean <= max(rhos) + 1e-9


def _pairs(kappas: dict[tuple[str, str], float | None]) -> list[PairAgreement]:
    return [PairAgreement(a, b, 20, kappa=kappa) for (a, b), kappa in kappas.items()]


@pytest.mark.parametrize("size", [3, 4, 5, 8])
def test_d14_one_model_that_disagrees_is_found_among_few(size: int) -> None:
    """D14: |z| > 2 cannot happen below six models."""
    names = [f"m{index}" for index in range(size)]
    kappas: dict[tuple[str, str], float | None] = {
        (a, b): (0.05 if b == names[-1] else 0.8) + 0.01 * index
        for index, (a, b) in enumerate(itertools.combinations(names, 2))
    }
    assert detect_outlier_models(_pairs(kappas)) == [names[-1]]
    ranking = rank_models(_pairs(kappas))
    assert ranking[-1]["modelId"] == names[-1]
    assert ranking[-1]["meanKappa"] == pytest.approx(np.mean([k for pair, k in kappas.items() if names[-1] in pair]))


def test_d14_unusually_high_agreement_and_small_differences_are_no_outliers() -> None:
    names = "abcde"
    high: dict[tuple[str, str], float | None] = {
        (a, b): 0.9 if {a, b} & {"e"} else 0.3 + 0.01 * index
        for index, (a, b) in enumerate(itertools.combinations(names, 2))
    }
    near: dict[tuple[str, str], float | None] = {
        (a, b): 0.7 if b == "e" else 0.8 for a, b in itertools.combinations(names, 2)
    }
    assert detect_outlier_models(_pairs(high)) == detect_outlier_models(_pairs(near)) == []
    assert detect_outlier_models(_pairs({("a", "b"): -0.9})) == []
    assert rank_models(_pairs({("a", "b"): None}))[0] == {
        "modelId": "a", "meanKappa": None, "comparedWith": 0, "robustZ": None, "outlier": None
    }  # fmt: skip


def test_d17_ids_may_hold_anything_and_keys_stay_apart() -> None:
    """D17: keys were split at ":" again; SEED's own ids have one."""
    models = ["anthropic:claude", "a_vs_b", "c", "a", "b_vs_c", "ключ 🗝", 'quo"te', "x\ny"]
    block = compute_model_agreement(run({model: [1, 2, 3, 5] for model in models}))
    assert len(block["pairwise"]) == len(block["pairs"]) == math.comb(len(models), 2)
    assert {(pair["modelA"], pair["modelB"]) for pair in block["pairs"]} == set(
        itertools.combinations(sorted(models), 2)
    )
    plain = compute_model_agreement(run({"gpt-4": [1, 2, 3], "anthropic:claude": [1, 2, 3], "z": [2, 1, 3]}))
    assert list(plain["pairwise"]) == ["anthropic:claude_vs_gpt-4", "anthropic:claude_vs_z", "gpt-4_vs_z"]
    clash = [PairAgreement("a", "b_vs_c", 1), PairAgreement("a_vs_b", "c", 1)]
    assert pair_keys(clash) == ['["a", "b_vs_c"]', '["a_vs_b", "c"]']


@given(st.permutations(["m1", "m2", "m3", "m4"]))
@settings(deadline=None)
def test_d16_pairs_and_signs_do_not_depend_on_the_order_of_models(order: list[str]) -> None:
    scores = {"m1": [1, 2, 3, 4, 4], "m2": [2, 2, 4, 5, 4], "m3": [5, 4, 3, 1, 1], "m4": [3, 3, 2, 4, 5]}
    assert compute_model_agreement(run({m: scores[m] for m in order})) == compute_model_agreement(run(scores))  # type: ignore[arg-type,misc]


@given(st.lists(st.tuples(code, code, code), min_size=2, max_size=12))
@settings(deadline=None)
def test_the_overall_kappa_is_the_mean_over_the_pairs_that_have_one(answers: list[tuple[int, int, int]]) -> None:
    assume(answers)
    block = compute_model_agreement(run({name: [row[i] for row in answers] for i, name in enumerate("abc")}))
    known = [kappa for kappa in block["pairwise"].values() if kappa is not None]
    assert block["overallKappa"] == (pytest.approx(np.mean(known)) if known else None)
    assert block["comparedPairs"] == len(known)


def test_more_models_than_can_be_compared_is_said() -> None:
    block = compute_model_agreement([answer(f"m{index}", "s", 3) for index in range(101)])
    assert (block["pairs"], block["overallKappa"]) == ([], None)
    assert "100 models" in block["reasons"]["overallKappa"]


_FIGURES = {
    *("kappa", "unweightedKappa", "exactAgreement", "withinOne", "spearmanRho", "meanDifference", "effectSize"),
    *("pairedEffectSize", "rankBiserial", "cliffsDelta"),
}


def _reasons(x: list[float], y: list[float]) -> dict[str, str]:
    return dict(compare("a", "b", np.array(x), np.array(y)).reasons)


def test_a_figure_that_does_not_exist_has_its_reason() -> None:
    nothing = compare("a", "b", np.zeros(0), np.zeros(0))
    assert (nothing.n, set(nothing.reasons)) == (0, _FIGURES)
    assert set(nothing.reasons.values()) == {"the two models have no scored scenario in common"}
    few = "fewer than 2 scored scenarios in common"
    assert _reasons([1.0], [2.0]) == {
        "kappa": few,
        "unweightedKappa": few,
        "spearmanRho": "fewer than 3 scored scenarios in common",
        "effectSize": few,
        "pairedEffectSize": few,
    }
    same = "both models gave one and the same score throughout, so chance agreement is 1"
    constant = "one of the two models gave the same score in every common scenario"
    assert _reasons([2.0] * 3, [2.0] * 3) == {
        "kappa": same,
        "unweightedKappa": same,
        "spearmanRho": constant,
        "effectSize": "neither model's scores vary",
        "pairedEffectSize": "the difference is the same in every common scenario",
        "rankBiserial": "the scores do not differ in any common scenario",
    }
    assert _reasons([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]) == {}
    assert set(_reasons([1.0, 2.0], [2.0, 1.0])) == {"spearmanRho"}


def test_within_one_has_its_bound_inside() -> None:
    found = compare("a", "b", np.array([1.0, 2.0, 3.0, 5.0]), np.array([2.0, 2.0, 5.0, 4.0]))
    assert (found.within_one, found.exact_agreement, found.mean_difference) == (0.75, 0.25, -0.5)


def _run(**scores: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {"modelId": model, "scenarioId": scenario, "summary": {"score": score}, "scenario": {"name": scenario}}
        for model, said in scores.items()
        for scenario, score in said.items()
    ]


def test_the_overall_figures_say_why_they_are_missing() -> None:
    apart = compute_model_agreement(_run(a={"s": 1}, b={"t": 2}))
    assert set(apart["reasons"]) == {"overallKappa", "overallAgreement", "krippendorffAlpha"}
    assert set(apart["reasons"].values()) == {"no two models have a scored scenario in common"}
    equal = compute_model_agreement(_run(a={"s": 2, "t": 2, "u": 2}, b={"s": 2, "t": 2, "u": 2}))
    undefined = "the figure is undefined for every pair of models"
    assert equal["reasons"] == {
        "overallKappa": undefined,
        "overallAgreement": undefined,
        "krippendorffAlpha": "all scores that could be compared are equal",
    }
    assert [entry["robustZ"] for entry in equal["ranking"]] == [None, None]
    assert [(entry["modelId"], entry["comparedWith"]) for entry in equal["ranking"]] == [("a", 0), ("b", 0)]
    many = compute_model_agreement(_run(**{f"m{number}": {"s": 2} for number in range(101)}))
    assert many["reasons"]["overallKappa"] == "more than 100 models are not compared with each other"
    assert many["pairs"] == []
