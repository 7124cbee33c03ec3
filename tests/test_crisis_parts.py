"""The parts of the crisis detector by themselves: counts, what is usual, levels, documents, at their bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

import pytest

from src.worker.crisis_detector import CrisisDetector, CrisisRules, CrisisState
from src.worker.crisis_events import (
    HOUR_MS,
    Crisis,
    Finding,
    Ongoing,
    Severity,
    State,
    current_risk,
    no_risk_known,
)
from src.worker.crisis_state import Judged, gather
from src.worker.crisis_usual import Usual, usual_mood, usual_people
from src.worker.crisis_words import crisis_words
from src.worker.models import Mention, Sentiment, SentimentLabel, TimeSource
from src.worker.voices import EVIDENCE, KEPT, Distinct, Evidence, Hour, Voice, hash_of, voice_of, worst

NEGATIVE, POSITIVE = SentimentLabel.NEGATIVE, SentimentLabel.POSITIVE
RULES = CrisisRules()
ANGRY = attrgetter("angry")
FINDING = Finding(
    hour=400_000,
    window_hours=3,
    mentions=90,
    angry=40,
    people=80,
    usual_angry=8.0,
    deviation=4.0,
    share=0.5,
    usual_share=0.25,
    share_deviations=5.0,
    mood=-0.3,
    usual_mood=0.1,
    alarmed=4,
    words=("scam", "fraud", "sued", "hacked"),
    evidence=tuple(Evidence(-900, f"m{number}", number) for number in range(7)),
    level=Severity.CRITICAL,
    calm=False,
)


def voice(number: int, *, named: bool = True, score: float = -0.5, words: tuple[str, ...] = ()) -> Voice:
    label = NEGATIVE if score < 0 else POSITIVE
    return Voice(f"m{number}", 400_000 * HOUR_MS, hash_of(str(number)), named, score, label, words)


def hour_of(*voices: Voice) -> Hour:
    hour = Hour()
    for one in voices:
        hour.add(one)
    return hour


def judged(angry: int, **fields: int) -> Judged:
    every = {"signed": 0, "negative_people": 0, "people": 0, "mentions": 1, "milli": 0}
    return Judged(angry, **{**every, **fields}, usual=True)


def state_of(past: dict[int, Judged], since: int) -> CrisisState:
    return CrisisState("acme", since=since, past=past)


# The parameters.


def test_the_shipped_parameters_are_the_ones_that_were_measured() -> None:
    assert CrisisRules() == CrisisRules(
        window=3,
        around=2,
        days=7,
        history=24,
        active=6,
        least=10,
        watch=3.5,
        warning=4.0,
        critical=6.0,
        critical_with_words=5.0,
        least_alarmed=5,
        least_critical=20,
        spread=0.3,
        share_deviations=1.5,
        share_margin=0.03,
        calm=2.0,
        recovery=3,
        cool_down=12,
        learn_after=72,
    )


# Voices.


def test_a_mention_becomes_a_voice_with_all_its_fields() -> None:
    mention = Mention(
        id="m1",
        brand="acme",
        text="A scam, and they got sued",
        canonical="a scam and they got sued",
        content_hash="",
        source="x",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        time_source=TimeSource.EVENT,
        author=" @@Jo ",
    )
    found = voice_of(mention, Sentiment(NEGATIVE, -0.5))
    assert found == Voice("m1", 1_767_225_600_000, hash_of("author:jo"), True, -0.5, NEGATIVE, ("scam", "sued"))
    assert found.row() == ["m1", 1_767_225_600_000, hash_of("author:jo"), True, -0.5, "negative", ["scam", "sued"]]
    assert Voice.from_row(found.row()) == found
    assert Voice.from_row([*found.row()[:6], []]).words == ()
    assert voice_of(mention, Sentiment(POSITIVE, 0.5)).words == ()
    assert voice_of(replace(mention, author="Xavier"), Sentiment(POSITIVE, 0.5)).who == hash_of("author:xavier")
    unsigned = voice_of(replace(mention, author=None), Sentiment(NEGATIVE, -0.5))
    assert (unsigned.who, unsigned.named) == (hash_of("text:a scam and they got sued"), False)


def test_a_person_s_number_is_the_same_for_ever_and_fits_every_json_reader() -> None:
    assert hash_of("author:jo") == 152_089_959_656_569
    assert max(hash_of(str(number)) for number in range(1_000)) < 2**48
    assert hash_of("\ud800") == hash_of("?")


def test_a_sketch_keeps_the_smallest_numbers_once_and_in_order() -> None:
    sketch = Distinct()
    for number in (5, 3, 9, 3, 5, 1):
        sketch.add(number)
    assert (sketch.smallest, sketch.count) == ([1, 3, 5, 9], 4)
    full = Distinct(list(range(10, 10 + 2 * KEPT, 2)))
    full.add(10_000)
    full.add(full.smallest[-1])
    assert full.smallest == list(range(10, 10 + 2 * KEPT, 2))
    full.add(11)
    assert (full.smallest[:3], len(full.smallest), full.smallest[-1]) == ([10, 11, 12], KEPT, 10 + 2 * (KEPT - 2))


def test_a_sketch_is_exact_until_it_is_full_and_then_estimates() -> None:
    assert Distinct(list(range(KEPT - 1))).count == KEPT - 1
    share = 1 / 1_000
    assert Distinct([*range(KEPT - 1), round(share * 2**48)]).count == 255_000
    assert Distinct([0] * KEPT).count == 255 * 2**48  # no division by zero, whatever was stored


def test_sketches_merge_as_if_they_had_been_one() -> None:
    left, right = Distinct([1, 3, 5]), Distinct([2, 3, 900])
    left.merge(right)
    assert left.smallest == [1, 2, 3, 5, 900]
    many = Distinct(list(range(KEPT)))
    many.merge(Distinct([-1]))
    assert many.smallest == list(range(-1, KEPT - 1))


def test_an_hour_counts_each_voice_where_it_belongs() -> None:
    hour = hour_of(
        voice(1, words=("scam", "fraud")),
        voice(1, words=("scam",)),
        voice(2),
        voice(3, named=False, words=("scam",)),
        voice(4, named=False, score=0.25),
        voice(5, score=0.2504),
    )
    assert (hour.mentions, hour.negative, hour.milli) == (6, 4, -1_500)
    kept = {name: getattr(hour, name).count for name in ("named", "negative_named", "unnamed", "negative_unnamed")}
    assert kept == {"named": 3, "negative_named": 2, "unnamed": 2, "negative_unnamed": 1}
    assert (hour.alarmed.smallest, hour.words) == ([hash_of("1")], {"scam": 3, "fraud": 1})
    assert [row.id for row in hour.evidence] == ["m1", "m2", "m3"]
    assert Hour.from_dict(hour.to_dict()) == hour
    twice = hour_of(voice(1, words=("scam",)))
    twice.merge(hour)
    assert (twice.mentions, twice.negative, twice.milli) == (7, 5, -2_000)
    assert (twice.named.count, twice.alarmed.count, twice.words) == (3, 1, {"scam": 4, "fraud": 1})
    assert [row.id for row in twice.evidence] == ["m1", "m2", "m3"]


def test_an_hour_as_a_document_has_all_its_names() -> None:
    document = hour_of(voice(1, words=("scam", "fraud"))).to_dict()
    who = hash_of("1")
    assert document == {
        "mentions": 1,
        "negative": 1,
        "milli": -500,
        "named": [who],
        "negative_named": [who],
        "unnamed": [],
        "negative_unnamed": [],
        "alarmed": [who],
        "words": {"fraud": 1, "scam": 1},
        "evidence": [[-500, "m1", who]],
    }
    assert list(document["words"]) == ["fraud", "scam"]


@pytest.mark.parametrize(
    ("named", "unnamed", "people"), [(0, 9, 0), (1, 1, 1), (2, 2, 3), (2, 3, 3), (2, 4, 4), (2, 9, 4), (3, 0, 3)]
)
def test_two_unsigned_texts_count_as_one_person_and_never_more_than_there_are(
    named: int, unnamed: int, people: int
) -> None:
    voices = [voice(number) for number in range(named)]
    voices += [voice(100 + number, named=False) for number in range(unnamed)]
    assert hour_of(*voices).people == hour_of(*voices).negative_people == people


def test_negative_people_are_no_more_than_people() -> None:
    hour = Hour(named=Distinct([1]), negative_named=Distinct([1, 2, 3]))
    assert hour.negative_people == 1


def test_evidence_has_one_mention_of_each_person_the_worst_first_and_no_more_than_asked() -> None:
    rows = [Evidence(-100, "b", 1), Evidence(-300, "c", 2), Evidence(-200, "a", 1), Evidence(-250, "d", 3)]
    assert [row.id for row in worst(rows)] == ["c", "d", "a"]
    assert [row.id for row in worst(rows, 2)] == ["c", "d"]
    assert Evidence(-100, "b", 1).row() == [-100, "b", 1]
    full = hour_of(*(voice(number, score=-0.5) for number in range(EVIDENCE)))
    before = list(full.evidence)
    full.add(voice(999, score=-0.4))
    assert full.evidence == before
    full.add(voice(0, score=-0.9))
    assert (full.evidence[0].milli, len(full.evidence)) == (-900, EVIDENCE)
    assert EVIDENCE == 20
    full.add(Voice("a", 0, 7, True, -0.5, NEGATIVE))  # as bad as the last, and its id comes first
    assert full.evidence[1].id == "a"


def test_a_milder_mention_than_the_last_one_kept_is_no_evidence_and_a_worse_one_is() -> None:
    full = hour_of(*(voice(number, score=-0.9) for number in range(EVIDENCE - 1)), voice(100, score=-0.2))
    full.add(voice(101, score=-0.1))
    assert full.evidence[-1].id == "m100"
    full.add(voice(102, score=-0.3))
    assert full.evidence[-1].id == "m102"


def test_mentions_are_gathered_by_their_hour() -> None:
    ends = Voice("a", 400_001 * HOUR_MS - 1, 1, True, 0.1, POSITIVE)
    begins = Voice("b", 400_001 * HOUR_MS, 1, True, 0.1, POSITIVE)
    assert {hour: said.mentions for hour, said in gather([ends, begins, begins]).items()} == {400_000: 1, 400_001: 2}


# Words.


@pytest.mark.parametrize(
    "word",
    [
        *("arrested", "boycott", "boycotts", "boycotted", "boycotting", "class action", "class-action", "crash"),
        *("crashed", "crashing", "data breach", "data-leak", "dead", "death", "deaths", "died", "evacuated"),
        *("evacuation", "exposed", "fraud", "fraudulent", "hacked", "hackers", "injured", "injury", "injuries"),
        *("investigation", "investigators", "lawsuit", "lawsuits", "lawyer", "lawyers", "leaked", "leaks", "outage"),
        *("outages", "product recall", "recalled", "regulator", "regulators", "safety issue", "safety hazards"),
        *("scam", "scammers", "scandal", "scandals", "security breach", "security flaw", "sued", "suing", "unsafe"),
    ],
)
def test_each_word_of_crises_is_found_alone_and_not_inside_of_others(word: str) -> None:
    assert crisis_words(f"So: {word.upper()}!") == (word,)
    assert crisis_words(f"x{word} {word}x '{word}'x") == ()


def test_words_are_read_once_each_and_not_without_end() -> None:
    assert crisis_words("scam fraud SCAM") == ("scam", "fraud")
    assert crisis_words("x" * 4_995 + " scam") == ("scam",)
    assert crisis_words("x" * 4_996 + " scam") == ()


# What is usual.


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        ([4, 4, 4, 4, 4], 4.0, 2.0),  # as of people who come independently
        ([0, 0, 0, 0, 0], 0.0, 1.0),
        ([0, 10, 0, 10, 5], 5.0, 20**0.5),
        ([100] * 5, 100.0, 0.3 * 2**0.5 * 100),  # a spread of 0.3, from one day
    ],
)
def test_usual_is_the_mean_around_this_time_and_a_deviation_that_is_not_too_small(
    values: list[int], mean: float, deviation: float
) -> None:
    hour = 1_000
    past = {hour - 24 + offset: judged(value) for offset, value in zip(range(-2, 3), values, strict=True)}
    usual = usual_people(state_of(past, hour - 28), hour, RULES, ANGRY)
    assert (usual.mean, usual.deviation) == (mean, pytest.approx(deviation))


def test_two_hours_either_way_of_seven_days_are_looked_at_and_nothing_else() -> None:
    hour = 1_000
    inside = [hour - 24 * day + offset for day in range(1, 8) for offset in range(-2, 3)]
    everything = {at: judged(100 if at in inside else 9_999) for at in range(hour - 200, hour)}
    usual = usual_people(state_of(everything, hour - 300), hour, RULES, ANGRY)
    assert usual == Usual(100.0, pytest.approx(0.3 * math.sqrt(1 + 1 / 7) * 100))
    missing = {at: everything[at] for at in everything if at != hour - 24}
    assert usual_people(state_of(missing, hour - 300), hour, RULES, ANGRY).mean == pytest.approx(3_400 / 35)


@pytest.mark.parametrize(("since", "mean"), [(974, 8.0), (975, 600 / 21)])
def test_when_the_second_day_has_hardly_begun_any_time_of_the_first_will_do(since: int, mean: float) -> None:
    # Windows are full from two hours after `since`: with 974 the hours 976 to 978 of yesterday, 974 to 978, are known.
    past = {976: judged(8), 977: judged(8), 978: judged(8), 990: judged(584), 998: judged(10_000)}
    usual = usual_people(state_of(past, since), 1_000, RULES, ANGRY)
    assert usual.mean == pytest.approx(mean)


def test_without_any_history_nothing_is_usual() -> None:
    assert usual_people(CrisisState("acme"), 1_000, RULES, ANGRY) == Usual(0.0, 1.0)


def test_how_unusual_so_many_people_are() -> None:
    usual = Usual(4.0, 2.0)
    assert (usual.z(10), usual.z(4)) == (3.0, 0.0)
    assert usual.poisson_z(4) == 0.0
    assert usual.poisson_z(10) == pytest.approx(2 * (math.sqrt(10.375) - math.sqrt(4.375)))
    assert (usual.just_unusual(50, RULES), usual.just_unusual(11, RULES), usual.just_unusual(3, RULES)) == (11, 11, 3)


def test_share_and_mood_are_those_before_the_window_and_outside_of_crises() -> None:
    said = {"negative_people": 2, "people": 8, "mentions": 10, "milli": -500}
    past = {997: judged(0, **said), 996: judged(0, **said), 998: judged(0, **{**said, "milli": 9_999})}
    past[995] = replace(judged(0, **said), usual=False)
    assert usual_mood(state_of(past, 0), 1_000, RULES) == (5 / 18, -0.05)
    assert usual_mood(CrisisState("acme"), 1_000, RULES) == (0.5, 0.0)


# Levels.


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, Severity.CRITICAL),
        ({"angry": 9, "usual_angry": 1.0, "deviation": 1.0}, None),
        ({"angry": 10, "usual_angry": 1.0, "deviation": 1.0}, Severity.WARNING),
        ({"angry": 19, "usual_angry": 1.0, "deviation": 1.0}, Severity.WARNING),
        ({"angry": 20, "usual_angry": 1.0, "deviation": 1.0}, Severity.CRITICAL),
        ({"usual_angry": 26.0}, Severity.WATCH),  # z 3.5
        ({"usual_angry": 26.01}, None),
        ({"usual_angry": 24.0}, Severity.WARNING),  # z 4
        ({"usual_angry": 24.01}, Severity.WATCH),
        ({"usual_angry": 16.0}, Severity.CRITICAL),  # z 6
        ({"usual_angry": 16.01}, Severity.WARNING),
        ({"usual_angry": 20.0, "alarmed": 5}, Severity.CRITICAL),  # z 5, with words
        ({"usual_angry": 20.01, "alarmed": 5}, Severity.WARNING),
        ({"usual_angry": 20.0, "alarmed": 4}, Severity.WARNING),
        ({"share_deviations": 1.5}, Severity.CRITICAL),
        ({"share_deviations": 1.49}, None),
        ({"share": 0.28}, Severity.CRITICAL),
        ({"share": 0.279}, None),
        ({"usual_share": 0.96, "share": 0.98}, Severity.CRITICAL),  # half of what is left above the usual is enough
        ({"usual_share": 0.96, "share": 0.979}, None),
        ({"mood": 0.099}, Severity.CRITICAL),
        ({"mood": 0.1}, None),
    ],
)
def test_a_level_begins_exactly_at_its_bound(change: dict[str, float], level: Severity | None) -> None:
    assert CrisisDetector()._level(replace(FINDING, **change)) is level


@pytest.mark.parametrize(
    ("change", "calm"),
    [
        ({}, False),
        ({"angry": 9}, True),
        ({"angry": 10, "usual_angry": 0.0}, False),
        ({"usual_angry": 32.0}, False),  # z 2
        ({"usual_angry": 32.01}, True),
        ({"share_deviations": 0.0}, False),
        ({"share_deviations": -0.01}, True),
    ],
)
def test_an_hour_is_calm_exactly_below_its_bounds(change: dict[str, float], calm: bool) -> None:
    assert CrisisDetector()._is_calm(replace(FINDING, **change)) is calm


def test_a_window_is_set_against_what_is_usual() -> None:
    said = {"negative_people": 2, "people": 8, "mentions": 10, "milli": -500}
    state = state_of({900: judged(0, **said)}, 0)
    window = hour_of(*(voice(number) for number in range(6)), *(voice(10 + n, score=0.25) for n in range(2)))
    found = CrisisDetector()._find(state, 1_000, window, Usual(2.0, 1.5), Usual(2.0, 1.5))
    assert (found.hour, found.window_hours, found.mentions, found.angry, found.people) == (1_000, 3, 8, 6, 8)
    assert (found.usual_angry, found.deviation, found.share, found.usual_share) == (2.0, 1.5, 0.75, 0.3)
    assert found.share_deviations == pytest.approx((0.75 - 0.3) / math.sqrt(0.3 * 0.7 / 8))
    assert (found.mood, found.usual_mood) == (pytest.approx(-2.5 / 8), -0.05)
    silent = CrisisDetector()._find(state, 1_000, Hour(), Usual(0.0, 1.0), Usual(0.0, 1.0))
    assert (silent.share, silent.share_deviations, silent.mood, silent.level, silent.calm) == (
        0.0,
        0.0,
        0.0,
        None,
        True,
    )


def test_words_of_crises_are_told_the_most_frequent_first() -> None:
    window = hour_of(voice(1, words=("sued", "scam")), voice(2, words=("scam",)), voice(3, words=("fraud",)))
    found = CrisisDetector()._find(CrisisState("acme"), 1_000, window, Usual(0.0, 1.0), Usual(0.0, 1.0))
    assert (found.words, found.alarmed) == (("scam", "fraud", "sued"), 3)


@pytest.mark.parametrize(("opened", "usual"), [(928, True), (929, False)])
def test_a_crisis_is_the_brand_s_own_mood_after_three_days(opened: int, usual: bool) -> None:
    state = CrisisState("acme", state=State.WARNING, current=Ongoing("acme:1", opened, Severity.WARNING, 12))
    assert CrisisDetector()._is_usual(state, 1_000) is usual
    state.state = State.WATCH
    assert CrisisDetector()._is_usual(state, 1_000)


def test_three_calm_hours_end_a_crisis_and_one_that_is_not_calm_begins_the_count_anew() -> None:
    state = CrisisState("acme", state=State.CRITICAL, current=Ongoing("acme:1", 399_990, Severity.CRITICAL, 50))
    detector, calm = CrisisDetector(), replace(FINDING, level=None, calm=True, angry=3)
    assert (detector._step(state, calm), state.state, state.calm_hours) == ([], State.RECOVERING, 1)
    assert (detector._step(state, FINDING), state.state, state.calm_hours) == ([], State.CRITICAL, 0)
    assert detector._step(state, calm) == detector._step(state, calm) == []
    (over,) = detector._step(state, calm)
    assert (over.severity, state.state, state.calm_hours, state.ended) == (
        *(Severity.RECOVERED, State.CALM),
        *(0, 400_000),
    )
    assert over.reasons == (
        "calm for 3 hours: 3 people negative, 8.0 usually",
        "it lasted 10 hours, at worst critical with 50 people",
    )
    assert (over.raised_at_ms, over.opened_at_ms) == (400_001 * HOUR_MS, 399_991 * HOUR_MS)


@pytest.mark.parametrize(("ended", "same"), [(399_988, True), (399_987, False)])
def test_a_rise_within_twelve_hours_is_the_same_crisis_again(ended: int, same: bool) -> None:
    before = Ongoing("acme:1", 399_900, Severity.WARNING, 12)
    state = CrisisState("acme", current=before, ended=ended)
    (event,) = CrisisDetector()._step(state, FINDING)
    assert event.id == ("acme:1" if same else "acme:400000")
    assert (event.reasons[0] == "it has flared up again") is same
    assert state.current == Ongoing(event.id, 399_900 if same else 400_000, Severity.CRITICAL, 40)
    watch = CrisisState("acme", current=Ongoing("acme:1", 399_900, Severity.WARNING, 12), ended=ended)
    assert len(CrisisDetector()._step(watch, replace(FINDING, level=Severity.WATCH))) == (0 if same else 1)


def test_a_stream_without_a_mention_has_nothing_to_judge() -> None:
    assert CrisisDetector().flush(CrisisState("acme")) == []


# Documents.


def test_the_parts_of_the_risk_are_counted_as_documented() -> None:
    assert FINDING.z == 8.0
    assert FINDING.velocity_multiplier == 5.0
    assert replace(FINDING, usual_angry=0.5).velocity_multiplier == 40.0
    assert FINDING.risk_parts() == {"velocity": 40.0, "share": 6.7, "intensity": 12.0, "words": 4.0}
    full = replace(FINDING, usual_angry=0.0, deviation=4.0, share=1.0, mood=-0.5, alarmed=10)
    assert full.risk_parts() == {"velocity": 50.0, "share": 20.0, "intensity": 20.0, "words": 10.0}
    more = replace(full, angry=400, mood=-0.9, alarmed=40)
    assert more.risk_parts() == full.risk_parts()
    few = replace(full, angry=5, deviation=0.5)
    assert few.risk_parts() == {"velocity": 25.0, "share": 10.0, "intensity": 10.0, "words": 5.0}
    good = replace(FINDING, usual_angry=50.0, share=0.1, mood=0.4, alarmed=0)
    assert good.risk_parts() == {"velocity": 0.0, "share": 0.0, "intensity": 0.0, "words": 0.0}
    always = replace(FINDING, usual_share=1.0, share=1.0)
    assert always.risk_parts()["share"] == 0.0
    nearly = replace(FINDING, usual_share=0.999, share=1.0)
    assert nearly.risk_parts()["share"] == 2.0


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [(None, 0, 50), (Severity.WATCH, 0, 50), (Severity.WARNING, 51, 75), (Severity.CRITICAL, 76, 100)],
)
def test_a_risk_score_stays_in_the_band_of_its_level(level: Severity | None, low: int, high: int) -> None:
    none = replace(FINDING, level=level, usual_angry=50.0, share=0.1, mood=0.4, alarmed=0)
    full = replace(FINDING, level=level, usual_angry=0.0, deviation=4.0, share=1.0, mood=-0.5, alarmed=10)
    assert (none.risk_score(), full.risk_score()) == (low, high)
    assert replace(FINDING, level=Severity.WARNING).risk_score() == 63


def test_triggers_are_named_by_what_there_is() -> None:
    every = ("high_velocity", "high_negative_sentiment", "negative_share_above_usual", "crisis_words")
    assert replace(FINDING, mood=-0.51).triggers() == every
    assert replace(FINDING, mood=-0.5, alarmed=0).triggers() == ("high_velocity", "negative_share_above_usual")
    assert replace(FINDING, level=None).triggers() == ()


def test_reasons_are_said_in_figures() -> None:
    every = (
        "40 people are negative within 3 hours, 8.0 usually at this time of day (z 8.0)",
        "50% of 80 people are negative, 25% usually",
        "mean mood -0.30, +0.10 usually",
        "4 of them use words like scam, fraud, sued",
        "for example mentions m0, m1, m2, m3, m4",
    )
    assert FINDING.reasons() == every
    assert replace(FINDING, alarmed=0, evidence=()).reasons() == every[:3]


def test_an_event_as_a_document_has_every_field() -> None:
    at = 400_001 * HOUR_MS
    document = Crisis("acme:1", "acme", Severity.CRITICAL, at, at - HOUR_MS, ("why",), FINDING).as_dict()
    action = "Escalate at once: answer in public, one message, one owner"
    parts = {"velocity": 40.0, "share": 6.7, "intensity": 12.0, "words": 4.0}
    assert document == {
        "id": "acme:1",
        "type": "crisis_event",
        "brand": "acme",
        "monitorId": None,
        "createdAt": "2015-08-19T16:00:00.000Z",
        "timestamp": "2015-08-19T17:00:00.000Z",
        "severity": "critical",
        "riskScore": 76,
        "riskParts": parts,
        "velocityMultiplier": 5.0,
        "sentimentIntensity": 0.3,
        "mentionCount": 90,
        "triggeredReasons": ["high_velocity", "negative_share_above_usual", "crisis_words"],
        "reasons": ["why"],
        "evidence": ["m0", "m1", "m2", "m3", "m4", "m5", "m6"],
        "recommendedAction": action,
        "recommended_action": action,
        "metrics": {
            "window_hours": 3,
            "mention_count": 90,
            "people": 80,
            "negative_people": 40,
            "usual_negative_people": 8.0,
            "z": 8.0,
            "negative_ratio": 0.5,
            "usual_negative_ratio": 0.25,
            "avg_sentiment": -0.3,
            "usual_avg_sentiment": 0.1,
            "alarmed_people": 4,
            "risk_parts": parts,
        },
        "isResolved": False,
        "provisional": False,
    }
    odd = replace(
        FINDING,
        usual_angry=7.12345,
        share=0.123456,
        usual_share=0.234567,
        mood=-0.345678,
        usual_mood=0.456789,
    )
    rounded = Crisis("i", "b", Severity.WATCH, at, at, (), odd).as_dict()
    assert (rounded["velocityMultiplier"], rounded["sentimentIntensity"]) == (5.615, 0.3457)
    names = ("usual_negative_people", "z", "negative_ratio", "usual_negative_ratio", "avg_sentiment")
    assert [rounded["metrics"][name] for name in names] == [7.12, 8.22, 0.1235, 0.2346, -0.3457]
    assert rounded["metrics"]["usual_avg_sentiment"] == 0.4568


@pytest.mark.parametrize(
    ("severity", "action"),
    [
        (Severity.INSUFFICIENT_HISTORY, "Wait: what is usual for this brand is not known yet"),
        (Severity.WATCH, "Look at the evidence once; nothing has to be done yet"),
        (Severity.WARNING, "Monitor closely and prepare an answer"),
        (Severity.RECOVERED, "Thank those who helped, and write down what happened"),
    ],
)
def test_an_event_without_figures_has_nulls_and_an_action(severity: Severity, action: str) -> None:
    document = Crisis("i", "b", severity, 0, 0, ("why",), None, provisional=True).as_dict()
    assert (document["recommendedAction"], document["isResolved"]) == (action, severity is Severity.RECOVERED)
    nulls = {"monitorId", "riskScore", "riskParts", "velocityMultiplier", "sentimentIntensity", "mentionCount"}
    assert {name for name, value in document.items() if value is None} == nulls | {"metrics"}
    assert (document["triggeredReasons"], document["evidence"], document["provisional"]) == ([], [], True)


def test_the_current_risk_says_the_state_and_no_reasons_when_there_is_none() -> None:
    assert current_risk(FINDING, State.RECOVERING) == {
        "riskScore": 76,
        "severity": "critical",
        "state": "recovering",
        "velocityMultiplier": 5.0,
        "sentimentIntensity": 0.3,
        "mentionCount": 90,
        "reasons": list(FINDING.reasons()),
        "riskParts": FINDING.risk_parts(),
        "updatedAt": "2015-08-19T17:00:00.000Z",
    }
    normal = current_risk(replace(FINDING, level=None), State.CALM)
    assert (normal["severity"], normal["reasons"], normal["riskScore"]) == ("normal", [], 50)


def test_an_unknown_risk_is_null_and_says_why() -> None:
    assert no_risk_known(400_000, "too new") == {
        "riskScore": None,
        "severity": "insufficient_history",
        "state": "calm",
        "velocityMultiplier": None,
        "sentimentIntensity": None,
        "mentionCount": None,
        "reasons": ["too new"],
        "riskParts": None,
        "updatedAt": "2015-08-19T17:00:00.000Z",
    }


def test_a_state_survives_storage_with_every_field() -> None:
    state = CrisisState(
        "acme",
        newest=9,
        open={8: hour_of(voice(1)), 7: Hour()},
        window={6: hour_of(voice(2))},
        since=1,
        next=7,
        past={5: Judged(1, 2, 3, 4, 5, 6, True), 4: Judged(0, 0, 0, 0, 1, 0, False)},
        told=True,
        state=State.WARNING,
        current=Ongoing("acme:5", 5, Severity.WARNING, 12),
        calm_hours=2,
        ended=3,
        risk={"riskScore": 60},
        late=4,
        future=5,
    )
    document = state.to_dict()
    assert document == {
        "brand": "acme",
        "newest": 9,
        "open": {"7": Hour().to_dict(), "8": hour_of(voice(1)).to_dict()},
        "window": {"6": hour_of(voice(2)).to_dict()},
        "since": 1,
        "next": 7,
        "past": {"4": [0, 0, 0, 0, 1, 0, 0], "5": [1, 2, 3, 4, 5, 6, 1]},
        "told": True,
        "state": "warning",
        "current": {"id": "acme:5", "opened": 5, "peak": "warning", "most": 12},
        "calmHours": 2,
        "ended": 3,
        "risk": {"riskScore": 60},
        "late": 4,
        "future": 5,
    }
    assert CrisisState.from_dict(document) == state == state.copy()
    empty = CrisisState("acme")
    assert CrisisState.from_dict(empty.to_dict()) == empty
    assert (empty.newest, empty.told, empty.state, empty.calm_hours, empty.late, empty.future) == (
        *(0, False, State.CALM),
        *(0, 0, 0),
    )
