"""A web of the tests' own: names, addresses and a site on this machine that behaves as badly as asked.

Nothing of the guard is turned off: names lead to public addresses, and only the very last step, the TCP connection, is
diverted to the site. A connection to any other address fails the test that tries.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpcore

from src.worker.config import load_settings
from src.worker.cpu import Cpu
from src.worker.web.transport import Transport
from src.worker.web_scraper import Surroundings, WebScraper

HTML = "text/html; charset=utf-8"
PUBLIC = "93.184.215.14"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARTICLE = (
    "<html lang=en><head><title>A fine headline</title></head><body><article><p>"
    + "The quick brown fox jumps over the lazy dog, and nobody minds. " * 5
    + "</p></article></body></html>"
)


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    at: float


Page = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def page(
    body: bytes | str = ARTICLE,
    *,
    status: str = "200 OK",
    kind: str | None = "text/html; charset=utf-8",
    **headers: str,
) -> Page:
    """A page that answers at once. Headers by keyword, `_` for `-`."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        await writer.drain()

    return answer


def redirect(location: str, status: str = "302 Found") -> Page:
    return page("", status=status, Location=location)


def zipped(text: str) -> Page:
    return page(gzip.compress(text.encode()), Content_Encoding="gzip")


def stream(chunk: bytes, times: int, *, pause: float = 0.0, head: str = "", kind: str = "text/html") -> Page:
    """A body without a length, chunk after chunk."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{head}\r\n".encode())
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)

    return answer


@dataclass
class Site:
    """Pages by `host/path` or by `/path` for every host."""

    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    def targets(self) -> list[str]:
        return [one.headers["host"] + one.target for one in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            asked = Asked(method, target, headers, time.monotonic())
            self.asked.append(asked)
            host = headers["host"].partition(":")[0]
            path = target.partition("?")[0]
            answer = self.pages.get(host + path) or self.pages.get(path)
            if answer is None:
                answer = page("", status="404 Not Found")
            await self._answer(answer(asked, writer), reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the reader has had enough, which is what most tests are about
        except asyncio.CancelledError:
            return  # the site is closed
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, answering: Coroutine[Any, Any, None], reader: asyncio.StreamReader) -> None:
        """Answer for as long as somebody is there: a connection that the reader keeps open stays open here."""
        jobs = {asyncio.create_task(answering), asyncio.create_task(reader.read())}
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConnectionError):
                raise result


class Names:
    """DNS: one answer per name, or one after the other."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers.get(host, [(PUBLIC,)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Diverted(httpcore.AnyIOBackend):
    """Connects to the site instead of the public address; every other address is a failure of the guard."""

    def __init__(self, ports: dict[int, int], reachable: set[str]) -> None:
        self._ports = ports
        self.reachable = reachable
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append((host, port))
        if host not in self.reachable:
            raise httpcore.ConnectError(f"{host} is not there")
        return await super().connect_tcp("127.0.0.1", self._ports[port], timeout=timeout)


@dataclass
class World:
    site: Site
    names: Names
    network: Diverted
    scraper: WebScraper
    cpu: Cpu
    slept: list[float]

    async def read(self, url: str, **options: Any) -> Any:
        return await self.scraper.read(url, **options)


@asynccontextmanager
async def world(
    pages: dict[str, Page] | None = None, *, tls: ssl.SSLContext | None = None, trust: ssl.SSLContext | None = None,
    allow: Any = None, sleep: Callable[[float], Awaitable[object]] | None = None, clock: Any = None, **settings: Any,
) -> AsyncIterator[World]:  # fmt: skip
    """A site on this machine and a scraper that reaches it by any name. Sleeps are noted, not slept, unless given."""
    site, names, slept = Site(pages or {}), Names(), list[float]()
    plain = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    ports = {80: plain.sockets[0].getsockname()[1], 8080: plain.sockets[0].getsockname()[1]}
    servers = [plain]
    if tls is not None:
        secure = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=tls)
        ports[443] = secure.sockets[0].getsockname()[1]
        servers.append(secure)
    network = Diverted(ports, {PUBLIC})
    waited = 0.0

    async def noted(seconds: float) -> None:
        nonlocal waited
        slept.append(seconds)
        waited += seconds
        await asyncio.sleep(0)

    cpu = Cpu()
    make_tls = (lambda: trust) if trust is not None else ssl.create_default_context
    around = Surroundings(
        resolver=names,
        allow=allow,
        transport=Transport(backend=network, tls=make_tls),
        clock=clock or (time.monotonic if sleep else lambda: time.monotonic() + waited),
        sleep=sleep or noted,
    )
    scraper = WebScraper.build(load_settings(_env_file=None, **settings), cpu, now=lambda: NOW, around=around)
    try:
        yield World(site, names, network, scraper, cpu, slept)
    finally:
        scraper.close()
        cpu.close()
        for server in servers:
            server.close()
        await closed(site)


async def closed(site: Site) -> None:
    """Wait until the site has no connection left: whoever was let go has been let go of on both sides."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while site.open:
                await asyncio.sleep(0.01)
    assert site.open == 0, "connections were left open"
