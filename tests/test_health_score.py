"""Brand health: the formula, its parts, and null where nothing can be said."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from src.worker import strictjson
from src.worker.health_score import LEAST_MENTIONS, WEIGHTS, Day, health, history, reactions_of, sum_days

TODAY = date(2026, 3, 31)


def days(count: int, **fields: int) -> dict[date, Day]:
    """The last `count` days until today, all alike."""
    return {TODAY - timedelta(days=back): Day(TODAY - timedelta(days=back), **fields) for back in range(count)}


def test_the_score_is_the_weighted_sum_of_its_parts() -> None:
    month = days(30, mentions=10, milli=2_000, reported=10, engaging=4)
    month[TODAY] += Day(TODAY, crises=2)
    found = health(month, TODAY)
    points = {name: part.points for name, part in found.parts.items()}
    assert points["sentiment"] == pytest.approx(60)  # mean +0.2
    assert points["volume"] == pytest.approx(50 * 70 / (300 / 4))
    assert points["engagement"] == pytest.approx(40)
    assert points["crisis"] == 80
    expected = 0.40 * 60 + 0.25 * 50 * 70 / 75 + 0.20 * 40 + 0.15 * 80
    assert found.score == pytest.approx(expected, abs=0.05)
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize(("mean", "points"), [(-1_000, 0), (0, 50), (1_000, 100)])
def test_sentiment_goes_from_0_to_100_and_moves_the_score(mean: int, points: float) -> None:
    found = health(days(7, mentions=10, milli=10 * mean), TODAY)
    assert found.parts["sentiment"].points == points
    assert found.score is not None
    assert found.score == pytest.approx(0.5 * points + 0.25 / 0.8 * 50 + 0.15 / 0.8 * 100, abs=0.06)


def test_only_the_last_seven_days_count_for_sentiment_and_crises() -> None:
    month = days(7, mentions=10, milli=5_000)
    month |= {day: Day(day, 10, -9_000, crises=3) for day in (TODAY - timedelta(days=back) for back in range(7, 30))}
    found = health(month, TODAY)
    assert (found.parts["sentiment"].points, found.parts["crisis"].points) == (75, 100)


@pytest.mark.parametrize(("crises", "points"), [(0, 100), (3, 70), (10, 0), (25, 0)])
def test_each_crisis_costs_ten_points_and_never_more_than_all(crises: int, points: float) -> None:
    week = days(7, mentions=10)
    week[TODAY] += Day(TODAY, crises=crises)
    assert health(week, TODAY).parts["crisis"].points == points


def test_volume_is_50_for_as_much_as_usual_and_capped_at_100() -> None:
    steady = days(28, mentions=10)
    assert health(steady, TODAY).parts["volume"].points == pytest.approx(50)
    loud = steady | {day: Day(day, 500) for day in days(7)}
    assert health(loud, TODAY).parts["volume"].points == 100


@pytest.mark.parametrize("watched", [1, 3, 7, 8, 14, 21, 28])
def test_a_brand_watched_for_less_than_a_month_is_not_loud_for_that(watched: int) -> None:
    assert health(days(watched, mentions=100), TODAY).parts["volume"].points == pytest.approx(50, rel=0.15)


def test_a_month_with_a_silent_beginning_is_a_rise() -> None:
    begun = health(days(7, mentions=10), TODAY, since=TODAY - timedelta(days=60))
    assert begun.parts["volume"].points == 100


def test_without_reactions_the_other_weights_are_scaled_up() -> None:
    found = health(days(30, mentions=10, milli=2_000), TODAY)
    assert found.parts["engagement"].points is None
    document = found.as_dict()
    assert document["parts"]["engagement"]["weight"] == 0
    assert sum(part["weight"] for part in document["parts"].values()) == pytest.approx(1, abs=1e-3)
    assert found.reason.startswith("without engagement: 0 mentions come with numbers of reactions")


def test_with_too_few_mentions_the_score_is_null_and_says_why() -> None:
    few = health({TODAY: Day(TODAY, LEAST_MENTIONS - 1, 5_000)}, TODAY)
    assert (few.score, few.reason) == (None, "19 mentions within 7 days, 20 are needed")
    assert health({TODAY: Day(TODAY, LEAST_MENTIONS, 5_000)}, TODAY).score is not None
    nothing = health({}, TODAY)
    assert (nothing.score, nothing.parts["sentiment"].points) == (None, None)
    strictjson.dumps(nothing.as_dict())


def test_the_history_has_every_day_and_no_future() -> None:
    month = days(10, mentions=5, milli=500)
    del month[TODAY - timedelta(days=4)]
    month[TODAY + timedelta(days=1)] = Day(TODAY + timedelta(days=1), 500, -500_000)
    found = history(month, until=TODAY)
    assert [one.day for one in found] == [TODAY - timedelta(days=back) for back in range(9, -1, -1)]
    assert [one.score is None for one in found] == [True] * 3 + [False] * 7
    assert found[-1] == health(month, TODAY)
    assert found[-1].parts["sentiment"].points == pytest.approx(55)
    assert history({}, until=TODAY) == []


def test_any_order_of_mentions_gives_the_same_score() -> None:
    random = Random(1)
    mentions = [
        Day.of_mention(
            TODAY - timedelta(days=random.randrange(20)), random.uniform(-1, 1), {"likes": random.randrange(2)}
        )
        for _ in range(400)
    ]
    forwards = health(sum_days(mentions), TODAY)
    random.shuffle(mentions)
    first, second = sum_days(mentions[:123]), sum_days(mentions[123:])
    assert health(sum_days([*second.values(), *first.values()]), TODAY) == forwards
    assert {name for name, part in forwards.parts.items() if part.points is None} == set()


def test_days_survive_storage() -> None:
    day = Day(TODAY, 5, -1_200, 3, 2, 1)
    assert Day.from_dict(strictjson.loads(strictjson.dumps(day.to_dict()))) == day
    with pytest.raises(ValueError, match="differ"):
        day + Day(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("metadata", "reactions"),
    [
        ({}, None),
        ({"author": "jo", "likes": "many"}, None),
        ({"likes": True}, None),
        ({"likes": float("nan")}, None),
        ({"likes": 0}, 0),
        ({"likeCount": 3, "repostCount": 2, "replyCount": 1, "quoteCount": 1}, 7),
        ({"favorite_count": 4, "retweet_count": 1}, 5),
        ({"score": 12, "num_comments": 3}, 15),
        ({"likes": 2, "like_count": 2}, 2),
        ({"score": -4}, None),
    ],
)
def test_reactions_are_read_as_sources_name_them_and_not_invented(
    metadata: dict[str, object], reactions: int | None
) -> None:
    assert reactions_of(metadata) == reactions
