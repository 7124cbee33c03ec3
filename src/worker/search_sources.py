"""Where the web is searched: the operator's sources, each a kind and a URL template. Pure.

`WEB_SEARCH_SOURCES=rss:https://news.example/rss?q={query},searx:http://searx.internal/search?q={query}&format=json`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlsplit

PLACE: Final = "{query}"
_MOST: Final = 20
"""Sources are asked side by side at every scan; more than a handful find the same pages."""
# A comma parts two sources only where another `kind:scheme://` follows: URLs may hold commas.
_PARTING: Final = re.compile(r"\n|,\s*(?=[A-Za-z]+:[A-Za-z]+://)")


class SourceKind(StrEnum):
    """What a source answers with."""

    FEED = "rss"
    """RSS or Atom."""
    PAGE = "html"
    """A page of search results for people."""
    SEARX = "searx"
    """SearXNG's JSON (`format=json`)."""


@dataclass(frozen=True, slots=True)
class SearchSource:
    """One source. Its host was named by the operator and is trusted; what it names is not."""

    kind: SourceKind
    template: str

    @property
    def name(self) -> str:
        """For records: kind and host, never the query, which may hold a key."""
        return f"{self.kind.value}:{urlsplit(self.template).hostname}"

    @property
    def searches(self) -> bool:
        """It takes a query. A feed without one brings the same for every brand, and is searched here."""
        return PLACE in self.template

    def url(self, query: str) -> str:
        """The URL that asks for `query`."""
        return self.template.replace(PLACE, quote(query, safe=""))


def read_sources(text: str) -> tuple[SearchSource, ...]:
    """The sources in a setting, parted by commas or new lines.

    Raises:
        ValueError: says which one cannot be used and why, without its URL, which may hold a key.
    """
    parts = [part.strip().rstrip(",").rstrip() for part in _PARTING.split(text)]
    sources = tuple(_source(number, part) for number, part in enumerate(filter(None, parts), start=1))
    if len(sources) > _MOST:
        raise ValueError(f"names {len(sources)} sources, at most {_MOST} are allowed")
    return sources


def _source(number: int, part: str) -> SearchSource:
    kind, _, template = part.partition(":")
    try:
        source = SearchSource(SourceKind(kind.strip().lower()), template.strip())
    except ValueError:
        kinds = ", ".join(f"{one}:" for one in SourceKind)
        raise ValueError(f"source {number} must begin with one of {kinds}") from None
    problem = _problem(source)
    if problem is not None:
        raise ValueError(f"source {number} ({source.kind.value}): {problem}")
    return source


def _problem(source: SearchSource) -> str | None:
    template = source.template
    if re.search(r"[\s\x00-\x1f\x7f]", template):
        return "its URL holds spaces"
    try:
        parts = urlsplit(template)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its URL cannot be read"
    if parts.scheme not in ("http", "https") or not host:
        return "its URL must begin with http:// or https:// and name a host"
    if "@" in parts.netloc:
        return "its URL must not hold a user name or password"
    if "{" in template.replace(PLACE, "") or "}" in template.replace(PLACE, ""):
        return "the only placeholder is {query}"
    asked = f"{parts.path}?{parts.query}"
    if source.searches and asked.count(PLACE) != template.count(PLACE):
        return "{query} must stand in the path or the query"
    if not source.searches and source.kind is not SourceKind.FEED:
        return "its URL must hold {query}"
    return None
