"""The figures of a control room: queue, workers, language models. Each part that fails says so instead of the others.

Parts are asked at their own pace: sizes with every look, who is alive and what was spent less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ..errors import WorkerError
from ..keys import heartbeat
from ..queue_entries import Depth
from ..redis_client import RedisClient
from ..times import iso

Part = Callable[[], Awaitable[Mapping[str, Any]]]

_PART_SEC: Final = 3.0
"""Longest wait for one part; the others must not grow old behind it."""
_WORKERS_SEC: Final = 5.0
"""As often as a worker beats (HEARTBEAT_INTERVAL_SEC)."""
_LLM_SEC: Final = 10.0
"""Costs are sums over a day's calls in MongoDB."""
_SCAN_COUNT: Final = 1_000
_SCANS_MAX: Final = 100
"""100,000 keys are looked at for heartbeats, 30 ms of Redis in small steps; a larger database is not searched."""
_NAMES_SHOWN: Final = 50


@dataclass(slots=True)
class _Source:
    ask: Part
    every_sec: float
    due: float = 0.0
    last: Mapping[str, Any] = field(default_factory=dict)


class Overview:
    """`llm` gives the document of GET /v1/llm, or is None where no models are called."""

    def __init__(
        self,
        depth: Callable[[], Awaitable[Depth]],
        client: RedisClient,
        *,
        llm: Part | None,
        worker: Callable[[], Mapping[str, Any]],
        clock: Callable[[], datetime],
    ) -> None:
        self._depth = depth
        self._client = client
        self._worker = worker
        self._clock = clock
        self._sources = {"queue": _Source(self._sizes, 0.0), "workers": _Source(self._alive, _WORKERS_SEC)}
        if llm is not None:
            self._sources["llm"] = _Source(llm, _LLM_SEC)

    async def figures(self) -> dict[str, Any]:
        """`{at, worker, queue, workers, llm?}`; a part that could not be had is `{"problem": …}`. Raises nothing that
        a server which is away could cause."""
        now = asyncio.get_running_loop().time()
        due = {name: one for name, one in self._sources.items() if one.due <= now}
        answers = await asyncio.gather(*(_answer(one.ask) for one in due.values()))
        for one, answer in zip(due.values(), answers, strict=True):
            one.last = answer
            one.due = 0.0 if "problem" in answer else now + one.every_sec
        parts = {name: one.last for name, one in self._sources.items()}
        return {"at": iso(self._clock()), "worker": self._worker(), **parts}

    async def _sizes(self) -> dict[str, Any]:
        depth = await self._depth()
        seconds, micros = await self._client.call("TIME")  # ids of entries are by the clock of Redis
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        ages = {
            priority.value: None if oldest is None else max(0, now_ms - oldest) / 1000
            for priority, oldest in depth.oldest_ms.items()
        }
        return {
            "waiting": {priority.value: count for priority, count in depth.waiting.items()},
            "oldestSec": ages,
            "parked": depth.parked,
            "inFlight": depth.in_flight,
            "delayed": depth.delayed,
            "dead": depth.dead,
        }

    async def _alive(self) -> dict[str, Any]:
        prefix = heartbeat("").encode()
        names: set[str] = set()
        cursor: Any = 0
        for _ in range(_SCANS_MAX):
            cursor, found = await self._client.call("SCAN", cursor, "MATCH", heartbeat("*"), "COUNT", _SCAN_COUNT)
            names.update(key.removeprefix(prefix).decode("utf-8", "replace") for key in found)
            if int(cursor) == 0:
                return {"alive": len(names), "names": sorted(names)[:_NAMES_SHOWN], "reason": None}
        reason = f"more than {_SCAN_COUNT * _SCANS_MAX:,} keys in Redis: heartbeats are not looked for"
        return {"alive": None, "names": [], "reason": reason}


async def _answer(ask: Part) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(_PART_SEC):
            return await ask()
    except TimeoutError:
        return {"problem": f"no answer in {_PART_SEC:.0f} s"}
    except WorkerError as error:
        return {"problem": error.message}
