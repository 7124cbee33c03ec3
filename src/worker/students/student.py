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
from .features import FORMAT, WIDTH, Features, Rows, rows

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
        return self._shares(self.logits(batch))

    def logits(self, batch: Sequence[Features]) -> NDArray[np.float32]:
        """Before temperature; shape (len(batch), classes)."""
        packed = rows(batch)
        return self._sums(packed, self.weights[packed.places])

    def decide(
        self, batch: Sequence[Features], tokens: Sequence[Sequence[str]], packed: Rows | None = None
    ) -> list[Decision]:
        """One decision per text. `tokens` are those that the features were made of, `packed` is `rows(batch)`."""
        import numpy as np

        if not batch:
            return []
        packed = packed or rows(batch)
        gathered = self.weights[packed.places]
        shares = self._shares(self._sums(packed, gathered))
        winners = shares.argmax(axis=1)
        # What each place says for its text's winner, compared with the mean of all classes.
        wins = np.repeat(winners, np.diff(packed.starts))
        parts = (gathered[np.arange(len(wins)), wins] - gathered.mean(axis=1)) * packed.values
        return [
            Decision(dict(zip(self.classes, row, strict=True)), self.classes[winner], _why(one, words, said))
            for row, winner, one, words, said in zip(
                shares.tolist(),
                winners.tolist(),
                batch,
                tokens,
                np.split(parts, packed.starts[1:-1]),
                strict=True,
            )
        ]

    def _shares(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        scaled = logits / np.float32(self.temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        shares = np.exp(scaled)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def _sums(self, packed: Rows, gathered: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        starts = packed.starts
        out = np.tile(self.weights[-1], (len(starts) - 1, 1))
        if len(gathered):
            # `reduceat` gives an empty row its neighbour's first part, so empty rows are left out.
            full = starts[1:] > starts[:-1]
            out[full] += np.add.reduceat(gathered * packed.values[:, None], starts[:-1][full], axis=0)
        return out


def _why(one: Features, tokens: Sequence[str], parts: NDArray[np.float32]) -> tuple[str, ...]:
    """The words, pairs and rules with the greatest of `parts`, one per place."""
    import numpy as np

    sizes = np.abs(parts)
    sizes[one.words : one.rules_at] = 0.0  # pieces of words mean nothing to a reader
    found: dict[str, float] = {}
    for at in np.argsort(-sizes, kind="stable")[: 3 * _REASONS].tolist():
        name = one.name_of(at, tokens)
        if sizes[at] >= _TELLING and name is not None:
            found.setdefault(name, float(parts[at]))
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
    if not data.startswith(_MAGIC):
        raise BadStudent("is not a student of this worker")
    digest, _, rest = data[len(_MAGIC) :].partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise BadStudent("is damaged: its checksum does not fit")
    line, _, packed = rest.partition(b"\n")
    try:
        return _opened(json.loads(line), packed)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise BadStudent(f"is damaged: {type(error).__name__} {error}") from error


def _opened(head: dict[str, Any], packed: bytes) -> Student:
    import numpy as np

    if head["format"] != FORMAT:
        raise BadStudent(f"has features of format {head['format']}, this worker's is {FORMAT}: learn it again")
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
