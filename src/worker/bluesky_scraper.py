"""Bluesky's public search (`app.bsky.feed.searchPosts`): pages of posts as mentions in our shape.

A search reads from the newest post backwards until it meets `since`, its bound, or the end. What cannot be used of an
answer is left out and counted; an answer that cannot be had is an error that says whether and when to try again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from .bluesky.posts import Author, LeftOut, Post, author_of_profile, post_of_view
from .bluesky.sign_in import SignIn, expired
from .bluesky.xrpc import Line, Reply, Xrpc
from .config import Settings
from .cpu import Cpu
from .errors import ConfigError
from .times import iso

PAGE: Final = 100
"""Posts per call: the most that the API gives."""
QUERY_MAX: Final = 500
"""Characters. The API documents no bound; no phrase that people search for is longer."""
_PAGES_OVER: Final = 5
"""Pages beyond those that the bound needs: pages may have holes where posts were deleted."""
_PROFILES: Final = 25  # the most that app.bsky.actor.getProfiles takes
_CURSOR_MAX: Final = 2_000


@dataclass(slots=True)
class Found:
    """What a search has brought."""

    posts: list[Post] = field(default_factory=list)
    """Newest first, every URI once."""
    pages: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Reasons (`LeftOut`) and how often."""
    repeated: int = 0
    """The same post again, on another page."""
    complete: bool = False
    """The search came to its end; otherwise older posts are left behind the bound."""

    @property
    def newest(self) -> datetime | None:
        return max((post.at for post in self.posts if post.at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for. Times as the API understands them: `since` inclusive, `until` exclusive."""

    query: str
    limit: int
    since: datetime | None = None
    until: datetime | None = None

    def params(self, cursor: str | None, wanted: int) -> list[tuple[str, str]]:
        params = [("q", self.query), ("sort", "latest"), ("limit", str(min(PAGE, wanted)))]
        params += [(name, iso(when)) for name, when in (("since", self.since), ("until", self.until)) if when]
        return params if cursor is None else [*params, ("cursor", cursor)]


class BlueskyClient:
    """Built once per process; connections last as long as one search."""

    def __init__(self, server: Xrpc, cpu: Cpu, *, clock: Callable[[], datetime], sign_in: SignIn | None = None) -> None:
        """`sign_in`: the account to search as; without one the server is asked anonymously."""
        self._server = server
        self._cpu = cpu
        self._clock = clock
        self._sign_in = sign_in

    @classmethod
    def of(cls, settings: Settings, cpu: Cpu, *, clock: Callable[[], datetime]) -> BlueskyClient:
        """With an account its own server is asked, which passes the search on; without one the public one is.

        Raises:
            ConfigError: half of an account is given.
        """
        if (settings.bluesky_handle is None) != (settings.bluesky_app_password is None):
            missing = "BLUESKY_HANDLE" if settings.bluesky_handle is None else "BLUESKY_APP_PASSWORD"
            raise ConfigError(f"{missing}: is needed too, one of BLUESKY_HANDLE and BLUESKY_APP_PASSWORD is of no use")
        if settings.bluesky_handle is None or settings.bluesky_app_password is None:
            return cls(Xrpc(settings.bluesky_base_url, clock=clock), cpu, clock=clock)
        sign_in = SignIn(settings.bluesky_handle, settings.bluesky_app_password.get_secret_value(), clock=clock)
        return cls(Xrpc(settings.bluesky_pds_url, clock=clock), cpu, clock=clock, sign_in=sign_in)

    @property
    def anonymous(self) -> bool:
        return self._sign_in is None

    def line(self) -> AbstractAsyncContextManager[Line]:
        """A connection for several searches in a row."""
        return self._server.line()

    async def search(self, line: Line, search: Search) -> Found:
        """Read pages until the end, `search.limit` posts, or a cursor that leads nowhere.

        Raises:
            FetchError: a page could not be had. Nothing of the pages before it is returned, so that no search has a
                gap in it: the whole of it is a few calls.
        """
        found, cursor, known, cursors = Found(), None, set[str](), set[str]()
        while found.pages < -(-search.limit // PAGE) + _PAGES_OVER:
            reply = await self._get(line, "app.bsky.feed.searchPosts", search.params(cursor, search.limit))
            page = await self._cpu.run(_read_page, reply.body, self._clock(), self.anonymous)
            if page is None:
                raise self._server.unreadable("answered a search with something else than a page of posts")
            found.pages += 1
            found.left_out.update(page.left_out)
            for post in page.posts:
                if post.uri in known:
                    found.repeated += 1
                elif len(found.posts) < search.limit:
                    known.add(post.uri)
                    found.posts.append(post)
                else:
                    return found
            cursor = page.cursor
            if cursor is None or cursor in cursors:  # a cursor that comes back would lead round in circles
                found.complete = cursor is None
                return found
            cursors.add(cursor)
            if len(found.posts) >= search.limit:
                return found
        return found

    async def profiles(self, line: Line, dids: Sequence[str]) -> dict[str, Author]:
        """Handle and followers of accounts; those that are gone or cannot be read are missing from the answer.

        Raises:
            FetchError
        """
        authors: dict[str, Author] = {}
        for start in range(0, len(dids), _PROFILES):
            params = [("actors", did) for did in dids[start : start + _PROFILES]]
            reply = await self._get(line, "app.bsky.actor.getProfiles", params)
            authors |= await self._cpu.run(_read_profiles, reply.body)
        return authors

    async def _get(self, line: Line, nsid: str, params: list[tuple[str, str]]) -> Reply:
        token = await self._sign_in.token(line) if self._sign_in is not None else None
        reply = await line.get(nsid, params, token=token)
        if self._sign_in is not None and token is not None and expired(reply):
            reply = await line.get(nsid, params, token=await self._sign_in.another(line, token))
        if reply.status != 200:
            raise self._server.refused(reply)
        return reply


@dataclass(frozen=True, slots=True)
class _Page:
    posts: list[Post]
    left_out: Counter[str]
    cursor: str | None


def _read_page(body: bytes, now: datetime, anonymous: bool) -> _Page | None:
    """The posts of an answer; None when it is no page at all."""
    document = _document(body)
    views = document.get("posts")
    if not isinstance(views, list):
        return None
    posts: list[Post] = []
    left_out: Counter[str] = Counter()
    for view in views:
        made = post_of_view(view, now=now, anonymous=anonymous)
        if isinstance(made, LeftOut):
            left_out[made.value] += 1
        else:
            posts.append(made)
    cursor = document.get("cursor")
    fine = isinstance(cursor, str) and 0 < len(cursor) <= _CURSOR_MAX and cursor.isprintable()
    return _Page(posts, left_out, cursor if fine else None)


def _read_profiles(body: bytes) -> dict[str, Author]:
    rows = _document(body).get("profiles")
    found = [author_of_profile(row) for row in rows] if isinstance(rows, list) else []
    return {author.did: author for author in found if author is not None}


def _document(body: bytes) -> Mapping[str, Any]:
    """An answer as an object; empty when it is none.

    orjson refuses a whole page for one lone surrogate; read the lenient way, only the post that holds it is left out.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return {}
    return document if isinstance(document, dict) else {}
