"""generate_scenarios: every combination of a definition's dimensions, put into its template. Pure and deterministic.

Each placeholder is looked up once in the original template: text that was put in is never searched again, and it is
text, never a pattern. Which of several options a level shows depends on the seed and the scenario alone.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .validation import (
    InvalidInput,
    a_number,
    an_integer,
    optional_text,
    require_fields,
    require_list,
    require_object,
    require_text,
)

REQUIRED: Final = ("definitionId", "content")
MOST_SCENARIOS: Final = 10_000
"""Ten thousand scenarios times a few models are more probes than anybody runs; a product grows without notice."""
_MOST_CHARS: Final = 64_000_000
"""Of all prompts together: what the orchestrator can take in as one JSON document."""
_SEED_BOUND: Final = 2**63 - 1
_PLACEHOLDER: Final = re.compile(r"\[([^\[\]\n]{1,200})\]")
_NUMBERED: Final = re.compile(r"[ \t]*(\d{1,9})[ \t]*[-.)]")
_OF_SCORE: Final = re.compile(r"(.+)_score(-?\d{1,9}(?:\.\d{1,9})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Level:
    score: float
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    name: str
    levels: tuple[Level, ...]

    def level(self, score: float) -> Level | None:
        return next((level for level in self.levels if level.score == score), None)


@dataclass(frozen=True, slots=True)
class _Scenario:
    """One combination; `pick` chooses among the options of a level, always the same one."""

    salt: str
    chosen: Mapping[str, tuple[Dimension, Level]]
    """By name in lower case."""

    def option(self, dimension: Dimension, level: Level) -> str:
        if len(level.options) == 1:
            return level.options[0]
        digest = hashlib.sha256(f"{self.salt}\n{dimension.name}\n{level.score}".encode("utf-8", "replace")).digest()
        return level.options[int.from_bytes(digest[:8]) % len(level.options)]


def generate_scenarios(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document. Raises `InvalidInput` naming the field."""
    require_fields(payload, REQUIRED)
    content = require_object(payload["content"], "content")
    template = require_text(content.get("template"), "content.template")
    preamble = optional_text(content.get("preamble"), "content.preamble")
    dimensions = _dimensions(content.get("dimensions"))
    seed = an_integer(payload.get("seed", 0), "seed", low=-_SEED_BOUND, high=_SEED_BOUND)
    _check_size(dimensions, template)
    scenarios = []
    for levels in itertools.product(*(dimension.levels for dimension in dimensions)):
        pairs = list(zip(dimensions, levels, strict=True))
        name = " / ".join(f"{dimension.name}_{_plain(level.score)}" for dimension, level in pairs)
        scenario = _Scenario(
            f"{seed}\n{payload['definitionId']}\n{name}",
            {dimension.name.lower(): (dimension, level) for dimension, level in pairs},
        )
        scores = {dimension.name: _plain(level.score) for dimension, level in pairs}
        body = {"preamble": preamble, "prompt": _filled(template, scenario), "dimensions": scores}
        scenarios.append({"name": name, "content": body})
    return {
        "success": True,
        "scenarios": scenarios,
        "metadata": {"inputTokens": 0, "outputTokens": 0, "modelVersion": "deterministic", "seed": seed},
        "debug": {"rawResponse": None, "extractedYaml": None, "parseError": None},
    }


def _filled(template: str, scenario: _Scenario) -> str:
    return "\n".join(_filled_line(line, scenario) for line in template.split("\n"))


def _filled_line(line: str, scenario: _Scenario) -> str:
    """`[Dim]` is the scenario's level, the first one of a line `3. …` level 3; `[Dim_Score3]` names its level."""
    numbered = _NUMBERED.match(line)
    score = None if numbered is None else float(numbered[1])

    def put(found: re.Match[str]) -> str:
        nonlocal score
        known = scenario.chosen.get(found[1].strip().lower())
        if known is not None:
            dimension, level = known
            if score is not None:
                level, score = dimension.level(score) or level, None
            return scenario.option(dimension, level)
        named = _OF_SCORE.fullmatch(found[1].strip())
        other = scenario.chosen.get(named[1].lower()) if named else None
        wanted = other[0].level(float(named[2])) if named and other else None
        return found[0] if other is None or wanted is None else scenario.option(other[0], wanted)

    return _PLACEHOLDER.sub(put, line)


def _dimensions(value: Any) -> list[Dimension]:
    """Unnamed and empty ones are dropped, as the orchestrator does with rows left blank in its form."""
    found: dict[str, Dimension] = {}
    for index, item in enumerate(require_list(value, "content.dimensions") if value is not None else []):
        field = f"content.dimensions[{index}]"
        one = require_object(item, field)
        name = optional_text(one.get("name"), f"{field}.name")
        levels = _levels(one, field)
        if name is None or not levels:
            continue
        name = name.strip()
        if name.lower() in found:
            raise InvalidInput(f"{field}.name", "is there twice; upper and lower case are the same")
        found[name.lower()] = Dimension(name, levels)
    return list(found.values())


def _levels(dimension: Mapping[str, Any], field: str) -> tuple[Level, ...]:
    if dimension.get("levels") is not None:
        items = require_list(dimension["levels"], f"{field}.levels")
        levels = [_level(item, f"{field}.levels[{index}]") for index, item in enumerate(items)]
    elif dimension.get("values") is not None:
        values = require_list(dimension["values"], f"{field}.values")
        levels = [Level(float(n), (_text(item, f"{field}.values[{n - 1}]"),)) for n, item in enumerate(values, 1)]
    else:
        return ()
    if len({level.score for level in levels}) < len(levels):
        raise InvalidInput(f"{field}.levels", "has a score twice")
    return tuple(levels)


def _level(item: Any, field: str) -> Level:
    level = require_object(item, field)
    score = a_number(level.get("score", 1), f"{field}.score", low=-1e9, high=1e9)
    label = level.get("label")
    shown = "" if label is None else _text(label, f"{field}.label")
    options = level.get("options")
    texts = [] if options is None else require_list(options, f"{field}.options")
    found = tuple(_text(text, f"{field}.options[{index}]") for index, text in enumerate(texts))
    return Level(score, found or (shown,))


def _text(value: Any, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidInput(field, "must be a string")
    return str(value)


def _check_size(dimensions: Sequence[Dimension], template: str) -> None:
    count = math.prod(len(dimension.levels) for dimension in dimensions)
    if count > MOST_SCENARIOS:
        raise InvalidInput("content.dimensions", f"make {count:,} scenarios, at most {MOST_SCENARIOS:,} are allowed")
    longest = max((len(text) for one in dimensions for level in one.levels for text in level.options), default=0)
    chars = count * (len(template) + longest * template.count("["))
    if chars > _MOST_CHARS:
        raise InvalidInput("content", f"may make {chars:,} characters of prompts, at most {_MOST_CHARS:,} are allowed")


def _plain(score: float) -> int | float:
    return int(score) if score == int(score) else score
