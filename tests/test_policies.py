"""When a task is tried again, and which task may start: the two rules of the queue, without a queue."""

from __future__ import annotations

from random import Random

import pytest

from src.worker.admission import Admission
from src.worker.models import Task, TaskPriority
from src.worker.retry_policy import RetryPolicy


class _Highest(Random):
    """Draws the upper end of every range, and remembers the lower."""

    low = -1.0

    def uniform(self, a: float, b: float) -> float:
        self.low = a
        return b


def _task(brand: str | None, kind: str = "any") -> Task:
    return Task("id", kind, {}, brand, TaskPriority.NORMAL, 1, 0)


def test_the_last_attempt_is_the_one_with_the_number_of_attempts() -> None:
    policy = RetryPolicy(max_attempts=3, base_sec=1, max_sec=60)
    assert [policy.exhausted(attempt) for attempt in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize(("attempt", "most"), [(1, 1.5), (2, 3.0), (3, 6.0), (4, 12.0), (5, 20.0), (10_000, 20.0)])
def test_a_wait_is_drawn_from_nothing_to_the_doubled_base_under_its_cap(attempt: int, most: float) -> None:
    rng = _Highest()
    assert RetryPolicy(max_attempts=9, base_sec=1.5, max_sec=20.0).delay_sec(attempt, rng) == most
    assert rng.low == 0.0


def test_doubling_ends_before_a_float_does() -> None:
    forever = RetryPolicy(max_attempts=9, base_sec=1.0, max_sec=float("inf"))
    assert [forever.delay_sec(attempt, _Highest()) for attempt in (33, 34, 2_000)] == [2.0**32] * 3


def test_a_brand_may_have_all_its_slots_and_none_more() -> None:
    admission = Admission(brand_slots=2, type_slots={})
    assert not admission.sees_brands
    for inside in range(3):
        assert admission.lane(_task("acme"), room=True) == (None if inside < 2 else "brand:acme")
        assert admission.full_lanes() == (["brand:acme"] if inside >= 2 else [])
        admission.enter(_task("acme"))
        assert admission.sees_brands
    assert admission.lane(_task("other"), room=True) is None


def test_without_room_a_brand_that_has_one_inside_waits() -> None:
    admission = Admission(brand_slots=5, type_slots={})
    assert admission.lane(_task("acme"), room=False) is None
    admission.enter(_task("acme"))
    assert admission.lane(_task("acme"), room=False) == "brand:acme"
    assert admission.lane(_task("acme"), room=True) is None


def test_a_type_may_have_all_its_slots_and_none_more() -> None:
    admission = Admission(brand_slots=9, type_slots={"slow": 2})
    for inside in range(3):
        assert admission.lane(_task(None, "slow"), room=True) == (None if inside < 2 else "type:slow")
        assert admission.full_lanes() == (["type:slow"] if inside >= 2 else [])
        admission.enter(_task(None, "slow"))
    assert admission.types["slow"] == 3
    assert admission.lane(_task(None, "quick"), room=True) is None


def test_what_leaves_makes_room_and_is_forgotten() -> None:
    admission = Admission(brand_slots=2, type_slots={"slow": 2})
    for _ in range(2):
        admission.enter(_task("acme", "slow"))
    assert admission.full_lanes() == ["brand:acme", "type:slow"]
    admission.leave(_task("acme", "slow"))
    assert admission.sees_brands
    assert admission.full_lanes() == []
    assert admission.types["slow"] == 1
    admission.leave(_task("acme", "slow"))
    assert not admission.sees_brands
    assert admission.types["slow"] == 0


def test_a_task_without_a_brand_takes_no_brand_s_place() -> None:
    admission = Admission(brand_slots=1, type_slots={})
    admission.enter(_task(None))
    assert not admission.sees_brands
    admission.leave(_task(None))
    assert not admission.sees_brands
    assert admission.full_lanes() == []
    assert admission.lane(_task(None), room=True) is None
    assert admission.lane(_task(None), room=False) == "brand:"


def test_a_type_with_its_share_waits_for_its_type_whatever_its_brand() -> None:
    admission = Admission(brand_slots=1, type_slots={"slow": 1})
    admission.enter(_task("acme", "slow"))
    assert admission.lane(_task("acme", "slow"), room=True) == "type:slow"
    assert admission.lane(_task("acme", "quick"), room=True) == "brand:acme"
