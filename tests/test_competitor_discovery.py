"""Who is named as a rival, by patterns alone: measured on sentences written by hand and on posts about airlines."""

from __future__ import annotations

import csv
import gc
import gzip
import html
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest

from src.worker.brand_terms import BrandTerms
from src.worker.competitor_discovery import CONTEXTS_MAX, EVIDENCE_MAX, Candidate, Discovery, Post
from src.worker.competitor_names import name_key
from tests.competitor_corpus import (
    FOUND,
    HELD_OUT_FOUND,
    HELD_OUT_TRAPS,
    SECOND_FOUND,
    SECOND_TRAPS,
    THIRD_FOUND,
    THIRD_TRAPS,
    TRAPS,
)
from tests.helpers import least_seconds

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
AIRLINES = {
    "delta", "american", "virginamerica", "usairways", "southwest", "united", "spirit", "jetblue", "alaska", "frontier",
    "continental", "continentalair1", "flysaa", "silver", "lufthansa", "british", "aircanada", "emirates",
}  # fmt: skip
"""Keys of airlines among the names found in the development data, told by hand; never used by the code."""


def read(brand: str, posts: Sequence[Post | str], **more: Sequence[str]) -> dict[str, Candidate]:
    """Candidates by key; texts get an author each."""
    discovery = Discovery(BrandTerms.build(brand, **more), [brand])
    discovery.add([Post(str(n), one, f"a{n}") if isinstance(one, str) else one for n, one in enumerate(posts)])
    discovery.gather(0)
    return {one.key: one for one in discovery.candidates()}


def against(brand: str, *texts: str) -> set[str]:
    """Keys of the names that somebody set against the brand."""
    return {key for key, one in read(brand, texts).items() if one.strong_authors}


def figures(found: Sequence[tuple[str, str, tuple[str, ...]]], traps: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Precision and recall of names over sentences, each read alone."""
    right = wrong = missed = 0
    for brand, text, names in found:
        got, wanted = against(brand, text), {name_key(name) for name in names}
        right, wrong, missed = right + len(got & wanted), wrong + len(got - wanted), missed + len(wanted - got)
    wrong += sum(len(against(brand, text)) for brand, text in traps)
    return right / (right + wrong), right / (right + missed)


def test_the_corpus_is_large_and_half_of_it_are_traps() -> None:
    found, traps = (
        FOUND + SECOND_FOUND + THIRD_FOUND + HELD_OUT_FOUND,
        TRAPS + SECOND_TRAPS + THIRD_TRAPS + HELD_OUT_TRAPS,
    )
    assert len(found) + len(traps) >= 200
    assert len(traps) >= len(found)
    assert len(set(traps)) == len(traps)


@pytest.mark.parametrize(
    ("found", "traps", "precision", "recall"),
    [
        (FOUND, TRAPS, 0.98, 0.98),
        (SECOND_FOUND, SECOND_TRAPS, 0.95, 0.9),
        (THIRD_FOUND, THIRD_TRAPS, 0.95, 0.75),
        (HELD_OUT_FOUND, HELD_OUT_TRAPS, 0.9, 0.6),
    ],
    ids=["first", "second", "third", "held_out"],
)
def test_precision_and_recall_on_sentences_written_by_hand(
    found: list[tuple[str, str, tuple[str, ...]]], traps: list[tuple[str, str]], precision: float, recall: float
) -> None:
    measured = figures(found, traps)
    assert measured[0] >= precision, measured
    assert measured[1] >= recall, measured


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
@pytest.mark.parametrize(
    ("brand", "aliases", "rivals"),
    [
        ("United", ["united airlines"], {"delta", "american", "southwest", "virginamerica"}),
        ("Southwest", ["SouthwestAir", "southwest airlines"], {"delta", "spirit", "usairways", "american"}),
    ],
)
def test_real_posts_about_an_airline_name_airlines(brand: str, aliases: list[str], rivals: set[str]) -> None:
    with gzip.open(DATA / "airline_stream.csv.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["brand"] == brand]
    posts = [Post(row["tweet_id"], html.unescape(row["text"]), row["user"]) for row in reversed(rows)]
    found = read(brand, posts, aliases=aliases)
    sure = {key for key, one in found.items() if one.strong_authors and one.authors >= 2}
    single = {key for key, one in found.items() if one.strong_authors == 1}
    assert rivals <= sure
    assert sure <= AIRLINES  # precision 1.0 where two people agree
    assert len(single & AIRLINES) / len(single) >= 0.6
    assert name_key(brand) not in sure


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Acme vs Globex", "globex"),
        ("Globex or Acme?", "globex"),
        ("Acme is slower than Globex", "globex"),
        ("Acme is as bad as Globex", "globex"),
        ("unlike Globex, Acme works", "globex"),
        ("compared to Globex Acme is dear", "globex"),
        ("I prefer Globex to Acme", "globex"),
        ("I took Globex instead of Acme", "globex"),
        ("Acme beats Globex", "globex"),
        ("Acme is miles ahead of Globex", "globex"),
        ("we moved from Acme to Globex", "globex"),
        ("we moved from Globex to Acme", "globex"),
        ("I left Acme for Globex", "globex"),
        ("we replaced Acme with Globex", "globex"),
        ("goodbye Acme, hello Globex", "globex"),
        ("Acme, I am taking my business to Globex", "globex"),
        ("Acme fails, should have used Globex", "globex"),
        ("Acme late again, next time I fly Globex", "globex"),
        ("an alternative to Acme is Globex", "globex"),
        ("Acme's rival Globex", "globex"),
        ("Acme competes with Globex", "globex"),
        ("deciding between Acme and Globex", "globex"),
        ("companies like Hooli, Acme and Globex", "globex"),
        ("Acme is down, @Globex would you take us, we are switching to @Globex", "globex"),
        ("#Acme vs #Globex", "globex"),
    ],
)
def test_every_way_to_say_it_is_understood(text: str, key: str) -> None:
    assert key in against("acme", text)


def test_leaving_and_coming_are_told_apart_and_counted_by_people() -> None:
    found = read(
        "acme",
        [
            Post("1", "switched from Acme to Globex", "ann"),
            Post("2", "again: I left Acme for Globex", "ann"),
            Post("3", "I ditched Globex for Acme", "bea"),
            Post("4", "Acme or Globex?", "cem"),
            Post("5", "I will never choose Globex over Acme", "dan"),
        ],
    )["globex"]
    assert (found.mentions, found.authors, found.strong_authors) == (5, 4, 4)
    assert (found.leaving, found.joining) == (1, 1)
    assert found.evidence == ("1", "2", "3", "4", "5")
    assert [one.mention for one in found.contexts] == ["1", "3", "4", "5"]


def test_posts_without_an_author_count_as_one_person() -> None:
    posts = [Post(str(n), f"Acme or Globex for {n} people?", None) for n in range(9)]
    assert (read("acme", posts)["globex"].authors, read("acme", posts)["globex"].mentions) == (1, 9)


def test_spellings_of_one_name_are_one_candidate() -> None:
    texts = [
        "Acme or JetBlue?",
        "Acme or @jetblue?",
        "Acme or Jet Blue?",
        "Acme or JetBlue Airways?",
        "acme or jetblue?",
    ]
    found = read("acme", texts)
    assert list(found) == ["jetblue"]
    assert (found["jetblue"].name, found["jetblue"].authors) == ("JetBlue", 5)


def test_small_letters_are_a_name_once_others_have_written_it_like_one() -> None:
    assert against("acme", "acme or globex?") == set()
    assert read("acme", ["acme or globex?", "I like Globex", "oh @globex"])["globex"].strong_authors == 1


def test_a_word_that_is_mostly_written_small_is_no_name() -> None:
    texts = ["Acme or Bananas?"] + [f"bananas number {n} from acme" for n in range(9)]
    assert against("acme", *texts) == set()


def test_the_brands_own_names_handles_products_and_keywords_are_no_rivals() -> None:
    assert (
        read(
            "acme",
            ["Acme or @AcmeSupport?", "Acme Pro vs Acme Lite", "Acme or RocketSkates?"],
            keywords=["rocket skates"],
        )
        == {}
    )


def test_headlines_and_shouting_make_no_names_by_themselves() -> None:
    assert against("acme", "WHY ACME OR NOTHING WORKS BETTER THAN EVERYTHING") == set()
    assert against("acme", "Acme Or Not: Ten Reasons Why Better Than Ever Things Happen") == set()


def test_the_platforms_own_competitors_are_known() -> None:
    found = read("acme", [Post("7", "what a day", "ann", tracked="Globex Inc")])
    assert (found["globex"].tracked, found["globex"].evidence, found["globex"].name) == (True, ("7",), "Globex Inc")


def test_names_beside_a_brand_are_candidates_only_with_two_people_and_never_set_against_it() -> None:
    beside = [
        Post("1", "I fly Globex to work, sorry Acme", "ann"),
        Post("2", "using Globex and thinking of Acme", "bea"),
    ]
    assert read("acme", beside[:1]) == {}
    assert read("acme", beside)["globex"].strong_authors == 0


def test_evidence_is_bounded_and_counts_go_on() -> None:
    found = read("acme", [f"Acme or Globex, take {n}?" for n in range(EVIDENCE_MAX + 30)])["globex"]
    assert (len(found.evidence), len(found.contexts)) == (EVIDENCE_MAX, CONTEXTS_MAX)
    assert (found.mentions, found.authors) == (EVIDENCE_MAX + 30, EVIDENCE_MAX + 30)


@pytest.mark.parametrize(
    "text",
    [
        "Acme or " * 20_000,
        "Acme vs Globex vs " * 5_000,
        "A" * 100_000,
        "Acme is " + "better " * 30_000,
        "@" * 50_000,
        "more " * 30_000 + "than Globex",
        "Globex, " * 20_000 + "Acme",
        "switched from " * 10_000,
        "\ue000\ue100" * 20_000,
        "Acme a-b'c.d&" * 10_000,
    ],
)
def test_hostile_texts_cost_little(text: str) -> None:
    read("acme", ["Acme or Globex?"])  # compiles the patterns
    assert least_seconds(lambda: read("acme", [text])) < 1.0  # a hundredth of it does; quadratic, minutes would not


def test_signs_that_stand_for_names_cannot_be_smuggled_in() -> None:
    assert against("acme", "we switched from \ue000 to \ue100", "\ue102 vs Acme", "\ue000 vs Globex") == set()


def test_a_discovery_is_gone_when_nobody_needs_it_any_more() -> None:
    """Its posts must not wait for the garbage collector: there are thousands of them."""
    gc.disable()
    try:
        discovery = Discovery(BrandTerms.build("acme"), ["acme"])
        discovery.add([Post("1", "I left Acme for Globex", "ada")])
        discovery.gather(0)
        discovery.candidates()
        held = weakref.ref(discovery)
        del discovery
        assert held() is None
    finally:
        gc.enable()
