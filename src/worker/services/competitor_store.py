"""Competitors in MongoDB: one document per brand and name, which grows over the runs and never loses what it had."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from ..competitor_findings import Finding, Status, merged, publishable
from ..competitor_names import name_key
from ..errors import StorageUnavailable
from ..storage import Document, Storage, call

COMPETITORS: Final = "competitors"
PER_BRAND_MAX: Final = 200
"""Names kept per brand: ten times what is published. Whoever comes later than that is noise, and is not stored."""
_KEPT_SEC: Final = 400 * 86_400
"""After the last time it was seen: a year can be compared with the one before it."""
_JOURNALED: Final = WriteConcern(w="majority", j=True)
_TRIES: Final = 8
"""Two runs about one brand may write the same name: the one whose version is stale reads again."""


def competitor_indexes() -> dict[str, list[IndexModel]]:
    """For `Storage.make_indexes` at the start."""
    return {
        COMPETITORS: [
            IndexModel([("brand", ASCENDING), ("grade", ASCENDING)], name="by_brand"),
            IndexModel([("last_seen", ASCENDING)], name="expiry", expireAfterSeconds=_KEPT_SEC),
        ]
    }


class CompetitorStore:
    """Every method raises `StorageUnavailable` when waiting may help."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of(self, brand: str) -> list[Document]:
        """All that is known of a brand's competitors, dismissed ones too."""
        async with call("read competitors"):
            found: list[Document] = (
                await self._storage.collection(COMPETITORS).find({"brand": brand}).to_list(PER_BRAND_MAX)
            )
        return found

    async def merge(self, brand: str, findings: Iterable[Finding], *, now: datetime) -> list[Document]:
        """Join a run's findings with what is stored, and return everything that is stored then.

        Safe to repeat, and safe beside another run: a document is replaced only as it was read.
        """
        known = {document["key"] for document in await self.of(brand)}
        room = PER_BRAND_MAX - len(known)
        for finding in findings:
            if finding.key in known or publishable(finding):
                room -= await self._merge_one(brand, finding, now=now, room=room)
        return await self.of(brand)

    async def decide(self, brand: str, name: str, status: Status, *, now: datetime) -> Document | None:
        """Set a competitor's status by a person's word, for good; None when no such name is stored."""
        identity = f"{brand}:{name_key(name)}"
        change = {"$set": {"status": status.value, "decided": now}, "$inc": {"rev": 1}}
        async with call("decide on a competitor"):
            found: Document | None = await self._storage.collection(COMPETITORS).find_one_and_update(
                {"_id": identity}, change, return_document=ReturnDocument.AFTER
            )
        return found

    async def _merge_one(self, brand: str, finding: Finding, *, now: datetime, room: int) -> int:
        """Returns how many documents are new: one or none."""
        collection = self._storage.collection(COMPETITORS).with_options(write_concern=_JOURNALED)
        identity = f"{brand}:{finding.key}"
        for _ in range(_TRIES):
            async with call("store a competitor"):
                old = await collection.find_one({"_id": identity})
                document = merged(old, finding, brand=brand, now=now)
                if document is None or document == old or (old is None and room <= 0):
                    return 0
                if old is None:
                    try:
                        await collection.insert_one({**document, "rev": 1})
                    except DuplicateKeyError:
                        continue
                    return 1
                changed = {**document, "rev": old["rev"] + 1}
                answer = await collection.replace_one({"_id": identity, "rev": old["rev"]}, changed)
                if answer.matched_count == 1:
                    return 0
        raise StorageUnavailable("store a competitor: other runs write the same one all the time")
