"""What names a brand: whole words however spaced, joined, marked or cased, in any script, and nothing inside words."""

from __future__ import annotations

import pytest

from src.worker.brand_terms import BrandTerms
from tests.helpers import least_seconds

NAMED = [
    # several words: spaced, joined, hyphenated, as handle and hashtag, at line ends and before marks
    *[
        ("acme-corp", text)
        for text in (
            "Acme Corp rocks",
            "acme-corp",
            "acme–corp",
            "@acmecorp hi",
            "#AcmeCorp!",
            "ACME_CORP",
            "acme  corp",
            "Acme\u00a0Corp",
            "Acme\nCorp",
            "(acme corp)",
            "Acme Corp's app",
            "acme corp.",
            "acmecorp😀",
            "https://acmecorp.com/x",
            "＠ＡｃｍｅＣｏｒｐ",
        )
    ],
    ("Meta", "x-meta"),
    ("X", "x.com is down"),
    ("AT&T", "AT&T is slow"),
    ("AT&T", "AT&amp;T is slow"),
    ("AT&T", "#ATT"),
    ("H&M", "h & m has it"),
    ("C++", "I love C++!"),
    ("Yahoo!", "yahoo mail"),
    ("O'Reilly", "an OReilly book"),
    ("O'Reilly", "an O’Reilly book"),
    ("7-Eleven", "at 7eleven"),
    ("T-Mobile", "@TMobile help"),
    ("T-Mobile", "t‑mobile"),
    ("Nestlé", "a NESTLÉ bar"),
    ("Nestlé", "a Nestle\u0301 bar"),
    ("Straße", "STRASSE"),
    ("Яндекс", "яндекс такси"),
    ("ソニー", "私はソニーが好き"),
    ("小米", "小米手机"),
    ("टाटा", "टाटा मोटर्स"),
]
NOT_NAMED = [
    ("acme-corp", "acme corps"),
    ("acme", "pacmen"),
    ("acme", "@acme_support help"),
    ("Meta", "metadata"),
    ("Meta", "#meta2"),
    ("X", "fix"),
    ("AT&T", "att"),
    ("C++", "a C+ grade"),
    ("Yahoo!", "yahoos"),
    ("7-Eleven", "77-eleven"),
    ("H&M", "h and m"),
    ("Яндекс", "яндексу"),
    ("टाटा", "टाटाओं"),
]


@pytest.mark.parametrize(("brand", "text"), NAMED)
def test_a_brand_is_found_however_it_is_written(brand: str, text: str) -> None:
    assert BrandTerms.build(brand).names(text)


@pytest.mark.parametrize(("brand", "text"), NOT_NAMED)
def test_a_brand_is_not_found_inside_other_words(brand: str, text: str) -> None:
    assert not BrandTerms.build(brand).names(text)


@pytest.mark.parametrize("text", ["my Rocket Skates broke", "#rocketskates", "RocketSkates😀", "rocket-skates!"])
def test_keywords_and_aliases_count_as_well(text: str) -> None:
    assert BrandTerms.build("acme", keywords=["rocket skates"]).names(text)
    assert BrandTerms.build("acme", aliases=["rocket skates"]).names(text)
    assert not BrandTerms.build("acme", keywords=["rocket skates"]).names("a rocket and skates")


@pytest.mark.parametrize("unit", ["acme ", "acme-", "acme – ", "@acme", "& ", "a & ", "- "])
def test_finding_takes_linear_time(unit: str) -> None:
    terms = BrandTerms.build("acme – corp & sons", keywords=["rocket & skates"])

    def seconds(count: int) -> float:
        return least_seconds(lambda: terms.names(unit * count))

    # Sixteen times the text: in quadratic time it would take 256 times as long.
    assert seconds(32_000) < 16 * 4 * max(seconds(2_000), 0.001)
