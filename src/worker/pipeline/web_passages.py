"""Which part of a page speaks of a brand: sentences that name it, and an excerpt around them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..brand_terms import BrandTerms
from ..llm.fence import clean
from ..web.seams import WebPage

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"'”’»)]*\s+(?=[\"'“‘«(]?[^\W\d_a-z]|[\"'“‘«(]?\d)|(?<=[。！？])|\n+")
"""After a full stop a capital or a number begins the next sentence; a line break always ends one."""
_SENTENCE_MIN: Final = 20
_SENTENCE_MAX: Final = 400
"""Characters of a sentence that can stand alone: shorter ones are labels and menus, longer ones no sentence."""
GAP: Final = "[…]"


def named_on(page: WebPage, terms: BrandTerms) -> bool:
    """Does the page name the brand itself, in its title or text? A keyword of the brand is not enough."""
    return any(_names(text, terms) for text in (page.title or "", page.text))


def sentences_naming(page: WebPage, terms: BrandTerms) -> list[str]:
    """Sentences of a page that name the brand, word for word, each once, in their order."""
    found = (one for one in _sentences(page.text) if _SENTENCE_MIN <= len(one) <= _SENTENCE_MAX)
    return [one for one in dict.fromkeys(found) if _names(one, terms)]


def excerpt(page: WebPage, terms: BrandTerms, limit: int) -> str:
    """Title, date and the page's own words around the brand, at most `limit` characters, in the page's order.

    Paragraphs that name the brand come first, then the first one, then their neighbours, until there is no more room.
    """
    date = f"{page.published_at:%Y-%m-%d}" if page.published_at else None
    head = " | ".join(filter(None, (page.title, page.source_name, date)))[: limit // 2]
    paragraphs = [one for one in re.split(r"\n\s*\n", clean(page.text)) if one.strip()]
    named = [index for index, one in enumerate(paragraphs) if _names(one, terms)]
    beside = [index + step for index in named for step in (1, -1)]
    room = limit - len(head) - 1
    chosen: dict[int, str] = {}
    for index in dict.fromkeys((*named, 0, *beside)):
        if not 0 <= index < len(paragraphs):
            continue
        part = _around(paragraphs[index], terms, room)
        if not part:
            break
        chosen[index] = part
        room -= len(part) + len(GAP) + 2
    return "\n".join([head, *_ordered(chosen)])


def snippet(page: WebPage, terms: BrandTerms, limit: int) -> str:
    """The first words of the page about the brand, on one line."""
    first = next(iter(sentences_naming(page, terms)), None) or _around(page.text, terms, limit)
    return _line(first, limit)


def _line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _ordered(chosen: dict[int, str]) -> Iterator[str]:
    last: int | None = None
    for index in sorted(chosen):
        if last is not None and index > last + 1:
            yield GAP
        yield chosen[index]
        last = index


def _around(text: str, terms: BrandTerms, room: int) -> str:
    """A paragraph, or of one that is too long the part around its first naming of the brand; empty without room."""
    if room < _SENTENCE_MIN:
        return ""
    if len(text) <= room:
        return text
    place = terms.own.search(text) if terms.own is not None else None
    start = max(0, (place.start() if place else 0) - room // 3)
    return text[start : start + room].strip()


def _names(text: str, terms: BrandTerms) -> bool:
    return BrandTerms(terms.own, terms.own).names(text)


def _sentences(text: str) -> Iterator[str]:
    for part in _SENTENCE_END.split(clean(text)):
        line = " ".join(part.split())
        if line:
            yield line
