"""Intervals equal those of SciPy and statsmodels, refuse what has none, and do not count repeats as news."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, ttest_1samp
from statsmodels.stats.proportion import proportion_confint

from src.worker.evaluation.stats.confidence import bootstrap_ci, clustered_wilson_ci, normal_quantile, wilson_score_ci

counts = st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
levels = st.floats(0.5, 0.999)


@given(counts, levels)
@settings(deadline=None)
def test_wilson_equals_scipy_and_statsmodels(count: tuple[int, int], level: float) -> None:
    hits, total = count
    ours = wilson_score_ci(hits, total, level)
    scipys = binomtest(hits, total).proportion_ci(level, method="wilson")
    theirs = proportion_confint(hits, total, alpha=1 - level, method="wilson")
    assert (ours["lower"], ours["upper"]) == pytest.approx((scipys.low, scipys.high), abs=1e-12)
    assert (ours["lower"], ours["upper"]) == pytest.approx(theirs, abs=1e-12)
    assert (ours["level"], ours["method"]) == (level, "wilson_score")


@given(counts, levels)
@settings(deadline=None)
def test_wilson_holds_the_share_stays_in_bounds_and_mirrors(count: tuple[int, int], level: float) -> None:
    hits, total = count
    interval, mirror = wilson_score_ci(hits, total, level), wilson_score_ci(total - hits, total, level)
    assert 0 <= interval["lower"] <= hits / total <= interval["upper"] <= 1
    assert mirror["lower"] == pytest.approx(1 - interval["upper"], abs=1e-12)
    assert wilson_score_ci(2 * hits, 2 * total, level)["upper"] <= interval["upper"] + 1e-12


@pytest.mark.parametrize(
    ("hits", "total", "level"),
    [
        (0, 0, 0.95),
        (1, -1, 0.95),
        (-1, 3, 0.95),
        (4, 3, 0.95),
        (1, 3, 0),
        (1, 3, 1),
        (1, math.inf, 0.95),
        (math.nan, 3, 0.95),
    ],
)
def test_wilson_refuses_what_is_no_proportion(hits: float, total: float, level: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        wilson_score_ci(hits, total, level)


def test_the_normal_quantile_is_the_known_one() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054)


def test_d21_repeats_of_a_scenario_widen_the_interval() -> None:
    """D21: twenty scenarios answered alike ten times each are worth about twenty answers, not two hundred."""
    found = clustered_wilson_ci([10] * 8 + [0] * 12, [10] * 20)
    assert found is not None
    interval, effective = found
    assert effective == pytest.approx(19)  # S - 1 of S clusters, the unbiased variance between them
    once, plain = wilson_score_ci(8, 20), wilson_score_ci(80, 200)
    assert interval["upper"] - interval["lower"] == pytest.approx(once["upper"] - once["lower"], rel=0.05)
    assert interval["upper"] - interval["lower"] > 2 * (plain["upper"] - plain["lower"])
    assert interval["method"] == "wilson_score_effective_n"


def test_the_design_effect_is_the_linearised_ratio_variance() -> None:
    """Of equal clusters the ratio is a mean of cluster shares, whose variance any t test knows."""
    shares = np.array([0.2, 0.6, 0.8, 0.4, 0.6, 1.0])
    found = clustered_wilson_ci([round(5 * share) for share in shares], [5] * 6)
    assert found is not None
    error = ttest_1samp(shares, 0).statistic
    variance = (shares.mean() / error) ** 2
    assert found[1] == pytest.approx(min(30, shares.mean() * (1 - shares.mean()) / variance))


def test_unanimous_clusters_are_worth_one_answer_each_and_one_cluster_says_nothing() -> None:
    found = clustered_wilson_ci([5, 5, 5, 0], [5, 5, 5, 0])
    assert found is not None
    assert found[1] == 3
    assert found[0]["lower"] == pytest.approx(wilson_score_ci(3, 3)["lower"])
    assert clustered_wilson_ci([3], [5]) is None


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
@settings(deadline=None)
def test_clustering_is_never_credited_with_more_than_the_sample(clusters: list[tuple[int, int]]) -> None:
    hits, totals = [a for a, _ in clusters], [a + b for a, b in clusters]
    found = clustered_wilson_ci(hits, totals)
    if sum(total > 0 for total in totals) < 2:
        assert found is None
        return
    assert found is not None
    interval, effective = found
    assert 0 < effective <= sum(totals) + 1e-9
    assert 0 <= interval["lower"] <= sum(hits) / sum(totals) + 1e-12 <= interval["upper"] + 2e-12 <= 1 + 2e-12


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(
    ("name", "statistic"),
    [("mean", np.mean), ("median", np.median), ("std", lambda x, axis: np.std(x, axis=axis, ddof=1))],
)
def test_the_bootstrap_equals_scipys(name: str, statistic: object, method: str) -> None:
    data = np.random.default_rng(3).normal(3, 1, 40)
    ours = bootstrap_ci(list(data), name, 0.9, 800, seed=7, method=method)
    theirs = bootstrap(
        (data,), statistic, n_resamples=800, confidence_level=0.9, method=method, rng=np.random.default_rng(7)
    ).confidence_interval
    assert ours is not None
    assert (ours["lower"], ours["upper"]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours["method"] == f"bootstrap_{method}"


def test_the_bootstrap_is_the_same_for_the_same_seed_and_in_batches() -> None:
    data = list(range(3000))
    first, second = bootstrap_ci(data, "mean"), bootstrap_ci(data, "mean")
    assert first == second != bootstrap_ci(data, "mean", seed=1)
    assert first is not None
    assert first["lower"] < np.mean(data) < first["upper"]


def test_the_bootstrap_refuses_what_it_cannot_resample() -> None:
    for data, kind in ([], "mean"), ([1.0], "mean"), ([1.0, math.nan], "mean"), ([1.0, 2.0], "mode"):
        with pytest.raises(ValueError, match=r"data must be|not a valid"):
            bootstrap_ci(data, kind)
    with pytest.raises(ValueError, match="n_bootstrap"):
        bootstrap_ci([1.0, 2.0], n_bootstrap=0)
    assert bootstrap_ci([2.0, 2.0, 2.0], method="bca") is None


@pytest.mark.parametrize(("hits", "share"), [([0, 0, 0], 0.0), ([2, 3, 5], 1.0)])
def test_all_or_none_say_nothing_of_the_clusters_which_are_then_worth_one_each(hits: list[int], share: float) -> None:
    adjusted = clustered_wilson_ci(hits, [2, 3, 5])
    assert adjusted is not None
    interval, effective = adjusted
    assert effective == 3.0
    plain = wilson_score_ci(3 * share, 3)
    assert (interval["lower"], interval["upper"]) == (plain["lower"], plain["upper"])
