"""What is usual for a brand at a time of day, from what the crisis detector remembers of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .crisis_rules import CrisisRules
from .crisis_state import CrisisState, Judged


@dataclass(frozen=True, slots=True)
class Usual:
    """Mean and deviation of a number of people."""

    mean: float
    deviation: float

    def z(self, people: int) -> float:
        return (people - self.mean) / self.deviation

    def poisson_z(self, people: int) -> float:
        """The same for people who come independently, with the square root that makes Poisson counts normal
        (Anscombe 1948): of small numbers, twice the usual is nothing."""
        return 2 * (math.sqrt(people + 3 / 8) - math.sqrt(self.mean + 3 / 8))

    def just_unusual(self, people: int, rules: CrisisRules) -> int:
        """What is remembered of so many people: at most as many as would just be unusual. Tomorrow's comparison must
        not take a crisis for usual, but a brand that has grown for good must become usual in the end, step by step."""
        return min(people, round(self.mean + rules.watch * self.deviation))


def usual_people(state: CrisisState, hour: int, rules: CrisisRules, count: Callable[[Judged], int]) -> Usual:
    """Of the windows that ended around this time on earlier days.

    The deviation is at least that of people who come independently (Poisson), 1, and `spread` of the mean; the last
    grows by the factor of a prediction from so many days, sqrt(1 + 1 / days).
    """
    values: list[int] = []
    days = 0
    for day in range(1, rules.days + 1):
        same = range(hour - 24 * day - rules.around, hour - 24 * day + rules.around + 1)
        found = _counts(state, same, rules, count)
        values += found
        days += bool(found)
    if len(values) < rules.window:
        # The second day has hardly begun: any time of the first is better than none.
        values = _counts(state, range(hour - 24 * rules.days, hour - rules.window + 1), rules, count)
        days = 1
    if not values:
        values = [0]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    spread = rules.spread * math.sqrt(1 + 1 / max(days, 1))
    return Usual(mean, max(deviation, math.sqrt(mean), spread * mean, 1.0))


def usual_mood(state: CrisisState, hour: int, rules: CrisisRules) -> tuple[float, float]:
    """The brand's own share of negative people (by hours, add-one smoothed) and mean score, before the window."""
    before = [one for at, one in state.past.items() if one.usual and at <= hour - rules.window]
    people, negative = sum(one.people for one in before), sum(one.negative_people for one in before)
    mentions = sum(one.mentions for one in before)
    mood = sum(one.milli for one in before) / 1000 / mentions if mentions else 0.0
    return (negative + 1) / (people + 2), mood


def _counts(state: CrisisState, hours: Sequence[int], rules: CrisisRules, count: Callable[[Judged], int]) -> list[int]:
    if state.since is None:
        return []
    first = state.since + rules.window - 1  # windows before are not full
    return [count(state.past[hour]) if hour in state.past else 0 for hour in hours if hour >= first]
