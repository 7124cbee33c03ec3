"""Reports of web scans in MongoDB: one per execution of a task, and which of them stands for a brand."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel, WriteConcern
from pymongo.errors import DuplicateKeyError

from ..errors import StorageUnavailable
from ..pipeline.web_report import Rank, Report
from ..storage import Document, Storage, call

WEB_SCANS: Final = "web_scans"
_KEPT_SEC: Final = 400 * 86_400
"""As leads: a year can be compared with the one before it."""
_JOURNALED: Final = WriteConcern(w="majority", j=True)
"""The task is acknowledged next, and must not be while a crash of the database could take its report back."""


def web_scan_indexes() -> dict[str, list[IndexModel]]:
    return {
        WEB_SCANS: [
            IndexModel([("brand", ASCENDING), ("published", ASCENDING), ("at", DESCENDING)], name="by_brand_time"),
            IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=_KEPT_SEC),
        ]
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as it is stored. `published`: it is the brand's latest; else a better one stood when it was made."""

    report: dict[str, Any]
    published: bool


class WebScans:
    """Every report is stored once under its task's id and entry: who executes a task again finds it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of_task(self, task_id: str, entry: str) -> Kept | None:
        """What an earlier execution of the same entry of the queue has made; None when there was none.

        Where another task has published since, it is not to be published again.
        """
        async with call("read a web scan"):
            scans = self._storage.collection(WEB_SCANS)
            found = await scans.find_one({"_id": _id(task_id, entry)})
            if found is None:
                return None
            newer = {"brand": found["brand"], "published": True, "at": {"$gt": found["at"]}}
            overtaken = await scans.find_one(newer, {"_id": 1})
        return Kept(found["report"], found["published"] and overtaken is None)

    async def keep(
        self, report: Report, *, brand: str, task_id: str, entry: str, at: datetime, published: bool
    ) -> Kept:
        """Store a report; the first one of its execution stays, and is returned."""
        identity = _id(task_id, entry)
        document = {
            "brand": brand,
            "task_id": task_id,
            "at": at,
            "rank": report.rank.value,
            "published": published,
            "report": report.document,
        }
        async with call("store a web scan"):
            collection = self._storage.collection(WEB_SCANS).with_options(write_concern=_JOURNALED)
            with contextlib.suppress(DuplicateKeyError):  # of two executions at one moment the other one was first
                await collection.update_one({"_id": identity}, {"$setOnInsert": document}, upsert=True)
            stored = await collection.find_one({"_id": identity})
        if stored is None:
            raise StorageUnavailable("store a web scan: the report just written cannot be read back")
        return _kept(stored)

    async def better(self, brand: str, rank: Rank, *, since: datetime) -> datetime | None:
        """When the newest published report of a higher rank was made; None when there is none since then."""
        query = {"brand": brand, "published": True, "at": {"$gt": since}, "rank": {"$gt": rank.value}}
        async with call("read web scans"):
            found = await self._storage.collection(WEB_SCANS).find_one(query, {"at": 1}, sort=[("at", DESCENDING)])
        return None if found is None else found["at"]

    async def latest(self, brand: str) -> dict[str, Any] | None:
        """The report that stands for a brand; None when it was never scanned."""
        query = {"brand": brand, "published": True}
        async with call("read the latest web scan"):
            found = await self._storage.collection(WEB_SCANS).find_one(query, sort=[("at", DESCENDING)])
        return None if found is None else _kept(found).report


def _id(task_id: str, entry: str) -> str:
    return f"{task_id}#{entry}" if entry else task_id


def _kept(document: Document) -> Kept:
    return Kept(document["report"], document["published"])
