"""A span per request, below the caller's (`traceparent`), under the names of OpenTelemetry's conventions for HTTP.

Inside the guard: what it refuses leaves no trace, so that strangers cannot fill a collector or choose trace ids.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import trace_context
from ..trace_context import SpanKind
from ..tracing import Tracing
from .guard import OPEN_PATHS

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_FAULT: Final = 500


class Spans:
    """Plain ASGI. Without tracing a caller's trace still reaches the logs and the tasks that the request enqueues."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:  # probes and scrapes say nothing, all day long
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = _FAULT  # of an application that breaks before it answers

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.begin(method, SpanKind.SERVER, parent=trace_context.of(headers)) as here:
            try:
                await self._app(scope, receive, noting)
            finally:
                route = getattr(scope.get("route"), "path", None)
                here.rename(f"{method} {route}" if route else method)
                here.set("http.request.method", method)
                here.set("http.route", route)
                here.set("url.path", scope["path"])
                here.set("url.scheme", scope.get("scheme"))
                here.set("http.response.status_code", status)
                if status >= _FAULT:
                    here.fail(str(status))
