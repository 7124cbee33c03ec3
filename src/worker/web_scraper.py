"""The web for the rest of the worker: pages that anybody may have named, read safely and politely.

What can come in is bounded in every direction: addresses (`web.resolver`), redirects, time, bytes (`web.fetcher`),
markup (`web.markup`). Robots.txt is kept to, hosts are asked one thing at a time (`web.hosts`, per process). Nothing
of a visit remains but bodies in memory that may be asked for again with a condition: no cookie, no connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from . import __version__
from .config import Settings
from .cpu import Cpu
from .web.body_cache import BodyCache
from .web.fetcher import Limits, WebFetcher
from .web.hosts import Hosts
from .web.resolver import Allow, Gatekeeper, Resolver, SystemResolver
from .web.robots import Robots
from .web.seams import Fetched, Fetcher, WebPage
from .web.transport import Transport

PAGES: Final = "text/html,application/xhtml+xml,text/plain;q=0.8"
"""What a page may be."""
PRODUCT: Final = "brand-eval-worker"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the scraper needs of the world; tests have a world of their own.

    `allow` lets internal addresses through, for tests with a site on this machine. No setting does.
    """

    resolver: Resolver | None = None
    allow: Allow | None = None
    transport: Transport | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class WebScraper:
    """`PageReader` over the real web. `fetcher` gets bodies that are no pages under the same rules."""

    def __init__(self, fetcher: Fetcher, cpu: Cpu, *, now: Callable[[], datetime]) -> None:
        self.fetcher = fetcher
        self._cpu = cpu
        self._now = now
        self._resolver: SystemResolver | None = None

    @classmethod
    def build(
        cls, settings: Settings, cpu: Cpu, *, now: Callable[[], datetime], around: Surroundings | None = None
    ) -> WebScraper:
        """Put together from the settings, without any I/O.

        Args:
            now: the time of day, with a time zone.
        """
        around = around or Surroundings()
        resolver = around.resolver or SystemResolver()
        agent = settings.web_user_agent or f"{PRODUCT}/{__version__}"
        fetcher = WebFetcher(
            Gatekeeper(resolver, ports=settings.web_ports, allow=around.allow),
            around.transport or Transport(),
            Hosts(clock=around.clock, sleep=around.sleep),
            Robots(agent.partition("/")[0].partition(" ")[0], cpu, around.clock),
            BodyCache(settings.web_cache_mb << 20, around.clock),
            Limits(settings.web_timeout_sec, settings.web_max_bytes, settings.web_host_delay_sec),
            user_agent=agent,
            clock=around.clock,
            now=now,
        )
        scraper = cls(fetcher, cpu, now=now)
        scraper._resolver = resolver if isinstance(resolver, SystemResolver) else None
        return scraper

    async def read(self, url: str, *, deadline_sec: float | None = None) -> WebPage:
        """Read one page; `deadline_sec` covers the fetch (default: WEB_TIMEOUT_SEC), parsing is bounded by size.

        Raises:
            FetchError: also when the page has no readable text.
        """
        fetched = await self.fetcher.get(url, accept=PAGES, deadline_sec=deadline_sec)
        return await self._cpu.run(_extracted, fetched, url, self._now())

    def close(self) -> None:
        """What is under way is left to its callers; threads that look up names end by themselves."""
        if self._resolver is not None:
            self._resolver.close()


def _extracted(fetched: Fetched, url: str, now: datetime) -> WebPage:
    from .web.extraction import extract  # 10 ms of a start, and many a worker never reads a page

    return extract(fetched, url, now)
