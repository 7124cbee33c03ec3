"""No text makes a regular expression of the package run for long: strangers write what they are matched against."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest

from src.worker.bluesky import posts
from src.worker.brand_terms import BrandTerms
from src.worker.competitor_patterns import patterns
from src.worker.evaluation.redaction import redactor
from src.worker.secrecy import remember, without_known
from tests.pattern_attacks import Found, called, held, seconds, worst

SLOW = {20: 0.02, 1_000: 0.02, 3_000: 0.06, 20_000: 0.1}
"""Seconds of processor time that a text of so many characters may take. Linear is a thousandth of that; what grows with
the square takes 0.2 s for 20,000 characters and 5 s for the 100,000 that a mention may have; what grows faster shows at
20."""

HOSTILE_BRANDS = (
    "a" + "'" * 60 + "b",
    "a" + "'-" * 40 + "b",
    "a" + "& " * 60 + "b",
    "a" + "-" * 150 + "b",
    "& ' " * 40 + "x",
    "a b " * 50,
)


def _brands() -> Iterable[re.Pattern[str]]:
    terms = [BrandTerms.build(brand, ("al'ias & co",), ("key-word",)) for brand in (*HOSTILE_BRANDS, "Acme & Sons'")]
    return [one for term in terms for one in (term.own, term.any_term) if one is not None]


BUILT: dict[str, Callable[[], Iterable[re.Pattern[str]]]] = {
    "bluesky.posts.author_of_profile": lambda: [re.compile(posts._DID)],
    "brand_terms._part": list,  # looks at one mark, with a class
    "brand_terms._parts": list,  # a class, a class, or any: nothing to go back to
    "brand_terms._pattern": _brands,
    "competitor_patterns._compiled": lambda: [one.expression for one in patterns()],
    "evaluation.redaction.redactor": list,  # alternatives of values; its keys' looks are below
    "llm.redaction._account": list,  # one class of one character
    "pipeline.leads._move": list,  # at import: found there
    "redis_families._compiled": list,  # at import: found there
    "secrecy.add": list,  # values as they are
    "services.competitors._either": _brands,  # two of those joined
    "web.markup._after_skipped": lambda: [re.compile(r"</script(?=[\s/>])", re.IGNORECASE)],
}
"""Patterns that functions put together, as they come out for what strangers may put in."""


def _everything() -> list[Found]:
    literal = [
        Found(f"{one.where}()", re.compile(one.literal), one.function in ("match", "fullmatch"))
        for one in called()
        if one.literal is not None
    ]
    built = [Found(where, pattern, False) for where, make in BUILT.items() for pattern in make()]
    return [*held(), *literal, *built]


def test_every_pattern_that_a_function_puts_together_is_looked_at() -> None:
    found = {one.where for one in called() if one.literal is None}
    assert found == BUILT.keys(), "a new one belongs into BUILT, as strangers can make it"


@pytest.mark.timeout(120)
def test_no_pattern_takes_long_for_any_text_made_against_it() -> None:
    everything = _everything()
    assert len(everything) > 200  # they are found at all
    slow = [
        f"{one.where}: {found[1]:.3f} s for {found[0]:,} characters of {found[2]!r} + {found[3]!r}…"
        for one in everything
        if (found := worst(one, tuple(SLOW), SLOW)) is not None
    ]
    assert slow == []


@pytest.mark.parametrize("pattern", [r"(?:a+)+b", r"(?:\W+[\w'’]+){0,6}?\W+x", r"\s+:", r"[-=]+>"])
def test_the_attack_finds_what_is_known_to_be_slow(pattern: str) -> None:
    assert worst(Found("known", re.compile(pattern), False), tuple(SLOW), SLOW) is not None


@pytest.mark.parametrize("brand", HOSTILE_BRANDS)
def test_a_brand_full_of_marks_is_looked_for_in_no_time(brand: str) -> None:
    pattern = BrandTerms.build(brand).own
    assert pattern is not None
    assert seconds(Found("brand", pattern, False), brand[:-1] + "\x00" + brand * 20, 3) < 0.5


def test_values_that_are_masked_are_found_in_no_time() -> None:
    remember(f"{'x' * 40}{n:08d}" for n in range(50))
    text = ("x" * 48 + " ") * 2_000
    assert without_known(text) == text
    redact = redactor({f"K{n}_API_KEY": f"{'x' * 40}{n:08d}" for n in range(50)})
    assert redact(text) == text
