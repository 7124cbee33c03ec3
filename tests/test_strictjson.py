"""Strict JSON in both directions, with errors that name the field."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker import strictjson
from src.worker.errors import InvalidTask


@pytest.mark.parametrize(
    ("raw", "field", "problem"),
    [
        (b"", "task", "is not JSON"),
        (b"hello", "task", "is not JSON"),
        (b'{"a": 1}}', "task", "is not JSON"),
        (b'{"a": NaN}', "a", "NaN is not JSON"),
        (b'{"a": {"b": [1, -Infinity]}}', "a.b[1]", "-Infinity is not JSON"),
        (b'{"mentions": [{"text": "x\\ud800y"}]}', "mentions[0].text", "lone surrogate U+D800 at character 1"),
        (b'{"a\\udfff": 1}', "a\\udfff", "lone surrogate"),
        (b'{"a": 1e999}', "a", "inf is not JSON"),
        (b'{"a": "\xff"}', "task", "is not UTF-8 (byte 0xff at position 7)"),
        (b"[" * 100_000, "task", "nested deeper than 64 levels"),
        (b"[" * 200 + b"]" * 200, "task", "nested deeper than 64 levels"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "task", "nested deeper than 64 levels"),
        (b"1" * 5_000, "task", "is not JSON"),
    ],
)
def test_what_is_not_strict_json_is_refused_and_the_field_is_named(raw: bytes, field: str, problem: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        strictjson.loads(raw)
    assert caught.value.field == field
    assert problem in caught.value.problem


def test_good_documents_are_read_as_they_are() -> None:
    raw = '{"a": [1, 2.5, null, true, "ü😀"], "b": {"c": {}}}'.encode()
    assert strictjson.loads(raw) == json.loads(raw)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(strictjson.loads(json.dumps([{} for _ in range(1000)]).encode())) == 1000


@pytest.mark.parametrize(
    "bad",
    [math.nan, math.inf, {"a": [-math.inf]}, {"k": ("x", math.nan)}, "\ud800", [0.5, math.nan, 1], [0.5, "\ud800"]],
)
def test_writing_never_hides_a_number_that_json_does_not_have(bad: object) -> None:
    with pytest.raises(ValueError, match=r"not JSON|surrogate"):
        strictjson.dumps(bad)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_an_invalid_task(raw: bytes) -> None:
    try:
        value = strictjson.loads(raw)
    except InvalidTask:
        return
    assert json.loads(raw) == value


def test_half_an_emoji_costs_its_text_one_character_and_nothing_else() -> None:
    raw = b'{"mentions": [{"text": "cut \\ud83d", "caf\xc3\xa9": 1}, {"text": "whole \\ud83d\\ude00"}], "n": 1e400}'
    with pytest.raises(InvalidTask, match=r"Infinity|inf"):
        strictjson.loads_mended(raw)
    found = strictjson.loads_mended(raw.replace(b"1e400", b"12345678901234567"))
    assert found == {
        "mentions": [{"text": "cut \ufffd", "café": 1}, {"text": "whole 😀"}],
        "n": 12345678901234567,
    }
    for bad in (b'{"a": ["\\ud83d", 1], "b": NaN}', b'{"a": ["\\ud83d", 1]', b'{"a": ["\\ud83d", 1]}' + b"\xff"):
        with pytest.raises(InvalidTask):
            strictjson.loads_mended(bad)
    deep = b'{"a": ["\\ud83d", 1], "b": ' + b"[" * 200 + b"]" * 200 + b"}"
    with pytest.raises(InvalidTask, match="deep"):
        strictjson.loads_mended(deep)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"type": "noop", "text": "\\ud800"}', "text"),
        (b'{"mentions": [{"text": "\\udc00 x"}]}', "mentions[0].text"),
        (b'{"chunk": {"mentions": [{"text": "\\udc00 x"}]}}', "chunk.mentions[0].text"),
        (b'{"a.b": ["\\udc00 x", 1]}', "a.b[0]"),
        (b'["\\udc00 x"]', "[0]"),
    ],
)
def test_half_an_emoji_that_nobody_came_with_is_refused_by_its_field(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidTask, match="lone surrogate") as refused:
        strictjson.loads_mended(raw)
    assert refused.value.field == field


def test_half_an_emoji_inside_an_envelope_costs_nobody_its_chunk() -> None:
    raw = b'{"task": {"mentions": [{"text": "cut \\ud83d"}, {"text": "fine"}]}}'
    assert strictjson.loads_mended(raw) == {"task": {"mentions": [{"text": "cut \ufffd"}, {"text": "fine"}]}}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_sixty_four_levels_are_the_deepest(opening: str) -> None:
    def nested(levels: int) -> bytes:
        inner = opening * (levels - 1) + "1" + ("]" if opening == "[" else "}") * (levels - 1)
        return f"[[], [], {{}}, {inner}]".encode()

    assert strictjson.loads(nested(64)) == json.loads(nested(64))
    with pytest.raises(InvalidTask, match="nested deeper than 64 levels"):
        strictjson.loads(nested(65))


def test_keys_are_looked_at_too_and_values_under_them() -> None:
    strictjson.check({"ü": 1, "a": {"é": [0.5, 1]}})
    with pytest.raises(ValueError, match=r"^a\.b: inf"):
        strictjson.check({"a": {"b": math.inf}})
    with pytest.raises(ValueError, match=r"lone surrogate U\+D800 at character 1"):
        strictjson.check({"a": {"x\ud800": 1}})
    with pytest.raises(ValueError, match=r"^\[1\]: nan is not JSON"):
        strictjson.check([1, math.nan])
    with pytest.raises(ValueError, match=r"^value: nan"):
        strictjson.check(math.nan)
