"""Near-duplicates: copies are found however they were changed, and what only looks alike stays apart."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench._reposts import DATA, KINDS, make, non_paraphrases
from bench.dedup import near, score
from src.worker.near_duplicates import NearDuplicates, Post
from src.worker.near_features import features, same_post, unpacked
from src.worker.pipeline.canonical import canonical, cut_short

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 21, tzinfo=UTC)
POST = "The new Acme app logs me out every time I try to pay with my card"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")


def _same(one: str, other: str) -> bool:
    index = NearDuplicates()
    assert index.add("one", canonical(one), cut=cut_short(one)) is None
    return index.add("other", canonical(other), cut=cut_short(other)) == "one"


@pytest.mark.parametrize(
    "copy",
    [
        POST.upper(),
        f"RT @jo: {POST}",
        f"MT @jo {POST}",
        f"RT @a: RT @b: {POST}",
        f"So true! RT @travelfan88: {POST}",
        f"{POST} via @jo_miller",
        f"{POST} (via @jo) https://t.co/1",
        f"{POST} pic.twitter.com/Ab3",
        f"{POST} #fail #monday",
        f"{POST}!!! 😡😡",
        f"“{POST}”",
        POST.replace(" ", "  ").replace("card", "card."),
        POST.replace("every time", "each time"),
        POST.replace("really ", "").replace("The new", "The brand new"),
        POST.replace("every", "evrey"),
        POST[:50] + "…",
        POST[:45] + "... https://t.co/x",
    ],
)
def test_a_copy_is_linked_however_it_was_changed(copy: str) -> None:
    assert _same(POST, copy)
    assert _same(copy, POST)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("United flight 1234 to Denver is delayed again today", "United flight 1235 to Denver is delayed again today"),
        ("Acme app 2.31 fixes the login for all of us", "Acme app 2.32 fixes the login for all of us"),
        ("The Acme upgrade is $49 this week for members only", "The Acme upgrade is $59 this week for members only"),
        ("The Acme sale ends on Monday for all members", "The Acme sale ends on Friday for all members"),
        ("the meeting is on 3 may at noon in the main hall", "the meeting is on 4 may at noon in the main hall"),
        ("five of the new phones came broken to our office", "nine of the new phones came broken to our office"),
        ("from 3 to 5 the shop in town is open", "from 5 to 3 the shop in town is open"),
        ("my iphone6 works well with the new Acme app", "my iphone7 works well with the new Acme app"),
        ("The new Acme app works on my old phone", "The new Acme app does not work on my old phone"),
        ("I would buy this phone from Acme again", "I would never buy this phone from Acme again"),
        (
            "the service at the Acme desk was good this time round",
            "the service at the Acme desk was bad this time round",
        ),
        ("Acme shares are up after the news from the board", "Acme shares are down after the news from the board"),
        ("the Acme order came to my house this week 😀", "the Acme order came to my house this week 😡"),
        ("the Acme order came to my house :)", "the Acme order came to my house :("),
        ("acme is good", "acme is bad"),
        ("thank you acme", "thank you acme friends"),
        ("thank you so much for the quick help", "thank you so much for the free ticket to the show"),
    ],
)
def test_what_decides_must_be_the_same_in_both(one: str, other: str) -> None:
    assert not _same(one, other)
    assert not _same(other, one)


def test_a_beginning_counts_only_when_the_post_was_cut() -> None:
    whole = "I flew with them to Boston and the crew gave us free drinks and a seat by the window for the child"
    beginning = "I flew with them to Boston and the crew"
    assert not _same(whole, beginning)
    assert _same(whole, beginning + "…")


def test_copies_name_the_first_post_and_not_one_another() -> None:
    index = NearDuplicates()
    names = [index.add(name, canonical(f"{POST}{tail}")) for name, tail in (("a", ""), ("b", " #x"), ("c", " #y"))]
    assert names == [None, "a", "a"]
    assert len(index) == 1


def test_a_chain_of_small_changes_does_not_join_what_is_not_alike() -> None:
    words = [f"{letter}word" for letter in "abcdefghijklmnopqrst"]
    index = NearDuplicates()
    links = [index.add(str(step), " ".join(words[step : step + 10])) for step in range(10)]
    first = links.index(None, 1)
    assert set(links[1:first]) == {"0"}
    assert not same_post(features(" ".join(words[:10])), features(" ".join(words[first : first + 10])))
    assert links[first + 1] == str(first)


def test_alike_posts_are_linked_within_the_window_and_equal_ones_always() -> None:
    index = NearDuplicates(window=timedelta(hours=72))
    changed = canonical(f"{POST} #fail")
    assert index.add("a", canonical(POST), NOW) is None
    assert index.add("b", changed, NOW + timedelta(hours=73)) is None
    assert index.add("c", canonical(POST), NOW + timedelta(days=30)) == "a"
    assert index.add("d", canonical(f"{POST} #wow"), NOW + timedelta(hours=71)) == "a"
    assert index.add("e", canonical(f"{POST} #why"), NOW - timedelta(hours=71)) == "a"


def test_what_is_remembered_is_bounded() -> None:
    index = NearDuplicates(max_entries=50)
    posts = [
        Post(str(n), " ".join(f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{word}" for word in "pqrstuvw"))
        for n in range(600)
    ]
    assert list(index.add_all(posts)) == [None] * 600
    assert len(index) == 50
    assert len(index._ids) == len(index._texts) == 100
    held = {
        serial for bucket in index._buckets.values() for serial in ([bucket] if isinstance(bucket, int) else bucket)
    }
    assert held == set(index._entries)
    assert index.add("again", posts[-1].canonical) == "599"
    assert index.add("forgotten", posts[0].canonical) is None


def test_one_by_one_and_in_a_batch_give_the_same_links() -> None:
    posts = [Post(str(n), canonical(f"{POST} {'#x' * (n % 3)} {n // 7}")) for n in range(700)]
    single, batch = NearDuplicates(), NearDuplicates()
    assert [single.add(post.id, post.canonical) for post in posts] == list(batch.add_all(posts))


def test_links_are_the_same_in_every_process() -> None:
    code = (
        "from src.worker.near_duplicates import sketches\nfrom src.worker.near_features import features\n"
        f"print(sketches([features({canonical(POST)!r})])[0].bands)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(max_size=200), st.booleans())
def test_features_survive_packing_and_a_text_repeats_itself(text: str, cut: bool) -> None:
    one = features(canonical(text), cut=cut)
    assert unpacked(one.packed()) == one
    assert same_post(one, one)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(*[st.lists(st.sampled_from("a b c d e f g h 1 2 not good bad 😀 monday friday".split()), max_size=14)] * 2)
def test_the_rule_does_not_care_which_post_came_first(one: list[str], other: list[str]) -> None:
    left, right = features(" ".join(one), cut=True), features(" ".join(other))
    assert same_post(left, right) == same_post(right, left)


@pytest.mark.parametrize("packed", [b"", b"\x00\x01", b"\x01" * 4])
def test_broken_features_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="not the packed features"):
        unpacked(packed)


def test_an_index_that_could_remember_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_entries"):
        NearDuplicates(max_entries=0)


def test_rensa_is_loaded_by_the_first_post_only() -> None:
    code = "import sys, src.worker.near_duplicates, src.worker.batch_processor; sys.exit('rensa' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@needs_data
def test_reposts_of_twelve_kinds_are_found_with_precision() -> None:
    posts = make(12_000, seed=20_261)
    result = score(posts, near(posts))
    assert len(result.by_kind) == len(KINDS) == 12
    assert result.precision >= 0.985
    assert result.recall >= 0.95
    assert min(result.by_kind.values()) >= 0.9, result.by_kind


@needs_data
def test_sentences_that_people_judged_different_stay_apart() -> None:
    pairs = list(non_paraphrases())
    merged = sum(same_post(features(canonical(one)), features(canonical(other))) for one, other in pairs)
    assert len(pairs) > 1_000
    assert merged / len(pairs) < 0.03
