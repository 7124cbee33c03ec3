"""Answers of search sources as hits: feeds, pages of results, SearXNG's JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from .. import strictjson
from ..errors import InvalidTask
from ..search_sources import SourceKind
from ..times import parse_time
from ..web.charset import Undecodable, decode
from ..web.markup import End, Event, Scan, Start
from ..web.seams import Fetched
from .web_feeds import read_feed
from .web_hits import HITS_MAX, SNIPPET_MAX, TITLE_MAX, Hit, Unanswered, Unreadable, hit, short
from .web_urls import host_of, same_site, url_key

ACCEPT: Final[Mapping[SourceKind, str]] = {
    # Feeds are served as anything; whether it is one is seen by reading it.
    SourceKind.FEED: "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1",
    SourceKind.PAGE: "text/html, application/xhtml+xml",
    SourceKind.SEARX: "application/json",
}
_PAGE_MAX: Final = 2**20
"""Bytes read of a page of results; those of large engines have half of it."""
_TITLE_LETTERS: Final = 10
"""A link with a shorter text is a button, a page number or an icon; titles of pages are longer."""
_SILENT: Final = frozenset("head nav header footer aside form".split())
"""Elements without results in them: menus, search forms."""
_LINKS_MAX: Final = 3 * HITS_MAX
"""Links looked at: a result has a title, an address and often a picture that lead to the same page."""


def read_hits(kind: SourceKind, answer: Fetched) -> list[Hit]:
    """What a source's answer names, best first as the source has it.

    Raises:
        Unreadable: the answer is not of that kind.
    """
    if kind is SourceKind.FEED:
        return read_feed(answer.body, charset=answer.charset, url=answer.url)
    if kind is SourceKind.SEARX:
        return read_searx(answer.body)
    return read_results(answer.body, charset=answer.charset, url=answer.url)


def read_searx(body: bytes) -> list[Hit]:
    """`results[{url, title, content, publishedDate}]` of SearXNG's search API.

    Raises:
        Unreadable: `Unanswered` when nothing was found and some of its engines did not answer.
    """
    try:
        document = strictjson.loads(body)
    except InvalidTask as error:
        raise Unreadable(error.problem) from None
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list):
        raise Unreadable("has no list `results`; is the format JSON allowed in its settings?")
    silent = document.get("unresponsive_engines")
    if not results and isinstance(silent, list) and silent:
        raise Unanswered(f"holds nothing, {len(silent)} of its engines did not answer")
    found = (
        hit(
            one["url"],
            title=_text(one, "title"),
            snippet=_text(one, "content"),
            published_at=parse_time(one.get("publishedDate")),
        )
        for one in results[:HITS_MAX]
        if isinstance(one, dict) and isinstance(one.get("url"), str)
    )
    return [one for one in found if one is not None]


def read_results(body: bytes, *, charset: str | None, url: str) -> list[Hit]:
    """The links of a page of results that lead to other sites, by one rule for every engine.

    A result is a link to another site whose text is as long as a title, outside of menus, forms, head and foot. What
    stands between it and the next one is its snippet. A link by way of the engine itself (`/url?q=https://…`) counts as
    one to the site it names.

    Raises:
        Unreadable: also when there is no result. Pages that keep robots out come with status 200 and cannot be told
            from pages that have found nothing; that nothing is written about a brand must not rest on one of them.
    """
    try:
        text = decode(body[:_PAGE_MAX], charset)
    except Undecodable:
        raise Unreadable("is no text") from None
    links = _Links(url)
    for event in Scan(text).events():
        links.take(event)
    hits = links.hits()
    if not hits:
        raise Unreadable("links to no other site: nothing was found, or robots are kept out")
    return hits


class _Links:
    """Gathers links from the events of a page, in its order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._host = host_of(url)
        self._silent = 0
        self._open: list[str] | None = None
        """Text of the link that is open, when it may be a result."""
        self._found: list[tuple[str, list[str], list[str]]] = []
        self._room = 0

    def take(self, event: Event) -> None:
        if isinstance(event, Start):
            self._silent += event.name in _SILENT
            if event.name == "a":
                self._link(event.attributes.get("href", ""))
        elif isinstance(event, End):
            self._silent -= event.name in _SILENT
            if event.name == "a":
                self._open = None
        elif not self._silent and self._found and self._room > 0:
            self._room -= len(event.text.strip())
            if self._open is not None:
                self._open.append(event.text)
            else:
                self._found[-1][2].append(f"{event.text} ")

    def _link(self, href: str) -> None:
        self._open = None
        if self._silent or len(self._found) >= _LINKS_MAX:
            return
        target = _target(href, self._url, self._host)
        if target is not None:
            self._open, self._room = [], TITLE_MAX + SNIPPET_MAX
            self._found.append((target, self._open, []))

    def hits(self) -> list[Hit]:
        """Each page once: with the first title long enough, and with all that follows its links."""
        titles: dict[str, tuple[str, str]] = {}
        snippets: dict[str, list[str]] = {}
        for target, title, snippet in self._found:
            key = url_key(target)
            shown = short("".join(title), TITLE_MAX)
            snippets.setdefault(key, []).extend(snippet)
            if shown is not None and len(shown) >= _TITLE_LETTERS:
                titles.setdefault(key, (target, shown))
        found = (hit(target, title=title, snippet="".join(snippets[key])) for key, (target, title) in titles.items())
        return [one for one in found if one is not None][:HITS_MAX]


def _target(href: str, base: str, host: str) -> str | None:
    """The page on another site that a link leads to."""
    try:
        url = urljoin(base, href.strip())
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    if same_site(host_of(url), host):
        named = (value for _, value in parse_qsl(parts.query) if value.startswith(("http://", "https://")))
        url = next((value for value in named if not same_site(host_of(value), host)), "")
    one = hit(url)
    return None if one is None else one.url


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None
