"""The canonical form of re-posts and of what only looks like one, and whether a post was cut short."""

from __future__ import annotations

import pytest

from src.worker.pipeline.canonical import canonical, cut_short, unescaped
from tests.helpers import least_seconds

POST = "I can't pay with the Acme app"


@pytest.mark.parametrize(
    "copy",
    [
        f"RT @jo: {POST}",
        f"RT @jo {POST}",
        f"rt: @jo {POST}",
        f"MT @jo: {POST}",
        f"RT @a: RT @b: {POST}",
        f"RT {POST}",
        f"{POST} via @jo",
        f"{POST} (via @jo)",
        f"{POST} h/t @jo",
        f"{POST} via @jo https://t.co/abc",
        f'"@jo: {POST}"',
        f"“{POST}”",
        f"{POST} pic.twitter.com/Ab3",
        f"{POST} bit.ly/x1 t.co/y2",
        f"{POST} HTTPS://T.CO/x",
        "I cant pay with the Acme app",
        "I can’t pay with the Acme app…",
        "i CAN'T pay --- with the #Acme app!!!",
        "Ｉ can't pay with the @acme app.",
        "I can't\u200b pay with the Acme\u00a0app",
        "I can&#39;t pay with the <b>Acme</b> app",
    ],
)
def test_copies_have_one_canonical_form(copy: str) -> None:
    assert canonical(unescaped(copy)) == canonical(POST) == "i cant pay with the acme app"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("flying via @BostonLogan now", "flying via @DenverAirport now"),
        ("@united: my bag is lost", "@delta: my bag is lost"),
        ("the art @acme shows", "the @acme shows"),
        ("start @9 in the office", "@9 in the office"),
        ("works on windows 8.1", "works on windows 81"),
        ("fine :D", "fine :("),
        ("t.co is down", "bit.ly is down"),
    ],
)
def test_what_only_looks_like_a_mark_stays(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["https://a.example/1", "RT @jo", "...", "via @jo", "“”"])
def test_a_post_of_marks_only_keeps_what_it_is(text: str) -> None:
    assert canonical(text) == text.casefold()


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("a long story about the…", True),
        ("a long story about the... https://t.co/x", True),
        ("a long story about th… HTTP://T.CO/x #acme", True),
        ("“a long story about the…”", True),
        ("well… that was it", False),
        ("wait... what?", False),
        ("done.", False),
        ("", False),
    ],
)
def test_a_post_that_ends_in_dots_may_be_cut_short(text: str, cut: bool) -> None:
    assert cut_short(text) is cut


@pytest.mark.parametrize(
    "unit", ["rt @a:", "via @a ", "via @", "... ", "…#a", "h/t", "www.", "t.co/", '"@', "'", "rt "]
)
def test_texts_made_to_be_slow_are_not(unit: str) -> None:
    def seconds(text: str) -> float:
        return least_seconds(lambda: (canonical(text), cut_short(text)))

    # Sixteen times the text: in quadratic time it would take 256 times as long.
    assert seconds(unit * 80_000) < 16 * 4 * max(seconds(unit * 5_000), 0.001)
