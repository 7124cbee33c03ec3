"""Reading times as producers write them, and the envelope of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.errors import InvalidTask
from src.worker.models import TaskPriority
from src.worker.tasks import parse_task, slug_of
from src.worker.times import from_ms, iso, iso_ms, parse_time, to_ms

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MOMENT = datetime(2025, 3, 1, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        1740824430,
        1740824430.0,
        1740824430000,
        "1740824430",
        "1740824430000",
        "2025-03-01T10:20:30Z",
        "2025-03-01T10:20:30.000+00:00",
        "2025-03-01T11:20:30+01:00",
        "2025-03-01 10:20:30",
        "Sat, 01 Mar 2025 10:20:30 GMT",
        "Sat, 01 Mar 2025 05:20:30 -0500",
        "Sat Mar 01 10:20:30 +0000 2025",
    ],
)
def test_every_form_of_a_time_is_the_same_moment(value: object) -> None:
    assert parse_time(value) == MOMENT


@pytest.mark.parametrize(
    "value", ["", "yesterday", "0", 0, -5, True, None, [], {}, "9" * 40, 1e300, float("nan"), "x" * 500]
)
def test_what_cannot_be_read_is_none_and_never_now(value: object) -> None:
    assert parse_time(value) is None


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.one_of(st.text(max_size=40), st.floats(), st.integers()))
def test_no_value_makes_reading_a_time_fail(value: object) -> None:
    when = parse_time(value)
    assert when is None or when.utcoffset() is not None


def test_times_are_written_with_milliseconds_and_zone() -> None:
    assert iso(MOMENT) == "2025-03-01T10:20:30.000Z"


def _parse(document: Any) -> Any:
    return parse_task(document, fallback_id="f-1", received_ms=to_ms(NOW), stream_priority=TaskPriority.LOW)


def test_fields_of_the_type_may_stand_at_top_level_or_in_payload() -> None:
    top = _parse({"type": "noop", "x": 1, "brand": "Acme"})
    inner = _parse({"type": "noop", "payload": {"x": 1}, "brand": "Acme"})
    assert dict(top.payload) == dict(inner.payload) == {"x": 1}
    assert top.brand == inner.brand == "Acme"


def test_what_a_task_does_not_say_comes_from_its_place_in_the_queue() -> None:
    task = _parse({"type": "cluster_mentions"})
    assert (task.id, task.priority, task.type) == ("f-1", TaskPriority.LOW, "analyze_mentions")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "task"),
        ("text", "task"),
        (None, "task"),
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "x" * 101}, "type"),
        ({"type": "noop", "payload": []}, "payload"),
        ({"type": "noop", "id": {"a": 1}}, "id"),
        ({"type": "noop", "id": "a b"}, "id"),
        ({"type": "noop", "id": "a\nb"}, "id"),
        ({"type": "noop", "id": ""}, "id"),
        ({"type": "noop", "id": "x" * 201}, "id"),
        ({"type": "noop", "brand": 5}, "brand"),
        ({"type": "noop", "brand": " "}, "brand"),
        ({"type": "noop", "brand": "!!"}, "brand"),
        ({"type": "noop", "brand": "x" * 201}, "brand"),
        ({"type": "noop", "priority": "urgent"}, "priority"),
        ({"type": "noop", "priority": []}, "priority"),
        ({"type": "noop", "deadline": "soon"}, "deadline"),
        ({"type": "noop", "dedupKey": 5}, "dedupKey"),
        ({"type": "noop", "dedupKey": ""}, "dedupKey"),
    ],
)
def test_a_wrong_envelope_is_refused_and_the_field_is_named(document: Any, field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        _parse(document)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("brand", "slug"),
    [("Acme Corp.", "acme-corp"), ("acme-corp", "acme-corp"), ("Nestlé", "nestlé"), ("AT&T", "at-t"), ("a_b", "a_b")],
)
def test_slugs(brand: str, slug: str) -> None:
    assert slug_of(brand) == slug == slug_of(slug)


def test_milliseconds_and_moments_are_the_same_thing() -> None:
    assert from_ms(to_ms(MOMENT)) == MOMENT
    assert iso_ms(to_ms(MOMENT) + 7) == "2025-03-01T10:20:30.007Z"
