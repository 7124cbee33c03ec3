"""From labelled texts to a student: the whole lesson as one function of plain data, for a process of its own.

A label belongs to a text as the worker has it: entities and tags unescaped, the brand's names masked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from ..analyzer import MAX_CHARS, cold_score
from ..brand_terms import BrandTerms
from ..fallback_analysis import decide, weigh
from ..models import Intent, SentimentLabel
from ..patterns import BRAND, Reading, read
from ..vader import Vader
from .labels import GOOD_RATING, RATING
from .learning import Example, Lesson, teach
from .panel import features_of
from .student import Student, StudentTask, from_bytes, to_bytes

_BAND: Final = 0.05
"""Contract 3.7."""


class Labelled(NamedTuple):
    """A text and the class it belongs to, as `labels.label_of` names it. `key`: hash of its content, hexadecimal."""

    key: str
    text: str
    brand: str
    label: str
    rating: float | None = None


class Taught(NamedTuple):
    """A lesson between processes: `student` as bytes, `lesson` without it."""

    student: bytes | None
    lesson: Lesson


def text_key(text: str) -> str:
    """Key of a text that has no content hash: two spellings of one text must not be taught and held back."""
    return hashlib.sha256(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass")).hexdigest()


def hold_lesson(task: StudentTask, texts: Sequence[Labelled], previous: bytes | None) -> Taught:
    """Teach and compare; seconds of CPU for thousands of texts, so call it in a thread or process of its own.

    Raises:
        BadStudent: `previous` cannot be read.
    """
    before: Student | None = None if previous is None else from_bytes(previous)
    lesson = teach(task, list(examples(task, texts)), before)
    data = None if lesson.student is None else to_bytes(lesson.student)
    return Taught(data, replace(lesson, student=None))


_handed_in: Final[list[Labelled]] = []


def hand_in(labels: Sequence[Labelled]) -> None:
    """For `hold_lesson_of_all` in the same process, which is to be nobody else's: newest first, over any number of
    calls, so that whoever has the labels need not hold all of them at once."""
    _handed_in.extend(labels)


def hold_lesson_of_all(task: StudentTask, previous: bytes | None) -> Taught:
    """`hold_lesson` with what was handed in."""
    return hold_lesson(task, _handed_in[::-1], previous)


def examples(task: StudentTask, texts: Iterable[Labelled]) -> Iterable[Example]:
    """What the students see of labelled texts, with what the cold start says of them."""
    vader = Vader.load()
    for one in texts:
        reading, score = look(one.text, _terms(one.brand), vader)
        label = one.label
        if label == RATING:
            good = one.rating >= GOOD_RATING if one.rating is not None else score > _BAND
            label = Intent.PRAISE.value if good else Intent.GENERAL.value
        cold = mood(score) if task is StudentTask.SENTIMENT else decide(weigh(reading, score))[0].value
        yield Example(one.key, features_of(reading, score), label, cold)


def look(text: str, terms: BrandTerms, vader: Vader) -> tuple[Reading, float]:
    """The reading and the cold start's score of a text about a brand, exactly as the analyser takes them."""
    masked = terms.mask(text[:MAX_CHARS], BRAND)
    reading = read(masked)
    return reading, cold_score(masked, reading, vader)[0]


def mood(score: float) -> str:
    if score > _BAND:
        return SentimentLabel.POSITIVE.value
    return SentimentLabel.NEGATIVE.value if score < -_BAND else SentimentLabel.NEUTRAL.value


@lru_cache(maxsize=256)
def _terms(brand: str) -> BrandTerms:
    return BrandTerms.build(brand)
