"""Bodies fetched before, in this process's memory. Bounded in bytes; what was used the longest ago goes first.

Not in Redis: a page is read again within an hour by the same task or not at all, and bodies of strangers would be by
far the largest things there.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from .seams import Fetched

_FRESH_MAX_SEC: Final = 3600.0
"""Longest time for which a server's own max-age is believed (contract, section 9: an hour)."""
_SHARE: Final = 8
"""No body may fill more than this part of the cache."""
_OVERHEAD: Final = 2_000
"""Bytes of an entry beside its body: headers, URL, objects."""
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})")


class Key(NamedTuple):
    url: str
    accept: str
    trusted: bool
    """What an internal server said is never shown to whoever merely names its URL."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it was fetched, fresh until a moment of the cache's clock (seconds)."""

    fetched: Fetched
    fresh_until: float

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the body only if it has changed (RFC 9110, 13.1)."""
        headers = self.fetched.headers
        pairs = (("if-none-match", headers.get("etag")), ("if-modified-since", headers.get("last-modified")))
        return {name: value for name, value in pairs if value}


class BodyCache:
    """`limit`: bytes; 0 keeps nothing."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self.size = 0

    def get(self, key: Key) -> Kept | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def fresh(self, kept: Kept) -> bool:
        return self._clock() < kept.fresh_until

    def put(self, key: Key, fetched: Fetched) -> None:
        """Keep a body that its server lets one keep and that can be asked for again with a condition."""
        self.drop(key)
        control = fetched.headers.get("cache-control", "").lower()
        cost = len(fetched.body) + _OVERHEAD
        kept = Kept(fetched, self._clock() + _fresh_sec(control))
        if "no-store" in control or "private" in control or fetched.headers.get("vary", "").strip() == "*":
            return
        if cost > self._limit // _SHARE or not (kept.conditions or self.fresh(kept)):
            return
        self._kept[key] = kept
        self.size += cost
        while self.size > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self.size -= len(oldest.fetched.body) + _OVERHEAD

    def renew(self, key: Key, kept: Kept, headers: dict[str, str]) -> Fetched:
        """The server says that the body is the same still; its new headers win (RFC 9111, 3.2)."""
        body_headers = {name: value for name, value in headers.items() if not name.startswith("content-")}
        fetched = replace(kept.fetched, headers={**kept.fetched.headers, **body_headers})
        self.put(key, fetched)
        return fetched

    def drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size -= len(kept.fetched.body) + _OVERHEAD


def _fresh_sec(control: str) -> float:
    if "no-cache" in control:
        return 0.0
    found = _MAX_AGE.search(control)
    return min(float(found[1]), _FRESH_MAX_SEC) if found else 0.0
