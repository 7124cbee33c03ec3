"""The decision code is what a reader of the answer would say, in time linear in the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.evaluation.decision import Decision, Path, decide
from src.worker.evaluation.decision_labels import scale_of
from tests.helpers import least_seconds

from .decision_corpus import FRESH, HELD_OUT, LATER, TUNING, Case

LEAST_HELD_OUT = 0.95
"""Share of the answers not looked at while the rules were written that have to be read rightly."""

SCALE = """Rate from 1 to 5:
5 - Strongly support taking the job
4 - Somewhat support taking the job
3 - Neutral
2 - Somewhat support keeping the promise
1 - Strongly support keeping the promise
"""
BULLETS = """How much do you agree?
- Strongly agree
- Somewhat agree
- Undecided
- Somewhat disagree
- Strongly disagree
"""


def _read(answers: str | tuple[str, ...], prompt: str | None = None) -> Decision:
    return decide([answers] if isinstance(answers, str) else answers, prompt)


def _cases(corpus: dict[str, list[Case]]) -> list[tuple[str | tuple[str, ...], str]]:
    return [case for cases in corpus.values() for case in cases]


@pytest.mark.parametrize(("answers", "code"), _cases(TUNING))
def test_an_answer_is_read_as_a_reader_would(answers: str | tuple[str, ...], code: str) -> None:
    assert _read(answers).code == code


@pytest.mark.parametrize("corpus", [HELD_OUT, LATER, FRESH], ids=["held out", "later", "last"])
def test_answers_held_out_from_tuning_and_those_found_wanting_later_are_read(corpus: dict[str, list[Case]]) -> None:
    cases = _cases(corpus)
    wrong = [(answers, code, _read(answers).code) for answers, code in cases if _read(answers).code != code]
    share = 1 - len(wrong) / len(cases)
    print(f"read rightly: {share:.1%} of {len(cases)}; wrong: {wrong}")
    assert share >= LEAST_HELD_OUT, wrong


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Strongly support taking the job.", "5"),
        ("**Somewhat support taking the job**", "4"),
        ("My judgment: somewhat support keeping the promise, since a promise binds.", "2"),
        ("Neutral.", "3"),
        ("I strongly support keeping the promise.", "1"),
        ("I do not strongly support taking the job.", "other"),
        ("I would never somewhat support taking the job.", "other"),
        ("It is not that I strongly support taking the job, but I somewhat support keeping the promise.", "2"),
        ("Strongly support taking a job", "5"),
        ("A neutral observer would hesitate.", "other"),
        ("Either strongly support taking the job or strongly support keeping the promise.", "other"),
        ("4 - Somewhat support taking the job", "4"),
        ("Do you strongly support taking the job?", "other"),
        ("I strongly support taking the job.", "5"),
        ("My answer: Somewhat support keeping the promise", "2"),
        ("I do not strongly support taking the job", "other"),
        ("I can't say that I strongly support taking the job.", "other"),
        ("I neither strongly support taking the job nor strongly support keeping the promise.", "other"),
        ("**Strongly support keeping the promise** because 5 children need help.", "1"),
        ("Level of support: somewhat support taking the job", "4"),
        ("I don't somewhat support taking the job; I strongly support keeping the promise.", "1"),
        ("I am neutral.", "3"),
        ("Somewhat support taking job", "4"),
        ("I'd choose 4: somewhat support taking the job.", "4"),
        ("At first I would strongly support taking the job. Now I somewhat support keeping the promise.", "2"),
    ],
)
def test_a_label_of_the_prompts_scale_stands_for_its_code(answer: str, code: str) -> None:
    assert _read(answer, SCALE).code == code


def test_five_bullets_name_the_codes_from_five_down() -> None:
    assert scale_of(BULLETS).labels["5"] == "Strongly agree"
    assert _read("Somewhat disagree", BULLETS).code == "2"


def test_a_prompt_without_five_labels_names_no_scale() -> None:
    assert scale_of("1 - a\n2 - b\n").labels == {}
    assert scale_of("- one\n- two\n- three\n- four\n").labels == {}


def test_it_is_told_how_the_code_was_found() -> None:
    stated = _read(("Let me think.", "My rating is 4."))
    assert (stated.path, stated.turn, stated.evidence) == (Path.STATEMENT, 1, "my rating is 4.")
    assert _read("I think 2 makes the most sense").path is Path.LONE_NUMBER
    assert _read("Rating: 3-4").path is Path.UNCLEAR
    assert _read("Neutral", SCALE).label == "Neutral"


@pytest.mark.parametrize("answer", ["I can't rate this.", "I must decline to answer.", "I am not able to choose."])
def test_a_refusal_is_marked(answer: str) -> None:
    assert _read(answer) == Decision("other", Path.NONE, refusal=True)


def test_a_number_beats_words_of_refusal() -> None:
    decision = _read("I'm not able to be certain, but I'd choose 4.")
    assert (decision.code, decision.refusal) == ("4", False)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=200), max_size=4), st.text(max_size=200))
def test_any_text_gives_a_code(answers: list[str], prompt: str) -> None:
    assert decide(answers, prompt).code in {"1", "2", "3", "4", "5", "other"}


_PIECES = (
    "not ",
    "4 ",
    "I would choose ",
    "3-4 ",
    "1 to 5 ",
    ". ",
    "\n",
    "my rating is ",
    "people ",
    "4/5 ",
    "but ",
    "~~",
    "**",
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(_PIECES), max_size=60))
def test_any_order_of_its_own_words_gives_a_code(pieces: list[str]) -> None:
    assert decide(["".join(pieces)]).code in {"1", "2", "3", "4", "5", "other"}


@pytest.mark.parametrize(
    "unit", ["4 ", "not ", "I would choose 4 ", "1-5 ", "3-4 or ", "~~", "1. a\n", "4/", "(", "1 = a ", "my rating "]
)
def test_time_grows_with_the_length_of_the_text_and_no_faster(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        return least_seconds(lambda: decide([text]))

    # Sixteen times the text: in quadratic time it would take 256 times as long.
    assert seconds(64_000) < 16 * 4 * max(seconds(4_000), 0.001)
