"""The level each scenario has in each dimension, from what its transcripts say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..rows import Row, as_number, clean_text

Level = float | str


@dataclass(frozen=True, slots=True)
class DimensionTable:
    """Levels by dimension (sorted), then scenario id. A scenario that is not there has no usable level."""

    levels: Mapping[str, Mapping[str, Level]]
    conflicts: Mapping[str, tuple[str, ...]]
    """Dimension -> scenarios whose transcripts name different levels: they are in no test of it."""


def read_level(value: Any) -> Level | None:
    """A number, also one written as text ("1" and "1.0" are one level), or a label; None for null and structures."""
    if isinstance(value, bool):
        return "true" if value else "false"
    number = as_number(value)
    if number is not None:
        return number + 0.0  # -0.0 and 0.0 are one level
    text = clean_text(value)
    return None if text is None else text.strip()


def label_of(level: Level) -> str:
    """How a level is shown: 3.0 as 3."""
    if isinstance(level, str):
        return level
    return str(int(level)) if level.is_integer() and abs(level) < 1e15 else repr(level)


def read_dimensions(rows: Sequence[Row]) -> DimensionTable:
    """Levels of the scenarios that have a score. What one transcript lacks is taken from others of its scenario."""
    levels: dict[str, dict[str, Level]] = {}
    conflicts: dict[str, dict[str, None]] = {}
    known: dict[str, Mapping[Any, Any]] = {}
    for row in rows:
        if row.scenario is None or row.score is None or row.dimensions is None:
            continue
        if known.get(row.scenario) == row.dimensions:  # nearly every row but the first of its scenario
            continue
        known[row.scenario] = row.dimensions
        for name, value in row.dimensions.items():
            dimension, level = clean_text(name), read_level(value)
            if dimension is None or level is None:
                continue
            if levels.setdefault(dimension, {}).setdefault(row.scenario, level) != level:
                conflicts.setdefault(dimension, {})[row.scenario] = None
    for dimension, scenarios in conflicts.items():
        for scenario in scenarios:
            del levels[dimension][scenario]
    return DimensionTable(
        {dimension: levels[dimension] for dimension in sorted(levels)},
        {dimension: tuple(sorted(conflicts[dimension])) for dimension in sorted(conflicts)},
    )
