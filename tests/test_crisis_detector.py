"""Crises: the stories they must and must not be raised for, and that order, batches and restarts change nothing."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker import strictjson
from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.crisis_detector import CrisisDetector, CrisisRules, CrisisState, gather
from src.worker.crisis_events import HOUR_MS, Crisis, Severity, State
from src.worker.crisis_words import crisis_words
from src.worker.models import Mention, Sentiment, SentimentLabel, TimeSource
from src.worker.spike_detector import SpikeDetector, SpikeState, count_buckets
from src.worker.times import to_ms
from src.worker.vader import Vader
from src.worker.voices import EVIDENCE, KEPT, Distinct, Hour, Voice, hash_of, voice_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
START = 396_000  # an hour of March 2015
DETECTOR = CrisisDetector()
DAY = 24
NEGATIVE, NEUTRAL, POSITIVE = SentimentLabel.NEGATIVE, SentimentLabel.NEUTRAL, SentimentLabel.POSITIVE
SCORES = {NEGATIVE: -0.5, NEUTRAL: 0.0, POSITIVE: 0.6}


class Stream:
    """Mentions of one brand, hour by hour."""

    def __init__(self, seed: int = 1) -> None:
        self.random = Random(seed)
        self.voices: list[Voice] = []

    def say(
        self,
        hour: int,
        count: int,
        label: SentimentLabel = NEGATIVE,
        *,
        author: str | None = None,
        named: bool = True,
        words: tuple[str, ...] = (),
    ) -> None:
        for _ in range(count):
            number = len(self.voices)
            at_ms = (START + hour) * HOUR_MS + self.random.randrange(HOUR_MS)
            who = hash_of(author or f"person {number}")
            self.voices.append(Voice(f"m{number}", at_ms, who, named, SCORES[label], label, words))

    def calm(self, hours: int, *, begin: int = 0, per_hour: int = 6) -> Stream:
        for hour in range(begin, begin + hours):
            for _ in range(per_hour + self.random.randrange(-2, 3)):
                self.say(hour, 1, self.random.choices((NEGATIVE, NEUTRAL, POSITIVE), (3, 4, 3))[0])
        return self

    def judged(self, detector: CrisisDetector = DETECTOR) -> list[Crisis]:
        return run(self.voices, detector)[0]


def run(voices: Iterable[Voice], detector: CrisisDetector = DETECTOR) -> tuple[list[Crisis], CrisisState]:
    state = CrisisState("acme")
    events = detector.apply(state, gather(voices))
    return events + detector.flush(state), state


def told(events: Iterable[Crisis]) -> list[tuple[str, int]]:
    """Severity and the hour at whose end it was said, the notice of insufficient history left out."""
    return [
        (event.severity.value, event.raised_at_ms // HOUR_MS - START - 1)
        for event in events
        if event.severity is not Severity.INSUFFICIENT_HISTORY
    ]


def complaints(days: float = 4, *, hours: int = 3, per_hour: int = 40, after: int = 24) -> Stream:
    """Calm days, then hours of mass complaints, then calm again."""
    begin = int(days * DAY)
    stream = Stream().calm(begin + hours + after)
    for hour in range(begin, begin + hours):
        stream.say(hour, per_hour)
    return stream


# Stories.


@pytest.mark.parametrize("seed", range(10))
def test_calm_weeks_raise_nothing(seed: int) -> None:
    assert told(Stream(seed).calm(14 * DAY, per_hour=10).judged()) == []


@pytest.mark.parametrize("days", [3, 4, 8.5])
def test_three_hours_of_mass_complaints_are_one_critical_event_within_four_hours_and_its_recovery(days: float) -> None:
    begin = int(days * DAY)
    events = complaints(days).judged()[1:]
    critical = [event for event in events if event.severity is Severity.CRITICAL]
    assert len(critical) == 1
    assert (START + begin) * HOUR_MS < critical[0].raised_at_ms <= (START + begin + 4) * HOUR_MS
    assert [event.severity for event in events][-1] is Severity.RECOVERED
    assert len({event.id for event in events}) == 1
    assert Counter(event.severity for event in events).most_common(1)[0][1] == 1


def test_a_crisis_that_goes_on_for_two_days_is_still_one_event() -> None:
    events = complaints(5, hours=48, per_hour=60, after=30).judged()
    assert [severity for severity, _ in told(events)] == ["critical", "recovered"]
    assert told(events)[-1][1] - told(events)[0][1] >= 48


def test_a_rise_escalates_the_same_event_and_never_steps_back_before_it_is_over() -> None:
    stream = Stream().calm(5 * DAY, per_hour=12)
    for step, per_hour in enumerate([15, 60, 60, 15, 15]):
        stream.say(4 * DAY + step, per_hour)
    events = stream.judged()
    assert [severity for severity, _ in told(events)] == ["warning", "critical", "recovered"]
    ids = {event.id for event in events if event.severity is not Severity.INSUFFICIENT_HISTORY}
    assert len(ids) == 1


def test_a_second_wave_soon_after_the_recovery_is_the_same_event() -> None:
    stream = complaints(4, after=40)
    ended = told(stream.judged())[-1][1]
    for hour in range(ended + 4, ended + 6):
        stream.say(hour, 40)
    events = stream.judged()[1:]
    assert [severity for severity, _ in told(events)] == ["critical", "recovered", "critical", "recovered"]
    assert len({event.id for event in events}) == 1
    assert "flared up again" in events[2].reasons[0]


def test_one_author_with_thirty_angry_posts_is_no_crisis() -> None:
    stream = Stream().calm(6 * DAY)
    for hour in range(4 * DAY, 4 * DAY + 3):
        stream.say(hour, 10, author="the angry one", words=("lawsuit",))
    events, state = run(stream.voices)
    assert told(events) == []
    assert state.risk is not None


def test_viral_praise_is_a_spike_and_no_crisis() -> None:
    stream = Stream().calm(6 * DAY)
    for hour in range(4 * DAY, 4 * DAY + 3):
        stream.say(hour, 300, POSITIVE)
        stream.say(hour, 30, NEGATIVE)  # some are always misjudged
    assert told(stream.judged()) == []
    state = SpikeState("acme")
    spikes = SpikeDetector().apply(state, count_buckets(voice.at_ms for voice in stream.voices))
    spikes += SpikeDetector().flush(state)
    assert [spike.bucket_ms // HOUR_MS - START for spike in spikes] == [4 * DAY]


def test_a_loved_brand_that_goes_viral_is_no_crisis_because_of_misjudged_praise() -> None:
    stream = Stream()
    for hour in range(5 * DAY):
        stream.say(hour, 6, NEUTRAL)
    for hour in range(4 * DAY, 4 * DAY + 3):
        stream.say(hour, 400, POSITIVE)
        stream.say(hour, 40, NEGATIVE)
    assert told(stream.judged()) == []


def test_a_brand_first_seen_an_hour_ago_has_insufficient_history_whatever_is_said() -> None:
    stream = Stream()
    stream.say(0, 500, words=("scandal",))
    events, state = run(stream.voices)
    assert [event.severity for event in events] == [Severity.INSUFFICIENT_HISTORY]
    document = events[0].as_dict()
    assert (document["riskScore"], document["reasons"]) == (None, ["0 hours of history, 24 are needed"])
    assert state.risk is not None
    assert state.risk["riskScore"] is None


def test_insufficient_history_is_said_once_and_ends_after_a_day() -> None:
    stream = Stream().calm(3 * DAY)
    stream.say(10, 60)
    stream.say(30, 60)
    events = stream.judged()
    assert [event.severity for event in events].count(Severity.INSUFFICIENT_HISTORY) == 1
    assert events[0].severity is Severity.INSUFFICIENT_HISTORY
    assert [hour for severity, hour in told(events) if severity != "recovered"] == [30]


def test_one_old_article_makes_no_history() -> None:
    stream = Stream()
    stream.say(0, 1, NEUTRAL)
    stream.say(3 * DAY, 100)
    events = stream.judged()
    assert [event.severity for event in events] == [Severity.INSUFFICIENT_HISTORY]


def test_after_a_week_of_silence_history_begins_anew() -> None:
    stream = Stream().calm(3 * DAY).calm(2, begin=12 * DAY)
    stream.say(12 * DAY, 100)
    severities = [event.severity for event in stream.judged()]
    assert severities == [Severity.INSUFFICIENT_HISTORY, Severity.INSUFFICIENT_HISTORY]


def test_words_of_crises_alone_raise_nothing_and_add_weight_to_many_people() -> None:
    few = Stream().calm(5 * DAY)
    few.say(4 * DAY, 4, words=("data breach", "lawsuit"))
    assert told(few.judged()) == []

    def at(words: tuple[str, ...]) -> Crisis:
        stream = Stream().calm(5 * DAY)
        stream.say(4 * DAY, 24, words=words)
        return next(event for event in stream.judged() if event.finding is not None)

    plain, worded = at(()), at(("outage",))
    assert plain.finding is not None
    assert worded.finding is not None
    assert worded.finding.risk_parts()["words"] > plain.finding.risk_parts()["words"] == 0
    assert any("outage" in reason for reason in worded.reasons)


def test_words_of_crises_make_a_strong_warning_critical() -> None:
    rules = CrisisRules()
    assert rules.warning < rules.critical_with_words < rules.critical

    def peak(words: tuple[str, ...]) -> Severity:
        stream = Stream().calm(5 * DAY, per_hour=12)
        stream.say(4 * DAY, 15, words=words)
        return next(event.severity for event in stream.judged() if event.finding is not None)

    assert (peak(()), peak(("outage",))) == (Severity.WARNING, Severity.CRITICAL)


def test_unsigned_texts_alone_are_no_crisis_and_add_to_what_people_say() -> None:
    unsigned = Stream().calm(5 * DAY)
    unsigned.say(4 * DAY, 200, named=False)
    assert told(unsigned.judged()) == []
    only = Hour()
    for voice in unsigned.voices[-200:]:
        only.add(voice)
    assert (only.people, only.negative_people) == (0, 0)
    signed = Stream().calm(5 * DAY)
    signed.say(4 * DAY, 20)
    both = Stream().calm(5 * DAY)
    both.say(4 * DAY, 20)
    both.say(4 * DAY, 30, named=False)

    def most(stream: Stream) -> int:
        return max(event.finding.angry for event in stream.judged() if event.finding is not None)

    assert most(both) == most(signed) + 15


def test_a_brand_people_always_complain_to_is_not_always_in_crisis() -> None:
    stream = Stream()
    for hour in range(10 * DAY):
        stream.say(hour, 10 + stream.random.randrange(-4, 5))
        stream.say(hour, 2, NEUTRAL)
    assert told(stream.judged()) == []


def test_a_brand_that_has_grown_for_good_becomes_usual_again() -> None:
    stream = Stream().calm(5 * DAY)
    for hour in range(5 * DAY, 30 * DAY):
        stream.say(hour, 12 + stream.random.randrange(-4, 5))
        stream.say(hour, 28, NEUTRAL)
    events = told(stream.judged())
    assert all(hour < 12 * DAY for _, hour in events)


def test_a_brand_that_falls_silent_recovers_when_told_how_late_it_is() -> None:
    stream = Stream().calm(4 * DAY)
    stream.say(4 * DAY, 80)
    events, state = run(stream.voices)
    assert told(events) == [("critical", 4 * DAY)]
    more = DETECTOR.advance(state, (START + 5 * DAY) * HOUR_MS)
    assert [event.severity for event in more] == [Severity.RECOVERED]
    assert state.state is State.CALM


# Order, lateness, restarts.


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 30))
def test_order_within_an_hour_batches_and_restarts_change_nothing(seed: int, batches: int) -> None:
    random = Random(seed)
    voices = complaints(3.2, per_hour=30, after=12).voices
    expected, whole = run(sorted(voices, key=lambda voice: voice.at_ms))
    shuffled = sorted(voices, key=lambda voice: voice.at_ms + random.randrange(HOUR_MS))
    state, found = CrisisState("acme"), []
    cuts = [0, *sorted(random.randrange(len(voices)) for _ in range(batches)), len(voices)]
    for begin, end in pairwise(cuts):
        found += DETECTOR.apply(state, gather(shuffled[begin:end]))
        state = CrisisState.from_dict(strictjson.loads(strictjson.dumps(state.to_dict())))
    found += DETECTOR.flush(state)
    assert [event.as_dict() for event in found] == [event.as_dict() for event in expected]
    assert state.to_dict() == whole.to_dict()


def test_hours_that_several_workers_filled_merge_in_any_order() -> None:
    voices = complaints(1).voices[:400]
    parts = [gather(voices[step::3]) for step in range(3)]

    def merged(order: Iterable[int]) -> dict[int, object]:
        hours: dict[int, Hour] = {}
        for place in order:
            for hour, said in parts[place].items():
                hours.setdefault(hour, Hour()).merge(Hour.from_dict(said.to_dict()))
        return {hour: said.to_dict() for hour, said in sorted(hours.items())}

    whole = {hour: said.to_dict() for hour, said in sorted(gather(voices).items())}
    assert merged([0, 1, 2]) == merged([2, 0, 1]) == whole


def test_what_comes_hours_late_or_from_the_future_is_counted_apart() -> None:
    stream = Stream().calm(2 * DAY)
    _, state = run(stream.voices)
    late = Stream()
    late.say(5, 40)
    late.say(9 * DAY, 3)
    before = state.to_dict()
    assert DETECTOR.apply(state, gather(late.voices), not_after_ms=(START + 2 * DAY) * HOUR_MS) == []
    assert (state.late, state.future) == (40, 3)
    assert state.to_dict() == before | {"late": 40, "future": 3}


def test_an_event_is_previewed_before_it_is_final_and_the_state_stays() -> None:
    stream = Stream().calm(4 * DAY)
    stream.say(4 * DAY, 60)
    state = CrisisState("acme")
    assert told(DETECTOR.apply(state, gather(stream.voices))) == []
    before = state.to_dict()
    (early,) = DETECTOR.preview(state)
    assert (early.severity, early.provisional) == (Severity.CRITICAL, True)
    assert state.to_dict() == before


def test_what_is_remembered_is_bounded_however_many_people_write() -> None:
    state = CrisisState("acme")
    random = Random(1)
    for hour in range(10 * DAY):
        said = Hour()
        for sketch in (said.named, said.negative_named, said.unnamed, said.negative_unnamed, said.alarmed):
            sketch.smallest = sorted(random.randrange(2**40) for _ in range(KEPT))
        said.mentions = said.negative = 10**6
        DETECTOR.apply(state, {START + hour: said})
    assert len(strictjson.dumps(state.to_dict())) < 150_000


def test_years_of_silence_cost_no_time() -> None:
    state = CrisisState("acme")
    for hour in (START, START + 10**7):
        assert len(DETECTOR.apply(state, {hour: Hour(mentions=1)})) <= 1
    events = DETECTOR.flush(state)
    assert [event.severity for event in events] == [Severity.INSUFFICIENT_HISTORY]


# Counting people.


def test_people_are_counted_exactly_while_they_are_few_and_within_a_fifth_when_they_are_many() -> None:
    for people in (0, 1, KEPT - 1, 2_000, 50_000):
        sketch = Distinct()
        for number in range(people):
            sketch.add(hash_of(str(number)))
            sketch.add(hash_of(str(number)))
        if people < KEPT:
            assert sketch.count == people
        else:
            assert abs(sketch.count - people) < people / 5
        assert len(sketch.smallest) <= KEPT


def test_evidence_is_the_worst_of_each_person_in_any_order() -> None:
    voices = [Voice(f"m{n}", START * HOUR_MS, hash_of(str(n % 40)), True, -n / 200, NEGATIVE) for n in range(120)]
    forwards, backwards = gather(voices)[START], gather(reversed(voices))[START]
    assert forwards.evidence == backwards.evidence
    assert [row.id for row in forwards.evidence] == [f"m{n}" for n in range(119, 119 - EVIDENCE, -1)]
    assert len({row.who for row in forwards.evidence}) == EVIDENCE


def test_one_name_is_one_person_however_written_and_a_text_is_no_author() -> None:
    def who(author: str | None, canonical: str = "a text") -> tuple[int, bool]:
        mention = Mention(
            id="m",
            brand="acme",
            text="a scam",
            canonical=canonical,
            content_hash="",
            source="x",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            time_source=TimeSource.EVENT,
            author=author,
        )
        voice = voice_of(mention, Sentiment(NEGATIVE, -0.5))
        assert (voice.at_ms, voice.words) == (to_ms(mention.created_at), ("scam",))
        return voice.who, voice.named

    assert who("@Jo ") == who("jo") != who("joe")
    assert who(None, "jo") != who("jo")
    assert who(None) == who(" ") == (who(None)[0], False)


def test_words_of_crises_are_whole_words() -> None:
    assert crisis_words("A hackathon, fully charged; I recall it fondly. Madrid is safe and secure") == ()
    assert crisis_words("Hacked! A DATA BREACH, and they were sued") == ("hacked", "data breach", "sued")


# What is told.


def test_an_event_has_the_fields_of_both_shapes_in_strict_json() -> None:
    raised = next(event for event in complaints().judged() if event.severity is Severity.CRITICAL)
    event = json.loads(strictjson.dumps(raised.as_dict()))
    both = {
        "id", "createdAt", "timestamp", "type", "monitorId", "riskScore", "severity", "velocityMultiplier",
        "sentimentIntensity", "mentionCount", "triggeredReasons", "reasons", "recommendedAction",
        "recommended_action", "metrics", "isResolved",
    }  # fmt: skip
    assert both <= set(event)
    assert {"avg_sentiment", "negative_ratio", "mention_count"} <= set(event["metrics"])
    assert (event["type"], event["isResolved"], event["monitorId"]) == ("crisis_event", False, None)
    assert 76 <= event["riskScore"] <= 100
    assert event["triggeredReasons"][0] == "high_velocity"
    assert len(event["evidence"]) == EVIDENCE
    assert event["velocityMultiplier"] > 3
    assert event["sentimentIntensity"] > 0


def test_a_recovery_is_resolved_and_the_metrics_return_to_normal() -> None:
    events, state = run(complaints().voices)
    assert events[-1].as_dict()["isResolved"] is True
    assert state.risk is not None
    assert (state.risk["severity"], state.risk["state"]) == ("normal", "calm")
    assert state.risk["riskScore"] <= 50
    fe = {"riskScore", "severity", "velocityMultiplier", "sentimentIntensity", "mentionCount", "reasons"}
    assert fe <= set(state.risk)


# A real week.


def _airline(judge: Callable[[dict[str, str]], Sentiment]) -> dict[str, list[Voice]]:
    found: dict[str, list[Voice]] = {}
    with gzip.open(DATA / "airline_stream.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sentiment = judge(row)
            at_ms = to_ms(datetime.fromisoformat(row["ts_utc"]))
            who, words = hash_of(row["user"]), crisis_words(row["text"])
            voice = Voice(row["tweet_id"], at_ms, who, True, sentiment.score, sentiment.label, words)
            found.setdefault(row["brand"], []).append(voice)
    return found


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
@pytest.mark.parametrize("labels", ["ours", "people's"])
def test_a_real_week_has_no_crisis_for_a_give_away_and_at_most_a_warning_on_its_bad_day(labels: str) -> None:
    analyzer = Analyzer(Vader.load())

    def ours(row: dict[str, str]) -> Sentiment:
        when = datetime.fromisoformat(row["ts_utc"])
        mention = Mention("m", row["brand"], row["text"], "", "", "x", when, TimeSource.EVENT)
        return analyzer.analyse(mention, BrandTerms.build(row["brand"])).sentiment

    def peoples(row: dict[str, str]) -> Sentiment:
        label = SentimentLabel(row["sentiment"])
        return Sentiment(label, SCORES[label])

    streams = _airline(ours if labels == "ours" else peoples)
    for voices in streams.values():
        events = run(voices)[0]
        assert all(event.severity is not Severity.CRITICAL for event in events)
        raised = [event for event in events if event.severity in (Severity.WATCH, Severity.WARNING)]
        days = {datetime.fromtimestamp(event.raised_at_ms / 1000 - 1, UTC).date().isoformat() for event in raised}
        assert days <= {"2015-02-22"}

    state = SpikeState("southwest")
    spikes = SpikeDetector().apply(state, count_buckets(voice.at_ms for voice in streams["Southwest"]))
    spikes += SpikeDetector().flush(state)
    assert [spike.as_dict()["timestamp"][:13] for spike in spikes] == ["2015-02-23T01"]
