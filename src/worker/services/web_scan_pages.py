"""Reading the pages a search has found: a few at a time, until the time is up, each failure on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..pipeline.web_hits import Hit
from ..pipeline.web_report import Failure
from ..pipeline.web_urls import host_of, url_key
from ..web.seams import FetchError, PageReader, Problem, WebPage
from .web_scan_search import side_by_side

_AT_A_TIME: Final = 4
"""Pages of different hosts mostly: the reader itself sees to it that no host is asked twice at once."""
_PAGE_SEC: Final = 30.0
"""Longest for one page, so that a slow one cannot use up the time of the others."""
_LEAST_SEC: Final = 0.5
"""With less time than that no page is begun."""


@dataclass(frozen=True, slots=True)
class ReadPage:
    hit: Hit
    page: WebPage


@dataclass(frozen=True, slots=True)
class Reading:
    """Pages in the order of their hits, each once, and what could not be read."""

    pages: tuple[ReadPage, ...]
    failures: tuple[Failure, ...]


async def read_pages(hits: Sequence[Hit], reader: PageReader, *, until: float, clock: Callable[[], float]) -> Reading:
    """Read all pages. `until` is a moment of `clock`, in seconds. Never raises `FetchError`."""
    places = asyncio.Semaphore(_AT_A_TIME)

    async def read(hit: Hit) -> ReadPage | Failure:
        async with places:
            left = min(until - clock(), _PAGE_SEC)
            try:
                if left < _LEAST_SEC:
                    raise FetchError(
                        Problem.TIMEOUT, f"{host_of(hit.url)}: not begun, the time for reading was up", url=hit.url
                    )
                return ReadPage(hit, await reader.read(hit.url, deadline_sec=left))
            except FetchError as error:
                return Failure("page", hit.url, error, error.problem.value)

    outcomes = await side_by_side(read(hit) for hit in hits)
    pages = (one for one in outcomes if isinstance(one, ReadPage))
    return Reading(_different(pages), tuple(one for one in outcomes if isinstance(one, Failure)))


def page_url(page: WebPage) -> str:
    """How a report links to a page: as the page calls itself, else where it was read."""
    return page.canonical_url or page.final_url


def _different(pages: Iterable[ReadPage]) -> tuple[ReadPage, ...]:
    """Pages that two links lead to, or two addresses show word for word, are one."""
    chosen: dict[str, ReadPage] = {}
    texts: set[str] = set()
    for one in pages:
        key = _key(page_url(one.page))
        if key not in chosen and one.page.text not in texts:
            chosen[key] = one
            texts.add(one.page.text)
    return tuple(chosen.values())


def _key(url: str) -> str:
    try:
        return url_key(url)
    except ValueError:  # a canonical URL that is none; what was read is told apart by it all the same
        return url
