"""Which waiting chunks may be folded, so that a backlog is judged in the order in which it was written. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_JUMP_MS: Final = 1_800_000
"""Half of the hour that the detectors wait for late mentions: within it nothing that waits can come too late."""


@dataclass(frozen=True, slots=True)
class Waits:
    """A chunk that waits, as far as it decides when it is folded."""

    key: str
    first_seen_ms: int
    """When it was processed."""
    first_ms: int = 0
    last_ms: int = 0
    """Its oldest and newest mention (event time); 0 where none can be counted."""


def in_order(chunks: Sequence[Waits], newest_ms: int, now_ms: int, hold_ms: int) -> list[Waits]:
    """Those of the waiting chunks that may be folded now, in the order of their mentions.

    Workers finish chunks in another order than they were sent. Of live traffic that is nothing: the detectors wait an
    hour for late mentions. Of a backlog, where hours pass within a second, it would be much: there a chunk is held for
    a while, and folded together with all older ones that have come meanwhile.
    """
    ordered = sorted(chunks, key=lambda one: (one.last_ms, one.key))
    if not ordered:
        return []
    before = newest_ms or min(one.first_ms for one in ordered)
    if ordered[-1].last_ms - before < _JUMP_MS:
        return ordered
    until = max((one.last_ms for one in ordered if now_ms - one.first_seen_ms >= hold_ms), default=-1)
    return [one for one in ordered if one.last_ms <= until]
