"""One request over one connection, to an address that has been checked: nobody looks the name up a second time.

httpcore, the engine under httpx, and not httpx itself: redirects, cookies, proxies from the environment, unbounded
decompression and log lines with whole URLs would all have to be turned off again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .addresses import IPAddress
from .seams import FetchError, Problem
from .urls import WebUrl

if TYPE_CHECKING:
    import httpcore

_CONNECT_SEC: Final = 5.0
"""For one address: TCP gives up two lost SYNs (1 + 2 s) and gets another second or two for the way."""
_TRIES: Final = 3
"""Addresses tried: two families and one spare."""
_SILENCE_SEC: Final = 15.0
"""Longest pause of a server in the middle of an answer; the caller's deadline is over everything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and headers; the body has yet to be read."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; values of repeated ones joined by commas."""
    body: AsyncGenerator[bytes, None]
    """As it comes over the wire, still compressed. Raises `FetchError`."""


class Transport:
    """Opens connections. Nothing is kept between requests: no connection, no cookie, no name.

    Args:
        backend: makes TCP connections, for tests; httpcore's own otherwise.
        tls: makes the context for https; called once, in a thread, as it reads the certificates of the machine.
    """

    def __init__(
        self,
        *,
        backend: httpcore.AsyncNetworkBackend | None = None,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._backend = backend
        self._make_tls = tls
        self._tls: asyncio.Task[ssl.SSLContext] | None = None

    @asynccontextmanager
    async def open(
        self, url: WebUrl, addresses: Sequence[IPAddress], headers: Mapping[str, str]
    ) -> AsyncIterator[Answer]:
        """GET. The connection is closed with the block, also when it is cancelled.

        Raises:
            FetchError: CONNECTION, TIMEOUT, UNREADABLE.
        """
        import httpcore

        context = await self._context() if url.scheme == "https" else None
        connection = httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(url.scheme.encode(), _host(url), url.port),
            ssl_context=context,
            network_backend=_pinned(addresses, self._backend),
        )
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=url.scheme, host=_host(url), port=url.port, target=url.target.encode()),
            headers=[("host", url.authority), ("connection", "close"), *headers.items()],
            extensions={
                "timeout": {"connect": _CONNECT_SEC, "read": _SILENCE_SEC, "write": _SILENCE_SEC},
                "sni_hostname": url.host,
            },
        )
        try:
            with _told(url):
                response = await connection.handle_async_request(request)
            yield Answer(response.status, _headers(response.headers), _body(url, response))
        finally:
            await connection.aclose()

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None or (self._tls.done() and (self._tls.cancelled() or self._tls.exception())):
            self._tls = asyncio.create_task(asyncio.to_thread(self._make_tls), name="tls context")
        return await asyncio.shield(self._tls)


def _host(url: WebUrl) -> bytes:
    return url.host.encode("ascii")


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    out: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "set-cookie":  # a visitor to be recognised by nobody has no use for it
            continue
        out[key] = f"{out[key]}, {text}" if key in out else text
    return out


async def _body(url: WebUrl, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
    with _told(url):
        async for piece in response.aiter_stream():
            yield piece


@contextmanager
def _told(url: WebUrl) -> Iterator[None]:
    """Turns the transport's own exceptions into `FetchError`."""
    import httpcore

    try:
        yield
    except httpcore.TimeoutException as error:
        raise FetchError(Problem.TIMEOUT, f"{url.host}: no answer in time", url=url.text) from error
    except httpcore.RemoteProtocolError as error:
        raise FetchError(Problem.UNREADABLE, f"{url.host}: what it sent is no HTTP answer", url=url.text) from error
    except httpcore.NetworkError as error:
        certificate = isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError)
        what = "its certificate is not valid" if certificate else "the connection failed"
        raise FetchError(Problem.CONNECTION, f"{url.host}: {what}", url=url.text) from error


def _pinned(addresses: Sequence[IPAddress], inner: httpcore.AsyncNetworkBackend | None) -> httpcore.AsyncNetworkBackend:
    """A backend that connects to these addresses whatever name it is given."""
    import httpcore

    base = inner if inner is not None else httpcore.AnyIOBackend()

    class Pinned(httpcore.AsyncNetworkBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Any = None,
        ) -> httpcore.AsyncNetworkStream:
            tried = _choice(addresses)
            for number, address in enumerate(tried, start=1):
                try:
                    return await base.connect_tcp(str(address), port, timeout=timeout)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    if number == len(tried):
                        raise
            raise httpcore.ConnectError("no address")

    return Pinned()


def _choice(addresses: Sequence[IPAddress]) -> list[IPAddress]:
    """The first of each family, then the next ones: a machine without IPv6 must not spend all its tries there."""
    first = {address.version: address for address in reversed(addresses)}
    heads = [address for address in addresses if address is first[address.version]]
    return [*heads, *(address for address in addresses if address not in heads)][:_TRIES]
