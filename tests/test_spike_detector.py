"""Spikes: what counts as one, what never does, and that order, batches and restarts change nothing."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import detect as bench
from bench._nab import Series, score, sigmoid
from src.worker import strictjson
from src.worker.spike_detector import (
    BUCKET_MS,
    LATENESS_MS,
    Spike,
    SpikeDetector,
    SpikeRules,
    SpikeState,
    SpikeStatus,
    count_buckets,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DAY = 86_400_000 // BUCKET_MS
HOUR = DAY // 24
START = 4_750_000  # a bucket of March 2015
DETECTOR = SpikeDetector()


def calm(days: float, seed: int = 1, mean: float = 5.0) -> list[int]:
    """Counts with a daily rhythm and some noise, about `mean` per five minutes."""
    random = Random(seed)
    rhythm = [1 + 0.6 * math.sin(2 * math.pi * bucket / DAY) for bucket in range(DAY)]
    return [max(0, round(random.gauss(mean * rhythm[b % DAY], math.sqrt(mean)))) for b in range(int(days * DAY))]


def judged(counts: Sequence[int], detector: SpikeDetector = DETECTOR) -> list[Spike]:
    state = SpikeState("acme")
    volume = Counter({START + place: count for place, count in enumerate(counts) if count})
    return detector.apply(state, volume) + detector.flush(state)


def places(spikes: Iterable[Spike]) -> list[int]:
    return [spike.bucket_ms // BUCKET_MS - START for spike in spikes]


# What is a spike.


def test_ordinary_days_have_no_spike_and_a_burst_is_one() -> None:
    counts = calm(6)
    assert judged(counts) == []
    counts[5 * DAY] += 100
    (spike,) = judged(counts)
    assert places([spike]) == [5 * DAY]
    assert spike.mention_count == counts[5 * DAY] + counts[5 * DAY - 1]
    assert spike.mention_count >= spike.threshold > spike.baseline
    assert spike.score == pytest.approx((spike.mention_count - spike.baseline) / spike.deviation)


def test_the_baseline_is_the_mean_and_deviation_of_the_ten_minute_counts_before() -> None:
    counts = [4] * (2 * DAY)
    counts[DAY // 2] = 10
    counts += [90]
    (spike,) = judged(counts)
    spans = [counts[0], *(a + b for a, b in pairwise(counts[:-1]))]
    mean = sum(spans) / len(spans)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in spans) / len(spans))
    assert spike.baseline == pytest.approx(mean)
    assert spike.deviation == pytest.approx(max(deviation, math.sqrt(mean)))
    assert spike.threshold == pytest.approx(mean + 7 * max(deviation, math.sqrt(mean)))


def test_after_a_spike_there_is_silence_for_a_day() -> None:
    counts = calm(9)
    for hours in range(0, 24, 3):
        counts[5 * DAY + hours * HOUR] += 100 + 40 * hours
    assert places(judged(counts)) == [5 * DAY]
    counts[7 * DAY] += 2_000
    assert places(judged(counts)) == [5 * DAY, 7 * DAY]


def test_nothing_is_judged_before_a_day_of_history() -> None:
    counts = calm(2)
    counts[DAY - 2] += 500
    assert judged(counts) == []
    state = SpikeState("acme")
    DETECTOR.apply(state, Counter({START: 5}))
    assert DETECTOR.status(state) is SpikeStatus.INSUFFICIENT_HISTORY
    spikes = DETECTOR.apply(state, Counter({START + place: count for place, count in enumerate(calm(2))}))
    assert (spikes, DETECTOR.status(state)) == ([], SpikeStatus.WATCHING)


def test_one_old_article_makes_no_history() -> None:
    counts = [1, *[0] * (3 * DAY), 200, 300]
    assert judged(counts) == []


def test_fewer_than_ten_mentions_are_never_a_spike() -> None:
    sparse = [1 if place % (4 * HOUR) == 0 else 0 for place in range(3 * DAY)]
    assert judged([*sparse, 9]) == []
    assert places(judged([*sparse, 10])) == [3 * DAY]


def test_five_minutes_without_a_mention_count_as_zero() -> None:
    busy_half = [0 if place % 2 else 20 for place in range(3 * DAY)]
    (spike,) = judged([*busy_half, 500])
    assert spike.baseline == pytest.approx(20, rel=0.01)  # of ten minutes: one bucket of 20, one of nothing
    explicit = SpikeState("acme")
    every = {START + place: count for place, count in enumerate([*busy_half, 500])}
    assert [spike] == DETECTOR.apply(explicit, every) + DETECTOR.flush(explicit)


def test_after_two_weeks_of_silence_a_brand_is_a_new_one() -> None:
    counts = [*calm(3), *[0] * (15 * DAY), 300]
    assert judged(counts) == []
    assert places(judged([*calm(3), *[0] * (13 * DAY), 300])) == [16 * DAY]


def test_a_spike_does_not_count_twice_against_the_hour_long_past() -> None:
    counts = calm(20)
    counts[3 * DAY] += 5_000
    counts[19 * DAY] += 200
    assert places(judged(counts)) == [3 * DAY, 19 * DAY]  # the window has forgotten the first
    counts[19 * DAY], counts[10 * DAY] = counts[18 * DAY], counts[10 * DAY] + 200
    assert places(judged(counts)) == [3 * DAY]  # here it still widens the band


# Order, lateness, restarts.


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 40))
def test_order_within_an_hour_batches_and_restarts_change_nothing(seed: int, batches: int) -> None:
    random = Random(seed)
    counts = calm(2.5, seed=random.randrange(5), mean=2)
    counts[2 * DAY + 7] += 60
    times = [
        (START + place) * BUCKET_MS + random.randrange(BUCKET_MS) for place, n in enumerate(counts) for _ in range(n)
    ]
    shuffled = sorted(times, key=lambda at: at + random.randrange(LATENESS_MS))
    whole = SpikeState("acme")
    expected = DETECTOR.apply(whole, count_buckets(times)) + DETECTOR.flush(whole)
    assert places(expected) == [2 * DAY + 7]

    state, found = SpikeState("acme"), []
    cuts = [0, *sorted(random.randrange(len(times)) for _ in range(batches)), len(times)]
    for begin, end in pairwise(cuts):
        found += DETECTOR.apply(state, count_buckets(shuffled[begin:end]))
        state = SpikeState.from_dict(strictjson.loads(strictjson.dumps(state.to_dict())))
    found += DETECTOR.flush(state)
    assert found == expected
    assert state.to_dict() == whole.to_dict()
    assert state.late == 0


def test_a_mention_that_is_hours_late_is_counted_as_late_and_changes_no_judgement() -> None:
    state = SpikeState("acme")
    DETECTOR.apply(state, Counter({START + place: 3 for place in range(2 * DAY)}))
    before = state.copy()
    assert DETECTOR.apply(state, Counter({START + DAY: 500})) == []
    assert state.late == 500
    assert state.blocks == before.blocks


def test_a_date_in_the_future_neither_counts_nor_moves_the_watermark() -> None:
    state = SpikeState("acme")
    now = (START + 10) * BUCKET_MS
    DETECTOR.apply(state, Counter({START: 3, START + 9 * DAY: 4}), not_after_ms=now)
    assert (state.newest, state.future, state.open) == (START, 4, {START: 3})


def test_a_spike_is_previewed_before_it_is_final_and_the_state_stays() -> None:
    state = SpikeState("acme")
    counts = calm(3)
    counts[-1] += 200
    assert DETECTOR.apply(state, Counter({START + place: count for place, count in enumerate(counts)})) == []
    before = state.to_dict()
    (early,) = DETECTOR.preview(state)
    assert early.provisional
    assert state.to_dict() == before
    (final,) = DETECTOR.flush(state)
    assert final.as_dict() == early.as_dict() | {"provisional": False}


def test_what_is_remembered_is_bounded() -> None:
    state = SpikeState("acme")
    for place, count in enumerate(calm(40)):
        DETECTOR.apply(state, Counter({START + place: count}))
    rules = SpikeRules()
    assert len(state.blocks) <= rules.blocks + 1
    assert len(state.open) <= LATENESS_MS // BUCKET_MS + 1
    assert len(strictjson.dumps(state.to_dict())) < 5_000


def test_years_of_silence_cost_no_time() -> None:
    state = SpikeState("acme")
    DETECTOR.apply(state, Counter({START: 1}))
    DETECTOR.apply(state, Counter({START + 10**9: 1}))
    assert DETECTOR.flush(state) == []
    assert len(state.blocks) == 1


def test_volumes_of_parts_of_a_stream_add_up() -> None:
    times = [START * BUCKET_MS + step * 1_000 for step in range(900)]
    assert count_buckets(times[::2]) + count_buckets(times[1::2]) == count_buckets(times)


# What is told.


def test_an_event_has_the_fields_of_the_gateway_in_strict_json() -> None:
    counts = calm(3)
    counts[-1] += 200
    (spike,) = judged(counts)
    event = json.loads(strictjson.dumps(spike.as_dict()))
    assert event["timestamp"].endswith(".000Z")
    assert {"timestamp": str, "spikeScore": float, "mentionCount": int, "threshold": float}.items() <= {
        name: type(value) for name, value in event.items()
    }.items()
    assert event["spikeScore"] != 1.0
    assert event["id"] == f"acme:{spike.bucket_ms}"


# The benchmark's rule, and what the shipped parameters score by it.

RECORDS = Series(
    "x", range(0, 300 * 10_000, 300), [0] * 10_000, [(300 * 5_000, 300 * 5_099), (300 * 8_000, 300 * 8_099)]
)


def test_the_rule_gives_nothing_to_silence_and_everything_to_the_first_records_of_the_windows() -> None:
    assert score(RECORDS, []).normalised == 0
    assert score(RECORDS, [5_000, 8_000]).normalised == pytest.approx(100)
    assert score(RECORDS, [5_000]).normalised == pytest.approx(50)


def test_the_rule_charges_late_hits_false_alarms_and_not_the_learning_time() -> None:
    late = score(RECORDS, [5_090, 8_000]).normalised
    assert 75 < late < 90
    assert score(RECORDS, [5_000, 5_050, 8_000]).normalised == pytest.approx(100)  # the earliest counts
    assert score(RECORDS, [2_000]).raw == pytest.approx(-2 - 0.11)
    assert score(RECORDS, [9_999]).raw == pytest.approx(-2 - 0.11)
    assert -2 - 0.01 < score(RECORDS, [5_100]).raw < -2
    assert score(RECORDS, [10, 749]).raw == -2
    assert score(RECORDS, [10, 749]).false_alarms == 2
    assert sigmoid(0) == 0


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
def test_the_shipped_parameters_reach_what_was_promised_on_the_development_series() -> None:
    series = bench.load()
    total = bench.total(series, lambda one: bench.detect(one, SpikeRules()))
    assert total.normalised >= 70
    assert total.false_alarms / sum(one.weeks for one in series) <= 1


# The rule at its bounds, with figures that can be counted by hand.

# A window of 4 blocks of 4 spans of one bucket each; history from 4 buckets; silence of 6; nothing under 5 counts.
SMALL = SpikeRules(span=1, deviations=2.0, block=4, blocks=4, silence=6, least=5, history=4, active=1)


def small(counts: Sequence[int], start: int = 1_000, rules: SpikeRules = SMALL) -> tuple[SpikeState, list[Spike]]:
    """Judges every bucket, the last included; a 0 says that somebody looked."""
    state, detector = SpikeState("acme"), SpikeDetector(rules)
    return state, detector.apply(state, {start + place: n for place, n in enumerate(counts)}) + detector.flush(state)


@pytest.mark.parametrize(("count", "spikes"), [(11, 0), (12, 1)])
def test_a_spike_begins_exactly_at_its_threshold(count: int, spikes: int) -> None:
    _, found = small([0, 8, 0, 8, count])  # mean 4, deviation 4
    assert len(found) == spikes
    for spike in found:
        assert (spike.baseline, spike.deviation, spike.threshold, spike.score) == (4.0, 4.0, 12.0, 2.0)
        assert (spike.window_minutes, spike.score_threshold, spike.mention_count) == (5, 2.0, 12)


def test_the_deviation_is_at_least_that_of_events_that_come_by_themselves() -> None:
    _, (spike,) = small([4, 4, 4, 4, 8])
    assert (spike.baseline, spike.deviation, spike.score) == (4.0, 2.0, 2.0)


@pytest.mark.parametrize(("count", "spikes"), [(4, 0), (5, 1)])
def test_the_least_number_of_mentions_is_enough(count: int, spikes: int) -> None:
    assert len(small([1, 0, 0, 0, 0, 0, 0, 0, count])[1]) == spikes


@pytest.mark.parametrize(("before", "spikes"), [(3, 0), (4, 1)])
def test_history_is_long_enough_when_it_is_exactly_that_long(before: int, spikes: int) -> None:
    assert len(small([1] * before + [50])[1]) == spikes


@pytest.mark.parametrize(("later", "spikes"), [(6, 1), (7, 2)])
def test_silence_ends_exactly_after_its_length(later: int, spikes: int) -> None:
    state, found = small([1] * 8 + [50] + [1] * (later - 1) + [5_000])
    assert len(found) == spikes
    assert found[0].bucket_ms == 1_008 * BUCKET_MS
    assert state.quiet_until == 1_008 + 1 + 6 + (7 if spikes == 2 else 0)


@pytest.mark.parametrize(("after", "status"), [(5, SpikeStatus.SILENCED), (6, SpikeStatus.WATCHING)])
def test_the_status_is_that_of_the_bucket_that_is_judged_next(after: int, status: SpikeStatus) -> None:
    state, _ = small([1] * 8 + [50] + [1] * after)
    assert SpikeDetector(SMALL).status(state) is status


@pytest.mark.parametrize(("blocks", "spikes"), [(2, 0), (3, 1)])
def test_somebody_must_have_written_in_enough_blocks(blocks: int, spikes: int) -> None:
    rules = SpikeRules(span=1, deviations=2.0, block=4, blocks=9, silence=6, least=5, history=4, active=3)
    wrote = [1, 0, 0, 0] * blocks + [0] * 4 * (4 - blocks)
    assert len(small([*wrote, 50], rules=rules)[1]) == spikes
    state, _ = small(wrote, rules=rules)
    known = SpikeStatus.WATCHING if spikes else SpikeStatus.INSUFFICIENT_HISTORY
    assert SpikeDetector(rules).status(state) is known


def test_the_window_keeps_as_many_whole_blocks_as_it_is_long_beside_the_one_under_way() -> None:
    state, _ = small([2, 3, 1, 1] * 7)
    assert state.blocks == [[number, 4, 7, 15] for number in range(252, 257)]
    assert (state.since, state.next, state.newest, state.tail) == (1_000, 1_028, 1_027, [])


@pytest.mark.parametrize(("gap", "anew"), [(16, False), (17, True)])
def test_history_begins_anew_after_more_than_a_window_without_anybody(gap: int, anew: bool) -> None:
    state, _ = small([3, 3, 3, 3])
    SpikeDetector(SMALL).apply(state, {1_004 + gap: 2, 2_000: 0})
    assert state.since == (1_004 + gap if anew else 1_000)


def test_empty_buckets_count_as_zeros_of_the_blocks_they_are_in() -> None:
    rules = SpikeRules(span=3, deviations=9.0, block=4, blocks=9, silence=6, least=5, history=4, active=1)
    state, _ = small([5, 1], start=1_000, rules=rules)
    detector = SpikeDetector(rules)
    detector.apply(state, {1_010: 2, 1_100: 0})
    # Spans of three: 5, 6, 6, 1, 0 … until bucket 1,010 with its 2.
    assert [block for block in state.blocks if block[0] <= 252] == [[250, 4, 18, 98], [251, 4, 0, 0], [252, 3, 2, 4]]


def test_what_is_late_or_dated_ahead_is_counted_by_its_mentions() -> None:
    state, detector = SpikeState("acme"), SpikeDetector(SMALL)
    late = LATENESS_MS // BUCKET_MS
    detector.apply(state, {1_000: 1, 1_000 + late: 1})
    assert (state.next, state.late, sorted(state.open)) == (None, 0, [1_000, 1_000 + late])
    detector.apply(state, {1_001 + late: 1})  # the first bucket's hour is over
    assert (state.next, sorted(state.open)) == (1_001, [1_000 + late, 1_001 + late])
    detector.apply(state, {1_000: 3, 1_001: 4})
    assert (state.late, state.open[1_001]) == (3, 4)
    now = 1_000 * BUCKET_MS
    detector.apply(state, {1_000 + late: 5, 1_001 + late: 7}, not_after_ms=now)
    assert (state.future, state.open[1_000 + late]) == (7, 6)


def test_a_state_and_an_event_say_everything_under_their_names() -> None:
    state, (spike,) = small([1] * 8 + [50])
    state.late, state.future = 3, 4
    assert state.to_dict() == {
        "brand": "acme",
        "newest": 1_008,
        "open": {},
        "since": 1_000,
        "next": 1_009,
        "tail": [],
        "blocks": [[250, 4, 4, 4], [251, 4, 4, 4], [252, 1, 50, 2_500]],
        "quietUntil": 1_015,
        "late": 3,
        "future": 4,
    }
    assert SpikeState.from_dict(state.to_dict()) == state
    assert spike.as_dict() == {
        "id": "acme:302400000",
        "brand": "acme",
        "timestamp": "1970-01-04T12:00:00.000Z",
        "spikeScore": 49.0,
        "scoreThreshold": 2.0,
        "mentionCount": 50,
        "threshold": 3.0,
        "baseline": 1.0,
        "deviation": 1.0,
        "windowMinutes": 5,
        "provisional": False,
    }
    odd = Spike("acme", 0, 9, 1.23456, 2.34567, 3.45678, 4.56789, 7.0, 10)
    rounded = odd.as_dict()
    assert [rounded[name] for name in ("baseline", "deviation", "threshold", "spikeScore")] == [
        1.235,
        2.346,
        3.457,
        4.568,
    ]
