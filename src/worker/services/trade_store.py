"""What tasks find out, in MongoDB, each finding once: the task that stored it first is the one that announces it.

Findings are known by their content. A second execution of the same task finds its own and comes to the same outputs; a
task that was sent twice finds somebody else's and announces nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError
from pymongo.write_concern import WriteConcern

from ..errors import StorageUnavailable
from ..models import Task
from ..storage import Document, Page, Storage, StorageRefused, call

CRISIS_ASSESSMENTS: Final = "crisis_assessments"
"""Of `analyze_crisis`. `crisis_events` is the crisis detector's, whose documents are guarded by its state's version."""
COMPLAINTS: Final = "complaints"
LAUNCHES: Final = "launches"

_KEPT_SEC: Final = 400 * 86_400
"""A year can be compared with the one before it, as for leads and crises."""
_DUPLICATE_KEY: Final = 11000
_TRIES: Final = 5
"""Two workers that insert one key at the same moment: one is told "duplicate key" and finds it at the next try."""
_JOURNALED: Final = WriteConcern(w="majority", j=True)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which execution of which task: the same through deliveries and retries, another when a task is sent again."""

    task_id: str
    entry: str
    replayed: bool

    @classmethod
    def of(cls, task: Task) -> Origin:
        return cls(task.id, task.entry, task.replayed)

    def fields(self) -> Document:
        return {"task_id": self.task_id, "entry": self.entry}

    def made(self, stored: Mapping[str, Any]) -> bool:
        """A replay continues the task that had failed, whose entry was another."""
        if stored.get("task_id") != self.task_id:
            return False
        return self.replayed or not self.entry or stored.get("entry") == self.entry


def trade_indexes() -> dict[str, list[IndexModel]]:
    """For `Storage.make_indexes`."""
    expiry = IndexModel([("written_at", ASCENDING)], name="expiry", expireAfterSeconds=_KEPT_SEC)
    by_brand = IndexModel([("brand", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="by_brand_time")
    by_competitor = IndexModel([("competitor_id", ASCENDING), ("at", DESCENDING)], name="by_competitor_time")
    return {
        CRISIS_ASSESSMENTS: [by_brand, expiry],
        COMPLAINTS: [by_competitor, expiry],
        LAUNCHES: [by_brand, expiry],
    }


class TradeStore:
    """Raises `StorageUnavailable` when waiting may help, `StorageRefused` when not."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def keep(self, name: str, documents: Sequence[Document], origin: Origin, *, now: datetime) -> set[str]:
        """Store those whose `_id` is free, and return the ids that this task stored, now or at an execution before."""
        if not documents:
            return set()
        operations = [
            UpdateOne(
                {"_id": document["_id"]},
                {"$setOnInsert": {**_without_id(document), **origin.fields(), "written_at": now}},
                upsert=True,
            )
            for document in documents
        ]
        await self.write(name, operations)
        ids = [document["_id"] for document in documents]
        async with call(f"read {name}"):
            cursor = self._storage.collection(name).find({"_id": {"$in": ids}}, {"task_id": 1, "entry": 1})
            stored = await cursor.to_list(None)
        return {one["_id"] for one in stored if origin.made(one)}

    async def write(self, name: str, operations: Sequence[UpdateOne]) -> None:
        """Idempotent upserts, in order, journaled: the task is acknowledged next."""
        collection = self._storage.collection(name).with_options(write_concern=_JOURNALED)
        for _ in range(_TRIES):
            async with call(f"store {name}"):
                try:
                    await collection.bulk_write(list(operations))
                except BulkWriteError as error:
                    problems = error.details.get("writeErrors", [])
                    if any(one.get("code") != _DUPLICATE_KEY for one in problems):
                        raise StorageRefused(f"store {name}: {problems[0].get('errmsg', 'refused')}") from error
                    if not problems:
                        raise StorageUnavailable(f"store {name}: not acknowledged by enough members") from error
                else:
                    return
        raise StorageUnavailable(f"store {name}: other workers write the same all the time")

    async def page(
        self, name: str, query: Mapping[str, Any], *, limit: int, before: tuple[datetime, str] | None = None
    ) -> Page:
        """Findings, newest first by `at`. `before` is the cursor of the page before."""
        wanted: Document = dict(query)
        if before is not None:
            when, key = before
            wanted["$or"] = [{"at": {"$lt": when}}, {"at": when, "_id": {"$lt": key}}]
        async with call(f"list {name}"):
            cursor = self._storage.collection(name).find(wanted).sort([("at", DESCENDING), ("_id", DESCENDING)])
            items = await cursor.limit(limit + 1).to_list(limit + 1)
        more, items = len(items) > limit, items[:limit]
        return Page(items, (items[-1]["at"], items[-1]["_id"]) if more else None)


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "_id"}
