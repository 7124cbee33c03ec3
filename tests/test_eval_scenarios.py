"""Scenarios are every combination of the dimensions, the same at every run, and text is only ever text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.evaluation.scenarios import MOST_SCENARIOS, generate_scenarios

from .eval_helpers import in_process


def definition(template: str, dimensions: Any = None, **more: Any) -> dict[str, Any]:
    return {"definitionId": "d-1", "content": {"template": template, "dimensions": dimensions, **more}}


def levels(name: str, *options: list[str]) -> dict[str, Any]:
    return {"name": name, "levels": [{"score": i, "options": texts} for i, texts in enumerate(options, 1)]}


def prompts(payload: dict[str, Any]) -> list[str]:
    return [one["content"]["prompt"] for one in generate_scenarios(payload)["scenarios"]]


def test_the_document_has_the_orchestrators_shape() -> None:
    document = generate_scenarios(
        definition("A [Stakes] case.", [{"name": "Stakes", "values": ["low", "high"]}], preamble=" ")
    )
    assert document["scenarios"][1] == {
        "name": "Stakes_2",
        "content": {"preamble": None, "prompt": "A high case.", "dimensions": {"Stakes": 2}},
    }
    assert document["metadata"] == {"inputTokens": 0, "outputTokens": 0, "modelVersion": "deterministic", "seed": 0}
    assert document["debug"] == {"rawResponse": None, "extractedYaml": None, "parseError": None}


def test_all_combinations_in_order() -> None:
    payload = definition("[A]-[b]", [levels("A", ["x"], ["y"]), levels("B", ["1"], ["2"], ["3"])])
    document = generate_scenarios(payload)
    assert [one["name"] for one in document["scenarios"]][:4] == ["A_1 / B_1", "A_1 / B_2", "A_1 / B_3", "A_2 / B_1"]
    assert prompts(payload) == ["x-1", "x-2", "x-3", "y-1", "y-2", "y-3"]


def test_without_dimensions_there_is_one_scenario_without_a_name() -> None:
    for dimensions in (None, [], [{"name": " ", "values": ["x"]}], [{"name": "A", "levels": []}], [{"name": "A"}]):
        document = generate_scenarios(definition("As [it] is", dimensions))
        assert [(one["name"], one["content"]["prompt"]) for one in document["scenarios"]] == [("", "As [it] is")]


def test_numbered_lines_take_the_option_of_their_number_once() -> None:
    payload = definition("1. [A] or [A]\n2) [A]\n 3 - [A]\n4. [A]\nnow [A]", [levels("A", ["x"], ["y"], ["z"])])
    assert prompts(payload)[1] == "1. x or y\n2) y\n 3 - z\n4. y\nnow y"


def test_a_placeholder_may_name_its_score() -> None:
    payload = definition("[A_Score1] [a_score2] [A_Score9] [B_Score1]", [levels("A", ["x"], ["y"])])
    assert prompts(payload)[0] == "x y [A_Score9] [B_Score1]"


@pytest.mark.parametrize("text", [r"\1", r"\g<0>", "$1", "[A]", "[B]", "[A_Score2]", "(.*)", "\\"])
def test_what_was_put_in_is_text_and_never_searched_again(text: str) -> None:
    payload = definition("<[A]|[B]>", [levels("A", [text]), levels("B", ["b"])])
    assert prompts(payload) == [f"<{text}|b>"]


def test_names_are_text_too() -> None:
    payload = definition("[a.c] [abc] [A (x)]", [levels("a.c", ["1"]), levels("A (x)", ["2"])])
    assert prompts(payload) == ["1 [abc] 2"]


def test_options_depend_on_the_seed_and_the_scenario_alone() -> None:
    options = [f"o{i}" for i in range(50)]
    payload = definition("[A] [A] [B]", [levels("A", options, options), levels("B", options, options, options)])
    first = prompts(payload)
    assert first == prompts(payload)
    assert all(text.split()[0] == text.split()[1] for text in first)
    assert len(set(first)) > 4
    assert prompts({**payload, "seed": 7}) != first


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        ({}, "Missing required field: definitionId"),
        ({"definitionId": 1, "content": []}, "content must be an object"),
        (definition(" "), "content.template cannot be empty"),
        ({"definitionId": 1, "content": {}}, "content.template is required"),
        (definition("x", {}), "content.dimensions must be an array"),
        (definition("x", ["A"]), "content.dimensions[0] must be an object"),
        (definition("x", [{"name": "A", "levels": [1]}]), "content.dimensions[0].levels[0] must be an object"),
        (definition("x", [{"name": "A", "levels": [{"score": "1"}]}]), "levels[0].score must be a number"),
        (definition("x", [{"name": "A", "levels": [{}, {}]}]), "has a score twice"),
        (definition("x", [{"name": "A", "values": [None]}]), "content.dimensions[0].values[0] must be a string"),
        (definition("x", [levels("A", ["x"]), levels("a", ["y"])]), "is there twice"),
        ({**definition("x"), "seed": "1"}, "seed must be a whole number"),
    ],
)
def test_a_clients_mistake_is_named(payload: dict[str, Any], part: str) -> None:
    error = in_process("generate_scenarios", payload)["error"]
    assert (error["code"], error["retryable"]) == ("VALIDATION_ERROR", False)
    assert part in error["message"]


def test_a_product_that_is_too_large_is_refused_before_it_is_made() -> None:
    ten = {"values": [str(i) for i in range(10)]}
    payload = definition("x", [{"name": f"d{i}", **ten} for i in range(9)])
    message = in_process("generate_scenarios", payload)["error"]["message"]
    assert "1,000,000,000 scenarios" in message
    assert f"{MOST_SCENARIOS:,}" in message
    large = definition("[d0]" * 10_000, [{"name": "d0", "values": ["x" * 10_000]}])
    assert "characters of prompts" in in_process("generate_scenarios", large)["error"]["message"]


_TEXT = st.text(alphabet="ab[]_Score123.\\\n $", max_size=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(template=_TEXT.filter(str.strip), options=st.lists(_TEXT, min_size=1, max_size=3))
def test_any_texts_give_as_many_scenarios_as_there_are_levels(template: str, options: list[str]) -> None:
    document = generate_scenarios(definition(template, [levels("a", *([text] for text in options))]))
    assert len(document["scenarios"]) == len(options)
    if "[" not in template:
        assert {one["content"]["prompt"] for one in document["scenarios"]} == {template}
