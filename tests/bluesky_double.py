"""A double of Bluesky's servers: the search, profiles and sign-in, in the shapes that the lexicons document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.llm_doubles.serving import Received, Server

DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
INDEXED = "2025-03-01T10:20:31.123Z"


def uri(rkey: str, did: str = DID) -> str:
    return f"at://{did}/app.bsky.feed.post/{rkey}"


def view(rkey: str, text: str = "Acme is fine", *, did: str = DID, handle: str = "ann.example.com", **more: Any) -> Any:
    """A `postView`; `record` adds fields to the record, everything else to the view."""
    record = {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2025-03-01T10:20:30.000Z", "langs": ["en"]}
    return {
        "uri": uri(rkey, did),
        "cid": f"bafyrei{rkey}",
        "author": {"did": did, "handle": handle, "displayName": "Ann", "labels": [], "viewer": {"muted": False}},
        "record": {**record, **more.pop("record", {})},
        "replyCount": 1,
        "repostCount": 2,
        "likeCount": 3,
        "quoteCount": 4,
        "indexedAt": INDEXED,
        "labels": [],
        **more,
    }


@dataclass
class Answer:
    """What the double sends; `body` may be bytes to be sent as they are."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip_sec: float = 0.0
    """Between two bytes of the body."""


Respond = Callable[[str, dict[str, list[str]], Received], Answer]


class Bluesky(Server):
    """`respond` is asked with the method's name and the parameters; `asked` keeps both."""

    def __init__(self, answer: Respond) -> None:
        super().__init__("bluesky double")
        self.answer = answer
        self.asked: list[tuple[str, dict[str, list[str]], Received]] = []

    def calls(self, nsid: str = "app.bsky.feed.searchPosts") -> list[dict[str, list[str]]]:
        return [params for name, params, _ in self.asked if name == nsid]

    async def respond(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        parts = urlsplit(request.path)
        nsid, params = parts.path.removeprefix("/xrpc/"), parse_qs(parts.query)
        self.asked.append((nsid, params, request))
        answer = self.answer(nsid, params, request)
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(raw)), **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode())
        if answer.drip_sec:
            for byte in raw:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(answer.drip_sec)
        else:
            writer.write(raw)
            await writer.drain()
        return True


@contextmanager
def bluesky(answer: Respond) -> Iterator[Bluesky]:
    server = Bluesky(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def pages(*found: list[Any]) -> Respond:
    """The search answers with these pages, whose cursors are their numbers."""

    def respond(nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
        number = int(params.get("cursor", ["0"])[0])
        cursor = {"cursor": str(number + 1)} if number + 1 < len(found) else {}
        return Answer({**cursor, "hitsTotal": 99, "posts": found[number] if number < len(found) else []})

    return respond
