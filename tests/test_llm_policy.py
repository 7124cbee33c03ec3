"""What a failed call of a language model leads to: the table, number by number, and the waits."""

from __future__ import annotations

from random import Random

import pytest

from src.worker.llm.errors import Kind
from src.worker.llm.policy import RULES, Backoff


class _Highest(Random):
    """Draws the upper end of every range, and remembers the lower."""

    low = -1.0

    def uniform(self, a: float, b: float) -> float:
        self.low = a
        return b


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        (Kind.RATE_LIMITED, 4),
        (Kind.SERVER, 2),
        (Kind.TIMEOUT, 1),
        (Kind.CONNECTION, 2),
        (Kind.EMPTY, 1),
        (Kind.MALFORMED, 1),
    ],
)
def test_only_what_may_pass_is_asked_of_the_same_target_again(kind: Kind, again: int) -> None:
    assert RULES[kind].again == Backoff().tries(kind) == again


def test_everything_else_is_asked_once() -> None:
    passing = {Kind.RATE_LIMITED, Kind.SERVER, Kind.TIMEOUT, Kind.CONNECTION, Kind.EMPTY, Kind.MALFORMED}
    assert {kind for kind, rule in RULES.items() if rule.again != 0} == passing


def test_what_is_wrong_everywhere_is_asked_nowhere_else() -> None:
    nowhere = {kind for kind, rule in RULES.items() if not rule.onward}
    assert nowhere == {Kind.INVALID, Kind.CONTEXT_LENGTH, Kind.REFUSED}
    assert {kind for kind, rule in RULES.items() if rule.onward is False} == nowhere
    assert {kind for kind, rule in RULES.items() if rule.onward is True} == set(Kind) - nowhere


def test_what_people_have_to_mend_rests_for_minutes_and_a_rate_limit_for_a_second() -> None:
    rests = {kind: rule.rest_sec for kind, rule in RULES.items() if rule.rest_sec}
    assert rests == {Kind.RATE_LIMITED: 1.0, Kind.AUTH: 300.0, Kind.QUOTA: 300.0, Kind.NOT_FOUND: 300.0}
    assert {kind for kind, rule in RULES.items() if rule.whole_provider} == {Kind.AUTH, Kind.QUOTA}
    assert all(rule.rest_sec == 0.0 for kind, rule in RULES.items() if kind not in rests)


def test_what_speaks_against_a_target_s_health_opens_its_breaker() -> None:
    against = {Kind.SERVER, Kind.TIMEOUT, Kind.CONNECTION, Kind.MALFORMED, Kind.UNKNOWN}
    assert {kind for kind, rule in RULES.items() if rule.breaker} == against
    assert {kind for kind, rule in RULES.items() if rule.breaker is False} == set(Kind) - against


@pytest.mark.parametrize(("tries", "most"), [(0, 0.5), (1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (90, 30.0)])
def test_waits_double_from_half_a_second_to_half_a_minute(tries: int, most: float) -> None:
    rng = _Highest()
    assert Backoff().wait(Kind.SERVER, tries, None, rng) == most
    assert rng.low == 0.0


@pytest.mark.parametrize(("asked", "most"), [(0.0, 0.05), (2.0, 2.25), (9.5, 10.5), (60.0, 61.0)])
def test_what_the_provider_asks_for_is_a_floor_spread_upwards_by_a_tenth_or_a_second(asked: float, most: float) -> None:
    rng = _Highest()
    assert Backoff(rate_limit_steps=(30.0,)).wait(Kind.RATE_LIMITED, 0, asked, rng) == pytest.approx(most)
    assert rng.low == 0.0


def test_fixed_steps_are_for_rate_limits_and_the_last_one_stays() -> None:
    steps = Backoff(rate_limit_steps=(30.0, 60.0, 90.0))
    assert [steps.wait(Kind.RATE_LIMITED, tries, None, _Highest()) for tries in range(5)] == [
        30.0,
        60.0,
        90.0,
        90.0,
        90.0,
    ]
    assert steps.wait(Kind.SERVER, 1, None, _Highest()) == 1.0
    assert (steps.tries(Kind.RATE_LIMITED), steps.tries(Kind.SERVER)) == (3, 2)
    assert Backoff().wait(Kind.RATE_LIMITED, 1, None, _Highest()) == 1.0
    assert Backoff().rate_limit_steps == ()
