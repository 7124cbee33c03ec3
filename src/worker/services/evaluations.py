"""What evaluation tasks leave behind in MongoDB: analyses with their reports, and transcripts that were paid for.

Documents are kept as JSON text beside a few fields to find them by: their keys are model names, which hold dots, colons
and dollars, and what comes back must be what went in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel

from .. import strictjson
from ..storage import Document, Page, Storage, call

ANALYSES: Final = "analyses"
TRANSCRIPTS: Final = "transcripts"


class Evaluations:
    """Every write is an upsert by the task's id: a task that runs twice leaves one document."""

    def __init__(self, storage: Storage, *, clock: Callable[[], datetime], ttl_days: int) -> None:
        self._storage = storage
        self._clock = clock
        self._ttl_sec = ttl_days * 86_400

    async def ensure_indexes(self) -> None:
        age = IndexModel([("at", DESCENDING), ("_id", DESCENDING)], name="by_time")
        await self._storage.make_indexes(
            {
                ANALYSES: [age, IndexModel([("run_id", ASCENDING), ("at", DESCENDING)], name="by_run"), self._expiry()],
                TRANSCRIPTS: [IndexModel([("run_id", ASCENDING), ("at", DESCENDING)], name="by_run"), self._expiry()],
            }
        )

    async def keep_analysis(self, task_id: str, run_id: str, analysis: Mapping[str, Any]) -> None:
        """Keep what `analyze_basic` found. Raises `StorageUnavailable`, `StorageRefused` (over 16 MB)."""
        await self._keep(ANALYSES, task_id, {"run_id": run_id}, analysis)

    async def keep_transcript(self, task_id: str, payload: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Keep what `probe` brought, also one that ended in an error after some turns were paid for."""
        names = {"run_id": "runId", "scenario_id": "scenarioId", "model_id": "modelId"}
        fields = {name: str(payload.get(key) or "") for name, key in names.items()}
        await self._keep(TRANSCRIPTS, task_id, {**fields, "success": document.get("success") is True}, document)

    async def analysis(self, identity: str) -> dict[str, Any] | None:
        """An analysis as it was published; None when there is none of that id."""
        async with call("read an analysis"):
            found = await self._storage.collection(ANALYSES).find_one({"_id": identity})
        return None if found is None else strictjson.loads(found["json"].encode())

    async def analyses(self, *, limit: int, before: tuple[datetime, str] | None) -> Page:
        """Which analyses there are, newest first: `_id`, `run_id`, `at`."""
        query: Document = {}
        if before is not None:
            when, key = before
            query["$or"] = [{"at": {"$lt": when}}, {"at": when, "_id": {"$lt": key}}]
        async with call("list analyses"):
            cursor = self._storage.collection(ANALYSES).find(query, {"json": 0})
            items = await cursor.sort([("at", DESCENDING), ("_id", DESCENDING)]).limit(limit + 1).to_list(limit + 1)
        more, items = len(items) > limit, items[:limit]
        return Page(items, (items[-1]["at"], items[-1]["_id"]) if more else None)

    async def _keep(self, name: str, task_id: str, fields: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        kept = {**fields, "json": strictjson.dumps(document).decode(), "at": self._clock()}
        async with call(f"store {name}"):
            await self._storage.collection(name).update_one({"_id": task_id}, {"$set": kept}, upsert=True)

    def _expiry(self) -> IndexModel:
        return IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=self._ttl_sec)
