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
    early = TODAY - timedelta(days=60)
    assert history(month, until=TODAY, since=early)[-1] == health(month, TODAY, since=early) != found[-1]


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


@pytest.mark.parametrize(
    "name",
    [
        *("likes", "like_count", "likeCount", "favorite_count", "favorites", "ups", "upvotes", "score"),
        *("reposts", "repost_count", "repostCount", "retweets", "retweet_count", "shares", "share_count"),
        *("replies", "reply_count", "replyCount", "comments", "num_comments", "comment_count"),
        *("quotes", "quote_count", "quoteCount"),
    ],
)
def test_every_name_of_a_reaction_counts_alone_and_as_a_whole_number(name: str) -> None:
    assert reactions_of({name: 3}) == 3
    assert reactions_of({name: 2.9}) == 2
    assert reactions_of({name: 0}) == 0
    assert reactions_of({name: float("inf")}) is None


def test_a_mention_is_a_day_of_one() -> None:
    assert Day.of_mention(TODAY, 0.1236, {}) == Day(TODAY, 1, 124, 0, 0, 0)
    assert Day.of_mention(TODAY, -1, {"likes": 0}) == Day(TODAY, 1, -1_000, 1, 0, 0)
    assert Day.of_mention(TODAY, 0, {"likes": 7}) == Day(TODAY, 1, 0, 1, 1, 0)
    assert Day(TODAY, 1, 2, 3, 4, 5) + Day(TODAY, 10, 20, 30, 40, 50) == Day(TODAY, 11, 22, 33, 44, 55)
    assert Day(TODAY) == Day(TODAY, 0, 0, 0, 0, 0)
    assert Day(TODAY, 1, 2, 3, 4, 5).to_dict() == {
        "date": TODAY.isoformat(),
        "mentions": 1,
        "milli": 2,
        "reported": 3,
        "engaging": 4,
        "crises": 5,
    }


@pytest.mark.parametrize(("watched", "weeks"), [(8, 8 / 7), (14, 2), (28, 4), (29, 4), (30, 4)])
def test_a_usual_week_is_that_of_the_days_watched_up_to_a_month(watched: int, weeks: float) -> None:
    known = health(days(30, mentions=10), TODAY, since=TODAY - timedelta(days=watched - 1))
    assert known.parts["volume"].points == pytest.approx(50 * 70 / (300 / weeks))
    first = health(days(watched, mentions=10), TODAY)
    assert first.parts["volume"].points == pytest.approx(50 * 70 / (10 * watched / weeks))
    week = health(days(30, mentions=10), TODAY, since=TODAY - timedelta(days=6))
    assert week.parts["volume"].points == 50.0


@pytest.mark.parametrize(("reported", "points"), [(19, None), (20, 25.0)])
def test_a_rate_of_reactions_needs_twenty_mentions_that_report_them(reported: int, points: float | None) -> None:
    found = health({TODAY: Day(TODAY, 40, reported=reported, engaging=5)}, TODAY)
    assert found.parts["engagement"].points == points
    assert health({TODAY: Day(TODAY, 40, reported=20, engaging=30)}, TODAY).parts["engagement"].points == 100.0


def test_a_document_says_every_part_with_its_weight_and_its_reason() -> None:
    month = days(30, mentions=1_000, milli=123_456, reported=1_000, engaging=333)
    month[TODAY] += Day(TODAY, crises=2)
    assert health(month, TODAY).as_dict() == {
        "date": TODAY.isoformat(),
        "healthScore": 52.8,
        "reason": "all parts are known",
        "mentions7d": 7_000,
        "parts": {
            "sentiment": {"points": 56.2, "weight": 0.4, "reason": "mean sentiment +0.12 of 7,000 mentions"},
            "volume": {
                "points": 46.7,
                "weight": 0.25,
                "reason": "7,000 mentions within 7 days, 7,500 in a usual week",
            },
            "engagement": {"points": 33.3, "weight": 0.2, "reason": "2,331 of 7,000 mentions got a reaction"},
            "crisis": {"points": 80.0, "weight": 0.15, "reason": "2 crises within 7 days"},
        },
    }
    silent = health({}, TODAY).as_dict()
    assert silent["parts"] == {
        "sentiment": {"points": None, "weight": 0.0, "reason": "no mention within 7 days"},
        "volume": {"points": 50.0, "weight": 0.625, "reason": "no week to compare with: taken as usual"},
        "engagement": {
            "points": None,
            "weight": 0.0,
            "reason": "0 mentions come with numbers of reactions, 20 are needed",
        },
        "crisis": {"points": 100.0, "weight": 0.375, "reason": "0 crises within 7 days"},
    }


def test_a_month_without_a_mention_has_no_volume_to_compare_with() -> None:
    assert health(days(8), TODAY).parts["volume"].reason == "no week to compare with: taken as usual"
