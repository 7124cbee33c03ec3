"""The queue as its clients see it: put tasks in, read their records, look at the sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from . import keys
from .doors import ANALYZE
from .models import TaskPriority, TaskStatus
from .queue_commands import Word
from .queue_entries import Delivery, Depth, read_entry
from .queue_outputs import delayed_member, wall_ms
from .redis_client import RedisClient, Script
from .tasks import ALIASES
from .times import iso_ms, to_ms
from .trace_context import PARENT, SpanKind, outgoing
from .tracing import span

_PLACE: Final = re.compile(rf"({'|'.join(TaskPriority)})-([0-9]{{1,19}}-[0-9]{{1,19}})")
"""An id made of a place in the queue."""
DEPTH_KEYS: Final[list[str]] = [
    keys.DELAYED,
    keys.DEAD,
    *(
        name
        for priority in TaskPriority
        for name in (keys.STREAMS[priority], keys.PARKED_STREAMS[priority], keys.LANE_INDEXES[priority])
    ),
]


class QueueClient:
    """Methods raise `QueueUnavailable` when Redis cannot serve them."""

    def __init__(self, client: RedisClient, *, result_ttl_sec: int, now_ms: Callable[[], int] = wall_ms) -> None:
        self._client = client
        self.now_ms = now_ms
        self._result_ttl = result_ttl_sec
        self._enqueue = Script("enqueue")
        self._depth = Script("depth")

    async def enqueue(self, task: Mapping[str, Any], *, task_id: str, run_at: datetime | None = None) -> bytes | None:
        """Add a checked task. Returns the record of an earlier task of the same id, None when it was accepted.

        Enqueued inside a task or a request, it belongs to the same trace, unless it names one itself.
        """
        stream = keys.STREAMS[TaskPriority(task.get("priority") or TaskPriority.NORMAL)]
        with span(f"send {stream}", SpanKind.PRODUCER) as here:
            here.set("messaging.system", "redis")
            here.set("messaging.operation.name", "send")
            here.set("messaging.destination.name", stream)
            here.set("messaging.message.id", task_id)
            trace = {} if PARENT in task else outgoing()
            return await self._add({**task, **trace, "id": task_id}, stream, run_at)

    async def _add(self, task: Mapping[str, Any], stream: str, run_at: datetime | None) -> bytes | None:
        task_id = task["id"]
        document = orjson.dumps(task)
        now = self.now_ms()
        record = {"id": task_id, "type": task["type"], "status": TaskStatus.QUEUED, "attempts": 0}
        wait_ms = 0 if run_at is None else max(0, to_ms(run_at) - now)
        due = f"{run_at.timestamp():.3f}" if run_at is not None and wait_ms else ""
        ttl = self._result_ttl + wait_ms // 1000  # a record must outlive the wait, or the id could be enqueued twice
        args: list[Word] = [orjson.dumps({**record, "queuedAt": iso_ms(now)}), ttl, document, due]
        known = await self._enqueue(
            self._client,
            [keys.result(task_id), stream, keys.DELAYED],
            [*args, delayed_member(stream, [b"task", document])],
        )
        return bytes(known) if known else None

    async def read_record(self, task_id: str) -> dict[str, Any] | None:
        raw = await self._client.call("GET", keys.result(task_id))
        return orjson.loads(raw) if raw else None

    async def state_of(self, task_id: str) -> dict[str, Any] | None:
        """The record of a task, or what its record would be: a task that came by XADD and names no id has none until it
        has run for half a second, but its id tells where it stands (`<priority>-<entry id>`)."""
        record = await self.read_record(task_id)
        found = _PLACE.fullmatch(task_id)
        if record is not None or found is None:
            return record
        priority, entry_id = found.groups()
        entries = await self._client.call("XRANGE", keys.STREAMS[TaskPriority(priority)], entry_id, entry_id)
        if not entries:  # over in this moment, and its record is written
            return await self.read_record(task_id)
        return _unrecorded(read_entry(keys.STREAMS[TaskPriority(priority)].encode(), *entries[0]), task_id)

    async def depth(self) -> Depth:
        """How much waits, runs, is delayed and dead, at one moment (one script). Raises `QueueUnavailable`."""
        (delayed, dead), *rows = await self._depth(self._client, DEPTH_KEYS, [keys.GROUP, keys.LANE_PREFIX])
        by_priority = dict(zip(TaskPriority, rows, strict=True))
        return Depth(
            waiting={priority: max(0, row[0]) + row[1] for priority, row in by_priority.items()},
            parked=sum(row[1] for row in rows),
            in_flight=sum(row[2] for row in rows),
            delayed=delayed,
            dead=dead,
            oldest_ms={
                priority: int(row[3].partition(b"-")[0]) if row[3] else None for priority, row in by_priority.items()
            },
        )


def _unrecorded(entry: Delivery, task_id: str) -> dict[str, Any] | None:
    """None for a task of another id: the entry's own, or the one its document names."""
    try:
        document = orjson.loads(entry.raw or b"")
    except orjson.JSONDecodeError:
        document = None
    fields = document if isinstance(document, dict) else {}
    if entry.task_id != task_id or fields.get("id") is not None:
        return None
    kind = fields.get("type", ANALYZE if entry.door else None)
    return {
        "id": task_id,
        "type": ALIASES.get(kind, kind) if isinstance(kind, str) else "invalid",
        "status": TaskStatus.QUEUED,
        "attempts": entry.attempts_before,
        "queuedAt": iso_ms(entry.received_ms),
    }
