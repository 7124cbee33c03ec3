"""What a run of the janitor leaves behind: its report in Redis, and the figures of it that every worker exposes.

A janitor is a process that ends, so nobody could scrape it. It writes its last report to one key; workers read that
every 15 seconds, in the background, and `/metrics` shows what they have read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import strictjson
from ..errors import QueueUnavailable
from ..logging import get_logger
from ..redis_client import RedisClient
from ..supervision import keep_running
from ..times import parse_time
from . import janitor_lock

log = get_logger(__name__)

Report = dict[str, Any]

LAST: Final = "worker:janitor:last"
KEPT_SEC: Final = 35 * 86_400
"""Over a month: a monthly janitor still has a last run."""
_READ_EVERY_SEC: Final = 15.0
"""As often as Prometheus scrapes by habit; a run takes place once a day."""

_HELP: Final = {
    "last_run_timestamp_seconds": "When the last run of the janitor ended.",
    "last_success_timestamp_seconds": "When the last run ended in which nothing failed.",
    "last_run_success": "1 when nothing failed in the last run, else 0.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_redis_bytes_freed": "Memory of Redis that the last run has freed.",
    "last_run_mentions_archived": "Mentions that the last run has put into the archive.",
}


async def save(client: RedisClient, report: Mapping[str, Any]) -> None:
    """Keep a report as the last one. `last_success` remembers when nothing failed, over runs in which something did.

    Raises:
        QueueUnavailable: Redis cannot be reached, or refused.
    """
    if report["success"]:
        last_success = report["completed_at"]
    else:
        before = await read(client)
        last_success = before.get("last_success") if before else None
    document = strictjson.dumps({**report, "last_success": last_success})
    await client.call("SET", LAST, document, "EX", KEPT_SEC)


async def read(client: RedisClient) -> Report | None:
    """The last report; None when there is none, or none that can be read.

    Raises:
        QueueUnavailable: Redis cannot be reached.
    """
    raw = await client.call("GET", LAST)
    if raw is None:
        return None
    try:
        report = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        log.warning("the janitor's last report cannot be read", key=LAST, problem=str(error))
        return None
    return report if isinstance(report, dict) else None


def figures(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report, by the names of `_HELP`; what it does not say is missing."""
    ended, began, fine = (_seconds(report.get(name)) for name in ("completed_at", "started_at", "last_success"))
    found: dict[str, float | None] = {
        "last_run_timestamp_seconds": ended,
        "last_success_timestamp_seconds": fine,
        "last_run_success": float(report.get("success") is True),
        "last_run_duration_seconds": None if ended is None or began is None else max(0.0, ended - began),
        "last_run_redis_bytes_freed": _number(report, "redis", "bytes_freed"),
        "last_run_mentions_archived": _number(report, "archive", "mentions_archived"),
    }
    return {name: value for name, value in found.items() if value is not None}


class LastRun(Collector):
    """The last run as gauges. `start()` reads again and again in the background; `close()` ends that."""

    def __init__(
        self,
        client: RedisClient,
        registry: CollectorRegistry,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._figures: dict[str, float] = {}
        self._reading: asyncio.Task[None] | None = None
        registry.register(self)

    def start(self) -> None:
        self._reading = asyncio.create_task(keep_running("janitor-last-run", self._read_on), name="janitor-last-run")

    async def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    async def report(self) -> Report | None:
        """The last report, read now. Raises QueueUnavailable."""
        return await read(self._client)

    def collect(self) -> Iterable[Metric]:
        """Gauges of what was read last: none before any janitor has run."""
        return [
            GaugeMetricFamily(f"worker_janitor_{name}", _HELP[name], value=value)
            for name, value in self._figures.items()
        ]

    async def at_work(self) -> str | None:
        """Who is at work at this moment. Raises QueueUnavailable."""
        return await janitor_lock.at_work(self._client)

    async def refresh(self) -> None:
        """Read once. While Redis is away the figures stay as they are: the outage has metrics of its own."""
        try:
            report = await read(self._client)
        except QueueUnavailable as error:
            log.debug("the janitor's last report was not read", problem=error.message)
            return
        self._figures = figures(report) if report is not None else {}

    async def _read_on(self) -> None:
        while True:
            await self.refresh()
            await self._sleep(_READ_EVERY_SEC)


def _seconds(value: Any) -> float | None:
    when: datetime | None = parse_time(value) if isinstance(value, str) else None
    return when.timestamp() if when is not None else None


def _number(report: Mapping[str, Any], part: str, name: str) -> float | None:
    inner = report.get(part)
    value = inner.get(name) if isinstance(inner, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
