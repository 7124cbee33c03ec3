"""Every regular expression of the package, and texts that are as hard for it as its own form allows."""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, AnyStr

import src.worker

PACKAGE = Path(src.worker.__path__[0])
AnyPattern = re.Pattern[str] | re.Pattern[bytes]
_DEPTH = 6
_LONG = 8
"""A part that may be repeated more often than this is worth an attack."""
_SEQUENCES = (codes.SUBPATTERN, codes.ATOMIC_GROUP)
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_MEMBERS = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_NOT_SPACE: "a",
    codes.CATEGORY_NOT_WORD: "-",
}
_ANY = "a7 -.,;:/<>\"'=@&#\n\téя"
"""Looked through for a character that a class does or does not hold."""


@dataclass(frozen=True)
class Found:
    """A pattern and where it is."""

    where: str
    pattern: AnyPattern
    anchored: bool
    """It is only ever matched at the beginning of a text, or to the whole of it."""


# -- finding -------------------------------------------------------------------------------------------------------


def modules() -> list[ModuleType]:
    names = [one.name for one in pkgutil.walk_packages(src.worker.__path__, "src.worker.")]
    return [importlib.import_module(name) for name in names if not name.endswith(".__main__")]


def held() -> Iterator[Found]:
    """What modules, their classes and their tables hold."""
    seen: set[tuple[str | bytes, int]] = set()
    for module in modules():
        uses = Path(module.__file__ or "").read_text("utf-8")
        for name, value in vars(module).items():
            for where, pattern in _patterns(value, f"{module.__name__}.{name}", _DEPTH):
                key = (pattern.pattern, pattern.flags)
                if key not in seen:
                    seen.add(key)
                    yield Found(where, pattern, value is pattern and name.startswith("_") and _anchored(name, uses))


def _anchored(name: str, source: str) -> bool:
    """Of a module's own pattern: whoever names it, beside its definition, asks for a match at the beginning."""
    places = re.findall(rf"(?<![\w.]){name}\b(?!:)(?:\.(\w+)\()?", source)
    return bool(places) and set(places) <= {"match", "fullmatch"}


def _patterns(value: Any, where: str, depth: int) -> Iterator[tuple[str, AnyPattern]]:
    if isinstance(value, re.Pattern):
        yield where, value
    elif depth and isinstance(value, Mapping):
        for name, child in value.items():
            yield from _patterns(name, f"{where}[…]", depth - 1)
            yield from _patterns(child, f"{where}[{name!r:.40}]", depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for number, child in enumerate(value):
            yield from _patterns(child, f"{where}[{number}]", depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from _patterns(getattr(value, one.name, None), f"{where}.{one.name}", depth - 1)
    elif depth and _ours(value) and hasattr(value, "__dict__"):
        for name, child in vars(value).items():
            yield from _patterns(child, f"{where}.{name}", depth - 1)


def _ours(value: Any) -> bool:
    """A class of the package, or an object of one."""
    return str(getattr(value if isinstance(value, type) else type(value), "__module__", "")).startswith("src.worker")


@dataclass(frozen=True)
class Call:
    """`re.something(pattern, …)` inside a function."""

    where: str
    """module.function"""
    function: str
    literal: str | bytes | None


def called() -> Iterator[Call]:
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield from _calls(ast.parse(path.read_text("utf-8")), module, "")


def _calls(node: ast.AST, module: str, function: str) -> Iterator[Call]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if inside and isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            call = child.func
            if isinstance(call.value, ast.Name) and call.value.id == "re" and call.attr not in ("escape", "purge"):
                first = child.args[0]
                yield Call(f"{module}.{inside}", call.attr, first.value if isinstance(first, ast.Constant) else None)
        yield from _calls(child, module, inside)


# -- attacking -----------------------------------------------------------------------------------------------------


def attacks(pattern: AnyPattern) -> list[tuple[str, str]]:
    """Pairs of what goes before and what is repeated, derived from the pattern's tree: the body of each long repeat and
    of each two together, after what leads to it and alone; and the whole pattern again and again."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(source, pattern.flags & ~re.UNICODE & ~re.DEBUG)
    repeats = list(dict.fromkeys(_repeats(tree, "")))
    whole = _sample(tree)
    bodies = list(dict.fromkeys(body for _, body in repeats if body))
    pairs = [a + b for a, b in itertools.islice(itertools.permutations(bodies[:8], 2), 24)]
    heads = list(dict.fromkeys(("", *(head for head, _ in repeats))))[:8]
    pumps = list(dict.fromkeys([*bodies, *pairs, whole, whole[:-1], *(head + body for head, body in repeats)]))
    many = [(head, pump) for head in heads for pump in pumps[:40] if pump]
    return many[:50] or [("", one) for one in ("a", "7 ", " ")]


def _repeats(tree: Iterable[Any], before: str) -> Iterator[tuple[str, str]]:
    head = before
    for code, value in tree:
        if code in _REPEATS:
            least, most, body = value
            if most == codes.MAXREPEAT or most > _LONG:
                yield from ((head, one) for one in _samples(body))
            yield from _repeats(body, head)
            head += _sample(body) * max(least, 1)
            continue
        if code is codes.BRANCH:
            for branch in value[1]:
                yield from _repeats(branch, head)
        elif code in (*_SEQUENCES, codes.ASSERT, codes.ASSERT_NOT):
            yield from _repeats(value if code is codes.ATOMIC_GROUP else value[-1], head)
        head += _one(code, value)


def _samples(body: Any) -> list[str]:
    """Texts of a repeated part: one for each of its branches, with several members of a class."""
    if len(body) == 1:
        code, value = body[0]
        if code is codes.IN:
            return list(dict.fromkeys(_members(value)))[:4]
        if code is codes.BRANCH:
            return list(dict.fromkeys(text for branch in value[1] for text in _samples(branch)))[:6]
        if code is codes.SUBPATTERN:
            return _samples(value[-1])
        if code is codes.ANY:
            return ["a", " "]
    return [_sample(body)]


def _sample(tree: Iterable[Any]) -> str:
    return "".join(_one(code, value) for code, value in tree)


def _one(code: Any, value: Any) -> str:
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.NOT_LITERAL:
        return next(one for one in _ANY if ord(one) != value)
    if code is codes.ANY:
        return "a"
    if code is codes.IN:
        return next(iter(_members(value)), "")
    if code is codes.BRANCH:
        return _sample(value[1][0])
    if code is codes.SUBPATTERN:
        return _sample(value[-1])
    if code is codes.ATOMIC_GROUP:
        return _sample(value)
    if code in _REPEATS:
        least, most, body = value
        return _sample(body) * (max(least, 1) if most else 0)
    return ""  # places, looks around, references


def _members(parts: list[Any]) -> Iterator[str]:
    if parts and parts[0][0] is codes.NEGATE:
        inside = set(_members(parts[1:]))
        ranges = [value for code, value in parts if code is codes.RANGE]
        kinds = {value for code, value in parts if code is codes.CATEGORY}
        yield from (
            one
            for one in _ANY
            if one not in inside
            and not any(low <= ord(one) <= high for low, high in ranges)
            and not (one.isspace() and codes.CATEGORY_SPACE in kinds)
            and not ((one.isalnum() or one == "_") and codes.CATEGORY_WORD in kinds)
        )
        return
    for code, value in parts:
        if code is codes.LITERAL:
            yield chr(value)
        elif code is codes.RANGE:
            yield chr(value[0])
        elif code is codes.CATEGORY:
            yield _MEMBERS.get(value, "a")


# -- measuring -----------------------------------------------------------------------------------------------------


def seconds(found: Found, text: str, tries: int = 1) -> float:
    """Least processor time of this thread for all matches in the text; a busy machine does not count."""
    best = sys.float_info.max
    for _ in range(tries):
        began = time.thread_time()
        _match(found.pattern, text, found.anchored)
        best = min(best, time.thread_time() - began)
    return best


def _match(pattern: re.Pattern[AnyStr], text: str, anchored: bool) -> None:
    subject: Any = text if isinstance(pattern.pattern, str) else text.encode("utf-8", "replace")
    if anchored:
        pattern.match(subject)
        pattern.fullmatch(subject)
    else:
        for _ in pattern.finditer(subject):
            pass


def worst(found: Found, lengths: tuple[int, ...], slow: Mapping[int, float]) -> tuple[int, float, str, str] | None:
    """The first attack at which the pattern takes longer than `slow` allows for that length: length, seconds, attack.
    Lengths grow, so that what is exponential is found while it still ends."""
    for head, pump in attacks(found.pattern):
        for length in lengths:
            text = head + pump * (length // len(pump)) + "\x00!"
            took = seconds(found, text)
            if took > slow[length]:
                took = seconds(found, text, 2)  # who was disturbed is asked again
                if took > slow[length]:
                    return length, took, head, pump
            elif length >= 3_000 and took < slow[length] / 20:
                break  # linear: with the square it would be several times that
    return None
