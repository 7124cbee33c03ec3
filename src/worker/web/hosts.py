"""Manners: one request at a time per host, a pause between two, and rest for hosts that ask for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from .seams import FetchError, Problem
from .urls import WebUrl

CRAWL_DELAY_MAX_SEC: Final = 30.0
"""Longest Crawl-delay that is kept to. Sites that ask for more want no crawler; ours reads single pages."""
REST_SEC: Final = 60.0
"""Rest after a 429 that does not say how long."""
REST_MAX_SEC: Final = 3600.0
"""A host that asks for more is asked again after an hour."""
_HOSTS_MAX: Final = 10_000
"""Hosts remembered, some 500 bytes each. Those that nobody waits for go first."""


class _Host:
    __slots__ = ("lock", "next_at", "resting_until", "visitors")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.next_at = 0.0
        self.resting_until = 0.0
        self.visitors = 0


class Turn:
    """The right to talk to one host, for as long as the block lasts."""

    def __init__(self, url: WebUrl, host: _Host, hosts: Hosts, until: float) -> None:
        self._url = url
        self._host = host
        self._hosts = hosts
        self._until = until
        self._delay_sec: float | None = None
        """None: nothing was asked that a pause has to follow."""

    async def pause(self, delay_sec: float) -> None:
        """Wait until the host may be asked again. The next pause is counted from the end of this turn.

        Raises:
            FetchError: RATE_LIMIT, at once, where the deadline comes first.
        """
        wait = self._host.next_at - self._hosts.clock()
        if wait > 0:
            self._hosts.refuse_if_over(self._url, wait, self._until)
            await self._hosts.sleep(wait)
        self._delay_sec = delay_sec

    def end(self) -> None:
        if self._delay_sec is not None:
            self._host.next_at = self._hosts.clock() + self._delay_sec

    def rest(self, seconds: float | None) -> float:
        """The host asked to be left alone. Returns for how long it will be."""
        wait = min(REST_SEC if seconds is None else max(seconds, 0.0), REST_MAX_SEC)
        self._host.resting_until = max(self._host.resting_until, self._hosts.clock() + wait)
        return wait


class Hosts:
    """All hosts of one process.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[object]]) -> None:
        self.clock = clock
        self.sleep = sleep
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    @asynccontextmanager
    async def turn(self, url: WebUrl, until: float) -> AsyncIterator[Turn]:
        """Wait for one's turn; whoever came first goes first. The caller's deadline bounds the wait.

        Raises:
            FetchError: RATE_LIMIT while the host rests.
        """
        host = self._host(url.host)
        host.visitors += 1
        try:
            async with host.lock:
                resting = host.resting_until - self.clock()
                if resting > 0:
                    raise FetchError(
                        Problem.RATE_LIMIT,
                        f"{url.host}: has asked to be left alone for another {resting:.0f} s",
                        url=url.text,
                        not_before_sec=resting,
                    )
                turn = Turn(url, host, self, until)
                try:
                    yield turn
                finally:
                    turn.end()
        finally:
            host.visitors -= 1

    def refuse_if_over(self, url: WebUrl, wait: float, until: float) -> None:
        if self.clock() + wait > until:
            raise FetchError(
                Problem.RATE_LIMIT,
                f"{url.host}: may be asked again in {wait:.1f} s, after the deadline",
                url=url.text,
                not_before_sec=wait,
            )

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            self._make_room()
            host = self._hosts[name] = _Host()
        self._hosts.move_to_end(name)
        return host

    def _make_room(self) -> None:
        """Forget the hosts that were asked the longest ago, as far as nobody is there and nothing is to be kept."""
        if len(self._hosts) < _HOSTS_MAX:
            return
        now = self.clock()
        idle = [
            name
            for name, host in self._hosts.items()
            if not host.visitors and max(host.next_at, host.resting_until) <= now
        ]
        for name in idle[: max(1, _HOSTS_MAX // 10)]:
            del self._hosts[name]
