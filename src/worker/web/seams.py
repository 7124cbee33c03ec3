"""What the rest of the worker knows of the web: a page, a body, and why neither could be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ..errors import WorkerError


class Problem(StrEnum):
    """Why something could not be fetched. Kinds are all that decides what happens next."""

    URL = "invalid_url"
    ADDRESS = "blocked_address"
    """A private, loopback, link-local or otherwise internal address, by name or by number."""
    ROBOTS = "robots_disallow"
    DNS = "dns"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    REDIRECTS = "redirects"
    TOO_LARGE = "too_large"
    CONTENT_TYPE = "content_type"
    STATUS = "http_status"
    RATE_LIMIT = "rate_limit"
    UNREADABLE = "unreadable"
    """Bytes that are not what they are said to be: charset, compression, markup."""


_PASSING = frozenset((Problem.DNS, Problem.CONNECTION, Problem.TIMEOUT, Problem.RATE_LIMIT))


class FetchError(WorkerError):
    """One URL that could not be read. The message names its host, never credentials or the query."""

    code = "FETCH_FAILED"

    def __init__(
        self,
        problem: Problem,
        message: str,
        *,
        url: str,
        status: int | None = None,
        not_before_sec: float | None = None,
    ) -> None:
        super().__init__(message, not_before_sec=not_before_sec)
        self.problem = problem
        self.url = url
        self.status = status
        self.retryable = problem in _PASSING or (status is not None and status >= 500)

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "problem": self.problem.value, "status": self.status}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body as it came, decompressed."""

    url: str
    """After redirects."""
    status: int
    content_type: str
    """Without parameters, lower case."""
    charset: str | None
    """As the header names it; None when it does not."""
    body: bytes
    headers: Mapping[str, str]
    """Lower-case names."""
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class WebPage:
    """The readable part of a page. What a page does not say is None, never guessed."""

    url: str
    """As asked for."""
    final_url: str
    """After redirects: what was really read."""
    canonical_url: str | None
    """As the page names it, on the same site."""
    title: str | None
    text: str
    """Main text, at most `truncated` says how far; paragraphs parted by blank lines."""
    author: str | None
    published_at: datetime | None
    language: str | None
    """BCP 47, as the page or its header declares it."""
    source_name: str
    """Host without www."""
    fetched_at: datetime
    word_count: int
    truncated: bool = False
    from_cache: bool = False


class Fetcher(Protocol):
    """Gets bodies. Every wait and every size has a bound."""

    async def get(self, url: str, *, accept: str, trusted: bool = False, deadline_sec: float | None = None) -> Fetched:
        """Fetch a body of status 200.

        Args:
            accept: media types as in an Accept header; an answer of another type is `Problem.CONTENT_TYPE`.
            trusted: the URL's own host comes from the operator's settings and may be an internal one, and robots.txt
                is not asked. Where it redirects to is not trusted.

        Raises:
            FetchError
        """
        ...


class PageReader(Protocol):
    """Reads pages that anybody may have named."""

    async def read(self, url: str, *, deadline_sec: float | None = None) -> WebPage:
        """Raises `FetchError`, also when a page has no readable text."""
        ...
