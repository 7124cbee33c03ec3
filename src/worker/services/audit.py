"""Who did what to the service: operators' actions, changes of the keys, and who was turned away.

Every record is a log line first, at once and whatever becomes of the rest; then a document of `audit_log`. Actions do
not wait for MongoDB and are not refused while it is away (an operator mends outages with them): records wait in memory,
in order, and are written when it is back. What cannot wait any longer (more than `_WAITING_MAX`, or a process that ends
meanwhile) is counted, and said in the log and in the next record that is written: never lost silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter
from pymongo import ASCENDING, DESCENDING, IndexModel, InsertOne
from pymongo.errors import BulkWriteError

from ..errors import StorageUnavailable, WorkerError
from ..logging import get_logger
from ..secrecy import without_secrets
from ..storage import Document, Page, Storage, call
from ..supervision import keep_running
from ..times import to_ms

log = get_logger(__name__)

AUDIT_LOG: Final = "audit_log"
_KEPT_SEC: Final = 400 * 86_400
"""A year can be compared with the one before it, as for all that is kept."""
_WAITING_MAX: Final = 5_000
"""Some 5 MB; operators act by hand, so this is hours of an outage."""
_BATCH: Final = 500
_AGAIN_SEC: Final = 5.0
_CLOSE_SEC: Final = 3.0
_REFUSALS_PER_MINUTE: Final = 60
"""Attempts that were refused, per process: whoever guesses keys must not be able to fill the database."""
_TEXT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """`action`: method and path as declared, `DELETE /v1/dead-letters/{letter_id}`, or a word such as `keys.reload`."""

    action: str
    outcome: str
    """`done`, `refused` or `failed`."""
    actor: str | None = None
    """Name of the key; None: none that is known."""
    target: str | None = None
    """The path and query that were asked for."""
    status: int | None = None
    client: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> Document:
        """What is stored and logged; texts from outside are cut."""
        return {
            "action": self.action,
            "outcome": self.outcome,
            "actor": self.actor,
            "target": None if self.target is None else without_secrets(self.target)[:_TEXT_MAX],
            "status": self.status,
            "client": self.client,
            "requestId": self.request_id,
            "details": {name: _plain(value) for name, value in self.details.items()},
        }


class AuditLog:
    """One per process. `record()` never waits and never raises."""

    def __init__(
        self, storage: Storage, registry: CollectorRegistry, *, worker_id: str, clock: Callable[[], datetime]
    ) -> None:
        self._storage = storage
        self._worker_id = worker_id
        self._clock = clock
        self._waiting: deque[Document] = deque()
        self._lost = 0
        self._count = 0
        self._token = secrets.token_hex(4)
        self._wake = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self._minute: tuple[int, int] = (0, 0)
        self._unrecorded = 0
        self._counted = Counter(
            "worker_audit_records",
            "Audit records by what became of them (written, lost, unrecorded).",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("written", "lost", "unrecorded"):
            self._counted.labels(outcome)

    def start(self) -> None:
        if self._job is None:
            self._job = asyncio.create_task(keep_running("audit", self._run), name="audit")

    async def close(self) -> None:
        """Write what waits, for a few seconds."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait({self._job})
            self._job = None
        try:
            async with asyncio.timeout(_CLOSE_SEC):
                while self._waiting:
                    await self._write()
        except (TimeoutError, WorkerError):
            self._count_lost(len(self._waiting), "the process ends while MongoDB does not answer")
            self._waiting.clear()

    @property
    def lost(self) -> int:
        """Records that are in the log only, since the last one that was written."""
        return self._lost

    def record(self, record: AuditRecord) -> None:
        fields = record.fields()
        log.info("audit", **fields)
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.popleft()
            self._count_lost(1, f"more than {_WAITING_MAX:,} records wait for MongoDB")
        self._count += 1
        now = self._clock()
        # In order also within a millisecond, which is all of a time that MongoDB keeps.
        identity = f"{to_ms(now):012x}-{self._count:08x}-{self._token}"
        self._waiting.append({"_id": identity, "at": now, "worker": self._worker_id, **fields, "lostBefore": 0})
        self._wake.set()

    def refused(self, record: AuditRecord) -> None:
        """The same for what strangers can cause: so many per minute, the others are counted in the next one."""
        now = self._clock()
        minute, count = self._minute
        this = int(now.timestamp()) // 60
        count = count if minute == this else 0
        self._minute = (this, count + 1)
        if count >= _REFUSALS_PER_MINUTE:
            self._unrecorded += 1
            self._counted.labels("unrecorded").inc()
            return
        unrecorded, self._unrecorded = self._unrecorded, 0
        if unrecorded:
            record = replace(record, details={**record.details, "unrecordedBefore": unrecorded})
        self.record(record)

    def told(self, action: str, details: Mapping[str, Any]) -> None:
        """What the service has done by itself, e.g. read its keys anew."""
        self.record(AuditRecord(action, "failed" if action.endswith("_refused") else "done", details=details))

    async def page(
        self, *, limit: int, before: tuple[datetime, str] | None, actor: str | None = None, outcome: str | None = None
    ) -> Page:
        """Records, newest first."""
        query: Document = {name: value for name, value in (("actor", actor), ("outcome", outcome)) if value is not None}
        if before is not None:
            when, key = before
            query["$or"] = [{"at": {"$lt": when}}, {"at": when, "_id": {"$lt": key}}]
        async with call("list the audit log"):
            found = self._storage.collection(AUDIT_LOG).find(query).sort([("at", DESCENDING), ("_id", DESCENDING)])
            items = await found.limit(limit + 1).to_list(limit + 1)
        more, items = len(items) > limit, items[:limit]
        return Page(items, (items[-1]["at"], items[-1]["_id"]) if more else None)

    async def _run(self) -> None:
        said = False
        if self._waiting:  # what a fault left behind
            self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._waiting:
                    await self._write()
                said = False
                continue
            except StorageUnavailable as error:
                if not said:
                    said = True
                    log.warning("audit records wait for MongoDB", waiting=len(self._waiting), problem=error.message)
            except WorkerError as error:
                # MongoDB refuses the batch itself; it would refuse it for ever. The log has its records.
                self._drop_batch(error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SEC):
                    await asyncio.Event().wait()
            self._wake.set()

    async def _write(self) -> None:
        batch = [self._waiting[n] for n in range(min(_BATCH, len(self._waiting)))]
        if self._lost:
            batch[0]["lostBefore"], self._lost = self._lost, 0
        async with call("write the audit log"):
            try:
                await self._storage.collection(AUDIT_LOG).bulk_write([InsertOne(one) for one in batch], ordered=False)
            except BulkWriteError as error:
                # A batch whose answer was lost is written again: what is there already is there.
                if any(bad.get("code") != 11000 for bad in error.details.get("writeErrors", [])):
                    raise
        for one in batch:
            if self._waiting and self._waiting[0] is one:
                self._waiting.popleft()
        self._counted.labels("written").inc(len(batch))

    def _drop_batch(self, problem: str) -> None:
        count = min(_BATCH, len(self._waiting))
        for _ in range(count):
            self._lost += self._waiting.popleft()["lostBefore"]
        self._count_lost(count, problem)

    def _count_lost(self, count: int, why: str) -> None:
        if count:
            self._lost += count
            self._counted.labels("lost").inc(count)
            log.error("audit records are in the log only, not in MongoDB", records=count, problem=why)


def audit_indexes() -> dict[str, list[IndexModel]]:
    """For `Storage.make_indexes`."""
    return {
        AUDIT_LOG: [
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)], name="by_time"),
            IndexModel([("actor", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="by_actor_time"),
            IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=_KEPT_SEC),
        ]
    }


def _plain(value: Any) -> Any:
    """As it can be stored: numbers, truth, short texts, lists of short texts."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value[:100]]
    return str(value)[:_TEXT_MAX]
