"""Which model may be asked now: rests and breakers at their bounds, on a clock of our own."""

from __future__ import annotations

import math

import pytest

from src.worker.llm.errors import Kind
from src.worker.llm.exchange import Target
from src.worker.llm.health import Condition, Health, why

ONE = Target("openai", "gpt-4o-mini")
OTHER = Target("openai", "gpt-4o")
AT_ONCE = (-math.inf, None)


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def health(clock: _Clock) -> Health:
    return Health(clock)


def _calls(health: Health, outcomes: str) -> None:
    """`+` for a call that succeeded, `-` for one that failed."""
    for outcome in outcomes:
        (health.succeeded if outcome == "+" else health.failed)(ONE)


@pytest.mark.parametrize(
    ("outcomes", "opens"),
    [
        ("----", False),
        ("-----", True),  # five in a row
        ("----+----", False),
        ("-+" * 4 + "-", False),  # nine calls: too few for a share
        ("-+" * 5, False),  # half of ten, but a success opens nothing
        ("-+" * 4 + "--", True),  # six of ten
        ("--" + "+" * 9 + "--", False),
        ("-+++" * 5 + "--+-", False),
    ],
)
def test_a_breaker_opens_after_five_in_a_row_or_half_of_at_least_ten(
    health: Health, outcomes: str, opens: bool
) -> None:
    _calls(health, outcomes)
    assert (health.available_at(ONE) != AT_ONCE) is opens


def test_exactly_half_of_the_last_calls_are_enough(health: Health) -> None:
    _calls(health, "-++-+-++-")
    assert health.available_at(ONE) == AT_ONCE
    _calls(health, "-")  # the fifth failure of ten
    assert health.available_at(ONE) == (1_010.0, "breaker open")


def test_a_failure_longer_ago_than_twenty_calls_is_forgotten(health: Health) -> None:
    _calls(health, "----" + "+" * 20 + "--+" * 4 + "-")
    assert health.available_at(ONE) == AT_ONCE  # nine of the last twenty
    _calls(health, "-")
    assert health.available_at(ONE) != AT_ONCE


def test_an_open_breaker_lets_one_trial_through_when_its_time_is_over(health: Health, clock: _Clock) -> None:
    assert not health.begin(ONE)
    _calls(health, "-----")
    assert health.available_at(ONE) == (1_010.0, "breaker open")
    assert health.state(ONE) == Condition(False, 10.0, "breaker open", "open")
    assert health.available_at(OTHER) == AT_ONCE
    clock.now = 1_009.9
    assert not health.begin(ONE)
    clock.now = 1_010.0
    assert health.state(ONE) == Condition(True, 0.0, None, "half_open")
    assert health.begin(ONE)
    assert health.available_at(ONE) == (1_010.25, "breaker half open")
    health.abandoned(ONE, trial=False)
    assert health.available_at(ONE) != AT_ONCE
    health.abandoned(ONE)
    assert health.available_at(ONE) == AT_ONCE


def test_a_trial_that_succeeds_forgets_everything(health: Health, clock: _Clock) -> None:
    _calls(health, "-----")
    clock.now += 10
    health.begin(ONE)
    _calls(health, "+----")
    assert health.available_at(ONE) == AT_ONCE
    assert health.state(ONE).breaker == "closed"


def test_rests_of_a_breaker_double_up_to_five_minutes(health: Health, clock: _Clock) -> None:
    _calls(health, "-----")
    waits = []
    for _ in range(7):
        until, _reason = health.available_at(ONE)
        waits.append(until - clock.now)
        clock.now = until
        assert health.begin(ONE)
        health.failed(ONE)
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_calls_from_before_the_breaker_opened_decide_nothing(health: Health, clock: _Clock) -> None:
    _calls(health, "-----")
    clock.now += 10
    assert health.begin(ONE)
    health.failed(ONE, trial=False)
    assert health.available_at(ONE) == (clock.now + 0.25, "breaker half open")


def test_a_rest_ends_at_its_time_and_a_longer_one_replaces_a_shorter(health: Health, clock: _Clock) -> None:
    health.rest(ONE, 30.0, "rate limit")
    health.rest(ONE, 10.0, "shorter")
    assert health.available_at(ONE) == (1_030.0, "rate limit")
    health.rest(ONE, 60.04, "longer")
    assert health.state(ONE) == Condition(False, 60.0, "longer", "closed")
    clock.now = 1_060.03
    assert not health.state(ONE).available
    clock.now = 1_060.04
    assert health.available_at(ONE) == AT_ONCE
    assert health.state(ONE) == Condition(True, 0.0, None, "closed")


def test_a_whole_provider_s_rest_is_that_of_all_its_models_and_the_longest_counts(health: Health) -> None:
    health.rest("openai", 300.0, "the key is not accepted")
    health.rest(ONE, 400.0, "no such model")
    assert health.available_at(OTHER) == (1_300.0, "the key is not accepted")
    assert health.available_at(ONE) == (1_400.0, "no such model")
    assert health.available_at(Target("groq", "llama")) == AT_ONCE


def test_nobody_rests_longer_than_a_day(health: Health) -> None:
    health.rest(ONE, 1e9, "days")
    assert health.available_at(ONE) == (1_000.0 + 86_400.0, "days")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.RATE_LIMITED, "rate limit"),
        (Kind.AUTH, "the key is not accepted"),
        (Kind.QUOTA, "no quota or credit left"),
        (Kind.NOT_FOUND, "no such model"),
        (Kind.SERVER, Kind.SERVER.value),
    ],
)
def test_why_a_target_rests_is_said_in_words(kind: Kind, words: str) -> None:
    assert why(kind) == words
