"""How runs add up: better findings replace weaker ones, never the other way round; merging twice changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.competitor_findings import (
    MENTIONS_KEPT,
    SUGGESTED_MAX,
    Finding,
    Grade,
    Rule,
    Source,
    Status,
    author_confidence,
    confirmed,
    merged,
    ranked,
    remembered,
    suggestions,
)
from src.worker.services.competitor_questions import stands_in
from src.worker.services.competitor_store import COMPETITORS, PER_BRAND_MAX, CompetitorStore, competitor_indexes
from src.worker.storage import Storage

DAY_1 = datetime(2026, 11, 1, tzinfo=UTC)
DAY_2 = DAY_1 + timedelta(days=7)
SEEN = Finding(
    key="globex",
    name="Globex",
    grade=Grade.COUNTED,
    source=Source.MENTIONS,
    confidence=0.75,
    rule=Rule.AUTHORS,
    reason="2 authors",
    surfaces=("Globex",),
    keywords=("Globex",),
    mentions=("m1", "m2"),
    authors=2,
    leaving=1,
)
SURE = confirmed(SEEN, reason="read", confidence=0.9)
MEMORY = Finding(
    key="globex",
    name="Globex Corporation",
    grade=Grade.REMEMBERED,
    source=Source.MODEL_MEMORY,
    confidence=0.99,
    rule=Rule.MODEL,
    reason="known",
    products=("widgets",),
)
REFUTED = replace(SEEN, competes=False, reason="a partner")


def after(*findings: Finding) -> dict[str, Any] | None:
    """The document after findings in this order, a day each."""
    document: dict[str, Any] | None = None
    for number, finding in enumerate(findings):
        document = merged(document, finding, brand="acme", now=DAY_1 + timedelta(days=number))
    return document


def kept(*findings: Finding) -> dict[str, Any]:
    document = after(*findings)
    assert document is not None
    return document


def test_a_name_of_one_person_is_stored_only_when_a_model_confirms_it() -> None:
    single = replace(SEEN, authors=1)
    assert after(single) is None
    assert after(replace(SEEN, set_against=False)) is None
    assert after(REFUTED) is None
    assert kept(confirmed(single, reason="read", confidence=0.7))["status"] == "confirmed"


def test_evidence_replaces_memory_and_memory_never_evidence() -> None:
    better = kept(MEMORY, SEEN)
    assert (better["source"], better["grade"], better["confidence"]) == ("mentions", 1, 0.75)
    assert better["products"] == ["widgets"]
    same = kept(SEEN, MEMORY)
    assert (same["name"], same["source"], same["confidence"], same["products"]) == ("Globex", "mentions", 0.75, [])
    assert same["last_seen"] == DAY_1  # nobody has seen it since


def test_a_confirmation_is_not_undone_by_counting_nor_by_one_contrary_reading() -> None:
    document = kept(SURE, replace(SEEN, authors=9), REFUTED)
    assert (document["status"], document["confidence"], document["reason"]) == ("confirmed", 0.9, "read")
    assert document["evidence"]["authors"] == 9


def test_of_two_counts_the_one_with_more_people_stands() -> None:
    many = replace(SEEN, authors=5, confidence=0.95, reason="5 authors")
    assert kept(many, SEEN)["reason"] == "5 authors"
    assert kept(SEEN, many)["reason"] == "5 authors"


def test_what_a_model_dismisses_stays_dismissed_until_one_confirms_it() -> None:
    assert kept(SEEN, REFUTED, replace(SEEN, authors=4))["status"] == "dismissed"
    assert suggestions([kept(SEEN, REFUTED)]) == []
    assert kept(SEEN, REFUTED, SURE)["status"] == "confirmed"


def test_evidence_grows_and_is_bounded() -> None:
    more = replace(SEEN, mentions=tuple(f"n{number}" for number in range(100)), urls=("https://x.example/",))
    document = kept(SEEN, more)
    assert len(document["evidence"]["mentions"]) == MENTIONS_KEPT
    assert document["evidence"]["mentions"][0] == "n0"
    assert (document["first_seen"], document["last_seen"]) == (DAY_1, DAY_1 + timedelta(days=1))


@given(st.lists(st.sampled_from([SEEN, SURE, MEMORY, REFUTED, replace(SEEN, authors=3)]), min_size=1, max_size=6))
def test_merging_a_finding_twice_changes_nothing_and_grades_never_fall(findings: list[Finding]) -> None:
    document: dict[str, Any] | None = None
    for finding in findings:
        before = -1 if document is None else document["grade"]
        document = merged(document, finding, brand="acme", now=DAY_1)
        assert merged(document, finding, brand="acme", now=DAY_1) == document
        assert before <= (-1 if document is None else document["grade"])


def test_the_remembered_come_last_and_the_list_is_bounded() -> None:
    documents = [
        kept(replace(MEMORY, key="a", name="A")),
        kept(replace(SEEN, key="b", name="B")),
        kept(replace(SURE, key="c", name="C", authors=1)),
        kept(replace(SURE, key="d", name="D", authors=3)),
    ]
    assert [one["name"] for one in ranked(documents)] == ["D", "C", "B", "A"]
    many = [kept(replace(SEEN, key=f"k{number}", name=f"N{number}")) for number in range(SUGGESTED_MAX + 5)]
    assert len(suggestions(many)) == SUGGESTED_MAX


def test_confidence_by_counting_rises_with_people_and_never_reaches_certainty() -> None:
    values = [author_confidence(number) for number in range(1, 12)]
    assert values == sorted(values)
    assert (values[0], values[1], max(values)) == (0.5, 0.75, 0.95)


def test_memory_without_a_name_is_nothing() -> None:
    assert remembered("  !", keywords=["x"], products=[], confidence=0.9, reason="r") is None


@pytest.mark.parametrize(
    ("name", "text", "stands"),
    [
        ("Globex", "we like globex.", True),
        ("Jet Blue", "@jetblue is fine", True),
        ("Meta", "metadata of the file", False),
        ("X", "the next text", False),
        ("Visa", "visas for all", False),
    ],
)
def test_a_name_stands_in_a_text_as_whole_words_only(name: str, text: str, stands: bool) -> None:
    assert stands_in(name, text) is stands


# -- in MongoDB ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_runs_at_the_same_time_lose_nothing(storage: Storage) -> None:
    store = CompetitorStore(storage)
    await storage.make_indexes(competitor_indexes())
    await asyncio.gather(
        *(store.merge("acme", [replace(SEEN, mentions=(f"m{number}",))], now=DAY_1) for number in range(6))
    )
    (document,) = await store.of("acme")
    assert sorted(document["evidence"]["mentions"]) == [f"m{number}" for number in range(6)]


@pytest.mark.anyio
async def test_a_brand_keeps_so_many_names_and_no_more(storage: Storage) -> None:
    store = CompetitorStore(storage)
    findings = [replace(SEEN, key=f"k{number}", name=f"N{number}") for number in range(PER_BRAND_MAX + 3)]
    assert len(await store.merge("acme", findings, now=DAY_1)) == PER_BRAND_MAX
    again = await store.merge("acme", [replace(findings[0], authors=7)], now=DAY_2)
    assert max(one["evidence"]["authors"] for one in again) == 7
    assert await store.of("other") == []


@pytest.mark.anyio
async def test_a_persons_decision_outlives_every_run(storage: Storage) -> None:
    store = CompetitorStore(storage)
    await store.merge("acme", [SEEN], now=DAY_1)
    assert await store.decide("acme", "@Globex", Status.DISMISSED, now=DAY_1) is not None
    (document,) = await store.merge("acme", [SURE], now=DAY_2)
    assert (document["status"], document["grade"]) == ("dismissed", 2)
    assert await store.decide("acme", "nobody", Status.DISMISSED, now=DAY_1) is None
    await storage.collection(COMPETITORS).delete_many({})
