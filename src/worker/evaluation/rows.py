"""Transcripts of a run as rows that can be counted, and a reason for each one that cannot. Pure, standard library only.

One bad transcript costs itself and nothing else: it is excluded from the score statistics, counted, and named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

SCALE_MIN: Final = 1
SCALE_MAX: Final = 5
"""Decision codes of the specification: 1 (strongly option A) to 5 (strongly option B)."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""Numbers as JSON and spreadsheets write them; not what else `float` reads ("1_0", "nan", "infinity")."""


class Exclusion(StrEnum):
    """Why a transcript is not in the score statistics."""

    NOT_AN_OBJECT = "the transcript is not an object"
    NO_MODEL = "modelId is not a text that names a model"
    NO_SUMMARY = "summary is missing, null or not an object"
    NO_SCORE = "summary.score is missing or null"
    NOT_A_NUMBER = "summary.score is not a number"
    NOT_FINITE = "summary.score is not finite"
    OFF_SCALE = "summary.score is off the scale of 1 to 5"


class Row(NamedTuple):
    """A transcript that names its model. A named tuple because a run may have a hundred thousand."""

    model: str
    scenario: str | None
    """None where the transcript names none: such a row is in its model's figures and in no comparison."""
    name: str | None
    score: float | None
    """On the scale, finite; None where the transcript has no usable score."""
    values: Mapping[Any, Any] | None
    dimensions: Mapping[Any, Any] | None


class Excluded(NamedTuple):
    """`position` is the place in the payload's list, `id` the transcript's own id where it has one."""

    position: int
    id: str | None
    reason: Exclusion


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows in the order of the payload, and what was left out of the score statistics."""

    rows: tuple[Row, ...]
    excluded: tuple[Excluded, ...]
    repeated_ids: int
    """Transcripts whose id an earlier one has already."""


def read_rows(transcripts: Iterable[Any]) -> Reading:
    """Check transcripts one by one. Never raises for what one of them holds."""
    rows: list[Row] = []
    excluded: list[Excluded] = []
    seen: set[str] = set()
    ids = 0
    for index, transcript in enumerate(transcripts):
        if not isinstance(transcript, Mapping):
            excluded.append(Excluded(index, None, Exclusion.NOT_AN_OBJECT))
            continue
        own_id = clean_text(transcript.get("id"))
        if own_id is not None:
            ids += 1
            seen.add(own_id)
        row, problem = _row(transcript)
        if row is not None:
            rows.append(row)
        if problem is not None:
            excluded.append(Excluded(index, own_id, problem))
    return Reading(tuple(rows), tuple(excluded), ids - len(seen))


def as_rows(transcripts: Sequence[Any]) -> Sequence[Row]:
    """Rows as they are, or the rows of raw transcripts: the statistics can be called with either."""
    if all(isinstance(transcript, Row) for transcript in transcripts):
        return transcripts
    return read_rows(transcripts).rows


def as_number(value: Any) -> float | None:
    """A finite number from a number or a text that is one; None otherwise. True and false are no numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text) is None:
            return None
        number = float(text)
    elif isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # an integer beyond 1.8e308
            return None
    else:
        return None
    return number if math.isfinite(number) else None


def clean_text(value: Any) -> str | None:
    """A text as it is, or None if it is blank, no text, or holds half a surrogate pair (which no JSON can carry)."""
    if not isinstance(value, str) or not value or value.isspace():
        return None
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return None
    return value


def _row(transcript: Mapping[Any, Any]) -> tuple[Row | None, Exclusion | None]:
    model = clean_text(transcript.get("modelId"))
    if model is None:
        return None, Exclusion.NO_MODEL
    summary = transcript.get("summary")
    score: float | None = None
    problem: Exclusion | None = Exclusion.NO_SUMMARY
    values = None
    if isinstance(summary, Mapping):
        score, problem = _score(summary.get("score"))
        values = summary.get("values")
    scenario = transcript.get("scenario")
    name = dimensions = None
    if isinstance(scenario, Mapping):
        name = clean_text(scenario.get("name"))
        dimensions = scenario.get("dimensions")
    row = Row(
        model,
        _scenario_id(transcript.get("scenarioId")),
        name,
        score,
        values if isinstance(values, Mapping) and values else None,
        dimensions if isinstance(dimensions, Mapping) and dimensions else None,
    )
    return row, problem


def _scenario_id(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)  # a database key; a text and a number of the same digits are one scenario
    return clean_text(value)


def _score(value: Any) -> tuple[float | None, Exclusion | None]:
    if value is None:
        return None, Exclusion.NO_SCORE
    number = as_number(value)
    if number is None:
        huge = isinstance(value, int | float) and not isinstance(value, bool)
        return None, Exclusion.NOT_FINITE if huge else Exclusion.NOT_A_NUMBER
    if not SCALE_MIN <= number <= SCALE_MAX:
        return None, Exclusion.OFF_SCALE
    return number, None
