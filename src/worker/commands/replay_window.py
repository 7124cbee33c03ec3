"""The chunks that are in the queue and not done yet: sent, watched, sent again when Redis has forgotten them."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

import orjson

from ..errors import QueueUnavailable
from ..models import TaskStatus
from .connection import QueueLink
from .replay_chunks import FileChunk, Reason
from .replay_report import Totals

_ITEM: Final = re.compile(r"^mentions\[(\d+)\]\.?")


class Window:
    """At most `size` chunks at a time, so that neither Redis nor this process holds the whole file.

    Methods raise `QueueUnavailable`; all of them may be called again then, nothing is sent or counted twice.
    """

    def __init__(self, link: QueueLink, totals: Totals, *, size: int, run: str, priority: str) -> None:
        self._link = link
        self._totals = totals
        self._size = size
        self._run = run
        self._priority = priority
        self._open: dict[str, FileChunk] = {}
        self._sent = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def rows(self) -> int:
        return sum(len(chunk.rows) for chunk in self._open.values())

    @property
    def room(self) -> bool:
        return len(self._open) < self._size

    async def send(self, chunk: FileChunk) -> None:
        # The number moves on only after the answer: when that is lost, the same id is sent again and known already.
        task_id = f"replay-{self._run}-{self._sent + 1}"
        await self._push(task_id, chunk)
        self._sent += 1
        self._open[task_id] = chunk

    async def collect(self) -> bool:
        """Count what is done. Returns whether anything was."""
        if not self._open:
            return False
        ids = list(self._open)
        done: list[tuple[str, dict[str, Any]]] = []
        for task_id, raw in zip(ids, await self._link.records(ids), strict=True):
            if raw is None:  # Redis was emptied, or restarted from an older state
                await self._push(task_id, self._open[task_id])
                continue
            record = _record(raw)
            if record.get("status") in (TaskStatus.SUCCEEDED, TaskStatus.FAILED):
                done.append((task_id, record))
        for task_id, record in done:
            self._count(self._open.pop(task_id), record)
        if done:
            with contextlib.suppress(QueueUnavailable):  # counted they are, and they expire some time anyhow
                await self._link.let_go([task_id for task_id, _ in done])
        return bool(done)

    async def _push(self, task_id: str, chunk: FileChunk) -> None:
        task = {
            "type": "analyze_mentions",
            "brand": chunk.brand,
            "chunkId": chunk.chunk_id,
            "mentions": chunk.mentions,
            "priority": self._priority,
        }
        await self._link.queue.enqueue(task, task_id=task_id)

    def _count(self, chunk: FileChunk, record: dict[str, Any]) -> None:
        result = record.get("result")
        if record["status"] == TaskStatus.SUCCEEDED:
            counts = result if isinstance(result, dict) else {}
            self._totals.add_counts(chunk, counts)
            for reason in counts.get("rejectedReasons", []):
                self._totals.add_reason(_of_row(chunk, str(reason)))
            return
        error = record.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        self._totals.add_failed(chunk, _of_row(chunk, str(message or "the task failed without a reason")))


def _record(raw: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        record = None
    if isinstance(record, dict):
        return record
    return {"status": TaskStatus.FAILED, "error": {"message": "the task's record in Redis is not a record"}}


def _of_row(chunk: FileChunk, reason: str) -> Reason:
    """`mentions[3].text: is empty` of a chunk → the file's row and `text: is empty`."""
    found = _ITEM.match(reason)
    index = int(found[1]) if found else 0
    if found is None or index >= len(chunk.rows):
        return Reason(chunk.rows[0], reason)
    return Reason(chunk.rows[index], reason[found.end() :].removeprefix(": "))
