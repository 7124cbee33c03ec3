"""Rank tests equal SciPy's, and below its approximations a count of all arrangements."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kruskal, mannwhitneyu, rankdata, spearmanr

from src.worker.evaluation.stats import ranks
from src.worker.evaluation.stats.ranks import PMethod, kruskal_wallis, midranks, rho_interval, spearman

score = st.integers(1, 5).map(float)
pairs = st.lists(st.tuples(score, score), min_size=3, max_size=40)


@given(st.lists(st.floats(-10, 10), max_size=50))
@settings(deadline=None)
def test_midranks_equal_scipys(values: list[float]) -> None:
    assert midranks(values).tolist() == rankdata(values).tolist()


@given(pairs)
@settings(deadline=None)
def test_rho_equals_scipys_and_so_does_p_from_ten_pairs_on(sample: list[tuple[float, float]]) -> None:
    x, y = zip(*sample, strict=True)
    found = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
        return
    assert found is not None
    theirs = spearmanr(x, y)
    assert found.rho == pytest.approx(theirs.statistic, abs=1e-12)
    if len(x) >= 10:
        assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
        assert found.p_method is PMethod.T


@given(st.lists(st.tuples(score, score), min_size=3, max_size=6))
@settings(deadline=None)
def test_small_samples_have_the_exact_p_of_all_permutations(sample: list[tuple[float, float]]) -> None:
    x, y = zip(*sample, strict=True)
    found = spearman(x, y)
    assume(found is not None)
    assert found is not None
    rx, ry = rankdata(x) - (len(x) + 1) / 2, rankdata(y) - (len(x) + 1) / 2
    observed = abs(float(rx @ ry))
    all_orders = [abs(float(rx @ np.array(order))) for order in itertools.permutations(ry)]
    assert found.p == pytest.approx(np.mean(np.array(all_orders) >= observed - 1e-9), abs=1e-12)
    assert found.p_method is PMethod.EXACT


def test_nine_pairs_are_still_counted_in_full() -> None:
    x, y = [1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 1, 4, 3, 6, 5, 9, 8, 7]
    orders = np.array(list(itertools.permutations(range(1, 10))), dtype=np.int16)
    products = orders @ np.array(x, dtype=np.int16)
    middle, observed = 9 * 25, int(np.dot(x, y))
    exact = np.mean(np.abs(products - middle) >= abs(observed - middle))
    found = spearman(x, y)
    assert found is not None
    assert found.p == pytest.approx(exact, abs=1e-15)


def test_d8_a_perfect_order_of_three_or_four_is_no_discovery() -> None:
    """D8: the t approximation calls both p = 0."""
    three, four = spearman([1, 2, 3], [1, 2, 3]), spearman([1, 2, 3, 4], [4, 3, 2, 1])
    assert three is not None
    assert four is not None
    assert three.p == pytest.approx(1 / 3)
    assert four.p == pytest.approx(1 / 12)


@given(pairs)
@settings(deadline=None)
def test_rho_is_symmetric_bounded_and_turns_with_the_scale(sample: list[tuple[float, float]]) -> None:
    x, y = zip(*sample, strict=True)
    found, swapped, turned = spearman(x, y), spearman(y, x), spearman(x, [-value for value in y])
    if found is None:
        assert swapped is turned is None
        return
    assert swapped is not None
    assert turned is not None
    assert -1 <= found.rho <= 1
    assert 0 <= found.p <= 1
    assert (swapped.rho, swapped.p) == pytest.approx((found.rho, found.p), abs=1e-12)
    assert (turned.rho, turned.p) == pytest.approx((-found.rho, found.p), abs=1e-12)


def test_the_interval_of_rho_is_bonett_and_wrights() -> None:
    found = spearman(range(30), [value + 9 * (-1) ** value for value in range(30)])
    assert found is not None
    interval = rho_interval(found, 0.95)
    assert interval is not None
    half = 1.959963984540054 * math.sqrt((1 + found.rho**2 / 2) / 27)
    assert np.arctanh(interval) == pytest.approx([np.arctanh(found.rho) - half, np.arctanh(found.rho) + half])
    assert interval[0] < found.rho < interval[1]
    perfect, few = spearman(range(12), range(12)), spearman([1, 2, 3, 4], [1, 3, 2, 4])
    assert perfect is not None
    assert few is not None
    assert rho_interval(perfect, 0.95) is rho_interval(few, 0.95) is None


groups_of_scores = st.lists(
    st.lists(st.floats(1, 5).map(lambda x: round(x, 1)), min_size=1, max_size=15), min_size=2, max_size=5
)


@given(groups_of_scores)
@settings(deadline=None)
def test_h_equals_scipys_and_epsilon_squared_follows_from_it(groups: list[list[float]]) -> None:
    found = kruskal_wallis(groups)
    if len({value for group in groups for value in group}) == 1:
        assert found is None
        return
    assert found is not None
    theirs = kruskal(*groups)
    n, k = sum(map(len, groups)), len(groups)
    assert found.h == pytest.approx(theirs.statistic, abs=1e-9)
    assert (found.df, found.n) == (k - 1, n)
    if found.p_method is PMethod.CHI_SQUARE:
        assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    if n > k:
        assert found.epsilon_squared == pytest.approx((found.h - k + 1) / (n - k))
        assert found.epsilon_squared <= 1 + 1e-12
    else:
        assert found.epsilon_squared is None
    assert 0 < found.p <= 1


def test_large_groups_use_scipys_chi_square() -> None:
    groups = [np.random.default_rng(seed).normal(seed / 3, 1, 20) for seed in range(3)]
    found = kruskal_wallis(groups)
    assert found is not None
    assert found.p_method is PMethod.CHI_SQUARE
    assert found.p == pytest.approx(kruskal(*groups).pvalue, rel=1e-9)


def _brute_force_p(groups: list[list[float]]) -> float:
    """Share of all assignments of the pooled values to the groups whose H is at least the observed one."""
    pooled, sizes = [value for group in groups for value in group], [len(group) for group in groups]
    label = [index for index, size in enumerate(sizes) for _ in range(size)]
    r = rankdata(pooled)

    def between(labels: tuple[int, ...]) -> float:
        return sum(r[np.array(labels) == index].sum() ** 2 / size for index, size in enumerate(sizes))

    found = [between(labels) for labels in set(itertools.permutations(label))]
    return float(np.mean(np.array(found) >= between(tuple(label)) - 1e-9))


@given(st.lists(st.lists(score, min_size=1, max_size=3), min_size=2, max_size=3))
@settings(deadline=None, max_examples=30)
def test_few_values_have_the_exact_p_of_all_assignments(groups: list[list[float]]) -> None:
    assume(sum(map(len, groups)) <= 7)
    found = kruskal_wallis(groups)
    assume(found is not None)
    assert found is not None
    assert found.p_method is PMethod.EXACT
    assert found.p == pytest.approx(_brute_force_p(groups), abs=1e-12)


def test_d6_three_against_three_is_not_significant() -> None:
    """D6: chi-square says .0495; of twenty assignments two are as extreme."""
    groups = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    found = kruskal_wallis(groups)
    assert found is not None
    assert found.p == pytest.approx(0.1)
    assert found.p == pytest.approx(mannwhitneyu(*groups, method="exact").pvalue)
    assert kruskal(*groups).pvalue < 0.05


def test_permutations_come_near_the_exact_p_and_repeat_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [[1.0, 2.0, 2.5, 4.0], [2.0, 3.0, 4.5, 5.0], [3.5, 4.0, 5.0]]
    exact = kruskal_wallis(groups)
    monkeypatch.setattr(ranks, "EXACT_ARRANGEMENTS", 0)
    drawn, again, other = kruskal_wallis(groups, 1), kruskal_wallis(groups, 1), kruskal_wallis(groups, 2)
    assert exact is not None
    assert drawn is not None
    assert exact.p_method is PMethod.EXACT
    assert drawn.p_method is PMethod.PERMUTATION
    error = math.sqrt(exact.p * (1 - exact.p) / ranks.PERMUTATIONS)
    assert drawn.p == pytest.approx(exact.p, abs=4 * error)
    assert drawn == again != other


@given(groups_of_scores)
@settings(deadline=None, max_examples=40)
def test_the_order_of_groups_does_not_matter(groups: list[list[float]]) -> None:
    turned = [list(reversed(group)) for group in reversed(groups)]
    first, second = kruskal_wallis(groups), kruskal_wallis(turned)
    if first is None or second is None:
        assert first is second is None
        return
    assert second.h == pytest.approx(first.h, abs=1e-9)
    if first.p_method is not PMethod.PERMUTATION:
        assert second.p == pytest.approx(first.p, abs=1e-9)
