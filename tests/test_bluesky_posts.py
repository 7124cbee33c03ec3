"""Posts of Bluesky become mentions in our shape; whatever is missing or odd costs that post, with a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.bluesky.posts import LeftOut, Post, post_of_view
from src.worker.brand_terms import BrandTerms
from src.worker.health_score import reactions_of
from src.worker.models import Chunk, TimeSource
from src.worker.pipeline.normalize import normalise
from src.worker.services.jetstream_events import read_frames
from src.worker.strictjson import dumps
from tests.bluesky_double import DID, uri, view

NOW = datetime(2025, 3, 2, tzinfo=UTC)


def _read(one: Any, *, anonymous: bool = True) -> Post | LeftOut:
    return post_of_view(one, now=NOW, anonymous=anonymous)


def _post(one: Any) -> Post:
    made = _read(one)
    assert isinstance(made, Post), made
    return made


def test_a_post_is_a_mention_with_its_full_uri_author_link_time_and_reactions() -> None:
    embed = {"$type": "app.bsky.embed.external", "external": {"uri": "https://acme.example/new", "title": "New"}}
    reply = {"parent": {"uri": uri("p"), "cid": "c"}, "root": {"uri": uri("p"), "cid": "c"}}
    post = _post(view("3abc", "Acme IS  great 😀", record={"embed": embed, "reply": reply}))
    assert post.mention == {
        "id": uri("3abc"),
        "source": "bluesky",
        "text": "Acme IS  great 😀",
        "author": "@ann.example.com",
        "url": "https://bsky.app/profile/ann.example.com/post/3abc",
        "created_at": "2025-03-01T10:20:30.000Z",
        "metadata": {
            "platform": "bluesky",
            "author_did": DID,
            "uri": uri("3abc"),
            "cid": "bafyrei3abc",
            "is_reply": True,
            "langs": ["en"],
            "embed_url": "https://acme.example/new",
            "indexed_at": "2025-03-01T10:20:31.123Z",
            "likes": 3,
            "reposts": 2,
            "replies": 1,
            "quotes": 4,
        },
    }
    assert reactions_of(post.mention["metadata"]) == 10


def test_the_worker_takes_the_mention_as_it_is() -> None:
    chunk = Chunk("acme", "c", (_post(view("3abc")).mention,))
    (mention,) = [one for _, one in normalise(chunk, received_at=NOW, max_chars=1_000).mentions]
    assert (mention.id, mention.source, mention.author) == (uri("3abc"), "bluesky", "@ann.example.com")
    assert (mention.created_at.isoformat(), mention.time_source) == ("2025-03-01T10:20:30+00:00", TimeSource.EVENT)
    assert mention.notes == ()


@pytest.mark.parametrize("handle", ["handle.invalid", "", "no-dot", "a..b", "evil.com/../x", "x" * 300, None, 5])
def test_an_author_whose_handle_does_not_resolve_is_known_by_the_did(handle: Any) -> None:
    mention = _post(view("3abc", handle=handle)).mention
    assert (mention["author"], mention["url"]) == (DID, f"https://bsky.app/profile/{DID}/post/3abc")


@pytest.mark.parametrize(
    ("created", "indexed", "expected", "note"),
    [
        ("2025-03-01T12:20:30+02:00", "2025-03-01T11:00:00Z", "2025-03-01T10:20:30.000Z", None),
        ("2031-01-01T00:00:00Z", "2025-03-01T11:00:00Z", "2025-03-01T11:00:00.000Z", "created_at_in_the_future"),
        ("0001-01-01T00:00:00Z", "2025-03-01T11:00:00Z", "2025-03-01T11:00:00.000Z", "created_at_too_old"),
        ("soon", "2025-03-01T11:00:00Z", "2025-03-01T11:00:00.000Z", "created_at_unreadable"),
        (1740824430, "2025-03-01T11:00:00Z", "2025-03-01T11:00:00.000Z", "created_at_unreadable"),
        ("2012-05-01T00:00:00Z", "2025-03-01T11:00:00Z", "2012-05-01T00:00:00.000Z", None),
        ("2025-03-01T10:00:00Z", None, "2025-03-01T10:00:00.000Z", None),
        ("2025-03-01T10:00:00Z", "2099-01-01T00:00:00Z", "2025-03-01T10:00:00.000Z", "indexed_at_in_the_future"),
    ],
)
def test_a_post_is_as_old_as_it_says_but_no_younger_than_its_indexing(
    created: Any, indexed: Any, expected: str, note: str | None
) -> None:
    mention = _post(view("3abc", record={"createdAt": created}, indexedAt=indexed)).mention
    assert mention["created_at"] == expected
    assert mention["metadata"].get("notes") == ([note] if note else None)


def test_a_post_without_any_time_is_marked_as_received_not_dated() -> None:
    post = _post(view("3abc", record={"createdAt": None}, indexedAt=None))
    assert post.at is None
    chunk = Chunk("acme", "c", (post.mention,))
    ((_, mention),) = normalise(chunk, received_at=NOW, max_chars=1_000).mentions
    assert (mention.created_at, mention.time_source) == (NOW, TimeSource.RECEIVED)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"$type": "app.bsky.feed.defs#notFoundPost", "uri": uri("a"), "notFound": True}, LeftOut.NOT_FOUND),
        ({"$type": "app.bsky.feed.defs#blockedPost", "uri": uri("a"), "blocked": True}, LeftOut.BLOCKED),
        (view("a", labels=[{"src": DID, "uri": uri("a"), "val": "!takedown"}]), LeftOut.HIDDEN),
        (None, LeftOut.MALFORMED),
        ([], LeftOut.MALFORMED),
        ({}, LeftOut.URI),
        (view("a") | {"uri": 5}, LeftOut.URI),
        (view("a") | {"uri": f"at://{DID}/app.bsky.feed.repost/a"}, LeftOut.URI),
        (view("a") | {"uri": uri("../../x")}, LeftOut.URI),
        (view("a") | {"uri": uri("a\n")}, LeftOut.URI),
        (view("a") | {"uri": uri("a" * 500)}, LeftOut.URI),
        (view("a") | {"author": None}, LeftOut.MALFORMED),
        (view("a") | {"author": {"did": "did:plc:somebodyelse", "handle": "x.y"}}, LeftOut.MALFORMED),
        (view("a") | {"record": "text"}, LeftOut.MALFORMED),
        (view("a", record={"text": None}), LeftOut.MALFORMED),
        (view("a", record={"text": ["x"]}), LeftOut.MALFORMED),
        (view("a", " \n"), LeftOut.NO_TEXT),
        (view("a", "x" * 12_001), LeftOut.TEXT),
        (view("a", "ж" * 6_001), LeftOut.TEXT),
        (view("a", "lone \ud800 surrogate"), LeftOut.TEXT),
    ],
)
def test_what_cannot_be_used_is_left_out_with_its_reason(bad: Any, reason: LeftOut) -> None:
    assert _read(bad) is reason


def test_authors_who_do_not_want_strangers_are_read_only_when_signed_in() -> None:
    shy = view("a")
    shy["author"]["labels"] = [{"src": DID, "uri": DID, "val": "!no-unauthenticated"}]
    assert _read(shy) is LeftOut.PRIVATE
    assert isinstance(_read(shy, anonymous=False), Post)
    shy["author"]["labels"][0]["neg"] = True
    assert isinstance(_read(shy), Post)


@pytest.mark.parametrize(
    ("embed", "url"),
    [
        ({"$type": "app.bsky.embed.future", "things": [1]}, None),
        ({"$type": "app.bsky.embed.images", "images": [{"alt": ""}]}, None),
        ({"$type": "app.bsky.embed.recordWithMedia", "media": {"external": {"uri": "https://a.b/c"}}}, "https://a.b/c"),
        ({"external": {"uri": "javascript:alert(1)"}}, None),
        ({"external": {"uri": "https://a.b/" + "x" * 3_000}}, None),
        ({"external": "x"}, None),
        ("x", None),
        (None, None),
        ([1], None),
    ],
)
def test_an_embed_of_any_kind_gives_a_link_or_nothing(embed: Any, url: str | None) -> None:
    assert _post(view("a", record={"embed": embed})).mention["metadata"]["embed_url"] == url


def test_counts_that_are_missing_or_no_counts_are_unknown_not_zero() -> None:
    one = view("a", likeCount=None, repostCount="7", replyCount=-1, quoteCount=True)
    metadata = _post(one).mention["metadata"]
    assert not {"likes", "reposts", "replies", "quotes"} & set(metadata)
    del one["likeCount"], one["repostCount"], one["replyCount"]
    assert reactions_of(_post(one | {"quoteCount": 2**60}).mention["metadata"]) is None


@pytest.mark.parametrize("langs", [None, "en", [5], ["en"] * 9, ["x" * 99], ["\ud800"]])
def test_languages_of_any_kind_do_no_harm(langs: Any) -> None:
    found = _post(view("a", record={"langs": langs})).mention["metadata"]["langs"]
    assert found in ([], ["en"] * 3)


def test_posts_of_one_person_with_a_common_beginning_have_ids_of_their_own() -> None:
    ids = {_post(view(f"3lkjhgfdsa{number}")).mention["id"] for number in range(200)}
    assert len(ids) == 200


def test_times_that_are_a_little_ahead_are_clocks_not_the_future() -> None:
    soon = (NOW + timedelta(minutes=5)).isoformat()
    assert _post(view("a", record={"createdAt": soon}, indexedAt=soon)).at == NOW + timedelta(minutes=5)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _with(document: Any, path: list[str], value: Any) -> Any:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


_PLACES = [
    [*before, name]
    for before, names in (
        ([], ["uri", "cid", "author", "record", "labels", "indexedAt", "likeCount", "notFound"]),
        (["author"], ["did", "handle", "labels"]),
        (["record"], ["text", "createdAt", "langs", "embed", "reply"]),
    )
    for name in names
]


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(_PLACES), value=_ODD)
def test_whatever_stands_in_a_field_the_post_is_a_mention_or_left_out(place: list[str], value: Any) -> None:
    one = view("a")
    _with(one, place, value)
    made = _read(one)
    if isinstance(made, Post):
        dumps(made.mention)
        chunk = Chunk("acme", "c", (made.mention,))
        assert len(normalise(chunk, received_at=NOW, max_chars=20_000).mentions) == 1


@settings(max_examples=300, deadline=None)
@given(
    place=st.sampled_from([["did"], ["time_us"], ["kind"], ["commit"]])
    | st.sampled_from(["operation", "collection", "rkey", "record", "cid"]).map(lambda name: ["commit", name])
    | st.sampled_from(["text", "createdAt", "langs", "embed", "reply"]).map(lambda name: ["commit", "record", name]),
    value=_ODD,
)
def test_whatever_stands_in_an_event_it_is_read_or_counted_as_odd(place: list[str], value: Any) -> None:
    record = {"text": "Acme", "createdAt": "2025-03-01T00:00:00Z"}
    commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "a", "cid": "c", "record": record}
    event = {"did": DID, "time_us": 1_740_873_600_000_000, "kind": "commit", "commit": commit}
    _with(event, place, value)
    frame = orjson.dumps(event) if _plain(event) else b"{"
    events = read_frames([frame, b"{}"], [("acme", BrandTerms.build("acme"))], NOW)
    assert events.read + events.odd == 2
    dumps([hit.mention for hit in events.hits])


def _plain(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # integers of over 64 bits, which no frame can hold for orjson
        return False
    return True
