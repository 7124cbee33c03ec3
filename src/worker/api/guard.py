"""What stands before every route: who may ask, under which host name, and how much they may send. Plain ASGI."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem

OPEN_PATHS: Final = frozenset({"/health", "/ready", "/metrics"})
"""Probes and scrapers have no keys."""
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class _TooLarge(Exception):
    pass


class Guard:
    """With a key: every path but `OPEN_PATHS` needs it in `X-API-Key`. Without: the service is for this machine only,
    so a request that names another host (DNS rebinding) or comes from another origin's page is refused: any page a user
    of this machine looks at could otherwise drop dead letters or push tasks."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, max_body_bytes: int) -> None:
        self._app = app
        self._key = api_key.encode() if api_key else None
        self._max_body = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        await self._bounded(scope, receive, send)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body:
            return 413, f"The body may have at most {self._max_body:,} bytes."
        if self._key is None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            origin = headers.get(b"origin")
            if origin is not None and urlsplit(origin.decode("latin-1")).netloc.lower() != host:
                return 403, "Requests of web pages of another origin are refused."
            if name not in _LOOPBACK_NAMES:
                return 421, "Without WORKER_API_KEY the service answers on this machine only (localhost)."
        elif path not in OPEN_PATHS and not hmac.compare_digest(headers.get(b"x-api-key", b""), self._key):
            return 401, "The header X-API-Key is missing or wrong."
        return None

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body without a length is counted as it comes."""
        seen = 0
        begun = False

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max_body:
                    raise _TooLarge
            return message

        async def watching(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, counting, watching)
        except _TooLarge:
            if not begun:
                await problem(413, f"The body may have at most {self._max_body:,} bytes.")(scope, receive, send)
