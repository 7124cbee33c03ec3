"""A student: a linear softmax over the features of `features`, its probabilities, what speaks for them, its bytes.

Deciding needs NumPy only; the weights of a place lie side by side, so that a chunk is one gather and one sum.
The bytes hold no code (no pickle): a model from the database can be wrong, but it cannot run anything.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import WorkerError
from .features import FORMAT, WIDTH, Features, rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC: Final = b"brand-worker-student\n"
_MAX_CLASSES: Final = 20
_REASONS: Final = 3
_TELLING: Final = 0.02
"""Smallest part of a decision that is named, in units of the logit."""


class StudentTask(StrEnum):
    SENTIMENT = "sentiment"
    INTENT = "intent"


class BadStudent(WorkerError):
    """Bytes that are no student of this version of the worker. The message says what is wrong with them."""

    code = "BAD_STUDENT"


class Decision(NamedTuple):
    """What a student thinks of one text."""

    probabilities: dict[str, float]
    """By class; they add up to 1."""
    label: str
    why: tuple[str, ...]
    """The words and rules that weighed most, signed: `("delayed+0.18", "thank-0.04")`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a student comes from. `score_before` and `score` are macro F1 on the `held_back` examples, 0..1."""

    version: int
    learned_from: int
    held_back: int
    score_before: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """`weights` has the shape (WIDTH + 1, classes), the last row is the bias; a logit is divided by `temperature`."""

    task: StudentTask
    classes: tuple[str, ...]
    weights: NDArray[np.float32]
    temperature: float
    origin: Origin

    @property
    def name(self) -> str:
        """How reasons call it."""
        return f"student:v{self.origin.version}"

    def probabilities(self, batch: Sequence[Features]) -> NDArray[np.float32]:
        """Shape (len(batch), classes); rows add up to 1."""
        import numpy as np

        logits = self.logits(batch) / np.float32(self.temperature)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def logits(self, batch: Sequence[Features]) -> NDArray[np.float32]:
        import numpy as np

        places, values, starts = rows(batch)
        out = np.tile(self.weights[-1], (len(batch), 1))
        if len(places):
            parts = self.weights[places] * values[:, None]
            # `reduceat` gives an empty row its neighbour's first part, so empty rows are left out.
            full = starts[1:] > starts[:-1]
            out[full] += np.add.reduceat(parts, starts[:-1][full], axis=0)
        return out

    def decide(self, batch: Sequence[Features], tokens: Sequence[Sequence[str]]) -> list[Decision]:
        """One decision per text. `tokens` are those that the features were made of."""
        if not batch:
            return []
        shares = self.probabilities(batch)
        winners = shares.argmax(axis=1)
        return [
            Decision(
                dict(zip(self.classes, map(float, shares[at]), strict=True)),
                self.classes[winners[at]],
                self._why(one, tokens[at], int(winners[at])),
            )
            for at, one in enumerate(batch)
        ]

    def _why(self, one: Features, tokens: Sequence[str], winner: int) -> tuple[str, ...]:
        """The words, pairs and rules that say most for or against the winner, compared with the mean of all classes."""
        import numpy as np

        where = np.r_[: one.words, one.rules_at : len(one.places)]
        weights = self.weights[np.array(one.places)[where]]
        parts = (weights[:, winner] - weights.mean(axis=1)) * np.array(one.values, np.float32)[where]
        strongest = np.argsort(-np.abs(parts), kind="stable")[: 3 * _REASONS]
        found: dict[str, float] = {}
        for at in map(int, strongest):
            part = float(parts[at])
            name = one.name_of(int(where[at]), tokens)
            if abs(part) >= _TELLING and name is not None:
                found.setdefault(name, part)
        return tuple(f"{name}{part:+.2f}" for name, part in list(found.items())[:_REASONS])


def to_bytes(student: Student) -> bytes:
    """Magic, SHA-256 of the rest, a line of JSON, the weights as compressed float16: well under 4 MB."""
    import numpy as np

    head = {
        "format": FORMAT,
        "task": student.task.value,
        "classes": student.classes,
        "temperature": student.temperature,
        "origin": asdict(student.origin),
    }
    weights = np.ascontiguousarray(student.weights, "<f2").tobytes()
    rest = json.dumps(head).encode() + b"\n" + zlib.compress(weights, 6)
    return _MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def from_bytes(data: bytes) -> Student:
    """The inverse.

    Raises:
        BadStudent: the bytes are damaged, of another feature space, or no student at all.
    """
    import numpy as np

    if not data.startswith(_MAGIC):
        raise BadStudent("is not a student of this worker")
    digest, _, rest = data[len(_MAGIC) :].partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise BadStudent("is damaged: its checksum does not fit")
    line, _, packed = rest.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    if head.get("format") != FORMAT:
        raise BadStudent(f"has features of format {head.get('format')}, this worker's is {FORMAT}: learn it again")
    classes = tuple(head["classes"])
    if not 2 <= len(classes) <= _MAX_CLASSES:
        raise BadStudent(f"has {len(classes)} classes")
    size = (WIDTH + 1) * len(classes) * 2
    raw = zlib.decompressobj().decompress(packed, size + 1)  # bounded: a small file must not become a large array
    if len(raw) != size:
        raise BadStudent(f"has weights of {len(raw)} bytes instead of {size}")
    weights = np.frombuffer(raw, "<f2").reshape(WIDTH + 1, len(classes)).astype(np.float32)
    if not np.isfinite(weights).all():
        raise BadStudent("has weights that are no numbers")
    return Student(StudentTask(head["task"]), classes, weights, float(head["temperature"]), Origin(**head["origin"]))
