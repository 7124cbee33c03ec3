"""robots.txt (RFC 9309): who may read what, and how fast. Fetched through the same guard as everything else."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..cpu import Cpu
from .hosts import CRAWL_DELAY_MAX_SEC
from .seams import Fetched, FetchError, Problem
from .urls import WebUrl

if TYPE_CHECKING:
    from protego import Protego

ROBOTS_MAX_BYTES: Final = 500 * 1024
"""What a crawler has to read at least (RFC 9309, 2.5); the rest is ignored."""
_KEPT_SEC: Final = 24 * 3600.0
"""Longest time a robots.txt may be used (RFC 9309, 2.4)."""
_CLOSED_SEC: Final = 600.0
"""How long a site whose robots.txt fails on its side is taken to allow nothing (RFC 9309, 2.3.1.4, names no time)."""
_KEPT_BYTES: Final = 2**20
"""Source text of all that is kept. Parsed it takes up to forty times as much; most sites have less than 2 kB."""
_OVERHEAD: Final = 200
_AGENT_LINE: Final = re.compile(r"\s*user[- ]?agent\b\s*:?\s*([^#]*)", re.IGNORECASE)
_NOBODY: Final = "User-agent: -"
"""Stands for all crawlers that are not us, so that their groups still end where they end."""

_NONE: Final = frozenset((Problem.STATUS, Problem.REDIRECTS, Problem.UNREADABLE, Problem.URL))
"""What makes a robots.txt one that is not there (RFC 9309, 2.3.1.2 and 2.3.1.3); URL: of where it redirects to."""

Get = Callable[[WebUrl], Awaitable[Fetched]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What one site asks of us."""

    document: Protego | None
    """None: everything is allowed."""
    expires: float
    size: int
    agent: str
    closed: FetchError | None = None
    """Why nothing is allowed for now."""

    def check(self, url: WebUrl, now: float) -> None:
        """Raises `FetchError` (ROBOTS) where the URL is not for us."""
        if self.closed is not None:
            raise FetchError(
                Problem.ROBOTS, self.closed.message, url=url.text, status=self.closed.status,
                not_before_sec=max(self.expires - now, 0.0),
            )  # fmt: skip
        if self.document is not None and not self.document.can_fetch(url.text, self.agent):
            raise FetchError(Problem.ROBOTS, f"{url.host}: its robots.txt asks not to read this page", url=url.text)

    @property
    def delay_sec(self) -> float:
        asked = self.document.crawl_delay(self.agent) if self.document is not None else None
        return min(asked or 0.0, CRAWL_DELAY_MAX_SEC)


class Robots:
    """The rules of all sites, each asked for once a day.

    Args:
        agent: the product name that robots.txt would name, e.g. `brand-eval-worker`.
        clock: seconds that only go forward.
    """

    def __init__(self, agent: str, cpu: Cpu, clock: Callable[[], float]) -> None:
        self._agent = agent
        self._cpu = cpu
        self._clock = clock
        self._rules: OrderedDict[str, Rules] = OrderedDict()
        self._size = 0

    async def rules(self, url: WebUrl, get: Get) -> Rules:
        """The rules of the URL's site. `get` fetches a robots.txt, redirects followed.

        Raises:
            FetchError: what would stop the page too: an internal address, no such host, no connection, a rate limit.
        """
        kept = self._rules.get(url.origin)
        if kept is not None and self._clock() < kept.expires:
            self._rules.move_to_end(url.origin)
            return kept
        rules = await self._ask(url, get)
        self._keep(url.origin, rules)
        return rules

    async def _ask(self, url: WebUrl, get: Get) -> Rules:
        now = self._clock()
        try:
            fetched = await get(url.join("/robots.txt"))
        except FetchError as error:
            if error.status is not None and error.status >= 500:
                closed = FetchError(
                    Problem.ROBOTS,
                    f"{url.host}: its robots.txt answers with status {error.status}, so nothing may be read for now",
                    url=url.text,
                    status=error.status,
                )
                return Rules(None, now + _CLOSED_SEC, _OVERHEAD, self._agent, closed)
            if error.problem not in _NONE:
                raise
            return Rules(None, now + _KEPT_SEC, _OVERHEAD, self._agent)  # there is none: all is allowed (2.3.1.3)
        document = await self._cpu.run(_parse, fetched.body, self._agent)
        return Rules(document, now + _KEPT_SEC, len(fetched.body) + _OVERHEAD, self._agent)

    def _keep(self, origin: str, rules: Rules) -> None:
        before = self._rules.pop(origin, None)
        self._size += rules.size - (before.size if before else 0)
        self._rules[origin] = rules
        while self._size > _KEPT_BYTES and len(self._rules) > 1:
            _, oldest = self._rules.popitem(last=False)
            self._size -= oldest.size


def _parse(body: bytes, agent: str) -> Protego:
    from protego import Protego

    return Protego.parse(_ours(body.decode("utf-8-sig", "replace"), agent))


def _ours(text: str, agent: str) -> str:
    """The text without the names of other crawlers.

    A parser makes a rule set per name and copies each rule into all of its group: ten thousand names over ten thousand
    rules in 500 kB would be a hundred million.
    """
    lines: list[str] = []
    for line in text.splitlines():
        found = _AGENT_LINE.match(line)
        if found is None:
            lines.append(line)
            continue
        name = (found[1].split("/")[0].split() or [""])[0]
        named = name == "*" or name.rstrip("*").lower() == agent.lower()
        said = f"User-agent: {name if name == '*' else agent}" if named else _NOBODY
        if not lines or lines[-1] != said:
            lines.append(said)
    return "\n".join(lines)
