"""Topics in MongoDB: one document per brand with its state, the counter that numbers them, what mentions say of them.

A state is replaced only by whoever has read the version before it. Numbers are reserved from a counter of their own, so
that no topic ever gets a number that another one has had, whatever becomes of states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from ..errors import StorageUnavailable
from ..pipeline.topic_sums import TopicRow
from ..storage import MENTIONS, Document, Storage, call, parts
from ..times import to_ms

TOPICS: Final = "topics"
TOPIC_NUMBERS: Final = "topic_numbers"
"""Per brand: the last number given out, and which topics a model has been asked to name."""
_JOURNALED: Final = WriteConcern(w="majority", j=True)
"""A number that was given out must stay given out."""
_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Names:
    """What is known of a brand's topics without their centroids."""

    labels: Mapping[str, Document]
    """Rows of `topic_records`, without examples."""
    merged: Mapping[str, str]


def topic_indexes() -> dict[str, list[IndexModel]]:
    """Of mentions by topic. States and counters are found by their brand, of which each has one."""
    keys = [("brand", ASCENDING), ("topic", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)]
    return {MENTIONS: [IndexModel(keys, name="by_topic", partialFilterExpression={"topic": {"$gt": ""}})]}


class TopicStore:
    """Raises `StorageUnavailable` when waiting may help, `StorageRefused` when not."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    # -- states ------------------------------------------------------------------------------------------------

    async def read(self, brand: str) -> Document | None:
        async with call("read topics"):
            return await self._storage.collection(TOPICS).find_one({"_id": brand})

    async def replace(self, brand: str, record: Document, *, read: int | None) -> bool:
        """Store the version after the one that was read (None: there was none); False: another one is stored."""
        document = {"_id": brand, **record, "version": (read or 0) + 1}
        collection = self._storage.collection(TOPICS)
        async with call("store topics"):
            if read is not None:
                answer = await collection.replace_one({"_id": brand, "version": read}, document)
                return answer.matched_count == 1
            try:
                await collection.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def names(self, brand: str) -> Names:
        """Labels and mergers of a brand, as far as they have been stored."""
        fields = {"topics.id": 1, "topics.label": 1, "topics.labelBy": 1, "topics.labelAt": 1, "topics.summary": 1}
        async with call("read topics"):
            found = await self._storage.collection(TOPICS).find_one({"_id": brand}, {**fields, "merged": 1})
        if found is None:
            return Names({}, {})
        return Names({row["id"]: row for row in found["topics"]}, dict(found["merged"]))

    # -- numbers -----------------------------------------------------------------------------------------------

    async def reserve(self, brand: str, count: int) -> range:
        """So many numbers that nobody has had and nobody else will get."""
        collection = self._storage.collection(TOPIC_NUMBERS).with_options(write_concern=_JOURNALED)
        for _ in range(_TRIES):
            async with call("reserve topic numbers"):
                try:
                    found = await collection.find_one_and_update(
                        {"_id": brand}, {"$inc": {"last": count}}, upsert=True, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError:  # two workers at a brand's first mention: the other one made the counter
                    continue
            if found is not None:  # a compatible server may say so little of two upserts at once; numbers are many
                return range(int(found["last"]) - count + 1, int(found["last"]) + 1)
        raise StorageUnavailable("reserve topic numbers: the counter cannot be made")

    async def claim_naming(self, brand: str, topic: str, step: int) -> bool:
        """Whether a model may be asked to name the topic at so many mentions: the first who asks may, once."""
        field = f"named.{topic}"
        query = {"_id": brand, "$or": [{field: {"$exists": False}}, {field: {"$lt": step}}]}
        async with call("claim the naming of a topic"):
            answer = await self._storage.collection(TOPIC_NUMBERS).update_one(query, {"$set": {field: step}})
        return answer.matched_count == 1

    # -- mentions ----------------------------------------------------------------------------------------------

    async def topics_of(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Topics of stored mentions by `_id`; absent ones are missing."""
        found: list[Document] = []
        for some in parts(keys):
            async with call("read topics of mentions"):
                cursor = self._storage.collection(MENTIONS).find({"_id": {"$in": list(some)}}, {"topic": 1})
                found += await cursor.to_list(None)
        return {one["_id"]: one.get("topic") for one in found}

    async def rows(self, brand: str, since: datetime) -> dict[str, TopicRow]:
        """Stored mentions of a brand since a moment, by the topic they were stored with."""
        rows = await self._storage.aggregate(
            MENTIONS,
            [
                {"$match": {"brand": brand, "topic": {"$gt": ""}, "created_at": {"$gte": since}}},
                {
                    "$group": {
                        "_id": {"topic": "$topic", "label": "$sentiment.label"},
                        "count": {"$sum": 1},
                        "score": {"$sum": "$sentiment.score"},
                        "first": {"$min": "$created_at"},
                        "last": {"$max": "$created_at"},
                    }
                },
            ],
        )
        out: dict[str, TopicRow] = {}
        for row in rows:
            count, milli = int(row["count"]), round(row["score"] * 1000)
            one = TopicRow(count, count, to_ms(row["first"]), to_ms(row["last"]), milli)
            one.labels[row["_id"]["label"]] = count
            out.setdefault(row["_id"]["topic"], TopicRow()).merge(one)
        return out

    async def newest(self, brand: str, topics: Sequence[str], limit: int) -> list[Document]:
        """The newest mentions of topics: `_id`, `id` and `text`."""
        # One name is asked for as it is: then the index has the order, and servers read three mentions and not all.
        query = {"brand": brand, "topic": topics[0] if len(topics) == 1 else {"$in": list(topics)}}
        async with call("read mentions of a topic"):
            cursor = self._storage.collection(MENTIONS).find(query, {"id": 1, "text": 1})
            found: list[Document] = await cursor.sort([("created_at", DESCENDING), ("_id", DESCENDING)]).to_list(limit)
        return found
