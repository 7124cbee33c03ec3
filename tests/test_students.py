"""The students: what they learn, what the guard lets through, and that a model is the same wherever it is read."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.models import Intent, SentimentLabel
from src.worker.patterns import BRAND, read
from src.worker.students import learning
from src.worker.students.features import WIDTH, Opinion, features
from src.worker.students.labels import ALLOWED, RATING, UnknownLabel, label_of
from src.worker.students.learning import Example, is_held_back, macro_f1, teach
from src.worker.students.panel import UNTAUGHT, Students, features_of, intent_of, score_of
from src.worker.students.school import Labelled, examples, hold_lesson, text_key
from src.worker.students.student import BadStudent, Decision, Student, StudentTask, from_bytes, to_bytes
from src.worker.vader import Vader
from tests.lessons import mention, texts

ROOT = Path(__file__).parent.parent
ANALYZER = Analyzer(Vader.load())
ACME = BrandTerms.build("acme")
MOOD, INTENT = StudentTask.SENTIMENT, StudentTask.INTENT
NOTHING = Opinion(0.0, dict.fromkeys(("churn", "lead", "bug", "feature", "praise"), 0.0), False)


@pytest.fixture(scope="module")
def student() -> Student:
    taught = hold_lesson(MOOD, texts(400), None)
    assert taught.lesson.adopted
    assert taught.student is not None
    return from_bytes(taught.student)


def moods(student: Student | None, labelled: list[Labelled]) -> list[str]:
    mentions = [mention(one.text) for one in labelled]
    verdicts = ANALYZER.analyse_batch(mentions, ACME, Students(sentiment=student))
    return [verdict.sentiment.label.value for verdict in verdicts]


# What is learned.


def test_a_student_tells_apart_what_the_cold_start_cannot(student: Student) -> None:
    others = texts(200, seed=2)
    wanted = [one.label for one in others]
    assert macro_f1(wanted, moods(None, others)) < 0.6
    assert macro_f1(wanted, moods(student, others)) > 0.95


def test_a_few_wrong_labels_do_not_spoil_a_lesson() -> None:
    taught = hold_lesson(MOOD, texts(500, wrong=0.15), None)
    assert taught.student is not None
    others = texts(200, seed=2)
    assert macro_f1([one.label for one in others], moods(from_bytes(taught.student), others)) > 0.9


def test_the_same_labels_give_the_same_student_byte_for_byte() -> None:
    labelled = texts(120)
    assert hold_lesson(MOOD, labelled, None).student == hold_lesson(MOOD, labelled, None).student


def test_features_are_the_same_in_every_process() -> None:
    code = (
        "from src.worker.patterns import read; from src.worker.students.panel import features_of;"
        "print(features_of(read('not a great delay \\u2708 @acme'), -0.3))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_the_name_of_a_brand_teaches_nothing() -> None:
    assert features_of(read(ACME.mask("acme is slow", BRAND)), 0.0) == features_of(read(f"{BRAND} is slow"), 0.0)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_features_within_the_space(text: str) -> None:
    one = features_of(read(text), 0.1)
    assert len(one.places) == len(one.values)
    assert all(0 <= place < WIDTH for place in one.places)
    assert sum(value * value for value in one.values[: one.words]) == pytest.approx(1.0 if one.words else 0.0)


def test_a_text_without_words_and_an_empty_batch_are_decided(student: Student) -> None:
    empty = features(read(""), NOTHING)
    filled = features(read("crew went above and beyond"), NOTHING)
    shares = student.probabilities([empty, filled, empty])
    assert shares.shape == (3, 3)
    assert shares.sum(axis=1) == pytest.approx([1, 1, 1])
    assert (shares[0] == shares[2]).all()
    assert shares[1] == pytest.approx(student.probabilities([filled])[0], abs=1e-6)
    assert student.decide([], []) == []


# The guard.


def _examples(labelled: list[Labelled]) -> list[Example]:
    return list(examples(MOOD, labelled))


def test_a_worse_student_is_not_adopted(student: Student) -> None:
    # Right on what is compared, wrong on what is taught.
    turn = {"negative": "positive", "neutral": "negative", "positive": "neutral"}
    poisoned = [one if is_held_back(one.key) else replace(one, label=turn[one.label]) for one in _examples(texts(600))]
    lesson = teach(MOOD, poisoned, student)
    assert not lesson.adopted
    assert lesson.before is not None
    assert lesson.after is not None
    assert lesson.after < lesson.before
    assert "worse than version 1" in lesson.reason


def test_a_student_of_nonsense_does_not_replace_the_cold_start() -> None:
    labelled = _examples(texts(300))
    right = [replace(one, cold=one.label) for one in labelled]
    lesson = teach(MOOD, [replace(one, label=other.label) for one, other in zip(right, reversed(right), strict=True)])
    assert lesson.after is not None
    assert lesson.after < 0.5
    perfect_cold = teach(MOOD, [replace(one, label=one.cold, features=labelled[0].features) for one in right])
    assert not perfect_cold.adopted


def test_an_equal_student_is_adopted_as_the_next_version(student: Student) -> None:
    lesson = teach(MOOD, _examples(texts(600)), student)
    assert lesson.adopted
    assert lesson.student is not None
    assert lesson.student.origin.version == 2


def test_what_is_held_back_is_a_tenth_by_content_and_never_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = _examples(texts(1_000))
    held = {one.key for one in labelled if is_held_back(one.key)}
    assert 60 <= len(held) <= 140
    fitted: list[set[str]] = []
    fit = learning._fit

    def spy(task: StudentTask, taught: list[Example], classes: tuple[str, ...]) -> object:
        fitted.append({one.key for one in taught})
        return fit(task, taught, classes)

    monkeypatch.setattr(learning, "_fit", spy)
    teach(MOOD, labelled)
    assert fitted[0].isdisjoint(held)
    assert len(fitted[0]) == 1_000 - len(held)


@pytest.mark.parametrize(
    ("labelled", "reason"),
    [
        (texts(30), "at least 60 are needed"),
        ([one for one in texts(600) if one.label == "neutral"][:100], "one class only"),
        ([], "0 usable examples"),
    ],
)
def test_too_little_to_learn_from_is_said_and_nothing_is_adopted(labelled: list[Labelled], reason: str) -> None:
    taught = hold_lesson(MOOD, labelled, None)
    assert taught.student is None
    assert not taught.lesson.adopted
    assert reason in taught.lesson.reason


def test_a_class_with_too_few_examples_is_left_out_by_name() -> None:
    labelled = texts(200)
    rare = [one._replace(key=text_key(f"{at}"), text=f"odd {at}", label="odd") for at, one in enumerate(labelled[:3])]
    lesson = teach(MOOD, _examples(labelled + rare))
    assert lesson.left_out == ("odd",)
    assert lesson.student is not None
    assert "odd" not in lesson.student.classes


def test_of_two_labels_for_one_text_the_last_counts() -> None:
    labelled = texts(100)
    lesson = teach(MOOD, _examples(labelled + [one._replace(label="neutral") for one in labelled[:50]]))
    assert lesson.examples == 100
    assert lesson.counts["neutral"] >= 50


# Bytes.


def test_a_student_read_from_its_bytes_decides_the_same(student: Student) -> None:
    data = to_bytes(student)
    assert len(data) < 4 * 2**20
    again = from_bytes(data)
    assert to_bytes(again) == data
    batch = [features_of(read(one.text), 0.0) for one in texts(30, seed=3)]
    assert (again.probabilities(batch) == student.probabilities(batch)).all()


@pytest.mark.parametrize("harm", ["magic", "bit", "cut", "format", "pickle"])
def test_bytes_that_are_no_student_are_refused_by_name(student: Student, harm: str) -> None:
    data = to_bytes(student)
    if harm == "magic":
        data = b"x" + data
    elif harm == "bit":
        data = data[:-1] + bytes([data[-1] ^ 1])
    elif harm == "cut":
        data = data[:-20]
    elif harm == "pickle":
        data = b"\x80\x04N."
    else:
        start = data.index(b"\n", data.index(b"\n") + 1) + 1
        rest = data[start:].replace(b'"format": 1', b'"format": 9')
        data = b"brand-worker-student\n" + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest
    with pytest.raises(BadStudent):
        from_bytes(data)


# Verdicts.


def test_a_verdict_names_the_student_and_the_words_that_weighed_most(student: Student) -> None:
    verdict = ANALYZER.analyse(mention("gate changed late"), ACME, Students(sentiment=student))
    assert verdict.sentiment.label is SentimentLabel.NEGATIVE
    name, *features = verdict.reasons[0].split(" ")
    assert name == "sentiment:student:v1"
    assert 1 <= len(features) <= 3
    assert all(re.fullmatch(r"[\w:]+[+-]\d\.\d\d", feature) for feature in features)


def test_features_can_be_named_words_pairs_rules_and_the_cold_start() -> None:
    reading = read("boarding @acme was late!")
    one = features_of(reading, -0.4)
    names = [one.name_of(at, reading.tokens) for at in range(len(one.places))]
    assert names[: one.words] == ["boarding", None, "was", "late", None, "boarding", None, None, "was_late", None]
    assert set(names[one.words : one.rules_at]) == {None}
    assert {"cold_negative", "cold_below", "exclamation"} <= set(names[one.rules_at :])
    assert None not in names[one.rules_at :]


def test_a_student_changes_nothing_that_tier_one_settled(student: Student) -> None:
    taught = Students(sentiment=student)
    for text in ("thanks!", "https://example.com", "@acme hello"):
        assert ANALYZER.analyse(mention(text), ACME, taught) == ANALYZER.analyse(mention(text), ACME)


def test_a_batch_gives_the_verdicts_of_its_mentions_one_by_one(student: Student) -> None:
    mentions = [mention(text) for text in ["thanks", *(one.text for one in texts(20, seed=5)), "ok"]]
    taught = Students(sentiment=student)
    for students in (taught, UNTAUGHT):
        batch = ANALYZER.analyse_batch(mentions, ACME, students)
        single = [ANALYZER.analyse(one, ACME, students) for one in mentions]
        assert [(one.sentiment.label, one.intent, one.priority, one.reasons) for one in batch] == [
            (one.sentiment.label, one.intent, one.priority, one.reasons) for one in single
        ]
    assert ANALYZER.analyse_batch([], ACME, taught) == []


@given(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), st.floats(-1, 1))
def test_the_score_always_has_the_label_that_the_student_gave(raw: list[float], cold: float) -> None:
    shares = {name: value / sum(raw) for name, value in zip(("negative", "neutral", "positive"), raw, strict=True)}
    label = max(shares, key=lambda name: shares[name])
    score = score_of(Decision(shares, label, ()), cold)
    assert -1.0 <= score <= 1.0
    assert ("positive" if score > 0.05 else "negative" if score < -0.05 else "neutral") == label


def test_an_intent_that_the_student_was_never_taught_is_left_to_the_rules() -> None:
    general = Decision({"GENERAL": 0.9, "BUG_REPORT": 0.1}, "GENERAL", ())
    assert intent_of(general, Intent.CHURN_RISK, 0.6) == (Intent.CHURN_RISK, 0.6)
    assert intent_of(general, Intent.BUG_REPORT, 0.6) == (Intent.GENERAL, 0.9)
    bug = Decision({"GENERAL": 0.2, "BUG_REPORT": 0.8}, "BUG_REPORT", ())
    assert intent_of(bug, Intent.CHURN_RISK, 0.6) == (Intent.BUG_REPORT, 0.8)


def test_priority_and_urgency_follow_from_the_intent_that_a_student_gave() -> None:
    label = {"negative": "BUG_REPORT", "neutral": "GENERAL", "positive": "PRAISE"}
    taught = hold_lesson(INTENT, [one._replace(label=label[one.label]) for one in texts(400)], None)
    assert taught.student is not None
    students = Students(intent=from_bytes(taught.student))
    verdict = ANALYZER.analyse(mention("rebooked without asking near row 12"), ACME, students)
    assert (verdict.intent, verdict.priority.value, verdict.urgency.value) == (
        Intent.BUG_REPORT,
        "P2_MEDIUM",
        "medium",
    )
    assert any(reason.startswith("intent:student:v1") for reason in verdict.reasons)


# Names of classes.


@pytest.mark.parametrize(
    ("task", "name", "label"),
    [
        (MOOD, "Negative", "negative"),
        (MOOD, " pos ", "positive"),
        (MOOD, "-1", "negative"),
        (MOOD, "0.0", "neutral"),
        (INTENT, "PD", "BUG_REPORT"),
        (INTENT, "bug report", "BUG_REPORT"),
        (INTENT, "Bug-Report", "BUG_REPORT"),
        (INTENT, "FR", "FEATURE_REQUEST"),
        (INTENT, "suggestion", "FEATURE_REQUEST"),
        (INTENT, "1", "HOT_LEAD"),
        (INTENT, "0", "GENERAL"),
        (INTENT, "not_complaint", "GENERAL"),
        (INTENT, "non-churn", "GENERAL"),
        (INTENT, "purchase intent", "HOT_LEAD"),
        (INTENT, "churn", "CHURN_RISK"),
        (INTENT, "user experience", "GENERAL"),
        (INTENT, "RT", RATING),
    ],
)
def test_names_of_classes_are_read_as_data_sets_write_them(task: StudentTask, name: str, label: str) -> None:
    assert label_of(task, name, positive=Intent.HOT_LEAD) == label


@pytest.mark.parametrize(("task", "name"), [(MOOD, "2"), (MOOD, "PRAISE"), (INTENT, "negative"), (INTENT, "note")])
def test_an_unknown_class_is_refused_with_the_allowed_names(task: StudentTask, name: str) -> None:
    with pytest.raises(UnknownLabel) as caught:
        label_of(task, name, positive=Intent.HOT_LEAD)
    assert repr(name) in caught.value.message
    assert ALLOWED[task] in caught.value.message


def test_a_bare_rating_is_praise_where_it_is_good() -> None:
    rows = [Labelled(text_key(f"{stars}"), "it is what it is", "", RATING, stars) for stars in (5.0, 4.0, 3.0, 1.0)]
    assert [one.label for one in examples(INTENT, rows)] == ["PRAISE", "PRAISE", "GENERAL", "GENERAL"]
    assert [one.label for one in examples(INTENT, [rows[0]._replace(rating=None, text="I love it, great app")])] == [
        "PRAISE"
    ]
