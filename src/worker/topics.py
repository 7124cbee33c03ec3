"""Topics of one brand over a stream of chunks: one-pass leader clustering with ids that stay. Pure.

A mention joins the topic whose centroid is nearest, when it is near enough, else it begins one (Hartigan's leader
algorithm, 1975, with centroids that move). Counts fade by event time, so a topic that nobody talks about any more makes
room; its id is never given to another one. What a state looks like in a database is `topic_records`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from .errors import WorkerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

JOIN: Final = 0.4
"""Least cosine with a centroid. In the local space 99 % of the pairs of different intents of Banking77 are below .43,
95 % below .29, and half of the texts have .60 with the centroid of their own; on event tweets .4 with another embedding
reached an ARI of .91."""
MERGE: Final = 0.75
"""Topics that have come so near are one: the platform merges clusters of chunks at the same cosine."""
HALF_LIFE_SEC: Final = 3 * 86_400.0
"""A mention counts half after three days: what was said last week does not outweigh what is said today."""
TOPICS_MAX: Final = 100
"""Of more the faintest goes. 100 topics of 512 numbers are 205 kB; twice as many found 3 % fewer loners in the airline
stream of the development data, at twice the time and room."""
MERGED_KEPT: Final = 200
"""Topics that became others are remembered: mentions and counts still name them. Older ones have long been moved."""
EXAMPLES: Final = 8
"""Newest texts that are remembered of a topic, for its label."""
EXAMPLE_CHARS: Final = 200
_FAINTEST: Final = 1e-12
"""Sums are not faded below this, or a topic of long ago would lose its direction to rounding."""


class TopicStateError(WorkerError):
    """A stored state that cannot be read, or is of another embedding space."""

    code = "TOPIC_STATE"


class LabelBy(StrEnum):
    """Who named a topic."""

    PHRASES = "phrases"
    LLM = "llm"


@dataclass(frozen=True, slots=True)
class Label:
    """A topic's name for people."""

    text: str
    by: LabelBy
    at: int
    """Mentions of the topic when it was given."""
    summary: str | None = None
    """One sentence on what is said, where a model gave one."""


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    weight: float
    """Mentions, each faded to the moment `at` of the state."""
    count: int
    """Mentions this state has seen, for labels and loners; what is told to people is counted elsewhere, exactly."""
    centroid: Vector = field(compare=False, repr=False)
    """Direction of the faded sum of the vectors, unit length."""
    mass: float
    """Length of that sum."""
    label: Label | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicState:
    """Topics of a brand in one embedding space, oldest first."""

    space: str
    next_number: int = 1
    at: float | None = None
    """The latest event time, epoch seconds; what `weight` is faded to."""
    topics: tuple[Topic, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    """Topics that ended because they became one with an older one → that one, newest last."""

    def labelled(self, labels: Mapping[str, Label]) -> TopicState:
        """With the labels of the topics named."""
        return replace(self, topics=tuple(replace(one, label=labels.get(one.id, one.label)) for one in self.topics))

    def resolved(self, topic: str) -> str:
        """The topic that this one has become."""
        return resolved(topic, self.merged)


@dataclass(frozen=True, slots=True)
class Assigned:
    topics: tuple[str, ...]
    """The topic of each mention, in the order of the mentions."""
    state: TopicState
    merged: Mapping[str, str]
    """Topics that ended because they became one with an older one → that one's id."""
    dropped: tuple[str, ...]
    """Topics that made room; mentions may still name them."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A mention that has its topic already."""

    topic: str
    vector: Vector = field(compare=False, repr=False)
    at: float
    """Event time, epoch seconds."""
    text: str = ""


def resolved(topic: str, merged: Mapping[str, str]) -> str:
    """Follows `merged` to its end; it always leads to an older topic, so there is one."""
    while topic in merged:
        topic = merged[topic]
    return topic


def number_of(topic: str) -> int:
    """Topics are t1, t2, …: a lower number is older."""
    return int(topic[1:])


def assign(
    state: TopicState,
    vectors: Vector,
    ids: Sequence[str],
    at: Sequence[datetime],
    *,
    numbers: Iterator[int] | None = None,
    texts: Sequence[str] = (),
) -> Assigned:
    """Give every mention of a chunk its topic. The order inside of the chunk does not matter: time and id decide.

    Args:
        vectors: n x d, unit length, in the state's space.
        at: event times with a zone. Late ones count as faded as they are by now.
        numbers: for new topics, rising, as many as there are mentions; None: the state's own, which nobody else uses.
        texts: of the mentions, remembered as examples; empty: none are.
    """
    if not len(vectors) == len(ids) == len(at) or (texts and len(texts) != len(ids)):
        raise ValueError("vectors, ids and times must be as many")
    if any(one.tzinfo is None for one in at):
        raise ValueError("an event time has no zone")
    seconds = [one.timestamp() for one in at]
    board = _Board(state, seconds, len(ids), vectors.shape[1])
    fresh = count(state.next_number) if numbers is None else numbers
    chosen: dict[int, str] = {}
    for row in sorted(range(len(ids)), key=lambda row: (seconds[row], ids[row])):
        text = texts[row] if texts else ""
        chosen[row] = board.take(vectors[row], seconds[row], text, fresh)
    return board.ended([chosen[row] for row in range(len(ids))])


def rejoin(newer: TopicState, own: TopicState, joined: Sequence[Joined]) -> Assigned:
    """Bring mentions that `own` has taken in into a newer state of somebody else's.

    A mention whose topic exists there (or what it has become) joins it; otherwise its topic is added under its own id.
    Of two labels of a topic the better one stays. Topics that are near each other become one, as ever. `joined` are in
    the order of their joining.
    """
    dimensions = len(joined[0].vector) if joined else 0
    board = _Board(newer, [one.at for one in joined], len(joined), dimensions)
    merged = {**newer.merged, **own.merged}
    labels = {one.id: one.label for one in own.topics}
    names = [board.put(resolved(one.topic, merged), one, labels) for one in joined]
    done = board.ended(names)
    kept = {one.id: better(one.label, labels.get(one.id)) for one in done.state.topics}
    return replace(
        done, state=done.state.labelled({topic: label for topic, label in kept.items() if label is not None})
    )


def better(one: Label | None, other: Label | None) -> Label | None:
    """Of two labels of a topic: a model's, else the one for more mentions."""
    known = [label for label in (one, other) if label is not None]
    return max(known, key=lambda label: (label.by is LabelBy.LLM, label.at, label.text), default=None)


class _Board:
    """The topics while a chunk is worked in: one row each, in arrays, for up to `room` more than there are."""

    def __init__(self, state: TopicState, seconds: Sequence[float], room: int, dimensions: int) -> None:
        import numpy as np

        self._state = state
        self._now = max([*seconds, *([] if state.at is None else [state.at])], default=None)
        fade = 1.0 if self._now is None or state.at is None else _faded(self._now - state.at)
        self._names = [one.id for one in state.topics]
        wide = len(state.topics[0].centroid) if state.topics else dimensions
        self._units: Any = np.zeros((len(self._names) + room, wide), dtype=np.float32)
        for row, one in enumerate(state.topics):
            self._units[row] = one.centroid
        self._masses = [max(one.mass * fade, _FAINTEST) for one in state.topics]
        self._weights = [one.weight * fade for one in state.topics]
        self._counts = [one.count for one in state.topics]
        self._labels = [one.label for one in state.topics]
        self._examples = [one.examples for one in state.topics]
        self._next = state.next_number

    def take(self, vector: Vector, at: float, text: str, numbers: Iterator[int]) -> str:
        """Join the nearest topic or begin one."""
        import numpy as np

        if not np.isfinite(vector).all() or not vector.any():
            raise ValueError("a vector is not finite, or has no direction")
        if self._names:
            near = self._units[: len(self._names)] @ vector
            best = int(near.argmax())  # the first, so the oldest, of equals
            if near[best] >= JOIN:
                self._add(best, vector, at, text)
                return self._names[best]
        return self._begin(f"t{next(numbers)}", vector, at, text, None)

    def put(self, name: str, one: Joined, labels: Mapping[str, Label | None]) -> str:
        """Into the topic of that name, which begins if there is none."""
        if name not in self._names:
            return self._begin(name, one.vector, one.at, one.text, labels.get(name))
        self._add(self._names.index(name), one.vector, one.at, one.text)
        return name

    def _begin(self, name: str, vector: Vector, at: float, text: str, label: Label | None) -> str:
        row = len(self._names)
        self._names.append(name)
        self._next = max(self._next, number_of(name) + 1)
        for values, empty in ((self._masses, 0.0), (self._weights, 0.0), (self._counts, 0)):
            values.append(empty)  # type: ignore[arg-type]
        self._labels.append(label)
        self._examples.append(())
        self._add(row, vector, at, text)
        return name

    def _add(self, row: int, vector: Vector, at: float, text: str) -> None:
        share = 1.0 if self._now is None else _faded(self._now - at)
        self._move(row, vector, max(share, _FAINTEST))
        self._weights[row] += share
        self._counts[row] += 1
        if text:
            self._examples[row] = (*self._examples[row], text[:EXAMPLE_CHARS])[-EXAMPLES:]

    def _move(self, row: int, direction: Vector, mass: float) -> None:
        """Add a vector of that direction and length to a topic's sum."""
        import numpy as np

        total = self._units[row] * self._masses[row] + direction * mass
        length = float(np.linalg.norm(total))
        if length > 0:  # opposite directions of one length leave none: the old one stays
            self._units[row], self._masses[row] = total / length, length

    def ended(self, names: Sequence[str]) -> Assigned:
        """Merge what has come near, drop what is too much. `names`: the topics of the mentions."""
        merged = self._merge()
        dropped = self._drop()
        known = dict(list({**self._state.merged, **merged}.items())[-MERGED_KEPT:])
        state = TopicState(self._state.space, self._next, self._now, self._topics(), known)
        return Assigned(tuple(resolved(name, merged) for name in names), state, merged, dropped)

    def _merge(self) -> dict[str, str]:
        """Join the nearest two as long as any are near enough; the older id stays."""
        import numpy as np

        merged: dict[str, str] = {}
        while len(self._names) > 1:
            rows = self._units[: len(self._names)]
            near = np.triu(rows @ rows.T, k=1)
            pair = [int(one) for one in np.unravel_index(int(near.argmax()), near.shape)]
            if near[pair[0], pair[1]] < MERGE:
                break
            kept, gone = sorted(pair, key=lambda row: number_of(self._names[row]))
            merged[self._names[gone]] = self._names[kept]
            self._move(kept, self._units[gone].copy(), self._masses[gone])
            self._weights[kept] += self._weights[gone]
            self._counts[kept] += self._counts[gone]
            self._labels[kept] = self._labels[kept] or self._labels[gone]
            self._examples[kept] = (*self._examples[gone], *self._examples[kept])[-EXAMPLES:]
            self._remove(gone)
        return {old: resolved(new, merged) for old, new in merged.items()}

    def _drop(self) -> tuple[str, ...]:
        """The faintest go where there are too many; of equals the older ones."""
        order = sorted(self._names, key=lambda name: (self._weights[self._names.index(name)], number_of(name)))
        gone = tuple(order[: max(0, len(order) - TOPICS_MAX)])
        for name in gone:
            self._remove(self._names.index(name))
        return gone

    def _remove(self, row: int) -> None:
        self._units[row : len(self._names) - 1] = self._units[row + 1 : len(self._names)].copy()
        for values in (self._names, self._masses, self._weights, self._counts, self._labels, self._examples):
            del values[row]

    def _topics(self) -> tuple[Topic, ...]:
        """Oldest first. Rows are copied: as views they would keep the whole board."""
        order = sorted(range(len(self._names)), key=lambda row: number_of(self._names[row]))
        return tuple(
            Topic(
                self._names[row],
                self._weights[row],
                self._counts[row],
                self._units[row].copy(),
                self._masses[row],
                self._labels[row],
                self._examples[row],
            )
            for row in order
        )


def _faded(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE_SEC))
