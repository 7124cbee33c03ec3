"""Teaching a student, and the guard in front of its use: one that is worse than the one before is not adopted.

Refitted from scratch on a bounded buffer of labels: 2,000 take some 0.2 s and 12,000 some 5 s of one core. The same
labels in the same order give the same student. What is held back is chosen by a hash of the text, so a text
held back once is held back always: no version was ever taught what it and its successors are compared on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .features import WIDTH, Features, rows
from .student import Origin, Student, StudentTask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_EXAMPLES: Final = 20_000
"""The latest labels that are learned from: bounds a lesson to seconds; with 15 % wrong labels the airline curve is flat
from 2,000 on."""
MIN_EXAMPLES: Final = 60
"""Fewer leave six to compare with: no guard at all."""
MIN_PER_CLASS: Final = 5
HELD_BACK_PART: Final = 10

# Chosen over all development sets at once (airline 500 and 2,000 labels with errors, tweets, suggestions, reviews),
# out of 0.1, 0.3, 1 and powers from 0 to 1, by the very figures that `bench/analysis` shows: those are no blind test.
_INVERSE_REGULARISATION: Final = 0.3
_BALANCE: Final = {StudentTask.SENTIMENT: 0.5, StudentTask.INTENT: 1.0}
"""Power of the inverse class frequency that weighs an example: 0 ignores rare classes, 1 makes all equal. Intents are
rarer (a wish in 25 to 1 in 14 texts), and the rare ones are those that somebody has to act on."""
_ROTATED: Final = 2_000
"""Up to so many examples the first student is compared with the cold start on each tenth in turn: the cold start was
taught on none of them, and a tenth of 500 decides by chance. Ten fits of 2,000 take 2 s."""
_ITERATIONS: Final = 200
_TOLERANCE: Final = 1e-3
_TEMPERATURES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
_TEMPERATURE_PRIOR: Final = 20.0
"""Strength of the belief that no correction is needed, in examples: a handful held back cannot move it far."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text. `key` is a hash of its content (hexadecimal); `cold` is what the cold start says of it."""

    key: str
    features: Features
    label: str
    cold: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of teaching. `student` is None where there was nothing to learn from; `adopted` is the guard's word.

    `before` and `after` are macro F1 on the held-back examples, None where nothing could be compared.
    """

    student: Student | None
    adopted: bool
    reason: str
    examples: int
    counts: dict[str, int]
    held_back: int = 0
    before: float | None = None
    after: float | None = None
    left_out: tuple[str, ...] = ()
    """Classes with too few examples to learn."""


def tenth(key: str) -> int:
    """Which tenth a text belongs to, by its content. Hashed again: the key's digits may have been used for choosing."""
    digest = hashlib.sha256(f"held back|{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_BACK_PART


def is_held_back(key: str) -> bool:
    """Texts of the first tenth are never taught, only compared on."""
    return tenth(key) == 0


def teach(task: StudentTask, examples: Sequence[Example], previous: Student | None = None) -> Lesson:
    """A new student from labels, compared with `previous` or, without one, with the cold start.

    Of several labels for one text the last counts; of all, the last MAX_EXAMPLES.
    """
    latest = list({example.key: example for example in examples}.values())[-MAX_EXAMPLES:]
    counts = Counter(example.label for example in latest)
    rare = tuple(sorted(label for label, count in counts.items() if count < MIN_PER_CLASS))
    usable = [example for example in latest if example.label not in rare]
    taught = [example for example in usable if not is_held_back(example.key)]
    held = [example for example in usable if is_held_back(example.key)]
    classes = tuple(sorted({example.label for example in taught}))
    refused = _refusal(usable, held, classes)
    if refused is not None:
        return Lesson(None, False, refused, len(latest), dict(counts), len(held), left_out=rare)
    weights = _fit(task, taught, classes)
    version = 1 if previous is None else previous.origin.version + 1
    plain = Student(task, classes, weights, 1.0, Origin(version, len(taught), len(held), 0.0, 0.0))
    judged, given = held, _opinions(plain, held)
    if previous is None and len(usable) <= _ROTATED:
        judged, given = _rotated(task, usable)
    wanted = [example.label for example in judged]
    before, after = macro_f1(wanted, _opinions(previous, judged)), macro_f1(wanted, given)
    origin = Origin(version, len(taught), len(held), round(before, 4), round(after, 4))
    student = Student(task, classes, weights, _temperature(plain, held), origin)
    adopted = after >= before
    verb = "not worse" if adopted else "worse"
    reason = f"{verb} than {'the cold start' if previous is None else f'version {version - 1}'} on what was held back"
    return Lesson(student, adopted, reason, len(latest), dict(counts), len(judged), before, after, rare)


def macro_f1(wanted: Sequence[str], given: Sequence[str]) -> float:
    """Mean F1 over the classes that occur in `wanted`; 0..1.

    Raises:
        ValueError: there is nothing to compare.
    """
    if not wanted:
        raise ValueError("no examples")
    hits = Counter(one for one, other in zip(wanted, given, strict=True) if one == other)
    there, said = Counter(wanted), Counter(given)
    return sum(2 * hits[name] / (count + said[name]) for name, count in there.items()) / len(there)


def _refusal(usable: Sequence[Example], held: Sequence[Example], classes: Sequence[str]) -> str | None:
    if len(usable) < MIN_EXAMPLES:
        return f"{len(usable)} usable examples, at least {MIN_EXAMPLES} are needed"
    if len(classes) < 2:
        return f"one class only ({', '.join(classes)}): there is nothing to tell apart"
    return None if held else "no example is held back: nothing could be compared"


def _opinions(student: Student | None, held: Sequence[Example]) -> list[str]:
    """What a student, or without one the cold start, says of the held-back texts."""
    if student is None:
        return [example.cold for example in held]
    if not held:
        return []
    shares = student.probabilities([example.features for example in held])
    return [student.classes[at] for at in shares.argmax(axis=1)]


def _rotated(task: StudentTask, usable: Sequence[Example]) -> tuple[list[Example], list[str]]:
    """All examples, and what students say of them who were taught without the tenth that the example is in."""
    judged: list[Example] = []
    given: list[str] = []
    for part in range(HELD_BACK_PART):
        held = [example for example in usable if tenth(example.key) == part]
        others = [example for example in usable if tenth(example.key) != part]
        classes = tuple(sorted({example.label for example in others}))
        if len(classes) < 2:
            continue
        student = Student(task, classes, _fit(task, others, classes), 1.0, Origin(0, len(others), len(held), 0.0, 0.0))
        judged += held
        given += _opinions(student, held)
    return judged, given


def _fit(task: StudentTask, taught: Sequence[Example], classes: Sequence[str]) -> NDArray[np.float32]:
    """Multinomial logistic regression, L2, over the places that occur. Shape (WIDTH + 1, classes)."""
    import numpy as np
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    places, values, starts = rows([example.features for example in taught])
    used, packed = np.unique(places, return_inverse=True)
    table = csr_matrix((values.astype(np.float64), packed, starts), shape=(len(taught), len(used)))
    table.sum_duplicates()
    labels = np.array([classes.index(example.label) for example in taught])
    per_class = np.bincount(labels, minlength=len(classes))
    share = (len(labels) / (len(classes) * per_class)) ** _BALANCE[task]
    weight = share[labels]
    model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=_ITERATIONS, tol=_TOLERANCE)
    # One thread: the matrices are thin, and threads that spin would take the cores from the analysis.
    with threadpool_limits(1):
        model.fit(table, labels, sample_weight=weight * (len(labels) / weight.sum()))
    weights = np.zeros((WIDTH + 1, len(classes)), np.float32)
    if len(classes) == 2:  # scikit-learn keeps one row for two classes: half of it for each gives the same logits
        weights[used] = np.stack([-model.coef_[0], model.coef_[0]], axis=1) / 2
        weights[-1] = np.array([-model.intercept_[0], model.intercept_[0]]) / 2
    else:
        weights[used] = model.coef_.T
        weights[-1] = model.intercept_
    return weights.astype(np.float16).astype(np.float32)  # as they are stored, so that a copy decides the same


def _temperature(student: Student, held: Sequence[Example]) -> float:
    """The temperature of a grid at which the held-back labels are likeliest, with a prior that it is 1.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    import numpy as np

    known = [example for example in held if example.label in student.classes]
    logits = student.logits([example.features for example in known]).astype(np.float64)
    wanted = np.array([student.classes.index(example.label) for example in known])

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        likely = scaled[np.arange(len(wanted)), wanted] - np.log(np.exp(scaled).sum(axis=1))
        return float(-likely.sum() + _TEMPERATURE_PRIOR * np.log(temperature) ** 2)

    return min(_TEMPERATURES, key=loss)
