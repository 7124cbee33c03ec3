"""The mentions of a chunk by what they are: its own, or repeats of one that is known, word for word or nearly so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..models import Mention
from ..pipeline.documents import mention_key
from ..pipeline.normalize import Normalised
from ..storage import Document
from .posts import Repeated


@dataclass(frozen=True, slots=True)
class Repeat:
    """A mention that is not stored because another one like it is; volume all the same."""

    id: str
    duplicate_of: str
    """`_id` of the stored mention."""
    created_at: datetime
    author: str | None
    near: bool
    """Alike, not equal."""


@dataclass(slots=True)
class Sorted:
    """Items of a chunk by what they are."""

    own: list[Document]
    """Stored mentions that this chunk owns, in its order."""
    brought: list[Mention]
    """The same as the chunk brought them."""
    repeats: list[Repeat]
    repeated: list[Repeated]


def first_of_each(normal: Normalised) -> dict[str, Mention]:
    firsts: dict[str, Mention] = {}
    for _, mention in normal.mentions:
        firsts.setdefault(mention.content_hash, mention)
    return firsts


def sort_out(
    normal: Normalised,
    firsts: Mapping[str, Mention],
    known: Mapping[str, Document],
    links: Mapping[str, str],
    alike: Mapping[str, str | None],
    *,
    owner: str,
) -> Sorted:
    """Items of a chunk as its own or as repeats, in its order.

    Args:
        firsts: the first mention of each text, by content hash.
        known: stored mentions by content hash, whoever brought them.
        links: content hash of a near-duplicate → that of its original.
        alike: content hash of an original → its topic.
        owner: `_id` of the chunk: what it brought first is its own, at every execution.
    """
    out = Sorted([], [], [], [])
    for _, mention in normal.mentions:
        target = links.get(mention.content_hash)
        document = known[mention.content_hash] if target is None else None
        if document is not None and mention is firsts[mention.content_hash] and document["owner"] == owner:
            out.own.append(document)
            out.brought.append(mention)
        else:
            topic = alike.get(target) if target is not None else (document or {}).get("topic")
            out.repeated.append(Repeated(mention, document, topic))
            original = mention_key(mention.brand, target or mention.content_hash)
            out.repeats.append(
                Repeat(mention.id, original, mention.created_at, mention.author, near=target is not None)
            )
    return out
