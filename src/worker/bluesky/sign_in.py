"""Signing in with an app password (`com.atproto.server.createSession`), and staying so.

Sign-ins are rationed by the network (30 in five minutes, 300 a day per account), so a session is refreshed as long as
that works, and refused credentials are not offered again for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from ..web.seams import FetchError
from .xrpc import Line, Reply

_REFUSED_FOR: Final = timedelta(minutes=10)
"""A mended password is a changed setting and a restart; this only bounds what a wrong one costs."""
_EXPIRED: Final = frozenset(("ExpiredToken", "InvalidToken"))


class SignIn:
    """The session of one account, shared by everything in the process."""

    def __init__(self, handle: str, app_password: str, *, clock: Callable[[], datetime]) -> None:
        self._handle = handle
        self._password = app_password
        self._clock = clock
        self._access: str | None = None
        self._refresh: str | None = None
        self._refused: tuple[datetime, FetchError] | None = None
        self._turn = asyncio.Lock()

    async def token(self, line: Line) -> str:
        """A token to call with; signs in when there is none.

        Raises:
            FetchError: also when the credentials are refused, or were a moment ago.
        """
        async with self._turn:
            return self._access or await self._renew(line)

    async def another(self, line: Line, expired: str) -> str:
        """A token instead of one that was refused as expired; the first caller renews it, the others get his."""
        async with self._turn:
            if self._access is not None and self._access != expired:
                return self._access
            self._access = None
            return await self._renew(line)

    async def _renew(self, line: Line) -> str:
        if self._refresh is not None:
            refresh, self._refresh = self._refresh, None
            reply = await line.post("com.atproto.server.refreshSession", token=refresh)
            if reply.status == 200:
                return self._keep(line, reply)
        if self._refused is not None and self._clock() - self._refused[0] < _REFUSED_FOR:
            known = self._refused[1]
            raise FetchError(known.problem, known.message, url=known.url, status=known.status)
        body = {"identifier": self._handle, "password": self._password}
        reply = await line.post("com.atproto.server.createSession", body)
        if reply.status != 200:
            error = line.server.refused_credentials(reply)
            self._refused = (self._clock(), error)
            raise error
        self._refused = None
        return self._keep(line, reply)

    def _keep(self, line: Line, reply: Reply) -> str:
        try:
            document: Any = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            document = None
        access, refresh = (
            (document.get("accessJwt"), document.get("refreshJwt")) if isinstance(document, dict) else (None, None)
        )
        if not isinstance(access, str) or not access:
            raise line.server.unreadable("answered a sign-in without a token")
        self._access = access
        self._refresh = refresh if isinstance(refresh, str) and refresh else None
        return access


def expired(reply: Reply) -> bool:
    """Whether an answer says that the token is no longer good (400 by the lexicons, 401 by habit)."""
    return reply.status == 401 or (reply.status == 400 and reply.error in _EXPIRED)
