"""The mentions behind a crisis: its event names them by the producers' ids, here they are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from ..storage import MENTIONS, Document, Storage, call
from ..times import parse_time
from .insight_store import BRAND_STATE, CRISIS_EVENTS

_BEFORE: Final = timedelta(days=2)
"""An hour is judged with the day before it; mentions may come an hour late."""
_AFTER: Final = timedelta(hours=2)
_MOST: Final = 50


class CrisisEvidence:
    """Raises like the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def event(self, brand: str, identity: str) -> Document | None:
        """A crisis that was told, or one that is provisional; None when there is none of that id."""
        async with call("read crisis"):
            found: Document | None = await self._storage.collection(CRISIS_EVENTS).find_one(
                {"_id": identity, "brand": brand}
            )
            if found is not None:
                return found
            state = await self._storage.collection(BRAND_STATE).find_one({"_id": brand}, {"provisional.crises": 1})
        known: Sequence[Document] = [] if state is None else state["provisional"]["crises"]
        return next((one for one in known if one["id"] == identity), None)

    async def mentions(self, brand: str, event: Mapping[str, Any]) -> list[Document]:
        """Those of the event's `evidence` that are still at hand, in the event's order: the worst first."""
        ids = list(event["evidence"])[:_MOST]
        opened, told = parse_time(event["createdAt"]), parse_time(event["timestamp"])
        if not ids or opened is None or told is None:
            return []
        # The index is by brand and time: only mentions of that time are looked at.
        times = {"$gte": opened - _BEFORE, "$lt": told + _AFTER}
        async with call("read mentions of a crisis"):
            cursor = self._storage.collection(MENTIONS).find({"brand": brand, "created_at": times, "id": {"$in": ids}})
            found = await cursor.to_list(4 * _MOST)
        first: dict[str, Document] = {}
        for document in found:
            first.setdefault(document["id"], document)
        return [first[one] for one in ids if one in first]
