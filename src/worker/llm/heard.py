"""An answer as it was on the wire, kept while an adapter works: hooks for the three HTTP clients the adapters use."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .evidence import Evidence, HttpError, decoded


@dataclass(slots=True)
class Heard:
    """Filled in by the hooks."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def take(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.content = content

    def evidence(self) -> Evidence:
        return Evidence(self.status, self.headers, decoded(self.content), self.content.decode("utf-8", "replace"))


HEARD: ContextVar[Heard | None] = ContextVar("heard", default=None)
"""Where the answer to the call of this context is to be kept."""


async def keep(response: Any) -> None:
    """Hook of httpx and httpx2: runs before the adapter sees the answer; reading it twice costs nothing."""
    heard = HEARD.get()
    if heard is not None:
        heard.take(response.status_code, response.headers, b"")
        heard.content = await response.aread()


async def keep_or_raise(response: Any) -> None:
    """Hook of aiohttp, called for every answer; the adapter reads the body from memory afterwards.

    Raises:
        HttpError: a status of 300 or more, before the adapter can lose what came with it.
    """
    heard = HEARD.get()
    if heard is not None:
        heard.take(response.status, response.headers, b"")
    content = await response.read()
    if heard is not None:
        heard.content = content
    if response.status >= 300:
        raise HttpError(response.status, dict(response.headers), content)


async def refuse_redirect(_session: Any, _context: Any, event: Any) -> None:
    """Trace hook of aiohttp, for sessions whose calls are made by others: raises HttpError before it is followed."""
    heard = HEARD.get()
    if heard is not None:
        heard.take(event.response.status, event.response.headers, b"")
    raise HttpError(event.response.status, dict(event.response.headers), b"")
