"""JSON as the neighbours need it: strict in both directions, with errors that name the field.

Reading is orjson's (which refuses NaN, Infinity and lone surrogates). Only when it refuses is the text read again,
slowly, to find out which field is to blame. Writing never produces NaN or Infinity.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import orjson

from .errors import InvalidTask

ROOT: Final = "task"
"""How errors name the document itself."""

MAX_DEPTH: Final = 64
"""Deepest nesting accepted. Real payloads need six levels; walkers recurse, and BSON stops at 100."""


class _NotJson:
    """Stands in the parsed tree for a constant that JSON does not have, until the walk finds its path."""

    def __init__(self, name: str) -> None:
        self.name = name


def loads(raw: bytes) -> Any:
    """Parse one document.

    Raises:
        InvalidTask: not UTF-8, not JSON, NaN/Infinity, a lone surrogate or a nesting over `MAX_DEPTH`;
            its `field` is the path of the offending value where one can be found.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _diagnose(raw, error) from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _too_deep(value):  # fewer brackets cannot nest that deep
        raise InvalidTask(ROOT, f"nested deeper than {MAX_DEPTH} levels")
    return value


def loads_mended(raw: bytes) -> Any:
    """The same, but a lone surrogate in one of several items of a list becomes U+FFFD, as every browser shows it.

    Producers that cut texts after so many UTF-16 units halve an emoji now and then; one of them must not cost the
    others of its chunk. Where it costs nobody else anything, and for everything else, this raises like `loads`.
    """
    try:
        return loads(raw)
    except InvalidTask as error:
        if "lone surrogate" not in error.problem:
            raise
        value = json.loads(raw.decode("utf-8"))
        if not _in_company(value, error.field):
            raise
    return loads(json.dumps(_mended(value)).encode())


def dumps(value: Any) -> bytes:
    """Strict JSON.

    Raises:
        ValueError: the value holds NaN or Infinity (orjson would write null and hide it) or a lone surrogate.
    """
    check(value)
    return orjson.dumps(value)


def check(value: Any) -> None:
    """Raise `ValueError` naming the first value that strict JSON cannot carry."""
    bad = _first_bad(value, "")
    if bad is not None:
        path, problem = bad
        raise ValueError(f"{path or 'value'}: {problem}")


def _too_deep(value: Any, room: int = MAX_DEPTH) -> bool:
    if not isinstance(value, dict | list):
        return False
    if room == 0:
        return True
    return any(_too_deep(child, room - 1) for child in (value.values() if isinstance(value, dict) else value))


def _diagnose(raw: bytes, error: orjson.JSONDecodeError) -> InvalidTask:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return InvalidTask(ROOT, f"is not UTF-8 (byte 0x{raw[bad.start]:02x} at position {bad.start})")
    try:
        tree = json.loads(text, parse_constant=_NotJson)
    except json.JSONDecodeError as bad:
        return InvalidTask(ROOT, f"is not JSON ({bad.msg.lower()} at position {bad.pos})")
    except RecursionError:
        return InvalidTask(ROOT, f"nested deeper than {MAX_DEPTH} levels")
    except ValueError as bad:  # e.g. an integer with more digits than Python converts
        return InvalidTask(ROOT, f"is not JSON ({bad})")
    try:
        found = _first_bad(tree, "")
    except RecursionError:
        return InvalidTask(ROOT, f"nested deeper than {MAX_DEPTH} levels")
    if found is not None:
        path, problem = found
        return InvalidTask(path or ROOT, problem)
    return InvalidTask(ROOT, f"is not JSON ({error.msg})")


def _first_bad(value: Any, path: str) -> tuple[str, str] | None:
    """Path and problem of the first value that strict JSON cannot carry, depth first."""
    if isinstance(value, str):
        return None if value.isascii() else _surrogate(value, path)
    if isinstance(value, dict):
        for key, child in value.items():
            here = f"{path}.{key}" if path else str(key)
            bad = None if not isinstance(key, str) or key.isascii() else _surrogate(key, _printable(here))
            bad = bad or _first_bad(child, here)
            if bad:
                return bad
    elif isinstance(value, list | tuple):
        if value and type(value[0]) is float and _finite(value):
            return None  # a vector of hundreds of numbers: looking at each by its path takes milliseconds
        for index, child in enumerate(value):
            bad = _first_bad(child, f"{path}[{index}]")
            if bad:
                return bad
    elif isinstance(value, _NotJson):
        return path, f"{value.name} is not JSON"
    elif isinstance(value, float) and not math.isfinite(value):
        return path, f"{value} is not JSON"
    return None


def _finite(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether these are numbers, all finite: a sum with one that is not is not finite either."""
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def _surrogate(text: str, path: str) -> tuple[str, str] | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as bad:
        return path, f"lone surrogate U+{ord(text[bad.start]):04X} at character {bad.start}"
    return None


def _in_company(value: Any, path: str) -> bool:
    """Whether the first list on the way to a place (`chunk.mentions[3].text`) has more items than that one."""
    names, bracket, _ = path.partition("[")
    for name in names.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return bool(bracket) and isinstance(value, list) and len(value) > 1


def _mended(value: Any) -> Any:
    """The tree without lone surrogates, names of fields included."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(child) for key, child in value.items()}
    return [_mended(child) for child in value] if isinstance(value, list) else value


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
