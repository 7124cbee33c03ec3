"""The outside world of the soak in one process: a web with pages and robots.txt, a search feed, and Bluesky's search.

`python -m tests.soak.outside PORT SEED` serves all three on one port, told apart by path and host. Whatever is served
is new at every search, so that nothing is answered from what was read before; a tenth of the pages is missing, slow,
moved or larger than anybody wants to read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from urllib.parse import parse_qs, quote, urlsplit

from tests.bluesky_double import view
from tests.soak.words import numbered, sentence

SITES = 12
"""Hosts: the worker asks each for one page at a time, a second apart."""
HOST = "site-{}.example"
LINKS = 4
"""Pages that a search names."""
POSTS = 5
"""New posts of each search of Bluesky."""
ODD_SHARE = 0.1
HUGE_BYTES = 2_000_000
_ROBOTS = "User-agent: *\nDisallow: /private/\n"
Reply = tuple[int, str, str, bytes]
"""Status, type, extra header lines, body."""


@dataclass
class World:
    rng: Random
    counts: Counter[str] = field(default_factory=Counter)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                status, kind, extra, body = await self._reply(head.split(" ", 2)[1])
                first = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
                writer.write(first.encode() + body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the reader has had enough
        finally:
            writer.close()

    async def _reply(self, target: str) -> Reply:
        parts = urlsplit(target)
        query = parse_qs(parts.query).get("q", [""])[0].strip('"')
        name = parts.path.strip("/").split("/")[0]
        self.counts[name] += 1
        if name == "robots.txt":
            return 200, "text/plain", "", _ROBOTS.encode()
        if name == "counts":
            return 200, "application/json", "", json.dumps(self.counts).encode()
        if name == "feed":
            return 200, "application/rss+xml", "", self._feed(query).encode()
        if name == "xrpc":
            return 200, "application/json", "", self._posts(query).encode()
        return await self._page(query)

    async def _page(self, brand: str) -> Reply:
        odd = self.rng.choice(("missing", "slow", "moved", "huge")) if self.rng.random() < ODD_SHARE else ""
        if odd == "missing":
            return 404, "text/html", "", b"<p>not here"
        if odd == "moved":
            return 302, "text/html", f"Location: {self._link(brand)}\r\n", b""
        if odd == "slow":
            await asyncio.sleep(self.rng.uniform(1, 4))
        said = [f"<p>{sentence(self.rng, brand)} {sentence(self.rng, brand)}</p>" for _ in range(12)]
        filler = "<p>" + "and so on " * (HUGE_BYTES // 10) + "</p>" if odd == "huge" else ""
        page = f"<html lang=en><head><title>About {brand}</title></head><body><article>{''.join(said)}{filler}"
        return 200, "text/html; charset=utf-8", "", f"{page}</article></body></html>".encode()

    def _link(self, brand: str) -> str:
        number = next(self.numbers)
        return f"http://{HOST.format(number % SITES)}/page/{number}?q={quote(brand)}"

    def _feed(self, brand: str) -> str:
        items = "".join(
            f"<item><title>About {brand}</title><link>{self._link(brand)}</link></item>" for _ in range(LINKS)
        )
        return f"<rss version='2.0'><channel><title>news</title>{items}</channel></rss>"

    def _posts(self, brand: str) -> str:
        posts = []
        for _ in range(POSTS):
            number = next(self.numbers)
            did = f"did:plc:{number % 400:024d}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")
            text = f"{sentence(self.rng, brand)} (sky {numbered(number)})"
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            times = {"record": {"createdAt": now}, "indexedAt": now}
            posts.append(view(f"3k{number:011d}", text, did=did, handle=f"a{number % 400}.example.com", **times))
        return json.dumps({"hitsTotal": POSTS, "posts": posts})


async def main(port: int, seed: int) -> None:
    server = await asyncio.start_server(World(Random(seed)).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
