"""Normalising mentions: what people read stays, what matching needs is canonical, one bad item harms no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.models import Chunk, TimeSource
from src.worker.pipeline.canonical import canonical, content_hash, unescaped
from src.worker.pipeline.normalize import Normalised, clean_metadata, normalise

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _normalise(*items: Any) -> Normalised:
    return normalise(Chunk("acme", "c-1", items), received_at=NOW, max_chars=1_000)


def _one(item: Any) -> Any:
    out = _normalise(item)
    assert not out.rejected
    return out.mentions[0][1]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("I love Acme!", "i LOVE acme"),
        ("I love #Acme https://t.co/abc", "I love Acme"),
        ("RT @someone: I love Acme", "I love @acme..."),
        ("don’t   go", "don't go"),
        ("ＦＵＬＬ width", "full width"),
        ("a — b, c; d", "a b c d"),
    ],
)
def test_copies_of_a_text_have_one_canonical_form(left: str, right: str) -> None:
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("it works :)", "it works :("),
        ("great 😀", "great 😡"),
        ("flight 1234 is late", "flight 1235 is late"),
        ("version 1.5", "version 15"),
        ("it works", "it does not work"),
        ("https://a.example/1", "https://a.example/2"),
        ("😀", "😡"),
    ],
)
def test_different_opinions_stay_apart(left: str, right: str) -> None:
    assert canonical(left) != canonical(right)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(max_size=200))
def test_a_text_that_shows_anything_has_a_canonical_form(text: str) -> None:
    assert bool(canonical(text)) == bool(text.split())


def test_the_canonical_form_takes_linear_time() -> None:
    import time

    def seconds(text: str) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            canonical(unescaped(text))
            best = min(best, time.process_time() - began)
        return best

    for unit in ("<a ", "<b a=", "&", "http://", "RT @a", "'a", ":-", "@#", "\u0301"):
        small, large = seconds(unit * 5_000), seconds(unit * 40_000)
        assert large < max(0.05, small * 40), unit


def test_html_is_taken_off_but_no_words_are_lost() -> None:
    assert unescaped("Tom &amp; Jerry <b>rock</b><br/>!") == "Tom & Jerry  rock  !"
    assert unescaped("a <b and c> d, x < y > z, I <3 you") == "a <b and c> d, x < y > z, I <3 you"


def test_case_emoji_and_links_stay_in_the_text() -> None:
    text = "LOVE the new Acme app 😀 https://acme.example/x"
    assert _one({"text": text}).text == text


def test_the_same_text_on_two_networks_is_two_mentions() -> None:
    assert content_hash("x", "same") != content_hash("reddit", "same")


@pytest.mark.parametrize(
    ("item", "created", "origin"),
    [
        ({"text": "a", "timestamp": 1740824430000}, datetime(2025, 3, 1, 10, 20, 30, tzinfo=UTC), TimeSource.EVENT),
        (
            {"text": "a", "createdAt": "2025-03-01T10:20:30Z"},
            datetime(2025, 3, 1, 10, 20, 30, tzinfo=UTC),
            TimeSource.EVENT,
        ),
        ({"text": "a"}, NOW, TimeSource.RECEIVED),
        ("a plain string", NOW, TimeSource.RECEIVED),
    ],
)
def test_event_time_is_the_producers_and_a_missing_one_is_marked(item: Any, created: datetime, origin: str) -> None:
    mention = _one(item)
    assert (mention.created_at, mention.time_source) == (created, origin)


def test_an_unreadable_time_is_said_and_costs_only_itself() -> None:
    mention = _one({"text": "a", "created_at": "last tuesday", "timestamp": 1740824430000})
    assert mention.created_at.year == 2025
    assert mention.notes == ("timestamp_unreadable:created_at",)


def test_fields_of_metadata_stand_in_for_missing_ones() -> None:
    mention = _one(
        {
            "id": 17,
            "text": "a",
            "source": "aggregator",
            "metadata": {
                "author": "user_1",
                "url": "https://a.example",
                "followers": "1000",
                "raw": {"platform": "Reddit"},
                "isCompetitor": True,
                "competitorName": "Globex",
            },
        }
    )
    assert (mention.id, mention.author, mention.url, mention.source) == ("17", "user_1", "https://a.example", "reddit")
    assert (mention.author_followers, mention.influence_score, mention.competitor) == (1000, 3.0, "Globex")
    assert "raw" not in mention.metadata


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (5, "mentions[0]: must be an object or text, not a number"),
        (None, "mentions[0]: must be an object or text, not null"),
        ({}, "mentions[0].text: is required"),
        ({"text": 5}, "mentions[0].text: must be text, not a number"),
        ({"text": ["a"]}, "mentions[0].text: must be text, not an array"),
        ({"text": "  "}, "mentions[0].text: is empty"),
        ({"text": "x" * 1001}, "mentions[0].text: has 1,001 characters, at most 1,000 are allowed"),
        ({"text": "a", "id": {}}, "mentions[0].id: must be text, not an object"),
        ({"text": "a", "metadata": []}, None),
        ({"text": "a", "metadata": "x"}, "mentions[0].metadata: must be an object, not text"),
        ({"text": "a", "created_at": []}, "mentions[0].created_at: must be a time (ISO 8601 or epoch), not an array"),
        ({"text": "a", "author": {"name": "x"}}, "mentions[0].author: must be text, not an object"),
        ({"text": "a", "source": 5}, "mentions[0].source: must be text, not a number"),
    ],
)
def test_a_bad_item_is_rejected_with_its_field_and_the_others_go_on(item: Any, reason: str | None) -> None:
    out = _normalise(item, {"text": "a good one"})
    if reason is None:
        assert not out.rejected
        return
    assert [bad.reason for bad in out.rejected] == [reason]
    assert [mention.text for _, mention in out.mentions] == ["a good one"]


@pytest.mark.parametrize(
    "item",
    [
        {"text": "acme update pending for x.", "id": "synthetic-1"},
        {"text": "anything", "metadata": {"synthetic": True}},
        {"text": "Simulated post mentioning acme on X at 2025-01-01T00:00:00Z"},
    ],
)
def test_made_up_mentions_are_counted_and_not_analysed(item: Any) -> None:
    out = _normalise(item)
    assert (out.synthetic, out.mentions, out.rejected) == (1, [], [])


def test_a_real_post_about_synthetics_is_no_synthetic_one() -> None:
    assert _one({"id": "synthetic-leather-7", "text": "Is this bag synthetic?"}).text


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.one_of(st.text(), st.sampled_from(["$where", "a.b", "\x00", "_id"])), json_values, max_size=5)
)
def test_any_metadata_can_be_stored(metadata: dict[str, Any]) -> None:
    cleaned = clean_metadata(metadata)
    bson.encode({"metadata": cleaned}, check_keys=True)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["id", "text", "source", "metadata", "author", "url", "created_at", "timestamp", "influence_score"]
        ),
        json_values,
    )
)
def test_every_item_is_in_exactly_one_place(item: dict[str, Any]) -> None:
    out = _normalise(item)
    assert len(out.mentions) + len(out.rejected) + out.synthetic == 1
