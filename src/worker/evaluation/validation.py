"""Checks of the evaluation workers' inputs. Messages are worded as the orchestrator's tests look for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidTask


class InvalidInput(InvalidTask):
    """Input a client has to change. `message` is the sentence shown; `details` names what would be right."""

    def __init__(self, field: str, problem: str, *, message: str | None = None, details: Any = None) -> None:
        super().__init__(field, problem)
        self.message = message or sentence(field, problem)
        self.args = (self.message,)
        self.details = details


def sentence(field: str, problem: str) -> str:
    """`scenario must be an object`: the field is the subject, unless the problem is a sentence of its own.

    >>> sentence("scenario", "must be an object"), sentence("runId", "is required")
    ('scenario must be an object', 'Missing required field: runId')
    """
    if problem.startswith(f"{field} ") or problem[:1].isupper():
        return problem
    if problem in ("is required", "is missing") and "." not in field and "[" not in field:
        return f"Missing required field: {field}"
    if problem.partition(" ")[0] in ("must", "is", "are", "cannot", "has", "holds", "does", "may", "needs"):
        return f"{field} {problem}"
    return f"{field}: {problem}"


def an_object(payload: Any) -> dict[str, Any]:
    """The input itself: any JSON value but an object is a client's error, whatever its type."""
    if not isinstance(payload, dict):
        raise InvalidInput("input", "must be an object", message="Input must be a JSON object")
    return payload


def require_fields(payload: Mapping[str, Any], names: Sequence[str]) -> None:
    """Presence only: null is a value here, as it is for the orchestrator."""
    for name in names:
        if name not in payload:
            raise InvalidInput(
                name,
                "is required",
                message=f"Missing required field: {name}",
                details=f"Required fields: {', '.join(names)}",
            )


def require_object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(field, "must be an object")
    return value


def require_list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(field, "must be an array")
    return value


def require_text(value: Any, field: str) -> str:
    """Text with something in it."""
    if value is None:
        raise InvalidInput(field, "is required", message=f"{field} is required")
    if not isinstance(value, str):
        raise InvalidInput(field, "must be a string")
    if not value.strip():
        raise InvalidInput(field, "cannot be empty")
    return value


def optional_text(value: Any, field: str) -> str | None:
    """None for null, absent and blank."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(field, "must be a string")
    return value if value.strip() else None


def a_number(value: Any, field: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within bounds. Booleans and numerals in quotes are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(field, "must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        raise InvalidInput(field, f"must be {_bounds(low, high)}")
    return number


def an_integer(value: Any, field: str, *, low: int, high: int) -> int:
    """A whole number within bounds; 10.0 is one (JSON does not tell them apart), 2.5 is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and value % 1 != 0):
        raise InvalidInput(field, "must be a whole number")
    if not low <= value <= high:
        raise InvalidInput(field, f"must be {_bounds(low, high)}")
    return int(value)


def _bounds(low: float, high: float) -> str:
    if math.isinf(high):
        return "a finite number" if math.isinf(low) else f"a finite number from {low:g} on"
    return f"between {low:g} and {high:g}"
