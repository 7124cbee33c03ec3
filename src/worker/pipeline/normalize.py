"""From one raw item of a chunk to a `Mention`, or to the reason why it cannot be one. Pure.

What people and models read (`text`) keeps its case, emoji and links; `canonical` is for matching.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ..models import Chunk, Mention, Rejected, TimeSource
from ..tasks import json_kind
from ..times import parse_time
from .canonical import canonical, content_hash, unescaped

_TEXT_NAMES: Final = ("text", "content", "message")
_TIME_NAMES: Final = ("created_at", "createdAt", "timestamp", "publishedAt", "published_at")
_SIMULATED: Final = re.compile(r"^Simulated post mentioning .{1,200} on \w+ at \d{4}-\d\d-\d\dT")
"""A provider of one deployment makes posts up, three per cycle, unmarked: recognised by their one template."""
_PENDING: Final = re.compile(r"^.{1,200} update pending for \w+\.$")
_NAME_MAX: Final = 500
_URL_MAX: Final = 2_000
_META_MAX_KEYS: Final = 50
_META_MAX_DEPTH: Final = 4
_META_MAX_TEXT: Final = 2_000
_INT64: Final = 2**63 - 1
EMPTY: Final = "is empty"
"""The problem of a mention without a text, as posts of pictures are."""


class _Reject(Exception):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(slots=True)
class Normalised:
    """What became of the items of a chunk. Every item is in exactly one of the lists."""

    mentions: list[tuple[int, Mention]] = field(default_factory=list)
    """(index in the chunk, mention), in the chunk's order."""
    rejected: list[Rejected] = field(default_factory=list)
    synthetic: int = 0


def normalise(chunk: Chunk, *, received_at: datetime, max_chars: int) -> Normalised:
    """Normalise all items; one bad item never harms another."""
    out = Normalised()
    for index, item in enumerate(chunk.items):
        try:
            if _is_synthetic(item):
                out.synthetic += 1
                continue
            out.mentions.append((index, _mention(item, chunk.brand, received_at, max_chars)))
        except _Reject as bad:
            path = f"mentions[{index}]" + (f".{bad.name}" if bad.name else "")
            out.rejected.append(Rejected(index, f"{path}: {bad.problem}", item))
    return out


def _is_synthetic(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    metadata = item.get("metadata")
    if isinstance(metadata, dict) and metadata.get("synthetic") is True:
        return True
    identity, text = item.get("id"), item.get("text")
    if isinstance(identity, str) and identity.startswith("synthetic-") and isinstance(text, str):
        return _PENDING.match(text) is not None
    return isinstance(text, str) and _SIMULATED.match(text) is not None


def _mention(item: Any, brand: str, received_at: datetime, max_chars: int) -> Mention:
    if isinstance(item, str):
        item = {"text": item, "source": "aggregator"}
    if not isinstance(item, dict):
        raise _Reject("", f"must be an object or text, not {json_kind(item)}")
    metadata = item.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _Reject("metadata", f"must be an object, not {json_kind(metadata)}")
    text = _text_of(item, max_chars)
    notes: list[str] = []
    created_at = _created_at(item, notes)
    source = _source(item, metadata)
    matched = canonical(text)
    digest = content_hash(source, matched)
    return Mention(
        id=_identity(item) or f"m-{digest[:24]}",
        brand=brand,
        text=text,
        canonical=matched,
        content_hash=digest,
        source=source,
        created_at=created_at or received_at,
        time_source=TimeSource.EVENT if created_at else TimeSource.RECEIVED,
        author=_name(item, "author", metadata) or _name(item, "user", metadata),
        url=_name(item, "url", metadata, _URL_MAX),
        author_followers=_followers(item, metadata, notes),
        influence_score=_influence(item, metadata, notes),
        competitor=_competitor(metadata),
        metadata=clean_metadata(metadata),
        notes=tuple(notes),
    )


def _text_of(item: Mapping[str, Any], max_chars: int) -> str:
    name = next((name for name in _TEXT_NAMES if item.get(name) is not None), None)
    if name is None:
        raise _Reject("text", "is required")
    value = item[name]
    if not isinstance(value, str):
        raise _Reject(name, f"must be text, not {json_kind(value)}")
    if len(value) > max_chars:
        raise _Reject(name, f"has {len(value):,} characters, at most {max_chars:,} are allowed")
    text = unescaped(value)
    if not text:
        raise _Reject(name, EMPTY)
    return text


def _identity(item: Mapping[str, Any]) -> str | None:
    value = item.get("id")
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _Reject("id", f"must be text, not {json_kind(value)}")
    if len(value) > _NAME_MAX:
        raise _Reject("id", f"is longer than {_NAME_MAX} characters")
    return value


def _created_at(item: Mapping[str, Any], notes: list[str]) -> datetime | None:
    for name in _TIME_NAMES:
        value = item.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise _Reject(name, f"must be a time (ISO 8601 or epoch), not {json_kind(value)}")
        when = parse_time(value)
        if when is not None:
            return when
        notes.append(f"timestamp_unreadable:{name}")
    return None


def _source(item: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    raw = metadata.get("raw")
    places = (metadata.get("platform"), metadata.get("source"), item.get("source"))
    source = next((value for value in places if isinstance(value, str) and value.strip()), None)
    if source is None:
        wrong = next((value for value in places if value is not None and not isinstance(value, str)), None)
        if wrong is not None:
            raise _Reject("source", f"must be text, not {json_kind(wrong)}")
        return "unknown"
    if source == "aggregator" and isinstance(raw, dict) and isinstance(raw.get("platform"), str):
        source = raw["platform"]
    return source.strip().lower()[:50]


def _name(item: Mapping[str, Any], name: str, metadata: Mapping[str, Any], limit: int = _NAME_MAX) -> str | None:
    value = item.get(name)
    value = metadata.get(name) if value is None or value == "" else value
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _Reject(name, f"must be text, not {json_kind(value)}")
    return value.strip()[:limit] or None


def _followers(item: Mapping[str, Any], metadata: Mapping[str, Any], notes: list[str]) -> int:
    for place, name in (
        (item, "author_followers"),
        (item, "authorFollowers"),
        (metadata, "author_followers"),
        (metadata, "followers"),
    ):
        value = place.get(name)
        if value is not None:
            return max(0, min(int(_number(value, name, notes)), _INT64))
    return 0


def _influence(item: Mapping[str, Any], metadata: Mapping[str, Any], notes: list[str]) -> float:
    """log10 of the followers, else of the up-votes, else 0; a producer's own score wins (platform contract 3.2)."""
    for name in ("influence_score", "influenceScore"):
        if item.get(name) is not None:
            return max(0.0, _number(item[name], name, notes))
    followers = _followers(item, metadata, [])
    if followers > 1:
        return math.log10(followers)
    for name in ("score", "ups", "upvotes"):
        if metadata.get(name) is not None:
            votes = _number(metadata[name], name, notes)
            return math.log10(votes) if votes > 1 else 0.0
    return 0.0


def _number(value: Any, name: str, notes: list[str]) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    notes.append(f"number_unreadable:{name}")
    return 0.0


def _competitor(metadata: Mapping[str, Any]) -> str | None:
    name = metadata.get("competitorName")
    if metadata.get("isCompetitor") is True and isinstance(name, str) and name.strip():
        return name.strip()[:_NAME_MAX]
    return None


def clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that MongoDB can hold whatever a producer sent: bounded, no operator keys, no oversized integers.

    `raw`, the provider's own reply, is left out: it is unbounded and nobody downstream reads it.
    """
    return {key: value for key, value in _clean(metadata, _META_MAX_DEPTH).items() if key != "raw"}


def _clean(value: Any, room: int) -> Any:
    if isinstance(value, str):
        return value[:_META_MAX_TEXT]
    if isinstance(value, Mapping):
        if room == 0:
            return {}
        pairs = list(value.items())[:_META_MAX_KEYS]
        return {_clean_key(str(key)): _clean(child, room - 1) for key, child in pairs}
    if isinstance(value, Sequence):
        return [_clean(child, room - 1) for child in value[:_META_MAX_KEYS]] if room else []
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _INT64:
        return str(value)
    return value


def _clean_key(key: str) -> str:
    # "$where" or "a.b" would be an operator or a path in a query, NUL cannot be a BSON key at all.
    return key[:200].replace("\x00", "").replace(".", "_").lstrip("$") or "_"
