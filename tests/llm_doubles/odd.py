"""A server of our own for answers that no other double gives: HTML with status 200, a byte every 0.4 s, no usage …

Speaks OpenAI chat completions, Anthropic messages, Gemini generateContent and Ollama chat, told apart by the end of the
path. How it misbehaves is in the URL (`/m/<mode>/<tag>/…`); it keeps every request, so that a test can count them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from . import answers
from .serving import Received, Server

STATUS = {
    **{str(status): status for status in (307, 400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 503, 529)},
    "quota": 429,
    "overflow": 400,
    "temperature": 400,
}
RETRY_AFTER = {"429": "7", "503": "3"}
DRIP_SEC = 0.4
_WIRES = {"openai": answers.openai, "anthropic": answers.anthropic, "gemini": answers.gemini, "ollama": answers.ollama}
_ENDS = {"/chat/completions": "openai", "/messages": "anthropic", ":generateContent": "gemini", "/api/chat": "ollama"}


@dataclass
class Spot:
    """A base URL with a way to misbehave, and what was received there."""

    url: str
    received: list[Received] = field(default_factory=list)

    @property
    def body(self) -> Any:
        assert len(self.received) == 1, f"{len(self.received)} requests, one was expected"
        return self.received[0].body


class OddServer(Server):
    """`at(mode)` gives a base URL that misbehaves in that way."""

    def __init__(self) -> None:
        super().__init__("odd")
        self._spots: dict[str, Spot] = {}
        self._tags = itertools.count(1)
        self.root = Spot("")
        """Requests whose path begins with no `/m/<mode>/<tag>`; they are answered as in mode `ok`."""

    def start(self) -> None:
        super().start()
        self.root.url = self.url

    def at(self, mode: str) -> Spot:
        """A fresh spot: nothing else is counted there."""
        path = f"/m/{mode}/{next(self._tags)}"
        self._spots[path] = Spot(f"{self.root.url}{path}")
        return self._spots[path]

    async def respond(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        """Writes the answer; False when the connection is to be closed."""
        parts = request.path.split("/", 4)
        mode = parts[2] if len(parts) > 4 and parts[1] == "m" else "ok"
        spot = self._spots.get("/".join(parts[:4]), self.root)
        spot.received.append(request)
        if mode == "reset":
            writer.transport.abort()
            return False
        if mode == "drip":
            await _drip(writer)
            return False
        if mode == "echo":  # answers overtake one another
            await asyncio.sleep(random.uniform(0, 0.1))
        status, kind, body, extra = _body(request, mode)
        writer.write(_head(status, kind, len(body), extra) + body)
        await writer.drain()
        return True


def _wire(path: str) -> str | None:
    path = path.partition("?")[0]
    ends = {
        "/chat/completions": "openai",
        "/messages": "anthropic",
        ":generateContent": "gemini",
        "/api/chat": "ollama",
    }
    return next((wire for end, wire in ends.items() if path.endswith(end)), None)


def _body(request: Received, mode: str) -> tuple[int, str, bytes, dict[str, str]]:
    wire = _wire(request.path)
    if wire is None or request.method != "POST":
        return 404, "application/json", b'{"error": {"message": "no such path"}}', {}
    if mode in STATUS:
        extra = {"Retry-After": RETRY_AFTER[mode]} if mode in RETRY_AFTER else {}
        if mode == "307":
            extra["Location"] = "/elsewhere"
        return STATUS[mode], "application/json", answers.error(wire, mode, STATUS[mode]), extra
    if mode == "html200":
        return 200, "text/html", b"<html><body>Welcome to the proxy</body></html>", {}
    if mode == "object":
        return 200, "application/json", b"{}", {}
    if mode == "nojson":
        return 200, "application/json", b'{"choices": [{"mess', {}
    content = orjson.dumps(_WIRES[wire](mode))
    if mode == "echo":
        last = request.body["contents"][-1]["parts"][0] if wire == "gemini" else request.body["messages"][-1]
        words = (last.get("content") or last.get("text")).encode()
        content = content.replace(answers.TEXT.encode(), words).replace(answers.SERVED.encode(), words)
    if wire == "ollama":
        return 200, "application/x-ndjson", content + b"\n", {}
    return 200, "application/json", content, {}


def _head(status: int, kind: str, length: int, extra: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in extra.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(_head(200, "application/json", 1000, {}))
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(DRIP_SEC)


@contextmanager
def odd_server() -> Iterator[OddServer]:
    server = OddServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
