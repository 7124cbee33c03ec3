"""`queue`: how much waits and for how long, and who is there to work."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..config import load_settings
from ..errors import QueueUnavailable
from ..keys import heartbeat
from ..logging import configure
from ..models import TaskPriority
from ..queue_entries import Depth
from ..redis_client import RedisClient
from . import EXIT_OK, note
from .connection import QueueLink
from .tables import show

_WATCH_SEC: Final = 2.0
_SCAN_COUNT: Final = 1_000
_SCANS_MAX: Final = 300
"""Looks at 300,000 keys at most for heartbeats; a larger database is not searched to its end for them."""
_WORKERS_SHOWN: Final = 50
_CLEAR: Final = "\x1b[H\x1b[2J"


@dataclass(frozen=True, slots=True)
class State:
    """`workers` is None where the heartbeats could not all be looked for."""

    depth: Depth
    ages_sec: Mapping[TaskPriority, float | None]
    """How long the oldest task of a stream has waited."""
    workers: list[str] | None

    def document(self) -> dict[str, Any]:
        depth = self.depth
        return {
            "waiting": {priority.value: count for priority, count in depth.waiting.items()},
            "oldestSec": {priority.value: age for priority, age in self.ages_sec.items()},
            "parked": depth.parked,
            "inFlight": depth.in_flight,
            "delayed": depth.delayed,
            "dead": depth.dead,
            "workers": self.workers,
        }

    def rows(self) -> list[tuple[str, str, str]]:
        depth = self.depth
        out = [
            (f"waiting, {priority.value}", f"{count:,}", _age(self.ages_sec[priority]))
            for priority, count in depth.waiting.items()
        ]
        if depth.parked:
            out.append(("of these in lanes", f"{depth.parked:,}", ""))
        out += [("running", f"{depth.in_flight:,}", ""), ("delayed", f"{depth.delayed:,}", "")]
        out.append(("dead letters", f"{depth.dead:,}", ""))
        if self.workers is None:
            return [*out, ("workers", "?", "too many keys to look for heartbeats")]
        names = ", ".join(self.workers[:_WORKERS_SHOWN]) + (", …" if len(self.workers) > _WORKERS_SHOWN else "")
        return [*out, ("workers", f"{len(self.workers):,}", names)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--json", action="store_true", help="one JSON object on standard output (with --watch one per line)")
    add(
        "--watch", type=_seconds, nargs="?", const=_WATCH_SEC, metavar="S", help="again every S seconds (2) till Ctrl-C"
    )


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    configure("warning", "text")

    async def look() -> int:
        async with QueueLink(settings) as link:
            if arguments.watch is None:
                _print(await read_state(link), arguments)
            else:
                await _watch(link, arguments)
        return EXIT_OK

    return asyncio.run(look())


async def read_state(link: QueueLink) -> State:
    """Raises QueueUnavailable: Redis does not answer."""
    depth = await link.queue.depth()
    seconds, micros = await link.client.call("TIME")  # ids of entries are by the clock of Redis
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    ages = {
        priority: None if oldest is None else max(0, now_ms - oldest) / 1000
        for priority, oldest in depth.oldest_ms.items()
    }
    return State(depth, ages, await _workers(link.client))


async def _workers(client: RedisClient) -> list[str] | None:
    prefix = heartbeat("").encode()
    found: set[str] = set()
    cursor: Any = 0
    for _ in range(_SCANS_MAX):
        cursor, keys = await client.call("SCAN", cursor, "MATCH", heartbeat("*"), "COUNT", _SCAN_COUNT)
        found.update(key.removeprefix(prefix).decode("utf-8", "replace") for key in keys)
        if int(cursor) == 0:
            return sorted(found)
    return None


async def _watch(link: QueueLink, arguments: argparse.Namespace) -> None:
    """Until somebody ends it. An outage is said once; the next look tries again, also at another port."""
    away = False
    while True:
        try:
            state = await read_state(link)
            away = False
            if not arguments.json and sys.stdout.isatty():
                print(_CLEAR, end="")
            _print(state, arguments)
        except QueueUnavailable as error:
            if not away:
                away = True
                note(f"Redis is not available, trying again: {error.message}")
            await _find_again(link)
        await asyncio.sleep(arguments.watch)


async def _find_again(link: QueueLink) -> None:
    try:
        await link.find_again()
    except QueueUnavailable:
        return  # it has been said that there is none


def _print(state: State, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(state.document()), flush=True)
        return
    show(state.rows(), numbers=(1,))
    sys.stdout.flush()


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"oldest {seconds:.1f} s"
    if seconds < 7200:
        return f"oldest {seconds / 60:.0f} min"
    return f"oldest {seconds / 3600:.1f} h"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1")
    return value
