"""Fetching what anybody may have named: guarded, polite and bounded at every step, redirects included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ..times import parse_time
from .bodies import ACCEPT_ENCODING, Broken, TooLarge, collect
from .body_cache import BodyCache, Kept, Key
from .hosts import Hosts, Turn
from .media import accepts, content_type
from .resolver import Gatekeeper
from .robots import ROBOTS_MAX_BYTES, Robots
from .seams import Fetched, FetchError, Problem
from .transport import Answer, Transport
from .urls import WebUrl, parse_url

REDIRECTS_MAX: Final = 5
"""RFC 9309 asks for five with robots.txt; pages that need more are traps."""
_AT_ONCE: Final = 16
"""Connections of one process at a time, and so most bodies of WEB_MAX_BYTES that are being read."""
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Limits:
    timeout_sec: float
    """For one URL with its redirects, robots.txt, waits and body; a caller may only ask for less."""
    max_bytes: int
    host_delay_sec: float


@dataclass(frozen=True, slots=True)
class _Ask:
    """What one call wants, beside the URL."""

    accept: str
    until: float
    trusted: bool
    """Of the next hop only."""
    limit: int
    cut: bool = False


class WebFetcher:
    """`Fetcher` over the real web.

    Args:
        clock: seconds that only go forward.
        now: the time of day, for HTTP dates.
    """

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        transport: Transport,
        hosts: Hosts,
        robots: Robots,
        cache: BodyCache,
        limits: Limits,
        *,
        user_agent: str,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._gatekeeper = gatekeeper
        self._transport = transport
        self._hosts = hosts
        self._robots = robots
        self._cache = cache
        self._limits = limits
        self._user_agent = user_agent
        self._clock = clock
        self._now = now
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def get(self, url: str, *, accept: str, trusted: bool = False, deadline_sec: float | None = None) -> Fetched:
        """See `Fetcher.get`."""
        first = parse_url(url)
        seconds = self._limits.timeout_sec if deadline_sec is None else min(deadline_sec, self._limits.timeout_sec)
        ask = _Ask(accept, self._clock() + seconds, trusted, self._limits.max_bytes)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(first, ask)
        except TimeoutError as error:
            raise FetchError(Problem.TIMEOUT, f"{first.host}: not read within {seconds:g} s", url=first.text) from error

    async def _follow(self, url: WebUrl, ask: _Ask) -> Fetched:
        seen = {url}
        for _ in range(REDIRECTS_MAX + 1):
            got = await self._visit(url, ask)
            if isinstance(got, Fetched):
                return got
            url, ask = _next(url, got, seen), replace(ask, trusted=False)
        raise FetchError(Problem.REDIRECTS, f"{url.host}: more than {REDIRECTS_MAX} redirects", url=url.text)

    async def _visit(self, url: WebUrl, ask: _Ask) -> Fetched | WebUrl:
        """One hop with manners: in turn, as robots.txt allows, not too soon."""
        if not ask.trusted:
            self._gatekeeper.admit(url)
        async with self._hosts.turn(url, ask.until) as turn:
            delay = 0.0
            if not ask.trusted:
                rules = await self._robots.rules(url, lambda robots: self._get_robots(robots, turn, ask))
                rules.check(url, self._clock())
                delay = max(self._limits.host_delay_sec, rules.delay_sec)
            key = Key(url.text, ask.accept, ask.trusted)
            kept = self._cache.get(key)
            if kept is not None and self._cache.fresh(kept):
                return replace(kept.fetched, from_cache=True)
            await turn.pause(delay)
            return await self._exchange(url, ask, turn, key, kept)

    async def _get_robots(self, url: WebUrl, turn: Turn, ask: _Ask) -> Fetched:
        """robots.txt in the turn of its page, before the pause: it is no page, and asked for once a day."""
        ask = replace(ask, accept="*/*", limit=ROBOTS_MAX_BYTES, cut=True)
        seen = {url}
        for _ in range(REDIRECTS_MAX + 1):
            self._gatekeeper.admit(url)
            got = await self._exchange(url, ask, turn, None, None)
            if isinstance(got, Fetched):
                return got
            url = _next(url, got, seen)
        raise FetchError(Problem.REDIRECTS, f"{url.host}: more than {REDIRECTS_MAX} redirects", url=url.text)

    async def _exchange(
        self, url: WebUrl, ask: _Ask, turn: Turn, key: Key | None, kept: Kept | None
    ) -> Fetched | WebUrl:
        """One request and its answer: a body, or where to go instead."""
        addresses = await self._gatekeeper.addresses(url, trusted=ask.trusted)
        headers = {
            "user-agent": self._user_agent,
            "accept": ask.accept,
            "accept-encoding": ACCEPT_ENCODING,
            **(kept.conditions if kept is not None else {}),
        }
        async with self._places, self._transport.open(url, addresses, headers) as answer, aclosing(answer.body):
            if answer.status == 304 and kept is not None and key is not None:
                return replace(self._cache.renew(key, kept, dict(answer.headers)), from_cache=True)
            if answer.status in _REDIRECTS:
                return self._location(url, answer.headers)
            if answer.status != 200:
                raise self._bad_status(url, answer, turn)
            fetched = await self._read(url, ask, answer)
        if key is not None:
            self._cache.put(key, fetched)
        return fetched

    async def _read(self, url: WebUrl, ask: _Ask, answer: Answer) -> Fetched:
        kind, charset = content_type(answer.headers.get("content-type", ""))
        if not accepts(ask.accept, kind):
            shown = kind[:80] or "a body without a content type"
            raise FetchError(Problem.CONTENT_TYPE, f"{url.host}: sent {shown}, not {ask.accept}", url=url.text)
        said = answer.headers.get("content-length", "")
        too_large = FetchError(Problem.TOO_LARGE, f"{url.host}: more than {ask.limit:,} bytes", url=url.text)
        if not ask.cut and said.isascii() and said.isdigit() and int(said[:20]) > ask.limit:
            raise too_large
        try:
            encoding = answer.headers.get("content-encoding", "")
            body = await collect(answer.body, encoding, limit=ask.limit, cut=ask.cut)
        except TooLarge:
            raise too_large from None
        except Broken as error:
            raise FetchError(Problem.UNREADABLE, f"{url.host}: the body {error}", url=url.text) from error
        return Fetched(url.text, answer.status, kind, charset, body, answer.headers)

    def _location(self, url: WebUrl, headers: Mapping[str, str]) -> WebUrl:
        location = headers.get("location", "")
        if not location.strip():
            raise FetchError(Problem.REDIRECTS, f"{url.host}: redirects without saying where to", url=url.text)
        # Headers are read as Latin-1; a path in UTF-8, which is not allowed but common, is made readable again.
        raw = location.encode("latin-1")
        try:
            location = raw.decode("utf-8")
        except UnicodeDecodeError:
            location = raw.decode("latin-1")
        return url.join(location)

    def _bad_status(self, url: WebUrl, answer: Answer, turn: Turn) -> FetchError:
        status = answer.status
        asked = self._retry_after(answer.headers)
        if status == 429:
            wait = turn.rest(asked)
            text = f"{url.host}: too many requests, not before {wait:.0f} s"
            return FetchError(Problem.RATE_LIMIT, text, url=url.text, status=status, not_before_sec=wait)
        rest = turn.rest(asked) if status == 503 and asked is not None else None
        text = f"{url.host}: answered with status {status}"
        return FetchError(Problem.STATUS, text, url=url.text, status=status, not_before_sec=rest)

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Seconds (RFC 9110, 10.2.3): a number, or an HTTP date."""
        said = headers.get("retry-after", "").strip()
        if said.isascii() and said.isdigit():
            return float(said[:9])
        moment = parse_time(said) if "," in said else None
        return None if moment is None else max((moment - self._now()).total_seconds(), 0.0)


def _next(url: WebUrl, target: WebUrl, seen: set[WebUrl]) -> WebUrl:
    """Check a redirect. From https to http is refused: what is quoted from a page must have come as safely as asked."""
    if target in seen:
        raise FetchError(Problem.REDIRECTS, f"{url.host}: redirects in a circle", url=url.text)
    if url.scheme == "https" and target.scheme == "http":
        raise FetchError(Problem.REDIRECTS, f"{url.host}: redirects from https to http", url=url.text)
    seen.add(target)
    return target
