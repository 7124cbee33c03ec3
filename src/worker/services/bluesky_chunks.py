"""Posts of Bluesky as chunk tasks: they go the way of every mention. Pure.

Ids are made of what is in a chunk, so that the same posts handed on twice are the same task and the same chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from .. import strictjson

CHUNK_POSTS: Final = 50
"""Mentions per chunk: what the CPU thread analyses in one go."""
_ENVELOPE_BYTES: Final = 1_000
"""The chunk around its mentions, ids and brand included."""


@dataclass(slots=True)
class Chunks:
    tasks: list[tuple[str, bytes]] = field(default_factory=list)
    """Id and document of each task."""
    posts: int = 0
    """In those tasks."""
    too_large: int = 0
    """Posts that alone are larger than a task may be."""


def chunk_tasks(
    brand: str,
    mentions: Iterable[Mapping[str, Any]],
    *,
    max_bytes: int,
    trace: Mapping[str, str] = MappingProxyType({}),
) -> Chunks:
    """Mentions of one brand as tasks of at most `max_bytes`, in their order; `id` must be unique among them. `trace`:
    fields that make them part of one."""
    out = Chunks()
    batch: list[Mapping[str, Any]] = []
    room = max_bytes = max_bytes - _ENVELOPE_BYTES - len(strictjson.dumps(dict(trace)))
    for mention in mentions:
        size = len(strictjson.dumps(mention)) + 1
        if size > max_bytes:
            out.too_large += 1
            continue
        if len(batch) == CHUNK_POSTS or size > room:
            out.tasks.append(_task(brand, batch, trace))
            batch, room = [], max_bytes
        batch.append(mention)
        room -= size
        out.posts += 1
    if batch:
        out.tasks.append(_task(brand, batch, trace))
    return out


def _task(brand: str, mentions: list[Mapping[str, Any]], trace: Mapping[str, str]) -> tuple[str, bytes]:
    names = "\x00".join([brand, *(mention["id"] for mention in mentions)])
    identity = f"bluesky-{hashlib.sha256(names.encode()).hexdigest()[:32]}"
    document = {
        "type": "analyze_mentions",
        "id": identity,
        "brand": brand,
        "chunkId": identity,
        "mentions": mentions,
        **trace,
    }
    return identity, strictjson.dumps(document)
