"""What a page of the documentation shows: its commands in order, and what they are said to print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ ", re.MULTILINE)
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][\d,]*)(?:\.\d+)?")
_PUNCTUATION: Final = "();:,%"
_SLACK: Final = 3.0
"""Which of two posts that are nearly alike was first depends on the order of tasks, so that counts differ by a few …"""
_SHARE: Final = 0.02
"""… or by this part of a larger count."""


@dataclass(frozen=True, slots=True)
class Step:
    """Commands of one block, and the blocks behind it that show what they print."""

    commands: str
    shown: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)


def steps(page: Path) -> list[Step]:
    """Blocks in the order of the page. Output and JSON belong to the commands above them in their section."""
    found: list[Step] = []
    text, end, belongs = page.read_text("utf-8"), 0, False
    for match in _FENCE.finditer(text):
        indent, language, body = match.groups()
        body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        belongs = belongs and not _HEADING.search(text, end, match.start())
        end = match.end()
        if language == "bash":
            found.append(Step(body))
            belongs = True
        elif belongs and language == "":
            found[-1].shown.append(body)
        elif belongs and language == "json":
            found[-1].documents.append(body)
    return found


def missing(shown: str, printed: str) -> str | None:
    """The first line of `shown` that `printed` has not, in this order; None when all are there.

    `…` stands for anything. Spaces do not count (terminals differ in width), numbers may differ by a few.
    """
    words = printed.split()
    at = 0
    for line in shown.splitlines():
        for part in re.split(r"\S*…\S*", line):  # also what touches the ellipsis: `…; it lasted`
            wanted = part.split()
            found = _find(wanted, words, at)
            if found is None:
                return line.strip()
            at = found + len(wanted)
    return None


def _find(wanted: list[str], words: list[str], start: int) -> int | None:
    for place in range(start, len(words) - len(wanted) + 1):
        if all(_same(one, other) for one, other in zip(wanted, words[place:], strict=False)):
            return place
    return None


def _same(shown: str, printed: str) -> bool:
    if shown == printed:
        return True
    one, other = shown.strip(_PUNCTUATION), printed.strip(_PUNCTUATION)
    if not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)):
        return False
    left, right = (float(text.replace(",", "")) for text in (one, other))
    return abs(left - right) <= max(_SLACK if "." not in one else 0.0, _SHARE * abs(left))


def differs(shown: str, printed: str) -> str | None:
    """The first field of the JSON object `shown` that no line of `printed` has so; texts are cut at `…`."""
    wanted = json.loads(shown)
    found = [item for document in _documents(printed) for item in _items(document)]
    problems = [_unlike(wanted, item) for item in found]
    if None in problems:
        return None
    return problems[-1] if problems else "nothing that is JSON was printed"


def _documents(printed: str) -> Iterable[Any]:
    decoder = json.JSONDecoder()
    for start in re.finditer(r"(?<![^\n}])\{", printed):  # answers without a line's end follow each other directly
        try:
            yield decoder.raw_decode(printed, start.start())[0]
        except ValueError:
            continue


def _items(document: Any) -> list[Any]:
    items = document.get("items")
    return items if isinstance(items, list) else [document]


def _unlike(wanted: Any, found: Any, name: str = "") -> str | None:
    if isinstance(wanted, dict) and isinstance(found, dict):
        parts = (_unlike(value, found.get(key), f"{name}.{key}".lstrip(".")) for key, value in wanted.items())
        return next((problem for problem in parts if problem), None)
    if isinstance(wanted, str) and "…" in wanted and isinstance(found, str):
        same = found.startswith(wanted.split("…")[0].rstrip())
    elif isinstance(wanted, float) and isinstance(found, float):
        same = abs(wanted - found) <= 0.05
    else:
        same = wanted == found
    return None if same else f"{name}: the page shows {wanted!r}, printed was {found!r}"
