"""Reading decisions, part by part: tokens, groups of numbers, labels, and what becomes of every answer known so far."""

from __future__ import annotations

import pytest

from src.worker.evaluation.decision import Path, decide
from src.worker.evaluation.decision_labels import label_code, scale_of
from src.worker.evaluation.decision_numbers import compound
from src.worker.evaluation.decision_text import LONGEST_ANSWER, Kind, is_rating_noun, plain_words, sentences

from .decision_corpus import FRESH, HELD_OUT, LATER, TUNING

PROMPT = "5 - Strongly support it\n4 - Somewhat support it\n3 - Neutral\n2 - Rather against it\n1 - Against it"


def numbers(text: str) -> list[tuple[str, float]]:
    """Kind and value of every group of numbers; `of 5`, `off` and `moved` behind the kind."""
    found = []
    for sentence in sentences(text):
        for token in compound(sentence.tokens):
            if token.kind in (Kind.NUMBER, Kind.RANGE, Kind.SCALE):
                said = [name for name in ("of_five", "off", "moved") if getattr(token, name)]
                found.append((" ".join([token.kind.value, *said]), token.value))
    return found


def words(text: str) -> list[list[str]]:
    return [[token.text for token in sentence.tokens] for sentence in sentences(text)]


def code(answer: str) -> str:
    return decide([answer]).code


@pytest.mark.parametrize("corpus", [TUNING, HELD_OUT, LATER, FRESH], ids=["tuning", "held out", "later", "last"])
def test_every_answer_that_has_been_read_rightly_still_is(corpus: dict[str, list[tuple[object, str]]]) -> None:
    cases = [case for cases in corpus.values() for case in cases]
    read = [decide([answers] if isinstance(answers, str) else list(answers)) for answers, _ in cases]  # type: ignore[call-overload]
    assert [one.code for one in read] == [wanted for _, wanted in cases]


# Groups of numbers.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4", [("number", 4.0)]),
        ("3,5 or so", [("number", 3.5)]),
        ("three and a half", [("number", 3.5)]),
        ("trois et demi", [("number", 3.5)]),
        ("tres y medio", [("number", 3.5)]),
        ("três e meio", [("number", 3.5)]),
        ("Rating: -2", [("number off", -2.0)]),
        ("= -2", [("number off", -2.0)]),
        ("is -2", [("number off", -2.0)]),
        ("-2", [("number off", -2.0)]),
        ("well -2", [("number", 2.0)]),
        ("a - 2", [("number", 2.0)]),
        ("4/5", [("number of_five", 4.0)]),
        ("4 out of 5", [("number of_five", 4.0)]),
        ("4 of 5", [("number of_five", 4.0)]),
        ("4 von 5", [("number of_five", 4.0)]),
        ("4 sur 5", [("number of_five", 4.0)]),
        ("4 de 5", [("number of_five", 4.0)]),
        ("4 su 5", [("number of_five", 4.0)]),
        ("4 din 5", [("number of_five", 4.0)]),
        ("4 na 5", [("number of_five", 4.0)]),
        ("4 van 5", [("number of_five", 4.0)]),
        ("4 em 5", [("number of_five", 4.0)]),
        ("4/10", [("number off", 4.0)]),
        ("4 out of 10", [("number off", 4.0)]),
        ("4 of 10", [("number off", 4.0)]),
        ("4 out of 4", [("number off", 4.0)]),
        ("4 of 4", [("number", 4.0), ("number", 4.0)]),
        ("3/4", [("range", 3.0)]),
        ("3/4/2024", [("number off", 3.0)]),
        ("3-4", [("range", 3.0)]),
        ("3 to 4", [("range", 3.0)]),
        ("3 or 4", [("range", 3.0)]),
        ("3 and 4", [("range", 3.0)]),
        ("3 bis 4", [("range", 3.0)]),
        ("3 oder 4", [("range", 3.0)]),
        ("3 und 4", [("range", 3.0)]),
        ("3 a 4", [("range", 3.0)]),
        ("3 ou 4", [("range", 3.0)]),
        ("3 et 4", [("range", 3.0)]),
        ("3 o 4", [("range", 3.0)]),
        ("3 u 4", [("range", 3.0)]),
        ("3 y 4", [("range", 3.0)]),
        ("3 e 4", [("range", 3.0)]),
        ("3 through 4", [("range", 3.0)]),
        ("3 vs 4", [("range", 3.0)]),
        ("3~4", [("range", 3.0)]),
        ("3 or possibly 4", [("range", 3.0)]),
        ("3, maybe 4", [("range", 3.0)]),
        ("3 or perhaps 4", [("range", 3.0)]),
        ("3 or even a", [("number", 3.0)]),
        ("3 or", [("number", 3.0)]),
        ("3 out of", [("number", 3.0)]),
        ("3 oder eine 4", [("range", 3.0)]),
        ("3 to maybe 4", [("range", 3.0)]),
        ("3 or even 4", [("range", 3.0)]),
        ("3 ou peut 4", [("range", 3.0)]),
        ("3 o quizas 4", [("range", 3.0)]),
        ("3 oder vielleicht 4", [("range", 3.0)]),
        ("3 ou un 4", [("range", 3.0)]),
        ("3 and a 4", [("range", 3.0)]),
        ("3, a 4", [("number", 3.0), ("number", 4.0)]),
        ("2, 3 or 4", [("range", 2.0)]),
        ("2, 3", [("number", 2.0), ("number", 3.0)]),
        ("3 → 4", [("number moved", 4.0)]),
        ("I moved from 2 to 4", [("number moved", 4.0)]),
        ("1-5", [("scale", 5.0)]),
        ("1 to 5", [("scale", 5.0)]),
        ("0 to 10", [("scale", 10.0)]),
        ("5 to 1", [("scale", 5.0)]),
        ("1 or 5", [("range", 1.0)]),
        ("between 1 and 5", [("scale", 5.0)]),
        ("zwischen 1 und 5", [("scale", 5.0)]),
        ("1 to 4", [("range", 1.0)]),
        ("2 to 5", [("range", 2.0)]),
        ("a 5-point scale", [("scale", 5.0)]),
        ("a 7 point Likert", [("scale", 7.0)]),
        ("a 5-point lead", [("number", 5.0)]),
        ("1 = never, 5 = always", [("scale", 1.0), ("scale", 5.0)]),
        ("4 = good", [("number", 4.0)]),
        ("where 5 = good", [("scale", 5.0)]),
        ("from 1 (bad) to 5 (good)", [("scale", 5.0), ("scale", 5.0)]),
        ("1 (bad) to 5 (good)", [("scale", 5.0), ("scale", 5.0)]),
        ("2 (bad) to 5 (good)", [("number", 2.0), ("number", 5.0)]),
        ("1 (bad) or 5 (good)", [("number", 1.0), ("number", 5.0)]),
    ],
)
def test_numbers_that_belong_together_are_one(text: str, found: list[tuple[str, float]]) -> None:
    assert numbers(text) == found


# Tokens and sentences.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("At 4:30 I", []),
        ("1.2.3", [("number", float("inf"))]),
        ("12345678901234567890", [("number", float("inf"))]),
        ("1234567890123456789", [("number", 1234567890123456789.0)]),
        ("½", [("number", 0.5)]),
        ("3½", [("number", 3.5)]),
        ("٤", [("number", 4.0)]),
        ("４", [("number", 4.0)]),
        ("四", [("number", 4.0)]),
        ("4² ", [("number", 4.0)]),
        ("4️⃣", [("number", 4.0)]),
        ("Four", [("number", 4.0)]),
        ("My rating is IV", [("number", 4.0)]),
        ("Rating: **IV**", [("number", 4.0)]),
        ("King Charles IV", []),
        ("~~3~~ 4", [("number", 4.0)]),
        ("2...4", [("range", 2.0)]),
        ("3–4", [("range", 3.0)]),
        ("3−4", [("range", 3.0)]),
    ],
)
def test_a_number_is_one_in_whatever_script_it_is_written(text: str, found: list[tuple[str, float]]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "One more. Two; three! Four? Five",
            [["one", "more", "."], ["two", ";"], ["three", "!"], ["four", "?"], ["five"]],
        ),
        ("e.g.this", [["e", ".", "g", ".", "this"]]),
        ("好。四", [["好", "。"], ["四"]]),
        ("a\nb", [["a"], ["b"]]),
        ("- a\n> b\n# c\n• d", [["a"], ["b"], ["c"], ["d"]]),
        ("1. a\n2. b", [["a"], ["b"]]),
        ("1. a\n1. b", [["1", "."], ["a"], ["1", "."], ["b"]]),
        ("1) a\n(2) b", [["a"], ["b"]]),
        ("1 - a\n2 - b\n3 - c\nx", [["x"]]),
        ("1: a\n2: b", [["1", ":", "a"], ["2", ":", "b"]]),
        ("Café *très* _bien_ `x`", [["cafe", "tres", "bien", "x"]]),
        ("I don’t", [["i", "don't"]]),
        ("", []),
    ],
)
def test_an_answer_is_cut_into_sentences_of_plain_words(text: str, parts: list[list[str]]) -> None:
    assert words(text) == parts


def test_a_sentence_knows_whether_it_asks_and_whether_it_is_the_first() -> None:
    found = sentences('Is it? Well, "so?"\nYes.')
    assert [(one.question, one.first, one.text) for one in found] == [
        (True, True, "is it?"),
        (True, False, 'well, "so?"'),
        (False, False, "yes."),
    ]


def test_a_sentence_is_cut_after_120_words() -> None:
    assert [len(part) for part in words("word " * 250)] == [120, 120, 10]
    assert [len(part) for part in words("word " * 120)] == [120]


def test_of_an_endless_answer_the_beginning_and_the_end_are_read() -> None:
    half = LONGEST_ANSWER // 2
    text = "a" * half + "b" * 99 + "c" * half
    assert [part[0][0] for part in words(text)] == ["a", "c"]
    assert [len(part[0]) for part in words(text)] == [half, half]
    assert len(words("a" * LONGEST_ANSWER)) == 1


def test_plain_words_are_those_of_all_lines_without_marks() -> None:
    assert plain_words("**Strongly** support\n(the) job!") == ["strongly", "support", "the", "job"]


@pytest.mark.parametrize(("word", "is_one"), [("rating", True), ("我的评分", True), ("horse", False), ("好", False)])
def test_what_a_rating_is_called_is_known_in_several_languages(word: str, is_one: bool) -> None:
    assert is_rating_noun(word) is is_one


# Labels.


@pytest.mark.parametrize(
    "line", ["{} - x{}", "- {}: x{}", "  * **{}** – x{}", "({}) = x{}", "{}. x{}", "{}) x{}", "• {} — x{}"]
)
def test_a_scale_is_five_numbered_lines_however_they_are_written(line: str) -> None:
    prompt = "\n".join(line.format(code, code) for code in range(1, 6))
    assert scale_of(f"Please rate:\n{prompt}\nThanks.").labels == {str(code): f"x{code}" for code in range(1, 6)}


def test_a_label_is_a_line_of_at_most_300_characters() -> None:
    def scale(size: int, lead: int = 0) -> dict[str, str]:
        lines = [f"{code} - {letter * size}" for code, letter in zip("54321", "abcde", strict=True)]
        return scale_of("\n" * lead + "\n".join(lines)).labels

    assert scale(296) == {code: letter * 296 for code, letter in zip("54321", "abcde", strict=True)}
    assert scale(297)["5"] == "a" * 296
    assert len(scale(5, lead=1_995)) == 5
    assert scale(5, lead=1_996) == {}


@pytest.mark.parametrize(
    "prompt",
    [
        "5 - a\n4 - b\n3 - c\n2 - d",
        "5 - a\n4 - b\n3 - c\n2 - d\n1 - a",
        "5 - a\n4 - b\n3 - c\n2 - d\n1 - !",
        "- a\n- b\n- c\n- d\n- e\n- f",
        "- a\n- b\n- c\n- d\n- d",
    ],
)
def test_what_does_not_name_five_codes_apart_is_no_scale(prompt: str) -> None:
    assert scale_of(prompt) == scale_of("")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Strongly support it", "5"),
        ("I strongly support it", "5"),
        ("strongly support", None),
        ("I would strongly support the it", "5"),
        ("Against it", "1"),
        ("Rather against it", "2"),
        ("Neutral", "3"),
        ("My final answer is neutral", "3"),
        ("He is neutral", None),
        ("Neutral ground", None),
        ("I do not say neutral", None),
        ("I'm not for it, but against it", "1"),
        ("I wouldn't strongly support it", None),
        ("not b c d e f g h against it", "1"),
        ("not b c d e f g against it", None),
        ("Somewhat support it or strongly support it", "two"),
        ("Against it?", None),
    ],
)
def test_a_label_is_stated_whole_not_denied_and_alone_if_it_is_one_word(said: str, found: str | None) -> None:
    (sentence,) = sentences(said)
    scale = scale_of(PROMPT)
    match = label_code(sentence, scale)
    if found == "two":
        assert match is not None
        assert (match.code, match.label) == (None, None)
    else:
        assert (match.code if match else None) == found
        assert match is None or match.label == scale.labels[found or ""]


# Whole answers.


@pytest.mark.parametrize(
    ("answer", "path", "evidence"),
    [
        ("My rating is 4.", Path.STATEMENT, "my rating is 4."),
        ("Well. I think 2 makes sense.", Path.LONE_NUMBER, "i think 2 makes sense."),
        ("My rating is 3 or 4.", Path.UNCLEAR, "my rating is 3 or 4."),
        ("Nothing to see.", Path.NONE, None),
    ],
)
def test_the_evidence_is_the_sentence_that_decided(answer: str, path: Path, evidence: str | None) -> None:
    found = decide([answer])
    assert (found.path, found.evidence) == (path, evidence)
    assert found.turn == (None if path is Path.NONE else 0)


def test_evidence_has_at_most_160_characters() -> None:
    long = "My rating is 4 " + "and so on " * 20
    assert decide([long]).evidence == long.lower()[:160]
    unclear = "My rating is 3 or 4 " + "and so on " * 20
    assert decide([unclear]).evidence == unclear.lower()[:160]


def test_the_scale_that_was_named_last_is_the_one_that_is_spoken_of() -> None:
    assert code("On a scale of 1 to 10 I'd say 8. My rating is 4.") == "other"
    assert code("On a scale of 1 to 10 I'd say 8. On the 1-5 scale my rating is 4.") == "4"


def test_a_refusal_beside_what_is_unclear_is_marked() -> None:
    found = decide(["I can't rate this. My rating is 3 or 4."])
    assert (found.path, found.refusal, found.label) == (Path.UNCLEAR, True, None)


def test_the_last_clear_statement_of_the_last_turn_that_has_one_decides() -> None:
    assert decide(["My rating is 2.", "My rating is 4.", "Thanks."]).turn == 1
    assert code("My rating is 2. My rating is 4.") == "4"
    assert decide(["I think 2 makes sense", "I think 3 makes sense"]).code == "3"
    assert decide(["I think 2 makes sense. I think 3 makes sense."]).code == "other"
    assert decide(["I can't rate this.", "Thanks."]).refusal


@pytest.mark.parametrize(
    "word",
    (
        "final overall judgment judgement answer decision choice rating score is level support in short therefore so "
        "thus conclusion would be i my the choose select pick say am and but"
    ).split(),
)
def test_a_word_that_adds_nothing_may_stand_before_a_label_of_one_word(word: str) -> None:
    (sentence,) = sentences(f"{word} neutral")
    match = label_code(sentence, scale_of(PROMPT))
    assert match is not None
    assert match.code == "3"


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        # amounts, names and counts of things are no ratings
        *((f"My rating: {sign}{space}4", "other") for sign in "$€£¥" for space in ("", " ")),
        *((f"My rating: 4{sign}", "other") for sign in "$€£¥%°"),
        ("My rating: #4", "other"),
        ("Rating-4", "4"),
        ("My pick is GPT-4", "other"),
        ("I choose option4", "other"),
        ("I choose 4x", "other"),
        ("I choose a 4-year plan", "other"),
        ("I choose 4-somewhat", "4"),
        ("I choose 4-ish", "4"),
        ("I would choose 4 years", "other"),
        ("I choose 4 above others", "other"),
        ("I choose 4 and above", "other"),
        ("I choose 4 in 10", "other"),
        ("I choose 4 or more", "other"),
        ("My rating is over 4", "other"),
        ("My rating is under 4", "other"),
        ("My rating is at least 4", "other"),
        ("My rating is 4 4", "other"),
        # what is denied
        ("Rather than 4, my rating is 3", "3"),
        ("Rather 4", "4"),
        ("Instead of 4, 3", "3"),
        ("I would not choose 4", "other"),
        ("Not 4, my rating is 3", "3"),
        ("No, 4", "4"),
        ("I do not think my rating is 4", "other"),
        ("A rating of 5 would ignore the harm", "other"),
        ("Any rating of 5 would ignore the harm", "other"),
        ("My rating of 5 would ignore the harm", "5"),
        ("4 would be too strong", "other"),
        ("5 is not what I mean", "other"),
        ("4 isn't my answer", "other"),
        # what was thought before, or would be so in another case
        ("Until now I said 2", "other"),
        ("I said 2, but now I say 4", "4"),
        ("I used to think 4", "other"),
        ("I thought 4", "other"),
        ("On second thought, 4", "4"),
        ("If it were mine, I would choose 4", "other"),
        ("If I had to choose, 4", "4"),
        ("Were it legal, I would choose 4", "other"),
        ("Even if it were legal, I would choose 4", "4"),
        # whose choice it is
        ("They would choose 4", "other"),
        ("Others might say 4", "other"),
        ("A person would choose 4", "other"),
        ("Choosing 4", "4"),
        ("Wähle ich 4", "4"),
        ("My rating is 3 (I choose it)", "3"),
        # two in one sentence
        ("My rating is 3, my answer is 4.", "other"),
        ("My rating is 3 and my answer is 4.", "other"),
        ("My rating is 3, no, my rating is 4.", "4"),
        ("My rating is 3, actually my answer is 4.", "4"),
        ("My rating is 4 but my final answer is 2.", "2"),
        ("My rating is 5, my score is 3, my answer is 4.", "other"),
        ("My rating is 4 - my answer is 2", "2"),
        ("My rating is 4, my answer is 4.", "4"),
    ],
)
def test_a_number_is_the_decision_only_where_a_reader_takes_it_for_one(answer: str, read: str) -> None:
    assert code(answer) == read


@pytest.mark.parametrize(
    "lead", "a an option number answer final just definitely clearly firmly die un eine so therefore thus donc".split()
)
def test_a_number_alone_with_such_a_word_is_a_statement(lead: str) -> None:
    assert (decide([f"{lead} 4"]).code, decide([f"{lead} 4"]).path) == ("4", Path.STATEMENT)


@pytest.mark.parametrize(
    ("answer", "read", "path"),
    [
        *((f"I {word} 4 fits", "4", Path.LONE_NUMBER) for word in "think believe reckon find guess feel".split()),
        ("It's 4 for me", "4", Path.LONE_NUMBER),
        ("That's 4", "4", Path.LONE_NUMBER),
        ("This is 4", "4", Path.LONE_NUMBER),
        ("It was 4", "4", Path.LONE_NUMBER),
        ("something like 4", "4", Path.LONE_NUMBER),
        ("well, 4 fits", "4", Path.LONE_NUMBER),
        ("I think so. 4 because", "4", Path.LONE_NUMBER),
        ("The horse is 4", "other", Path.NONE),
        ("The other one would be 4", "other", Path.NONE),
        # concluded or corrected
        ("make that a 3", "3", Path.STATEMENT),
        ("Make it a 3", "3", Path.STATEMENT),
        ("scratch that, 3", "3", Path.STATEMENT),
        ("2, no, 3", "3", Path.STATEMENT),
        ("sorry, 4", "4", Path.STATEMENT),
        ("if forced, 4", "4", Path.STATEMENT),
        ("Therefore: 4", "4", Path.STATEMENT),
        ("What brings me to 4", "4", Path.STATEMENT),
        # with a label, a noun or a verb
        ("Neutral: 3", "3", Path.STATEMENT),
        ("strongly prefer B (5)", "5", Path.STATEMENT),
        ("4 - somewhat support", "4", Path.STATEMENT),
        ("4 (agree)", "4", Path.STATEMENT),
        ("4 = agree", "4", Path.STATEMENT),
        ("4 is my answer", "4", Path.STATEMENT),
        ("4 is really my answer", "4", Path.STATEMENT),
        ("So 4 is my final answer", "4", Path.STATEMENT),
        ("4 from me", "4", Path.STATEMENT),
        ("So 4 from me", "4", Path.STATEMENT),
        ("4 it is", "4", Path.STATEMENT),
        ("So 4 it is", "4", Path.STATEMENT),
        ("His rating is 4", "other", Path.NONE),
        ("Their score: 4", "other", Path.NONE),
        ("One rating is 4", "4", Path.STATEMENT),
        ("The others gave it, my rating is 4", "4", Path.STATEMENT),
        ("I would give him 4", "4", Path.STATEMENT),
        ("I'd mark it down 4", "4", Path.STATEMENT),
        ("I am at 4", "4", Path.STATEMENT),
        ("I'm a solid 4", "4", Path.STATEMENT),
        ("I am 4", "other", Path.NONE),
        ("I'm 4", "other", Path.NONE),
        ("Ich würde 4 wählen", "4", Path.STATEMENT),
        ("Man würde 4 wählen", "other", Path.NONE),
        ("My confidence is 4", "other", Path.NONE),
        # with the scale, at the beginning, as a word
        ("On a 1-5 scale: 2", "2", Path.STATEMENT),
        ("On a 1-5 scale, 2", "2", Path.STATEMENT),
        ("On a 1-5 scale the horse has 2", "other", Path.NONE),
        ("4, because", "4", Path.STATEMENT),
        ("4 - I believe", "4", Path.STATEMENT),
        ("4 because", "4", Path.STATEMENT),
        ("I think so. 4: because", "4", Path.STATEMENT),
        ("- 4 fits", "4", Path.STATEMENT),
        ("one", "1", Path.STATEMENT),
        ("Rating: one", "1", Path.STATEMENT),
        ("a one", "1", Path.STATEMENT),
        ("I say one", "1", Path.STATEMENT),
        ("one thing", "other", Path.NONE),
        ("It is one of many", "other", Path.NONE),
    ],
)
def test_how_a_number_was_meant_is_told(answer: str, read: str, path: Path) -> None:
    found = decide([answer])
    assert (found.code, found.path) == (read, path)


def test_a_label_of_the_prompt_is_a_clear_statement_with_its_sentence() -> None:
    found = decide(["Let me see.", "Strongly support it, I think. I think 2 makes sense."], PROMPT)
    assert (found.code, found.path, found.turn) == ("5", Path.LABEL, 1)
    assert (found.label, found.evidence) == ("Strongly support it", "strongly support it, i think.")
    both = decide(["Strongly support it or against it."], PROMPT)
    assert (both.code, both.path, both.label) == ("other", Path.UNCLEAR, None)
    assert decide(["My rating is 4."], PROMPT).label is None


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("A score of 5 might ignore my pain", "5"),
        ("Until now 2, and now 4", "4"),
        ("Not sure, 4", "4"),
        ("never 4", "other"),
        ("No way I choose 4", "other"),
        ("no way, I choose 4", "4"),
        ("I say 3 (you choose 4)", "3"),
        ("on a 1-10 scale make that 4", "other"),
        ("3 no wait 4", "4"),
    ],
)
def test_a_denial_ends_where_a_reader_hears_it_end(answer: str, read: str) -> None:
    assert code(answer) == read
