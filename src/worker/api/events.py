"""/v1/events: what happens now, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..llm.view import LLMView
from ..services.live_feed import Listener, LiveFeed, Message
from . import llm
from .access import READS
from .context import Context
from .problems import problem, responses

router = APIRouter(prefix="/v1/events", tags=["system"], dependencies=[READS])

_HEARTBEAT_SEC: Final = 15.0
"""Without a message for so long, a comment: proxies close lines that are silent for 30 or 60 seconds."""
_SEND_SEC: Final = 10.0
"""A client that takes nothing for so long is not there any more."""
_AGAIN_MS: Final = 2_000
_HEADERS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"))
_UNBUFFERED: Final = ((b"x-accel-buffering", b"no"),)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`overview` events every second, `tasks` events when tasks have ended",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class EventStream(Response):
    """Sends until the feed ends, the client is gone, or `limit` overviews are out. Starlette's own streaming response
    would wait for ever for a client that has stopped to read."""

    def __init__(self, feed: LiveFeed, limit: int | None) -> None:
        super().__init__()
        self._feed = feed
        self._left = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener = self._feed.join()
        if listener is None:
            await problem(503, "There are as many listeners as this process serves, or it is about to end.")(
                scope, receive, send
            )
            return
        gone = asyncio.create_task(_gone(receive, listener))
        try:
            await self._send(send, {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *_UNBUFFERED]})
            await self._body(send, f"retry: {_AGAIN_MS}\n\n".encode())
            await self._all(listener, send)
            await self._body(send, b"", more=False)
        except TimeoutError:
            return  # the server closes the line
        finally:
            self._feed.leave(listener)
            gone.cancel()
            await asyncio.wait({gone})

    async def _all(self, listener: Listener, send: Send) -> None:
        while self._left is None or self._left > 0:
            try:
                async with asyncio.timeout(_HEARTBEAT_SEC):
                    message = await listener.next()
            except TimeoutError:
                await self._body(send, b": still here\n\n")
                continue
            if message is None:
                return
            await self._body(send, _framed(message))
            if message.kind == "overview" and self._left is not None:
                self._left -= 1

    async def _body(self, send: Send, body: bytes, *, more: bool = True) -> None:
        await self._send(send, {"type": "http.response.body", "body": body, "more_body": more})

    async def _send(self, send: Send, message: dict[str, Any]) -> None:
        async with asyncio.timeout(_SEND_SEC):
            await send(message)


@router.get("", response_class=Response, responses={**_STREAM, **responses(400, 401, 404, 503)})
async def events(
    ctx: Context,
    limit: Annotated[int | None, Query(ge=1, le=100_000, description="end after so many `overview` events")] = None,
) -> EventStream:
    """Server-sent events. `overview`: sizes and ages of the queue, workers that beat, tasks finished per second (of all
    workers; `atLeast` when there were more than are counted), language models and today's cost as in GET /v1/llm.
    `tasks`: the tasks that ended since the last one, the newest 20; `unseen` counts the others. A client that does not
    keep up is let go and may come again."""
    if ctx.live is None:
        raise HTTPException(404, "This process sends no events.")
    return EventStream(ctx.live, limit)


async def llm_figures(view: LLMView) -> Mapping[str, Any]:
    """The document of GET /v1/llm."""
    document: dict[str, Any] = orjson.loads((await llm.state(view)).body)
    return document


async def _gone(receive: Receive, listener: Listener) -> None:
    """End the listener when its client closes the line."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        listener.end()


def _framed(message: Message) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (message.kind.encode(), orjson.dumps(dict(message.data)))
