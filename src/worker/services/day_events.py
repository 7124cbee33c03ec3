"""What happened on a brand's days besides mentions: leads, spikes of volume, crises that opened. Counted, not kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..storage import LEADS, Document, Storage, call
from ..times import iso_ms, to_ms
from .archive_records import day_bounds, within
from .insight_store import CRISIS_EVENTS, SPIKES

_SHOWN: Final = 50
"""Spikes and crises listed of one day; a day has a few at most, each spike lasting an hour and more."""
_SPIKE: Final = ("spikeScore", "mentionCount", "threshold")
_CRISIS: Final = ("severity", "riskScore", "triggeredReasons")


class DayEvents:
    """Raises `StorageUnavailable` when waiting may help."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of(self, brand: str, day: str) -> Document:
        """`leads` (a count), `spikes` and `crises` (a list each, in the order of time)."""
        begin, end = day_bounds(day)
        async with call("read the events of a day"):
            leads = await self._storage.collection(LEADS).count_documents({"brand": brand, "at": within(begin, end)})
            span = {"brand": brand, "ms": {"$gt": to_ms(begin) - 1, "$lt": to_ms(end)}}
            spikes = await self._storage.collection(SPIKES).find(span).sort("ms", 1).to_list(_SHOWN)
            crises = await self._storage.collection(CRISIS_EVENTS).find(span).sort("ms", 1).to_list(_SHOWN)
        return {
            "leads": leads,
            "spikes": [_told(one, _SPIKE) for one in spikes],
            "crises": [_told(one, _CRISIS) for one in crises],
        }


def _told(document: Document, names: Sequence[str]) -> dict[str, Any]:
    return {"at": iso_ms(document["ms"]), **{name: document[name] for name in names if name in document}}
