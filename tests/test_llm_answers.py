"""An answer is found in whatever a model says around it, mended where there is one way to, else refused."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from src.worker.errors import WorkerError
from src.worker.llm.answers import (
    ANSWER_MAX,
    ECHO_MAX,
    PROBLEMS_MAX,
    Answer,
    BadAnswer,
    NoJson,
    extract_json,
    json_schema,
    outline,
    parse,
    repair_messages,
)
from src.worker.llm.exchange import Message, Request, Role
from src.worker.llm.operations import OPERATIONS


class Mood(StrEnum):
    """For people who read code."""

    GOOD = "good"
    BAD = "bad"


class Inner(Answer):
    label: Mood
    score: Annotated[float, Field(ge=-1, le=1, description="how good")]


class Outer(Answer):
    relevant: bool
    inner: Inner
    tags: Annotated[tuple[str, ...], Field(max_length=3)]
    note: str | None


class Many(Answer):
    items: tuple[Inner, ...]


GOOD = '{"relevant": true, "inner": {"label": "good", "score": 0.5}, "tags": ["a"], "note": null}'
OTHER = GOOD.replace("true", "false")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, {"b": "x"}]}',
        '```json\n{"a": [1, {"b": "x"}]}\n```',
        '```\n{"a": [1, {"b": "x"}]}\n```',
        '```JSON {"a": [1, {"b": "x"}]}```',
        '~~~json\n{"a": [1, {"b": "x"}]}\n~~~',
        'Here is {my} answer (see [rules] {above}):\n\n```json\n{"a": [1, {"b": "x"}]}\n```\nI hope {it} helps [1].',
        'Sure! {"a": [1, {"b": "x"}]} That is all.',
        'The tweet said "{lol" and \'}\' so: {"a": [1, {"b": "x"}]}',
        '```json\n{"a": [1, {"b": "x"}]}',  # the fence was never closed
        '```python\nprint("{")\n```\n```json\n{"a": [1, {"b": "x"}]}\n```',
        '{"a": [1, {"b": "x",},],}',
        "{“a”: [1, {“b”: “x”}]}",
        '{"a": [1, {"b": "x"}]}\n{"a": [1, {"b": "x"}]}',  # the same twice is one answer
        '<think>{"a": 2} or maybe {"a": 3}?</think>\n{"a": [1, {"b": "x"}]}',
        '\ufeff  {"a": [1, {"b": "x"}]}  ',
        'Draft: {"a": 0}\nFinal:\n```json\n{"a": [1, {"b": "x"}]}\n```',
        'As in [1], [2] and []: {"a": [1, {"b": "x"}]}',
    ],
)
def test_the_document_is_found_wherever_it_stands(text: str) -> None:
    assert extract_json(text) == {"a": [1, {"b": "x"}]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "fenced ```json {\\"b\\": 1} ``` inside"}', {"a": 'fenced ```json {"b": 1} ``` inside'}),
        ('{"a": "braces }{ and \\" quotes"}', {"a": 'braces }{ and " quotes'}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"a": True, "b": False, "c": None}', {"a": True, "b": False, "c": None}),
        ('{"a": "True, None,]", "b": [True,]}', {"a": "True, None,]", "b": [True]}),
        ('{"a": "“quoted”"}', {"a": "“quoted”"}),
        ("[]", []),
        ("{}", {}),
        ("[1, 2]", [1, 2]),
        ('{"n": 12345678901234567890123}', {"n": 1.2345678901234568e22}),
    ],
)
def test_what_strings_hold_is_left_alone(text: str, value: Any) -> None:
    assert extract_json(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("I cannot help with that.", "no JSON object"),
        ("{braces} but [nothing] more", "no JSON object"),
        ('{"a": [1, 2', "cut off"),
        ('{"verdicts": [{"index": 0}, {"index": 1, "rel', "cut off"),
        ('{"a": 1', "cut off"),
        ('{"a": "two\nlines", "b": [{"c": 1}], "d', "cut off"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": {"b": 1, "b": 1}}', "twice"),
        ('{"a": 1} or {"a": 2}', "2 JSON documents"),
        ("{'a': 1}", "no JSON object"),
        ('{"a": 1 "b": 2}', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 15_000, "nested too deeply"),
        ("x" * (ANSWER_MAX + 1), "characters"),
    ],
)
def test_without_one_document_there_is_a_reason(text: str, problem: str) -> None:
    with pytest.raises(NoJson, match=problem) as caught:
        extract_json(text)
    assert problem in caught.value.problem
    assert caught.value.code == "INVALID_RESPONSE"


def test_a_part_of_a_document_that_is_cut_off_is_never_taken_for_it() -> None:
    for end in range(1, len(GOOD) - 1):
        with pytest.raises(NoJson):
            extract_json(GOOD[:end])


@pytest.mark.parametrize(
    "unit",
    [
        "{", "[", '{"', '["', '{"a":', "[1,", '{"a":[', "{{", "{:", '"', '{"a":"', '\\"{', '["\\"', ", ", '{"a":1,',
        "```json\n{", "[{", '{“', "{True,", '{"\\', "[[", '{"a":{', "{ ", '{"a": NaN ',
    ],
)  # fmt: skip
def test_hostile_text_costs_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            with pytest.raises(NoJson):
                extract_json(text)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(100_000) < 8 * seconds(25_000) + 0.05


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='{}[]",:\\`tn1 \n', max_size=80))
def test_no_text_makes_it_fail_in_another_way(text: str) -> None:
    try:
        value = extract_json(text)
    except NoJson:
        return
    json.dumps(value, allow_nan=False)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=8), _JSON, max_size=5), st.sampled_from(["", "Sure: ", "```json\n", "{x} "]))
def test_every_document_comes_back_as_it_was(value: Any, before: str) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert extract_json(f"{before}{text}\n```") == value


# -- the form ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"I looked at {{brand}}. ```json\n{GOOD}\n```",
        f'For example {{"relevant": true}} is too little, so: {GOOD}',
        f"{GOOD}\n\nAgain: {GOOD}",
        f"First {OTHER}, but the answer is\n```json\n{GOOD}\n```",
    ],
)
def test_the_document_that_fits_is_the_answer(text: str) -> None:
    answer = parse(text, Outer)
    assert answer == Outer(relevant=True, inner=Inner(label=Mood.GOOD, score=0.5), tags=("a",), note=None)


def test_two_different_answers_are_none() -> None:
    with pytest.raises(BadAnswer, match="2 different answers"):
        parse(f"{GOOD} or rather {OTHER}", Outer)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('"relevant": true, ', "", "relevant: "),
        ("true", '"true"', "relevant: "),
        ("true", "1", "relevant: "),
        ("0.5", '"0.5"', "inner.score: "),
        ("0.5", "1.5", "inner.score: "),
        ("0.5", "null", "inner.score: "),
        ('"good"', '"great"', "inner.label: "),
        ('"good"', '"GOOD"', "inner.label: "),
        ('["a"]', '"a"', "tags: "),
        ('["a"]', '["a", "b", "c", "d"]', "tags: "),
        ('["a"]', '["a", 5]', "tags[1]: "),
        ('["a"]', "null", "tags: "),
        ('"note": null', '"note": null, "extra": 1', "extra: "),
        ('"score": 0.5', '"score": 0.5, "why": "x"', "inner.why: "),
        ('"note": null', '"note": "\\ud800"', "answer: "),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(old: str, new: str, path: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        parse(GOOD.replace(old, new), Outer)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(path)


def test_problems_never_quote_the_answer() -> None:
    with pytest.raises(BadAnswer) as caught:
        parse(GOOD.replace('"good"', '"SECRET"').replace("0.5", '"SECRET"'), Outer)
    assert len(caught.value.problems) == 2
    assert "SECRET" not in str(caught.value) + "".join(caught.value.problems)
    assert isinstance(caught.value, WorkerError)
    assert not caught.value.retryable


def test_of_several_documents_that_do_not_fit_the_object_is_complained_about() -> None:
    with pytest.raises(BadAnswer) as caught:
        parse('[1] says {"relevant": true, "note": null}', Outer)
    assert caught.value.problems == ("inner: field required", "tags: field required")


def test_a_list_instead_of_the_object_around_it_is_understood() -> None:
    assert parse('[{"label": "bad", "score": -1}]', Many).items[0].label is Mood.BAD
    with pytest.raises(BadAnswer):
        parse('[{"label": "bad", "score": -1}]', Outer)


def test_a_deep_answer_is_refused_and_does_not_break_anything() -> None:
    deep = "[" * 900 + "]" * 900
    with pytest.raises(BadAnswer):
        parse(GOOD.replace("null", deep), Outer)


def test_invalid_text_and_thoughts_behind_blanks_are_told_for_what_they_are() -> None:
    with pytest.raises(BadAnswer) as caught:
        parse('{"label": "\\ud800"}', Outer)
    assert caught.value.problems == ("answer: holds invalid text",)
    assert extract_json(' \n<think>{"a": 1}</think> {"b": 2}') == {"b": 2}


# -- the repair turn ---------------------------------------------------------------------------------------------------

REQUEST = Request((Message(Role.SYSTEM, "rules"), Message(Role.USER, "question")), max_tokens=10)


def test_the_repair_turn_shows_the_answer_and_its_problems() -> None:
    messages = repair_messages(REQUEST, "my {bad answer", ["inner.score: too large", "tags: missing"])
    assert messages[:2] == REQUEST.messages
    assert messages[2] == Message(Role.ASSISTANT, "my {bad answer")
    assert messages[3].role is Role.USER
    assert "- inner.score: too large\n- tags: missing\n" in messages[3].text
    assert len(messages) == 4


def test_the_repair_turn_is_bounded_and_never_empty() -> None:
    messages = repair_messages(REQUEST, "word " * 10_000, [f"p{n}: bad" for n in range(100)])
    assert len(messages[2].text) <= ECHO_MAX
    assert messages[3].text.count("\n- p") == PROBLEMS_MAX
    assert f"and {100 - PROBLEMS_MAX} more" in messages[3].text
    assert "more" not in repair_messages(REQUEST, "x", ["p: bad"] * PROBLEMS_MAX)[3].text
    assert repair_messages(REQUEST, " \n", ["answer: is empty"])[2].text == "(no text)"


# -- one schema for all ------------------------------------------------------------------------------------------------


def objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for child in node for found in objects(child)]
    if not isinstance(node, dict):
        return []
    here = [node] if node.get("type") == "object" else []
    return here + [found for child in node.values() for found in objects(child)]


def keywords(node: Any, inside_properties: bool = False) -> set[str]:
    if isinstance(node, list):
        return set().union(*(keywords(child) for child in node))
    if not isinstance(node, dict):
        return set()
    own = set() if inside_properties else set(node)
    return own.union(*(keywords(child, key == "properties" and not inside_properties) for key, child in node.items()))


@pytest.mark.parametrize("model", [Outer, Many, *(one.answer for one in OPERATIONS.values() if one.answer)])
def test_a_schema_is_closed_complete_and_free_of_what_a_provider_refuses(model: type[Answer]) -> None:
    schema = json_schema(model, "answer").schema
    assert schema["type"] == "object"
    for one in objects(schema):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
    allowed = {"type", "enum", "items", "properties", "required", "additionalProperties", "anyOf", "description"}
    assert keywords(schema) <= allowed
    json.dumps(schema)


def test_limits_are_said_in_words_and_docstrings_are_not() -> None:
    schema = json_schema(Outer).schema
    assert schema["properties"]["inner"]["properties"]["score"]["description"] == "how good; -1 to 1"
    assert schema["properties"]["tags"]["description"] == "at most 3 items"
    assert schema["properties"]["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert schema["properties"]["inner"]["properties"]["label"] == {"type": "string", "enum": ["good", "bad"]}
    assert "people who read code" not in json.dumps(schema)


def test_the_outline_is_made_of_the_schema() -> None:
    assert outline(json_schema(Outer).schema) == (
        '{"relevant": boolean, "inner": {"label": "good" | "bad", "score": number (how good; -1 to 1)}, '
        '"tags": [string, …] (at most 3 items), "note": string or null}'
    )


def test_a_form_that_cannot_be_said_to_all_providers_is_refused_when_it_is_declared() -> None:
    class Free(BaseModel):
        scores: dict[str, float]

    class Tree(BaseModel):
        children: list[Tree]

    class Either(BaseModel):
        value: int | str

    class Dated(BaseModel):
        day: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]

    for model in (Free, Tree, Either, Dated):
        with pytest.raises(TypeError):
            json_schema(model)
    with pytest.raises(TypeError, match="no name"):
        json_schema(Outer, "has space")
