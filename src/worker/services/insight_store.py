"""Insight in MongoDB: waiting contributions, brand states, volume, spikes, crises.

Contributions wait inside the chunks' own documents: one write makes a chunk known and its contribution waiting. A
state is replaced only by whoever read the version before it. What a version adds elsewhere is guarded by that version
(`fold`), so that it is added once, however often and by however many workers it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, DESCENDING, IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.write_concern import WriteConcern

from ..errors import StorageUnavailable
from ..pipeline.brand_state import BrandState
from ..pipeline.contribution import Contribution
from ..pipeline.fold_order import Waits
from ..spike_detector import BUCKET_MS
from ..storage import PROCESSED_CHUNKS, Document, Storage, StorageRefused, call, parts
from ..times import from_ms, iso_ms, to_ms

BRAND_STATE: Final = "brand_state"
VOLUME: Final = "volume"
SPIKES: Final = "spikes"
CRISIS_EVENTS: Final = "crisis_events"
POSTS: Final = "posts"
"""Repeats that were counted, by text and person: the same post found again counts once."""

_KEPT_SEC: Final = 400 * 86_400
"""Of volume, spikes and crises after they were written: a year can be compared with the one before it."""
_BULK: Final = 500
"""Upserts per call: a replay's version may add to thousands of buckets, and each call has a deadline."""
_AT_ONCE: Final = 200
"""Documents of a page in memory, before they are what is shown of them."""
_DUPLICATE_KEY: Final = 11000
_JOURNALED: Final = WriteConcern(w="majority", j=True)
"""What decides whether something counts again must not be taken back by a crash or a new primary."""
_SPAN: Final = ("first_ms", "last_ms")
_TOLD: Final = ("timestamp", "severity", "riskScore", "triggeredReasons", "reasons")
"""Fields of an event that are kept of each of its revisions."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Contributions of a brand that wait for being folded."""

    brand: str
    chunks: int
    oldest: datetime
    """When the first of them was processed."""


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """One page of a list, newest first; `following` is the number and id of its last item, None on the last page."""

    items: list[Document]
    """As they were asked to be shown."""
    following: tuple[int, str] | None


def insight_indexes(posts_ttl_days: int) -> dict[str, list[IndexModel]]:
    """Of all collections above, and for what waits in `processed_chunks`; posts go when chunks do."""
    kept = {"expireAfterSeconds": _KEPT_SEC}
    by_time = IndexModel([("brand", ASCENDING), ("ms", DESCENDING), ("_id", DESCENDING)], name="by_brand_time")
    expiry = IndexModel([("written_at", ASCENDING)], name="expiry", **kept)
    return {
        PROCESSED_CHUNKS: [
            # Folded chunks leave the field, and the index with it: it holds what waits and nothing else.
            IndexModel(
                [("insight.waiting", ASCENDING), ("first_seen", ASCENDING), ("_id", ASCENDING)],
                name="insight_waiting",
                partialFilterExpression={"insight.waiting": {"$exists": True}},
            )
        ],
        BRAND_STATE: [IndexModel([("advance_ms", ASCENDING)], name="by_advance")],
        VOLUME: [by_time, expiry],
        SPIKES: [by_time, expiry],
        CRISIS_EVENTS: [by_time, expiry],
        POSTS: [IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=posts_ttl_days * 86_400)],
    }


class InsightStore:
    """Raises `StorageUnavailable` when waiting may help, `StorageRefused` when not."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    # -- posts -------------------------------------------------------------------------------------------------

    async def claim_posts(self, keys: Iterable[str], *, owner: str, now: datetime) -> set[str]:
        """Those of the keys that this chunk was the first to bring; the same answer at every execution of it."""
        claimed: set[str] = set()
        for some in parts(list(dict.fromkeys(keys))):
            claimed |= await self._claim_posts(some, owner, now)
        return claimed

    async def _claim_posts(self, wanted: Sequence[str], owner: str, now: datetime) -> set[str]:
        collection = self._storage.collection(POSTS)
        async with call("claim posts"):
            found = await collection.find({"_id": {"$in": list(wanted)}}).to_list(None)
            known = {one["_id"]: one["owner"] for one in found}
            missing = [key for key in wanted if key not in known]
            if missing:
                operations = [InsertOne({"_id": key, "owner": owner, "at": now}) for key in missing]
                await _write_once(collection, operations)
                found = await collection.find({"_id": {"$in": missing}}).to_list(None)
                known |= {one["_id"]: one["owner"] for one in found}
        return {key for key, first in known.items() if first == owner}

    # -- contributions -----------------------------------------------------------------------------------------

    async def waiting(self) -> list[Waiting]:
        """Brands with contributions that wait, those that wait longest first."""
        rows = await self._storage.aggregate(
            PROCESSED_CHUNKS,
            [
                {"$match": {"insight.waiting": {"$gt": ""}}},
                {"$group": {"_id": "$insight.waiting", "chunks": {"$sum": 1}, "oldest": {"$min": "$first_seen"}}},
            ],
        )
        found = [Waiting(row["_id"], row["chunks"], row["oldest"]) for row in rows]
        return sorted(found, key=lambda one: one.oldest)

    async def waiting_chunks(self, brand: str, limit: int) -> list[Waits]:
        """Chunks of a brand whose contributions wait, those that were processed first before the others."""
        fields = {"first_seen": 1, "insight.first_ms": 1, "insight.last_ms": 1}
        async with call("find contributions"):
            cursor = self._storage.collection(PROCESSED_CHUNKS).find({"insight.waiting": brand}, fields)
            found = await cursor.sort([("first_seen", ASCENDING), ("_id", ASCENDING)]).to_list(limit)
        return [
            Waits(one["_id"], to_ms(one["first_seen"]), *(one["insight"].get(name) or 0 for name in _SPAN))
            for one in found
        ]

    async def contributions(self, keys: Sequence[str]) -> list[Document]:
        """Those of the chunks that still wait, with their contributions; in the order of their keys."""
        fields = {"chunk_id": 1, "first_seen": 1, "insight": 1, "result.summary": 1, "result.clusters.id": 1}
        query = {"_id": {"$in": list(keys)}, "insight.waiting": {"$exists": True}}
        async with call("read contributions"):
            cursor = self._storage.collection(PROCESSED_CHUNKS).find(query, fields)
            found: list[Document] = await cursor.sort("_id", ASCENDING).to_list(None)
        return found

    async def mark_folded(self, keys: Sequence[str], *, problem: str | None = None) -> None:
        """Take the contributions out of the chunks: they are in a state now, or (`problem`) cannot be read."""
        if not keys:
            return
        change: Document = {"$unset": {"insight.waiting": "", "insight.sums": ""}}
        if problem is not None:
            change["$set"] = {"insight.problem": problem}
        async with call("mark chunks as folded"):
            collection = self._storage.collection(PROCESSED_CHUNKS).with_options(write_concern=_JOURNALED)
            await collection.update_many({"_id": {"$in": list(keys)}}, change)

    # -- states ------------------------------------------------------------------------------------------------

    async def state(self, brand: str) -> Document | None:
        async with call("read brand state"):
            return await self._storage.collection(BRAND_STATE).find_one({"_id": brand})

    async def spike_state(self, brand: str) -> Document | None:
        """The few fields that say whether a brand has spiked."""
        fields = {"as_of_ms": 1, "spiked_ms": 1, "provisional.spikes.bucketMs": 1, "stream_topics.spiking": 1}
        async with call("read brand state"):
            return await self._storage.collection(BRAND_STATE).find_one({"_id": brand}, fields)

    async def merged_topics(self, brand: str) -> dict[str, str]:
        """Topics that have become others, as far as chunks have told."""
        async with call("read brand state"):
            found = await self._storage.collection(BRAND_STATE).find_one(
                {"_id": brand}, {"stream_topics.sums.merged": 1}
            )
        return {} if found is None or "stream_topics" not in found else dict(found["stream_topics"]["sums"]["merged"])

    async def replace(self, state: Document, *, read: int | None) -> bool:
        """Store a state if the version that was read (None: there was none) is still the stored one."""
        collection = self._storage.collection(BRAND_STATE).with_options(write_concern=_JOURNALED)
        async with call("store brand state"):
            if read is not None:
                answer = await collection.replace_one({"_id": state["_id"], "version": read}, state)
                return answer.matched_count == 1
            try:
                await collection.insert_one(state)
            except DuplicateKeyError:
                return False
        return True

    async def silent(self, now_ms: int, limit: int) -> list[str]:
        """Brands whose silence is to be judged."""
        async with call("find silent brands"):
            cursor = self._storage.collection(BRAND_STATE).find({"advance_ms": {"$lte": now_ms}}, {"_id": 1})
            found = await cursor.sort("advance_ms", ASCENDING).to_list(limit)
        return [one["_id"] for one in found]

    async def states(self, *, limit: int, after: str | None) -> list[Document]:
        """Brands in the order of their slugs, with the fields of an overview; one more than `limit` if there is."""
        fields = {"totals.stored": 1, "as_of_ms": 1, "updated_ms": 1, "overview": 1}
        query: Document = {"_id": {"$gt": after}} if after is not None else {}
        async with call("list brands"):
            cursor = self._storage.collection(BRAND_STATE).find(query, fields).sort("_id", ASCENDING)
            found: list[Document] = await cursor.to_list(limit + 1)
        return found

    # -- what follows from a state -----------------------------------------------------------------------------

    async def settle(self, state: BrandState, now: datetime) -> None:
        """Write what this version adds to volume, spikes and crises; nothing when it has been written before."""
        outbox, brand, fold = state.outbox, state.brand, state.version
        volume = [
            _guarded(
                f"{brand}:{bucket}",
                fold,
                {
                    "$inc": {"count": count, **{f"topics.{topic}": posts for rows in topics for topic, posts in rows}},
                    "$set": {"brand": brand, "ms": bucket * BUCKET_MS, "written_at": now},
                },
            )
            for bucket, count, *topics in outbox.volume
        ]
        spikes = [
            _guarded(one["id"], fold, {"$set": {**one, "ms": one["bucketMs"], "written_at": now}})
            for one in outbox.spikes
        ]
        for name, operations in (
            (VOLUME, volume),
            (SPIKES, spikes),
            (CRISIS_EVENTS, _crises(outbox.crises, fold, now)),
        ):
            collection = self._storage.collection(name).with_options(write_concern=_JOURNALED)
            for start in range(0, len(operations), _BULK):
                async with call(f"store {name}"):
                    await _write_once(collection, operations[start : start + _BULK])

    # -- reading -----------------------------------------------------------------------------------------------

    async def page(
        self,
        name: str,
        brand: str,
        *,
        limit: int,
        before: tuple[int, str] | None,
        query: Mapping[str, Any] | None = None,
        fields: Sequence[str] | None = None,
        show: Callable[[Document], Document],
    ) -> NumberedPage:
        """A brand's documents of a collection, newest first, read a few at a time: a week has 2,016 buckets.

        Args:
            fields: that `show` needs, beside `_id` and `ms`; None: all.
        """
        wanted: Document = {"brand": brand, **(query or {})}
        if before is not None:
            ms, key = before
            older: list[Document] = [{"ms": {"$lt": ms}}, {"ms": ms, "_id": {"$lt": key}}]
            wanted["$or"] = older
        async with call(f"list {name}"):
            found = self._storage.collection(name).find(wanted, None if fields is None else ["ms", *fields])
            cursor = found.sort([("ms", DESCENDING), ("_id", DESCENDING)]).limit(limit + 1).batch_size(_AT_ONCE)
            items: list[Document] = []
            last: tuple[int, str] | None = None
            while some := await cursor.to_list(_AT_ONCE):
                for document in some:
                    if len(items) == limit:
                        return NumberedPage(items, last)
                    items.append(show(document))
                    last = (document["ms"], document["_id"])
        return NumberedPage(items, None)


def waiting_fields(brand: str, sums: Contribution) -> Document:
    """The field `insight` of a chunk's document while its contribution waits."""
    return {"waiting": brand, "first_ms": sums.first_ms, "last_ms": sums.last_ms, "sums": sums.to_dict()}


def _guarded(key: str, fold: int, change: Document) -> UpdateOne:
    """An upsert that is done once per version: again, its filter fits nothing, and inserting is a duplicate."""
    change["$set"] = {**change["$set"], "fold": fold}
    return UpdateOne({"_id": key, "fold": {"$lt": fold}}, change, upsert=True)


def _crises(told: Sequence[Document], fold: int, now: datetime) -> list[UpdateOne]:
    """One document per crisis: as it stands now, and what was said of it when."""
    by_id: dict[str, list[Document]] = {}
    for one in told:
        by_id.setdefault(one["id"], []).append(one)
    operations = []
    for key, revisions in by_id.items():
        last = revisions[-1]
        change: Document = {
            "$set": {**last, "ms": _opened_ms(last), "written_at": now},
            "$push": {"history": {"$each": [{name: one[name] for name in _TOLD} for one in revisions]}},
        }
        operations.append(_guarded(key, fold, change))
    return operations


def _opened_ms(event: Document) -> int:
    when = datetime.fromisoformat(event["createdAt"])
    return round((when - from_ms(0)).total_seconds() * 1000)


async def _write_once(collection: AsyncIOMotorCollection[Document], operations: Sequence[Any]) -> None:
    """A bulk in which duplicates of keys mean that somebody has written the same before."""
    try:
        await collection.bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        problems = [bad for bad in error.details.get("writeErrors", []) if bad.get("code") != _DUPLICATE_KEY]
        if problems:
            raise StorageRefused(f"store insight: {problems[0].get('errmsg', 'refused')}") from error
        if error.details.get("writeConcernErrors"):
            raise StorageUnavailable("store insight: not acknowledged by enough members") from error


def shown(document: Mapping[str, Any]) -> Document:
    """A stored spike, crisis or bucket as the API shows it."""
    own = ("_id", "fold", "ms", "written_at", "bucketMs")
    return {name: value for name, value in document.items() if name not in own}


def bucket_shown(document: Mapping[str, Any], topics: Sequence[str] = ()) -> Document:
    """A bucket's posts; with `topics` those of them that are in one of these."""
    count = document["count"] if not topics else sum(document["topics"].get(topic, 0) for topic in topics)
    return {"timestamp": iso_ms(document["ms"]), "count": count}
