"""What a search found: hits of several sources as one list of pages to read, each once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, zip_longest
from typing import Final

from ..llm.fence import clean
from .canonical import unescaped
from .web_urls import checked_url, url_key

HITS_MAX: Final = 100
"""Hits of one source; search pages have ten to fifty, feeds seldom more than a hundred."""
TITLE_MAX: Final = 300
SNIPPET_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Hit:
    """A page as a source names it. What the source does not say is None."""

    url: str
    """Checked, in the form of `web_urls.checked_url`."""
    title: str | None = None
    snippet: str | None = None
    published_at: datetime | None = None
    source_name: str | None = None
    """Who published it, as the source says."""


class Unreadable(ValueError):
    """An answer that is not what its source is said to give. The message never quotes it."""


class Unanswered(Unreadable):
    """The source itself had no answer from those it asks; it may have one later."""


def hit(
    url: str,
    *,
    title: str | None = None,
    snippet: str | None = None,
    published_at: datetime | None = None,
    source_name: str | None = None,
) -> Hit | None:
    """A hit with its texts in order; None when its URL is none that can be fetched."""
    try:
        checked = checked_url(url)
    except ValueError:
        return None
    return Hit(checked, short(title, TITLE_MAX), short(snippet, SNIPPET_MAX), published_at, short(source_name, 100))


def short(text: str | None, limit: int) -> str | None:
    """A text on one line without markup, entities and unseen characters; None when nothing is left."""
    if text is None:
        return None
    # Entities of feeds are often escaped twice; a few times the limit is enough to be cut from.
    line = " ".join(clean(unescaped(text[: limit * 20])).split())
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or None


def candidates(asked_for: Sequence[str], found: Iterable[Sequence[Hit]]) -> list[Hit]:
    """Different pages: those the task names, then the sources' in turn, best hits first.

    Two links to one page are one; the first that was found stands for both.
    """
    named = [Hit(url) for url in asked_for]
    turns = chain.from_iterable(zip_longest(*found))
    chosen: dict[str, Hit] = {}
    for one in chain(named, turns):
        if one is not None:
            chosen.setdefault(url_key(one.url), one)
    return list(chosen.values())
