"""What every answer says beside its content, which pages of other origins may ask, and how a request is named."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from .problems import problem

Headers = Mapping[bytes, bytes]
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ALWAYS: Final = (
    # No answer is a page unless its route says so (the dashboard, reports): nothing in it is run or framed.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Where a route has not said otherwise."""
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""Over TLS only: over plain HTTP browsers must ignore it (RFC 6797, 7.2)."""
_METHODS: Final = "GET, POST, DELETE"
_ASKED_HEADERS: Final = "authorization, content-type, traceparent, tracestate, x-api-key, x-request-id"
_SHOWN_HEADERS: Final = b"location, retry-after, x-request-id"
_PREFLIGHT_SEC: Final = "600"


def request_name(headers: Headers) -> str:
    """The caller's `X-Request-ID` where it is one that can stand in a log, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class Cors:
    """Origins whose pages may ask (HTTP_CORS_ORIGINS). Keys travel in headers that such a page sets itself; cookies and
    other credentials a browser adds are never allowed, so no page can use what belongs to another."""

    def __init__(self, origins: frozenset[str] = frozenset()) -> None:
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    def allows(self, headers: Headers) -> bool:
        return headers.get(b"origin") in self._origins

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """The answer to a browser that asks whether it may send the request it has; it sends no key with that."""
        if method != "OPTIONS" or b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        if not self.allows(headers):
            return problem(403, "Pages of this origin may not ask; HTTP_CORS_ORIGINS lists those that may.")
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _ASKED_HEADERS,
                "Access-Control-Max-Age": _PREFLIGHT_SEC,
            },
        )

    def added(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        if not self._origins:
            return []
        varies = [(b"vary", b"Origin")]
        if not self.allows(headers):
            return varies
        shown = (b"access-control-expose-headers", _SHOWN_HEADERS)
        return [*varies, (b"access-control-allow-origin", headers[b"origin"]), shown]


def finished(
    sent: list[tuple[bytes, bytes]], *, request: str, scheme: str, added: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with what all answers have."""
    there = {name.lower() for name, _ in sent}
    standard = [pair for pair in (*_ALWAYS, *([_HSTS] if scheme == "https" else [])) if pair[0] not in there]
    return [*sent, *standard, *added, (b"x-request-id", request.encode())]
