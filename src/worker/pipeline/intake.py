"""From any shape in which producers send mentions to one `Chunk`. Pure.

The shapes (names as in the platform's contract):
    a  one mention:      `{id, brand, text, timestamp, source, metadata}`
    b  an envelope:      `{envelope_id, batch_id, secure_context, task: {type, brand, mentions, keywords}}`
    c  a chunk:          `{brand, chunkId, createdAt, meta, mentions}`
    d  a failure record: `{reason | error, payload}` around one of the others
and the worker's own task: `{type: "analyze_mentions", brand, mentions, keywords?, chunkId?}`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from .. import strictjson
from ..errors import InvalidTask
from ..models import Chunk
from ..tasks import brand_field, json_kind, slug_of

_MAX_WRAPPERS: Final = 5
"""A failure record may itself have failed; more layers than this is a loop of somebody's making."""
_MAX_KEYWORDS: Final = 200
_ID_MAX: Final = 300


def parse_chunk(payload: Any, *, brand: str | None, fallback_id: str) -> Chunk:
    """Recognise the shape and read it.

    Args:
        brand: slug or name that is already known (from the list's key or the task); wins over the payload's own.
        fallback_id: chunk id when the producer named none.

    Raises:
        InvalidTask: not one of the shapes, or a field of the chunk itself is of a wrong type.
            Single bad mentions are not its business: they are rejected one by one later.
    """
    document = _unwrap(payload)
    inner = document.get("task")
    if isinstance(inner, dict) and "mentions" in inner:
        return _chunk(document, inner, brand, fallback_id, path="task.mentions")
    if "mentions" in document:
        return _chunk(document, document, brand, fallback_id, path="mentions")
    if "text" in document or "content" in document:
        return Chunk(
            brand=_brand(brand, document), chunk_id=fallback_id, items=(document,), keywords=_keywords(document)
        )
    if "chunkId" in document and "clusters" in document:
        raise InvalidTask("payload", "is a chunk result (an output), not a chunk of mentions")
    raise InvalidTask("mentions", "is required (or task.mentions, or text for a single mention)")


def batch_of(document: Any) -> str | None:
    """The aggregator's batch an envelope belongs to; None for anything else."""
    value = document.get("batch_id") if isinstance(document, dict) and "envelope_id" in document else None
    return value if isinstance(value, str) and 0 < len(value) <= _ID_MAX else None


def _unwrap(payload: Any) -> dict[str, Any]:
    for _ in range(_MAX_WRAPPERS):
        if not isinstance(payload, dict):
            raise InvalidTask("task", f"must be a JSON object, not {json_kind(payload)}")
        inner = payload.get("payload")
        if inner is None or "mentions" in payload or "text" in payload:
            return payload
        if isinstance(inner, str):
            inner = strictjson.loads_mended(inner.encode("utf-8", "surrogatepass"))
        payload = inner
    raise InvalidTask("payload", f"wrapped more than {_MAX_WRAPPERS} times")


def _chunk(
    outer: Mapping[str, Any], body: Mapping[str, Any], brand: str | None, fallback_id: str, *, path: str
) -> Chunk:
    items = body["mentions"]
    if not isinstance(items, list):
        raise InvalidTask(path, f"must be an array, not {json_kind(items)}")
    if not items:
        raise InvalidTask(path, "is empty")
    meta = outer.get("meta")
    if meta is not None and not isinstance(meta, dict):
        raise InvalidTask("meta", f"must be an object, not {json_kind(meta)}")
    context = outer.get("secure_context")
    chunk_id = _text(outer, "chunkId") or _text(outer, "envelope_id") or fallback_id
    return Chunk(
        brand=_brand(brand, body, outer),
        chunk_id=chunk_id,
        items=tuple(items),
        keywords=_keywords(body, meta or {}),
        envelope_id=_text(outer, "envelope_id"),
        batch_id=_text(outer, "batch_id"),
        org_id=_text(context, "org_id") if isinstance(context, dict) else None,
    )


def _brand(known: str | None, *places: Mapping[str, Any]) -> str:
    if known is not None:
        return known
    for place in places:
        value = brand_field(place.get("brand"))
        if value is not None:
            return slug_of(value)
    raise InvalidTask("brand", "is required")


def _keywords(*places: Mapping[str, Any]) -> tuple[str, ...]:
    for place in places:
        value = place.get("keywords")
        if value is None:
            continue
        if not isinstance(value, list):
            raise InvalidTask("keywords", f"must be an array of texts, not {json_kind(value)}")
        for index, word in enumerate(value):
            if not isinstance(word, str):
                raise InvalidTask(f"keywords[{index}]", f"must be text, not {json_kind(word)}")
        return tuple(word.strip() for word in value[:_MAX_KEYWORDS] if word.strip())
    return ()


def _text(place: Mapping[str, Any], name: str) -> str | None:
    value = place.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidTask(name, f"must be text, not {json_kind(value)}")
    if len(value) > _ID_MAX:
        raise InvalidTask(name, f"is longer than {_ID_MAX} characters")
    return value


def chunk_key(chunk: Chunk, content: list[str]) -> str:
    """Identity of a chunk's content: the same chunk sent again has the same key, whatever task carries it.

    Producers' chunk ids alone are not unique, so what is in the chunk is part of it.
    """
    digest = hashlib.sha256("\x00".join([chunk.brand, chunk.chunk_id, *content]).encode("utf-8", "surrogatepass"))
    return f"{chunk.brand}:{digest.hexdigest()[:40]}"
