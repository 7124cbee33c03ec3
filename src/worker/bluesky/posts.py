"""A post of Bluesky as a mention in our shape, or the reason why it is none. Pure.

Shapes: the lexicons `app.bsky.feed.defs#postView` (search) and `app.bsky.feed.post` (the record itself, which the live
stream carries alone). Nobody's word is taken for it: every field may be missing, or of any type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from .. import strictjson
from ..times import iso, parse_time

COLLECTION: Final = "app.bsky.feed.post"
TEXT_MAX_BYTES: Final = 12_000
"""Four times what the lexicon allows (3,000 bytes): room for a lexicon that grows, and no more."""
_URI_MAX: Final = 300
"""Characters. A DID of the methods in use has 32 to 100, a record key 13; ids of mentions end at 500."""
_VALUE_MAX: Final = 2_000
_LANGS_MAX: Final = 3  # the lexicon's bound
_COUNT_MAX: Final = 2**53 - 1
_CLOCKS: Final = timedelta(minutes=10)
"""How far another server's clock may be ahead of ours before its times are not believed."""
_OLDEST: Final = datetime(2006, 3, 21, tzinfo=UTC)
"""The first post of the network whose archives people import; a time before it is a mistake, not a post's."""

_DID: Final = r"did:[a-z]{1,20}:[A-Za-z0-9._:%-]{1,250}"
_URI: Final = re.compile(rf"at://({_DID})/{re.escape(COLLECTION)}/([A-Za-z0-9._:~-]{{1,200}})")
_HANDLE: Final = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)
"""The expression of the handle specification (atproto.com/specs/handle)."""
_HANDLE_MAX: Final = 253
_INVALID_HANDLE: Final = "handle.invalid"
"""What servers show for an account whose handle does not resolve to it."""
_PRIVATE: Final = "!no-unauthenticated"
_COUNTS: Final = {"likes": "likeCount", "reposts": "repostCount", "replies": "replyCount", "quotes": "quoteCount"}
"""Our names, which the health score takes as engagement, and the lexicon's."""


class LeftOut(StrEnum):
    """Why a post does not become a mention."""

    NOT_FOUND = "not_found"
    """Deleted."""
    BLOCKED = "blocked"
    HIDDEN = "hidden"
    """Taken down by moderation."""
    PRIVATE = "not_for_anonymous"
    """Its author asks that people who are not signed in are not shown it."""
    MALFORMED = "malformed"
    URI = "uri_invalid"
    NO_TEXT = "no_text"
    TEXT = "text_unusable"
    """Longer than any post may be, or not Unicode."""


class Post(NamedTuple):
    """A post that can be used. `at` is its place in the order of the search (None: it has no time that is believed)."""

    uri: str
    mention: dict[str, Any]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Author:
    """Of a post. `handle` is None when it is not known or does not resolve."""

    did: str
    handle: str | None = None
    followers: int | None = None
    private: bool = False
    """Asks that people who are not signed in are not shown what it writes."""

    @property
    def shown(self) -> str:
        return f"@{self.handle}" if self.handle else self.did


def post_of_view(view: Any, *, now: datetime, anonymous: bool) -> Post | LeftOut:
    """One element of `posts` of an answer of the search.

    Args:
        now: with a time zone; times that lie ahead of it are not believed.
        anonymous: the answer was given to nobody in particular, so wishes about strangers count.
    """
    if not isinstance(view, dict):
        return LeftOut.MALFORMED
    gone = _gone(view, anonymous)
    if gone is not None:
        return gone
    author, record = view.get("author"), view.get("record")
    found = _parsed_uri(view.get("uri"))
    if found is None:
        return LeftOut.URI
    if not isinstance(author, dict) or not isinstance(record, dict) or author.get("did", found[0]) != found[0]:
        return LeftOut.MALFORMED
    made = mention_of(
        Author(found[0], handle_of(author.get("handle"))),
        found[1],
        record,
        cid=view.get("cid"),
        indexed_at=parse_time(view.get("indexedAt")),
        now=now,
    )
    if isinstance(made, Post):
        made.mention["metadata"].update(_counts(view))
    return made


def mention_of(
    author: Author, rkey: str, record: Mapping[str, Any], *, cid: Any, indexed_at: datetime | None, now: datetime
) -> Post | LeftOut:
    """A record `app.bsky.feed.post` as a mention.

    `id` is the full URI: parts of it are shared by all posts of a person, or of a moment.
    """
    text = record.get("text")
    if not isinstance(text, str):
        return LeftOut.MALFORMED
    if not text.strip():
        return LeftOut.NO_TEXT
    if not _carries(text):
        return LeftOut.TEXT
    uri = f"at://{author.did}/{COLLECTION}/{rkey}"
    at, indexed, notes = _times(record.get("createdAt"), indexed_at, now)
    metadata: dict[str, Any] = {
        "platform": "bluesky",
        "author_did": author.did,
        "uri": uri,
        "cid": _short(cid),
        "is_reply": isinstance(record.get("reply"), dict),
        "langs": _langs(record.get("langs")),
        "embed_url": _embed_url(record.get("embed")),
        "indexed_at": None if indexed is None else iso(indexed),
    }
    if notes:
        metadata["notes"] = notes
    mention = {"id": uri, "source": "bluesky", "text": text, "metadata": metadata, **authored(author, rkey)}
    if at is not None:  # else the worker marks it with the time at which it was received
        mention["created_at"] = iso(at)
    return Post(uri, mention, at)


def authored(author: Author, rkey: str) -> dict[str, Any]:
    """The fields of a mention that follow from who wrote it."""
    fields: dict[str, Any] = {
        "author": author.shown,
        "url": f"https://bsky.app/profile/{author.handle or author.did}/post/{rkey}",
    }
    if author.followers is not None:
        fields["author_followers"] = author.followers
    return fields


def post_uri(did: Any, rkey: Any) -> str | None:
    """The URI of a post from its parts; None when they make none."""
    uri = f"at://{did}/{COLLECTION}/{rkey}"
    return uri if _parsed_uri(uri) is not None else None


def handle_of(value: Any) -> str | None:
    """A handle in lower case; None for one that is no handle or does not resolve."""
    if not isinstance(value, str) or len(value) > _HANDLE_MAX or _HANDLE.fullmatch(value) is None:
        return None
    lower = value.lower()
    return None if lower == _INVALID_HANDLE else lower


def author_of_profile(view: Any) -> Author | None:
    """One element of `profiles` (`app.bsky.actor.defs#profileViewDetailed`); None when it names no account."""
    if not isinstance(view, dict):
        return None
    did = view.get("did")
    if not isinstance(did, str) or re.fullmatch(_DID, did) is None:
        return None
    private = _PRIVATE in _labels(view.get("labels"))
    return Author(did, handle_of(view.get("handle")), _count(view.get("followersCount")), private)


def _count(value: Any) -> int | None:
    """A count as the network tells it; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _COUNT_MAX:
        return None
    return value


def _parsed_uri(value: Any) -> tuple[str, str] | None:
    """DID and record key."""
    if not isinstance(value, str) or len(value) > _URI_MAX:
        return None
    found = _URI.fullmatch(value)
    return None if found is None else (found[1], found[2])


def _gone(view: Mapping[str, Any], anonymous: bool) -> LeftOut | None:
    if view.get("notFound") is True:
        return LeftOut.NOT_FOUND
    if view.get("blocked") is True:
        return LeftOut.BLOCKED
    author = view.get("author")
    theirs = _labels(author.get("labels")) if isinstance(author, dict) else frozenset()
    if (_labels(view.get("labels")) | theirs) & {"!hide", "!takedown", "!suspend"}:
        return LeftOut.HIDDEN
    return LeftOut.PRIVATE if anonymous and _PRIVATE in theirs else None


def _labels(value: Any) -> frozenset[str]:
    """Global labels in force (`com.atproto.label.defs`); one that was taken back has `neg`."""
    return frozenset(
        label["val"]
        for label in (value if isinstance(value, list) else ())
        if isinstance(label, dict) and isinstance(label.get("val"), str) and label.get("neg") is not True
    )


def _times(created: Any, indexed: datetime | None, now: datetime) -> tuple[datetime | None, datetime | None, list[str]]:
    """When the post was written, when it was indexed, and what had to be mended.

    A post is as old as its author says, but no younger than its indexing: the order of the search (`sortAt`) too.
    """
    notes: list[str] = []
    if indexed is not None and indexed > now + _CLOCKS:
        indexed = None
        notes.append("indexed_at_in_the_future")
    written = parse_time(created) if isinstance(created, str) else None
    latest = indexed or now + _CLOCKS
    if written is None:
        notes.append("created_at_unreadable")
    elif written < _OLDEST:
        notes.append("created_at_too_old")
    elif written > latest:
        notes.append("created_at_in_the_future")
    else:
        return written, indexed, notes
    return indexed, indexed, notes


def _counts(view: Mapping[str, Any]) -> dict[str, int]:
    """Those that are there: one that is missing is unknown, not zero."""
    found = {ours: _count(view.get(theirs)) for ours, theirs in _COUNTS.items()}
    return {name: count for name, count in found.items() if count is not None}


def _embed_url(embed: Any) -> str | None:
    """The page that a post links to as a card, alone or beside a quotation; other embeds have none."""
    for place in (embed, embed.get("media") if isinstance(embed, dict) else None):
        external = place.get("external") if isinstance(place, dict) else None
        uri = _short(external.get("uri")) if isinstance(external, dict) else None
        if uri is not None and uri.lower().startswith(("https://", "http://")):
            return uri
    return None


def _langs(value: Any) -> list[str]:
    found = [lang for lang in (value if isinstance(value, list) else ()) if isinstance(lang, str) and len(lang) <= 35]
    return [lang for lang in found[:_LANGS_MAX] if _carries(lang)]


def _short(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= _VALUE_MAX and _carries(value) else None


def _carries(text: str) -> bool:
    """Whether JSON and UTF-8 can carry the text, and it is no longer than any post."""
    if len(text) > TEXT_MAX_BYTES:
        return False
    try:
        strictjson.check(text)
    except ValueError:
        return False
    return len(text.encode()) <= TEXT_MAX_BYTES
