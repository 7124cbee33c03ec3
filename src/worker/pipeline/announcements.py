"""Bounded lists through which neighbours are told of leads, crises and complaints (contract 1.4). Pure.

Every list has a length and a life: in the older workers the queues had neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .. import strictjson
from ..queue_commands import Command

DAY_SEC: Final = 86_400
KEPT_SEC: Final = 30 * DAY_SEC
"""Contract 1.4 for all lists that pages show."""
QUEUE_MAX: Final = 10_000
"""A notification worker empties a queue within seconds; without one it must end somewhere."""
QUEUE_SEC: Final = 7 * DAY_SEC

QUEUE_CRISES: Final = "queue:crisis:events"
QUEUE_CRISES_SEC: Final = 30 * DAY_SEC
"""As the crisis detector keeps the same list: a shorter life here would shorten its."""
QUEUE_COMPLAINTS: Final = "queue:competitors:complaints"


def newest_first(key: str, bodies: Iterable[Mapping[str, Any]], *, most: int) -> list[Command]:
    """A list whose head is the newest, for pages."""
    words = [strictjson.dumps(body) for body in bodies]
    return [("LPUSH", key, *words), ("LTRIM", key, 0, most - 1), ("EXPIRE", key, KEPT_SEC)] if words else []


def collected(key: str, bodies: Iterable[Mapping[str, Any]], *, seconds: int = QUEUE_SEC) -> list[Command]:
    """A queue that somebody else empties from its head."""
    words = [strictjson.dumps(body) for body in bodies]
    return [("RPUSH", key, *words), ("LTRIM", key, -QUEUE_MAX, -1), ("EXPIRE", key, seconds)] if words else []
