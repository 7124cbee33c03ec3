"""Every shape in which producers send mentions becomes one chunk; anything else is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.worker.errors import InvalidTask
from src.worker.pipeline.intake import chunk_key, parse_chunk

MENTION = {"id": "1", "brand": "Acme Corp", "text": "hello", "timestamp": 1740824430000, "source": "x", "metadata": {}}
ENVELOPE = {
    "envelope_id": "e-1",
    "batch_id": "b-1",
    "secure_context": {"org_id": "system_aggregator"},
    "task": {"type": "cluster_mentions", "brand": "acme", "mentions": [MENTION, "a string"], "keywords": ["acme app"]},
}
CHUNK = {
    "brand": "acme",
    "chunkId": "acme-1-1",
    "createdAt": "2025-03-01T10:20:30Z",
    "meta": {"chunkIndex": 1, "totalChunks": 2, "keywords": ["acme app"]},
    "mentions": [MENTION],
}
NATIVE = {"brand": "Acme", "mentions": [MENTION], "keywords": ["acme app"]}


@pytest.mark.parametrize(
    ("payload", "chunk_id", "items", "keywords"),
    [
        (MENTION, "fallback", 1, ()),
        (ENVELOPE, "e-1", 2, ("acme app",)),
        (CHUNK, "acme-1-1", 1, ("acme app",)),
        (NATIVE, "fallback", 1, ("acme app",)),
        (
            {"worker_id": "w", "brand": "acme", "reason": "boom", "payload": json.dumps(CHUNK)},
            "acme-1-1",
            1,
            ("acme app",),
        ),
        ({"reason": "boom", "payload": {"error": "again", "payload": ENVELOPE}}, "e-1", 2, ("acme app",)),
    ],
)
def test_every_shape_is_read(payload: Any, chunk_id: str, items: int, keywords: tuple[str, ...]) -> None:
    chunk = parse_chunk(payload, brand="acme", fallback_id="fallback")
    assert (chunk.brand, chunk.chunk_id, len(chunk.items), chunk.keywords) == ("acme", chunk_id, items, keywords)


def test_the_envelopes_own_names_are_kept() -> None:
    chunk = parse_chunk(ENVELOPE, brand=None, fallback_id="f")
    assert (chunk.envelope_id, chunk.batch_id, chunk.org_id) == ("e-1", "b-1", "system_aggregator")


def test_a_display_name_becomes_a_slug_where_nothing_else_is_known() -> None:
    assert parse_chunk(MENTION, brand=None, fallback_id="f").brand == "acme-corp"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ([], "task"),
        ({}, "mentions"),
        ({"brand": "acme", "mentions": "text"}, "mentions"),
        ({"brand": "acme", "mentions": []}, "mentions"),
        ({"brand": "acme", "mentions": {}}, "mentions"),
        ({"task": {"mentions": 5}}, "task.mentions"),
        ({"mentions": ["a"]}, "brand"),
        ({"brand": 5, "mentions": ["a"]}, "brand"),
        ({"brand": "acme", "mentions": ["a"], "keywords": "x"}, "keywords"),
        ({"brand": "acme", "mentions": ["a"], "keywords": ["x", 5]}, "keywords[1]"),
        ({"brand": "acme", "mentions": ["a"], "chunkId": []}, "chunkId"),
        ({"brand": "acme", "mentions": ["a"], "meta": []}, "meta"),
        ({"chunkId": "c", "brand": "acme", "clusters": [], "sentiment": {}}, "payload"),
        ({"reason": "x", "payload": "not json"}, "task"),
        ({"payload": {"payload": {"payload": {"payload": {"payload": {"payload": {"payload": 1}}}}}}}, "payload"),
    ],
)
def test_anything_else_is_refused_and_the_field_is_named(payload: Any, field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        parse_chunk(payload, brand=None, fallback_id="f")
    assert caught.value.field == field


def test_a_chunk_is_known_by_its_name_and_its_content() -> None:
    chunk = parse_chunk(CHUNK, brand=None, fallback_id="f")
    assert chunk_key(chunk, ["a", "b"]) == chunk_key(chunk, ["a", "b"])
    assert chunk_key(chunk, ["a", "b"]) != chunk_key(chunk, ["a", "c"])
    other = parse_chunk({**CHUNK, "chunkId": "acme-1-2"}, brand=None, fallback_id="f")
    assert chunk_key(chunk, ["a"]) != chunk_key(other, ["a"])
