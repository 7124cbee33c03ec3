"""Does a quotation really stand on a page? Compared word by word; what is published is the page's own writing. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WORDS_MIN: Final = 3
"""Words of a quotation at least: one or two stand on every page."""
_QUOTE_MAX: Final = 600
"""Characters; as many as an answer may have (`parts.Sentence`), and as many as are published."""
# Words, signs that change what a number means, and single characters of scripts that are written without spaces.
_TOKEN: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    "|[^\\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
    "|[%$€£¥]|[-−+](?=[0-9])"
)
_AFTER: Final = re.compile("[.!?…。！？\"'”’»)]*")
"""Marks that close the sentence a quotation ends with."""
_PART: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a quotation stands: number of the page, and the page's own writing of it."""

    page: int
    text: str


class Quotable:
    """Pages that are searched for quotations, each a few texts (body, title): taken to words when first looked at."""

    def __init__(self, pages: Sequence[Sequence[str]]) -> None:
        self._pages = pages
        self._known: dict[int, list[tuple[str, _Words]]] = {}

    def find(self, quotation: str, page: int | None = None) -> Found | None:
        """The quotation on page number `page`, or else on any other; None when it stands nowhere.

        Case, spaces, line breaks, punctuation and kinds of quotation marks may differ; words, numbers and their order
        may not, and nothing may be left out in the middle.
        """
        if len(quotation) > _QUOTE_MAX:
            return None
        sought = [word for word, _, _ in _words(quotation).parts]
        if len(sought) < _WORDS_MIN:
            return None
        for number in sorted(range(len(self._pages)), key=lambda one: (one != page, one)):
            for text, words in self._looked_at(number):
                span = words.span(sought)
                if span is not None:
                    return Found(number, _written(text, *span))
        return None

    def stands(self, phrase: str, page: int) -> bool:
        """Do these words, be it a single one, stand on that page?"""
        sought = [word for word, _, _ in _words(phrase).parts]
        return bool(sought) and any(words.span(sought) is not None for _, words in self._looked_at(page))

    def _looked_at(self, number: int) -> list[tuple[str, _Words]]:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = [(text, _words(text)) for text in self._pages[number]]
        return known


@dataclass(frozen=True, slots=True)
class _Words:
    """A text as words with their places in it."""

    parts: list[tuple[str, int, int]]
    joined: str
    starts: list[int]
    """Where each word begins in `joined`."""

    def span(self, sought: Sequence[str]) -> tuple[int, int] | None:
        """From where to where the words stand in the text, in one piece."""
        needle = _PART + _PART.join(sought) + _PART
        place = self.joined.find(needle)
        if place < 0:
            return None
        first = bisect_left(self.starts, place + 1)
        return self.parts[first][1], self.parts[first + len(sought) - 1][2]


def _words(text: str) -> _Words:
    parts = [(_folded(found[0]), found.start(), found.end()) for found in _TOKEN.finditer(text)]
    starts, place = [], 1
    for word, _, _ in parts:
        starts.append(place)
        place += len(word) + 1
    return _Words(parts, _PART + "".join(f"{word}{_PART}" for word, _, _ in parts), starts)


def _folded(word: str) -> str:
    return word.casefold() if word.isascii() else unicodedata.normalize("NFKC", word).casefold().replace("−", "-")


def _written(text: str, start: int, end: int) -> str:
    after = _AFTER.match(text, end)
    shown = " ".join(text[start : after.end() if after else end].split())
    return shown if len(shown) <= _QUOTE_MAX else shown[: _QUOTE_MAX - 1].rstrip() + "…"
