"""The connection of the live stream: opened off the event loop, read a slice at a time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from ..bluesky.xrpc import USER_AGENT

FRAME_MAX: Final = 2**20
"""Bytes of one event. The server is asked to leave out larger ones; a record of a post is some kilobytes."""
SLICE: Final = 50
"""Frames per turn of the CPU thread: with 100 brands some 40 ms."""
CLOSE_SEC: Final = 1.0


async def frames_until(stream: Any, until: float) -> tuple[list[str | bytes], Exception | None]:
    """What arrives until a moment of the loop's time, at most a slice; and the end of the connection."""
    from websockets.exceptions import ConnectionClosed

    frames: list[str | bytes] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            try:
                while len(frames) < SLICE:
                    frames.append(await stream.recv())
            except ConnectionClosed as closed:
                return frames, closed
    return frames, None


async def open_stream(url: str) -> AbstractAsyncContextManager[Any]:
    """Compression is not asked for: it would unpack on the event loop."""
    connect, tls = await asyncio.to_thread(_client_library, url.startswith("wss:"))
    opened: AbstractAsyncContextManager[Any] = connect(
        url,
        ssl=tls,
        compression=None,
        max_size=FRAME_MAX,
        close_timeout=CLOSE_SEC,
        user_agent_header=USER_AGENT,
    )
    return opened


def _client_library(encrypted: bool) -> tuple[Any, ssl.SSLContext | None]:
    """Loaded in a thread: the import and the certificates take tens of milliseconds."""
    from websockets.asyncio.client import connect

    return connect, ssl.create_default_context() if encrypted else None
