"""What is written down of a chunk that has been executed: fields of its document in `processed_chunks`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from ..models import Chunk
from ..pipeline.chunk_result import tallies, without_centroids
from ..pipeline.normalize import Normalised
from ..storage import Document
from .sorting import Sorted

_DUPLICATES_LISTED: Final = 500
"""Of a chunk of thousands: a document has its limit (16 MiB), and more than that nobody looks through."""
_REASONS_SHOWN: Final = 5
"""In the counts, which are a task's result; the document has all of them."""
_TIMED: Final = ("preprocessing_time_ms", "analysis_time_ms", "embedding_time_ms", "io_time_ms")
"""The spans between the moments of an execution; the contract's names for those it knows (1.3)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which task a chunk is executed for."""

    task_id: str
    entry: str
    replayed: bool

    def is_another(self, first: Document) -> bool:
        """Than the one that processed the chunk first? A producer may send the same task, id and all, again; a replay
        is the first one, which had failed."""
        if first["task_id"] != self.task_id:
            return True
        return bool(self.entry and first.get("entry")) and first["entry"] != self.entry and not self.replayed


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution of a chunk, and what its mentions turned out to be."""

    chunk: Chunk
    key: str
    """`_id` of the chunk's document."""
    origin: Origin
    normal: Normalised
    sorted_out: Sorted
    timings: Mapping[str, float]
    ended_at: datetime

    def counts(self) -> dict[str, Any]:
        """The task's result: how many mentions became what."""
        repeats, rejected = self.sorted_out.repeats, self.normal.rejected
        return {
            "brand": self.chunk.brand,
            "chunkId": self.chunk.chunk_id,
            "read": len(self.chunk.items),
            "stored": len(self.sorted_out.own),
            "duplicates": len(repeats),
            "nearDuplicates": sum(repeat.near for repeat in repeats),
            "rejected": len(rejected),
            "synthetic": self.normal.synthetic,
            "rejectedReasons": [bad.reason for bad in rejected[:_REASONS_SHOWN]],
            **tallies(self.sorted_out.own),
        }

    def first_fields(self) -> Document:
        """What the first execution writes, and no later one changes."""
        return {
            "brand": self.chunk.brand,
            "chunk_id": self.chunk.chunk_id,
            "task_id": self.origin.task_id,
            "entry": self.origin.entry,
            "envelope_id": self.chunk.envelope_id,
            "batch_id": self.chunk.batch_id,
            "org_id": self.chunk.org_id,
            "first_seen": self.ended_at,
        }

    def last_fields(self, counts: Mapping[str, Any], result: Mapping[str, Any] | None) -> Document:
        """What every execution writes anew."""
        return {
            "last_seen": self.ended_at,
            "counts": dict(counts),
            "result": None if result is None else without_centroids(result),
            "duplicates": [asdict(repeat) for repeat in self.sorted_out.repeats[:_DUPLICATES_LISTED]],
            "rejected": [{"index": bad.index, "reason": bad.reason} for bad in self.normal.rejected],
        }


def timings(moments: Sequence[float]) -> dict[str, float]:
    """Milliseconds between the five moments (seconds of one clock) of an execution, by name, and their sum."""
    spans = [later - earlier for earlier, later in pairwise(moments)]
    named = {name: round(span * 1000, 2) for name, span in zip(_TIMED, spans, strict=True)}
    return {**named, "total_task_time_ms": round(sum(named.values()), 2)}
