"""Events of the live stream (Jetstream): which posts name which brands. Pure.

A frame is one JSON object: `{did, time_us, kind: "commit", commit: {operation, collection, rkey, record, cid}}`; kinds
`identity` and `account` concern no posts. `time_us` (epoch microseconds) is the server's own order and the cursor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from ..bluesky.posts import COLLECTION, TEXT_MAX_BYTES, Author, LeftOut, authored, mention_of, post_uri
from ..brand_terms import BrandTerms
from ..times import from_ms, to_ms

Watched = Sequence[tuple[str, BrandTerms]]
"""Slugs of brands and what names them."""

_AHEAD: Final = timedelta(minutes=10)
"""A cursor further ahead of our clock than that is nonsense: resuming from it would skip what lies between."""


class Hit(NamedTuple):
    """A post that names brands."""

    uri: str
    did: str
    rkey: str
    time_us: int
    brands: tuple[str, ...]
    mention: Mapping[str, Any]

    def by(self, author: Author) -> dict[str, Any]:
        """The mention with what is known of its author."""
        return {**self.mention, **authored(author, self.rkey)}


@dataclass(slots=True)
class Events:
    """What a few frames held."""

    read: int = 0
    odd: int = 0
    """Frames that are no events."""
    left_out: int = 0
    """Posts that name a brand and cannot be used."""
    time_us: int = 0
    """Of the newest event; 0 when there was none."""
    hits: list[Hit] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """URIs."""


def read_frames(frames: Sequence[str | bytes], watched: Watched, now: datetime) -> Events:
    """Read frames in their order. Nothing that a frame may hold raises."""
    out = Events()
    latest_us = to_ms(now + _AHEAD) * 1000
    for frame in frames:
        event = _event(frame, latest_us)
        if event is None:
            out.odd += 1
            continue
        out.read += 1
        out.time_us = max(out.time_us, event["time_us"])
        commit = event.get("commit")
        if event.get("kind") == "commit" and isinstance(commit, dict) and commit.get("collection") == COLLECTION:
            _commit(event, commit, watched, now, out)
    return out


def _event(frame: str | bytes, latest_us: int) -> dict[str, Any] | None:
    try:
        event = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    time_us = event.get("time_us")
    if isinstance(time_us, bool) or not isinstance(time_us, int) or not 0 < time_us <= latest_us:
        return None
    return event


def _commit(event: Mapping[str, Any], commit: Mapping[str, Any], watched: Watched, now: datetime, out: Events) -> None:
    did, rkey, record = event.get("did"), commit.get("rkey"), commit.get("record")
    uri = post_uri(did, rkey)
    if commit.get("operation") == "delete" and uri is not None:
        out.deleted.append(uri)
    if commit.get("operation") != "create" or not isinstance(record, dict):
        return
    text = record.get("text")
    if not isinstance(text, str) or len(text) > TEXT_MAX_BYTES:
        return
    brands = tuple(slug for slug, terms in watched if terms.names(text))
    if not brands:
        return
    made = (
        LeftOut.URI
        if uri is None
        else mention_of(
            Author(str(did)),
            str(rkey),
            record,
            cid=commit.get("cid"),
            indexed_at=from_ms(event["time_us"] // 1000),
            now=now,
        )
    )
    if isinstance(made, LeftOut):
        out.left_out += 1
    else:
        out.hits.append(Hit(made.uri, str(did), str(rkey), event["time_us"], brands, made.mention))
