"""What a page says of itself: title, author, date, canonical URL, language. What it does not say is None. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..times import parse_time
from .seams import FetchError
from .urls import WebUrl

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

    from .outline import Document

_TITLE_MAX: Final = 300
_AUTHOR_MAX: Final = 200
_EARLIEST: Final = datetime(1991, 8, 6, tzinfo=UTC)
"""The first web page."""
_AHEAD: Final = timedelta(days=1)
"""How far a date may lie in the future: time zones that are missing, clocks that are fast."""
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}")
_DATE_NAMES: Final = (
    "article:published_time",
    "og:article:published_time",
    "datepublished",
    "parsely-pub-date",
    "dc.date.issued",
    "dcterms.created",
    "dc.date",
    "pubdate",
    "publishdate",
    "publish-date",
    "sailthru.date",
    "date",
)
_AUTHOR_NAMES: Final = ("author", "article:author", "parsely-author", "dc.creator", "dcterms.creator", "byl")
_SEPARATED: Final = re.compile(r"(?<!\s)\s+[|–—·•»:-]\s+")
_SITE_PREFIX: Final = re.compile(r"^(?:www|m|mobile|amp)\.")
_REFRESH: Final = re.compile(r"^\s*+[0-9.]*+\s*+[;,]\s*+(?:url\s*+=)?", re.IGNORECASE)
_BY: Final = re.compile(r"^by\s+", re.IGNORECASE)
_DEEP: Final = 6
"""Levels of structured data that are looked through: @graph, list, object, author, name and one more."""


@dataclass(frozen=True, slots=True)
class Facts:
    title: str | None
    author: str | None
    published_at: datetime | None
    canonical_url: str | None
    language: str | None
    refreshes: bool
    """The page sends its reader elsewhere by itself (meta refresh), which is not followed."""


def facts(document: Document, url: WebUrl, headers: Mapping[str, str], now: datetime) -> Facts:
    """Args: url: of the page as read; headers: lower-case names; now: with a time zone."""
    soup = document.soup
    metas = _metas(soup)
    entries = list(_entries(document.structured))
    return Facts(
        title=_title(soup, metas),
        author=_author(soup, metas, entries),
        published_at=_published(soup, metas, entries, now),
        canonical_url=_canonical(soup, metas, url),
        language=_language(soup, metas, headers),
        refreshes=any(
            str(meta.get("http-equiv", "")).lower() == "refresh" and _REFRESH.match(str(meta.get("content", "")))
            for meta in soup.find_all("meta")
        ),
    )


def site_of(host: str) -> str:
    """A host without the prefixes that name another view of the same site.

    >>> site_of("www.example.com"), site_of("m.example.com")
    ('example.com', 'example.com')
    """
    return _SITE_PREFIX.sub("", host)


def _one_line(text: Any, limit: int) -> str | None:
    if not isinstance(text, str):
        return None
    return " ".join(text.split())[:limit].strip() or None


def _metas(soup: BeautifulSoup) -> dict[str, str]:
    """First content per name, property or itemprop, in lower case."""
    out: dict[str, str] = {}
    for meta in soup.find_all("meta"):
        content = str(meta.get("content", "")).strip()
        for attribute in ("property", "name", "itemprop"):
            name = str(meta.get(attribute, "")).strip().lower()
            if name and content:
                out.setdefault(name, content)
    return out


def _title(soup: BeautifulSoup, metas: Mapping[str, str]) -> str | None:
    """The page's headline, without the site's name behind it."""
    tag = soup.find("title")
    title = _one_line(tag.get_text(), _TITLE_MAX) if tag else None
    shared = _one_line(metas.get("og:title") or metas.get("twitter:title"), _TITLE_MAX)
    headings = soup.find_all("h1", limit=2)
    heading = _one_line(headings[0].get_text(), _TITLE_MAX) if len(headings) == 1 else None
    whole = shared or title
    if whole is None:
        return heading
    if heading is not None and heading in whole:
        return heading
    site = _one_line(metas.get("og:site_name"), _TITLE_MAX)
    *front, last = _SEPARATED.split(whole)
    if front and site is not None and last.casefold() == site.casefold():
        return whole[: whole.rindex(last)].rstrip(" |–—·•»:-") or whole
    return whole


def _author(soup: BeautifulSoup, metas: Mapping[str, str], entries: list[dict[str, Any]]) -> str | None:
    said = [metas.get(name) for name in _AUTHOR_NAMES]
    names = [name for entry in entries for name in _names(entry.get("author"))]
    said += [tag.get_text() for tag in soup.find_all(["a", "span", "address", "div", "p"], rel="author", limit=1)]
    said += [(tag.find(itemprop="name") or tag).get_text() for tag in soup.find_all(itemprop="author", limit=1)]
    for text in (", ".join(names[:5]), *said):
        name = _one_line(text, _AUTHOR_MAX)
        if name and "://" not in name:
            return _BY.sub("", name)
    return None


def _names(author: Any) -> Iterator[str]:
    for one in author if isinstance(author, list) else [author]:
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str) and name.strip() and "://" not in name:
            yield " ".join(name.split())


def _published(
    soup: BeautifulSoup, metas: Mapping[str, str], entries: list[dict[str, Any]], now: datetime
) -> datetime | None:
    """When the page says it was published, never when it was changed or read."""
    said: list[Any] = [entry.get("datePublished") for entry in entries]
    said += [metas.get(name) for name in _DATE_NAMES]
    times = soup.find_all("time", limit=20)
    said += [tag.get("datetime") for tag in times if "pubdate" in tag.attrs or tag.get("itemprop") == "datePublished"]
    within = [tag for tag in times if tag.find_parent(["article", "main"]) is not None]
    said += [tag.get("datetime") for tag in within[:1]]
    for value in said:
        when = parse_time(str(value)) if value else None
        if when is not None and _EARLIEST <= when <= now + _AHEAD:
            return when
    return None


def _canonical(soup: BeautifulSoup, metas: Mapping[str, str], url: WebUrl) -> str | None:
    """The page's own name for itself; on another site it could be anybody's, and is not believed."""
    links = [link for link in soup.find_all("link") if "canonical" in str(link.get("rel", "")).lower().split()]
    for reference in (*(link.get("href") for link in links[:1]), metas.get("og:url")):
        if not reference or not str(reference).strip():
            continue
        try:
            target = url.join(str(reference))
        except FetchError:
            continue
        if site_of(target.host) == site_of(url.host):
            return target.text
    return None


def _language(soup: BeautifulSoup, metas: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    root = soup.find("html")
    said = (
        str(root.get("lang", "")) if root else "",
        headers.get("content-language", ""),
        metas.get("og:locale", "").replace("_", "-"),
    )
    return next((text.strip() for text in said if _LANGUAGE.fullmatch(text.strip())), None)


def _entries(structured: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Objects of the page's JSON-LD that are a work of some kind; broken JSON says nothing."""
    for text in structured:
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        yield from _works(document, _DEEP)


def _works(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth == 0:
        return
    if isinstance(value, list):
        for one in value[:50]:
            yield from _works(one, depth - 1)
    elif isinstance(value, dict):
        if "datePublished" in value or "headline" in value:
            yield value
        for name in ("@graph", "mainEntity", "mainEntityOfPage"):
            yield from _works(value.get(name), depth - 1)
