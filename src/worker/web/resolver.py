"""From a host name to addresses that may be connected to: asked once, every answer judged."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from .addresses import IPAddress, internal_name, refusal
from .seams import FetchError, Problem
from .urls import DEFAULT_PORTS, WebUrl

_THREADS: Final = 8
"""Lookups at a time. A pool of its own: names that hang must not take the threads that files and others need."""
_ADDRESSES_MAX: Final = 32
"""Answers looked at; a name with more is refused, as one of them could be hidden behind the others."""

Allow = Callable[[IPAddress], bool]


class Resolver(Protocol):
    """Addresses of a name as text, in the order in which they should be tried."""

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        """Raises `OSError` when there are none."""
        ...


class SystemResolver:
    """The machine's own resolver, in threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        def look() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(entry[4][0]) for entry in found))

        return await asyncio.get_running_loop().run_in_executor(self._pool, look)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Gatekeeper:
    """Says which hosts, ports and addresses may be reached.

    Args:
        ports: allowed beside 80 and 443.
        allow: addresses that are let through although they are internal; for tests with a site of their own.
    """

    def __init__(self, resolver: Resolver, *, ports: frozenset[int], allow: Allow | None = None) -> None:
        self._resolver = resolver
        self._ports = ports | frozenset(DEFAULT_PORTS.values())
        self._allow = allow

    def admit(self, url: WebUrl) -> None:
        """Refuse what can be refused without asking anybody. Raises `FetchError`."""
        if url.port not in self._ports:
            raise FetchError(Problem.URL, f"{url.host}: port {url.port} is not allowed", url=url.text)
        literal = url.literal
        if literal is not None:
            self._judge(url, literal)
        elif internal_name(url.host):
            raise FetchError(Problem.ADDRESS, f"{url.host}: a name of somebody's own network", url=url.text)

    async def addresses(self, url: WebUrl, *, trusted: bool) -> tuple[IPAddress, ...]:
        """Addresses of the URL's host, all of them judged: one that is internal condemns the name.

        Raises:
            FetchError: DNS, or ADDRESS.
        """
        literal = url.literal
        found = (literal,) if literal is not None else await self._look_up(url)
        if not trusted:
            for address in found:
                self._judge(url, address)
        return found

    async def _look_up(self, url: WebUrl) -> tuple[IPAddress, ...]:
        try:
            answers = await self._resolver(url.host, url.port)
        except (OSError, UnicodeError) as error:
            missing = getattr(error, "errno", None) in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
            what = "there is no such host" if missing else "its address could not be looked up"
            raise FetchError(Problem.DNS, f"{url.host}: {what}", url=url.text) from error
        if not answers:
            raise FetchError(Problem.DNS, f"{url.host}: there is no such host", url=url.text)
        if len(answers) > _ADDRESSES_MAX:
            raise FetchError(Problem.ADDRESS, f"{url.host}: has {len(answers):,} addresses", url=url.text)
        return tuple(ipaddress.ip_address(answer) for answer in answers)

    def _judge(self, url: WebUrl, address: IPAddress) -> None:
        what = refusal(address)
        if what is not None and not (self._allow is not None and self._allow(address)):
            raise FetchError(Problem.ADDRESS, f"{url.host}: leads to an address that is {what}", url=url.text)
