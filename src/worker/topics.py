"""Topics of one brand over a stream of chunks: one-pass leader clustering with ids that stay. Pure.

A mention joins the topic whose centroid is nearest, when it is near enough, else it begins one (Hartigan's leader
algorithm, 1975, with centroids that move). Counts fade by event time, so a topic that nobody talks about any more makes
room; its id is never given to another one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from . import strictjson
from .errors import InvalidTask, WorkerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

VERSION: Final = 1
JOIN: Final = 0.4
"""Least cosine with a centroid. In the local space 99 % of the pairs of different intents of Banking77 are below .43,
95 % below .29, and half of the texts have .60 with the centroid of their own; on event tweets .4 with another embedding
reached an ARI of .91."""
MERGE: Final = 0.75
"""Topics that have come so near are one: the platform merges clusters of chunks at the same cosine."""
HALF_LIFE_SEC: Final = 3 * 86_400.0
"""A mention counts half after three days: what was said last week does not outweigh what is said today."""
TOPICS_MAX: Final = 100
"""Of more the faintest goes. 100 topics of 512 numbers are 280 kB of JSON."""


class TopicStateError(WorkerError):
    """A stored state that cannot be read, or is of another embedding space."""

    code = "TOPIC_STATE"


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    weight: float
    """Mentions, each faded to the moment `at` of the state."""
    count: int
    """All mentions ever."""
    total: Vector = field(compare=False, repr=False)
    """Sum of the vectors, faded in the same way; its direction is the centroid."""
    label: str | None = None

    @property
    def centroid(self) -> Vector:
        import numpy as np

        unit: Vector = (self.total / np.linalg.norm(self.total)).astype(np.float32)
        return unit


@dataclass(frozen=True, slots=True)
class TopicState:
    """Topics of a brand in one embedding space, oldest first."""

    space: str
    next_number: int = 1
    at: float | None = None
    """The latest event time, epoch seconds; what `weight` is faded to."""
    topics: tuple[Topic, ...] = ()

    def labelled(self, labels: Mapping[str, str]) -> TopicState:
        """With the labels of the topics named."""
        return replace(self, topics=tuple(replace(one, label=labels.get(one.id, one.label)) for one in self.topics))

    def to_json(self) -> bytes:
        rows = [
            {
                "id": one.id,
                "weight": one.weight,
                "count": one.count,
                "label": one.label,
                "total": base64.b64encode(one.total.astype("<f4").tobytes()).decode("ascii"),
            }
            for one in self.topics
        ]
        return strictjson.dumps(
            {"version": VERSION, "space": self.space, "next": self.next_number, "at": self.at, "topics": rows}
        )

    @classmethod
    def from_json(cls, data: bytes, space: str) -> TopicState:
        """Raises TopicStateError: damaged, of another version, or of another space than `space`."""
        try:
            document: Any = strictjson.loads(data)
            if document["version"] != VERSION or document["space"] != space:
                raise TopicStateError(
                    f"topics are of version {document['version']} in space {document['space']!r}, "
                    f"version {VERSION} in {space!r} is needed"
                )
            topics = tuple(_topic(row) for row in document["topics"])
            return cls(space, int(document["next"]), document["at"], topics)
        except (KeyError, TypeError, ValueError, InvalidTask) as error:
            raise TopicStateError(f"stored topics cannot be read ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class Assigned:
    topics: tuple[str, ...]
    """The topic of each mention, in the order of the mentions."""
    state: TopicState
    merged: Mapping[str, str]
    """Topics that ended because they became one with an older one → that one's id."""
    dropped: tuple[str, ...]
    """Topics that made room; mentions may still name them."""


def assign(state: TopicState, vectors: Vector, ids: Sequence[str], at: Sequence[datetime]) -> Assigned:
    """Give every mention of a chunk its topic. The order inside of the chunk does not matter: time and id decide.

    Args:
        vectors: n x d, unit length, in the state's space.
        at: event times with a zone. Late ones count as faded as they are by now.
    """
    if not len(vectors) == len(ids) == len(at):
        raise ValueError("vectors, ids and times must be as many")
    if any(one.tzinfo is None for one in at):
        raise ValueError("an event time has no zone")
    seconds = [one.timestamp() for one in at]
    now = max([*seconds, *([] if state.at is None else [state.at])], default=None)
    board = _Board(state, now)
    chosen: dict[int, str] = {}
    for row in sorted(range(len(ids)), key=lambda row: (seconds[row], ids[row])):
        chosen[row] = board.take(vectors[row], 1.0 if now is None else _faded(now - seconds[row]))
    merged = board.merge()
    dropped = board.drop()
    topics = tuple(merged.get(chosen[row], chosen[row]) for row in range(len(ids)))
    return Assigned(topics, TopicState(state.space, board.next_number, now, board.topics()), merged, dropped)


class _Board:
    """The topics while a chunk is worked in."""

    def __init__(self, state: TopicState, now: float | None) -> None:
        fade = 1.0 if now is None or state.at is None else _faded(now - state.at)
        self.next_number = state.next_number
        self._topics = {
            one.id: replace(one, weight=one.weight * fade, total=one.total * fade if fade > _FAINTEST else one.total)
            for one in state.topics
        }
        self._centroids = {one.id: one.centroid for one in self._topics.values()}

    def take(self, vector: Vector, share: float) -> str:
        import numpy as np

        if not np.isfinite(vector).all() or not vector.any():
            raise ValueError("a vector is not finite, or has no direction")
        if self._topics:
            names = list(self._topics)
            near = np.stack([self._centroids[name] for name in names]) @ vector
            best = int(near.argmax())  # the first, so the oldest, of equals
            if near[best] >= JOIN:
                self._put(names[best], vector, share)
                return names[best]
        name = f"t{self.next_number}"
        self.next_number += 1
        self._topics[name] = Topic(name, 0.0, 0, np.zeros(len(vector), dtype=np.float32))
        self._put(name, vector, share)
        return name

    def _put(self, name: str, vector: Vector, share: float) -> None:
        one = self._topics[name]
        total = (one.total + vector * max(share, _FAINTEST)).astype("float32")
        self._topics[name] = replace(one, weight=one.weight + share, count=one.count + 1, total=total)
        self._centroids[name] = self._topics[name].centroid

    def merge(self) -> dict[str, str]:
        """Join the nearest two as long as any are near enough; the older id stays."""
        import numpy as np

        merged: dict[str, str] = {}
        while len(self._topics) > 1:
            names = list(self._topics)
            rows = np.stack([self._centroids[name] for name in names])
            near = np.triu(rows @ rows.T, k=1)
            first, second = (int(one) for one in np.unravel_index(int(near.argmax()), near.shape))
            if near[first, second] < MERGE:
                break
            kept, gone = self._topics[names[first]], self._topics.pop(names[second])
            total = (kept.total + gone.total).astype("float32")
            self._topics[kept.id] = replace(
                kept, weight=kept.weight + gone.weight, count=kept.count + gone.count, total=total
            )
            self._centroids[kept.id] = self._topics[kept.id].centroid
            merged = {old: kept.id if new == gone.id else new for old, new in merged.items()} | {gone.id: kept.id}
        return merged

    def drop(self) -> tuple[str, ...]:
        """The faintest go where there are too many; of equals the older ones."""
        names = sorted(self._topics, key=lambda name: self._topics[name].weight)
        gone = tuple(names[: max(0, len(names) - TOPICS_MAX)])
        for name in gone:
            del self._topics[name]
        return gone

    def topics(self) -> tuple[Topic, ...]:
        return tuple(self._topics.values())


_FAINTEST: Final = 1e-12
"""Sums are not faded below this, or a topic of long ago would lose its direction to rounding."""


def _faded(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE_SEC))


def _topic(row: Any) -> Topic:
    import numpy as np

    total = np.frombuffer(base64.b64decode(row["total"], validate=True), dtype="<f4").astype(np.float32)
    if not np.isfinite(total).all() or not total.any():
        raise ValueError("a topic has no direction")
    return Topic(str(row["id"]), float(row["weight"]), int(row["count"]), total, row["label"])
