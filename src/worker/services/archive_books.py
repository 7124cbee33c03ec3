"""What MongoDB knows of the archive: parts, what is left of each mention, the days. And the mentions at hand.

Which part a mention is counted in, is decided by its stone (a document of `archived_mentions`), which is inserted once:
whoever archives a mention again finds it taken. Nothing here depends on who else is at work; the order of the steps is
`archive_parts`' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from bson.binary import Binary
from bson.int64 import Int64
from pymongo import ASCENDING, IndexModel
from pymongo.write_concern import WriteConcern

from ..pipeline.archive_sums import Sums
from ..raw_storage import Raw, RawStorage, decoded, encoded, id_bytes, patient
from ..storage import ARCHIVED, MENTIONS, Document, Storage, archived_key, call, owner_number
from .archive_records import (
    COUNTED,
    FIELDS,
    HISTORY,
    PARTS,
    DayState,
    OldDay,
    Part,
    PartState,
    day_bounds,
    day_id,
    within,
)

_JOURNALED: Final = WriteConcern(w="majority", j=True)
"""What deletions are based on must not be taken back by a crash or a new primary."""
_PLAN_SEC: Final = 120.0
"""Counting the old mentions of a brand reads as many entries of an index: a million takes MongoDB a second or two."""
_STONES_PER_READ: Final = 100
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
"""A day before every day must exist; MongoDB knows times of millions of years."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where reading goes on: behind the mention of that time and `_id`."""

    when: datetime
    key: Any

    def behind(self, document: Mapping[str, Any]) -> bool:
        """Whether a mention lies before the place, or in it. Texts are ordered as MongoDB orders them."""
        if _timeless(document):
            return True
        if document["created_at"].replace(tzinfo=UTC) > self.when:
            return False
        identity = document["_id"]
        if isinstance(identity, str) and isinstance(self.key, str):
            return identity <= self.key
        return id_bytes(identity) == id_bytes(self.key)


def _timeless(document: Mapping[str, Any]) -> bool:
    """Whether a mention has a list of times, of which a query sees each."""
    return not isinstance(document["created_at"], datetime)


class ArchiveBooks:
    """Raises `StorageUnavailable` when waiting may help, `StorageRefused` when not."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._raw = RawStorage(storage)
        self._parts = storage.collection(PARTS).with_options(write_concern=_JOURNALED)
        self._days = storage.collection(HISTORY).with_options(write_concern=_JOURNALED)

    async def ensure_indexes(self) -> None:
        """Stones need none beside `_id`, which is all they are found by."""
        await self._storage.make_indexes(
            {
                PARTS: [
                    IndexModel([("brand", ASCENDING), ("day", ASCENDING), ("_id", ASCENDING)], name="by_brand_day"),
                    IndexModel([("number", ASCENDING)], name="by_number"),
                    IndexModel([("state", ASCENDING), ("day", ASCENDING)], name="by_state"),
                ],
                HISTORY: [
                    IndexModel([("brand", ASCENDING), ("day", ASCENDING)], name="by_brand_day"),
                    IndexModel([("state", ASCENDING)], name="by_state"),
                ],
            }
        )

    # -- mentions at hand --------------------------------------------------------------------------------------

    async def old_days(self, before: datetime) -> list[OldDay]:
        """Days with mentions written before that moment, by brand and day. Mentions without a time are in none, nor are
        those with several or with one before the year 1: they stay."""
        day = {"$dateToString": {"format": "%Y-%m-%d", "date": "$created_at"}}
        collection = self._storage.collection(MENTIONS)
        async with patient("find the brands of mentions", _PLAN_SEC):
            brands = [one for one in await collection.distinct("brand") if isinstance(one, str)]
        days: list[OldDay] = []
        for brand in sorted(brands):
            pipeline: list[Document] = [
                {"$match": {"brand": brand, "created_at": {"$gt": _FIRST, "$lt": before, "$not": {"$type": "array"}}}},
                {"$group": {"_id": day, "mentions": {"$sum": 1}}},
            ]
            async with patient("find old mentions", _PLAN_SEC):
                found = await collection.aggregate(pipeline).to_list(None)
            days += sorted((OldDay(brand, one["_id"], one["mentions"]) for one in found), key=lambda one: one.day)
        return days

    async def mentions(
        self, brand: str, day: str, *, after: tuple[datetime, Any] | None, count: int, size: int, windows: int = 1
    ) -> list[Raw]:
        """Mentions of a day in the order of their times, from those after a place on; bounded in number and bytes.

        `windows`: parts of the day that are read one after the other. MongoDB reads in the order of the index; the
        embedded server sorts all that a query finds, which of a day of 150,000 takes a minute, for each part anew.
        """
        begin, end = day_bounds(day)
        width = (end - begin) / windows
        start = after[0] if after is not None else begin
        found: list[Raw] = []
        for number in range(int((start - begin) / width), windows):
            until = end if number == windows - 1 else begin + width * (number + 1)
            some = await self._window(brand, (max(start, begin + width * number), until), after, count, size)
            found += some
            count -= len(some)
            size -= sum(len(one.bson) for one in some)
            if count <= 0 or size <= 0:
                break
        return found

    async def _window(
        self, brand: str, span: tuple[datetime, datetime], after: tuple[datetime, Any] | None, count: int, size: int
    ) -> list[Raw]:
        place = _Place(*after) if after is not None else None
        # What was read before has mostly left since, so that few are skipped; a condition with $or, which would skip
        # them in the database, makes the embedded server read all mentions.
        query = {"brand": brand, "created_at": within(*span)}
        skip = place.behind if place is not None else _timeless
        return await self._raw.read(MENTIONS, query, order=("created_at", "_id"), count=count, size=size, skip=skip)

    async def unchanged(self, documents: Sequence[Raw]) -> list[Any]:
        """The `_id`s of those that are at hand just as they are here."""
        at_hand = await self._raw.by_ids(MENTIONS, [one.id for one in documents])
        return [one.id for one in documents if at_hand.get(id_bytes(one.id)) == one.bson]

    async def remove_mentions(self, ids: Sequence[Any]) -> int:
        return await self._raw.delete(MENTIONS, ids)

    async def put_back(self, documents: Sequence[Raw]) -> int:
        """Insert mentions as they were; those at hand stay as they are. Returns how many were inserted."""
        return await self._raw.insert(MENTIONS, documents)

    # -- stones ------------------------------------------------------------------------------------------------

    async def taken(self, ids: Sequence[Any]) -> dict[bytes, int]:
        """Of those that are in the archive, by `id_bytes`: the number of the part they are counted in."""
        keys = {stone_key(one): id_bytes(one) for one in ids}
        wanted = [Binary(key) for key in keys]
        found: dict[bytes, int] = {}
        for start in range(0, len(wanted), _STONES_PER_READ):
            query = {"_id": {"$in": wanted[start : start + _STONES_PER_READ]}}
            async with call("read archived mentions"):
                stones = await self._storage.collection(ARCHIVED).find(query, {"part": 1}).to_list(None)
            found |= {keys[bytes(one["_id"])]: int(one["part"]) for one in stones}
        return found

    async def take(self, part: Part, documents: Sequence[Raw]) -> set[bytes]:
        """Take mentions for a part, and return (`id_bytes`) those that are its; the others are another part's."""
        await self._raw.insert(ARCHIVED, [_stone(one, part.number) for one in documents])
        taken = await self.taken([one.id for one in documents])
        return {key for key, number in taken.items() if number == part.number}

    async def forget(self, part: Part, documents: Sequence[Raw]) -> None:
        """Take the stones of a part's own mentions away: repeats of them will be new."""
        taken = await self.taken([one.id for one in documents])
        own = [one.id for one in documents if taken.get(id_bytes(one.id)) == part.number]
        await self._raw.delete(ARCHIVED, [Binary(stone_key(one)) for one in own])

    # -- parts -------------------------------------------------------------------------------------------------

    async def plan(self, part: Part, now: datetime) -> None:
        """Write down a part whose block is going to be written; of one that is known, only the time changes."""
        fields: Document = {name: getattr(part, name) for name in FIELDS}
        fields |= {"number": Int64(part.number), "state": PartState.PLANNED.value}
        change = {"$setOnInsert": fields, "$set": {"written_at": now}}
        async with call("plan a part"):
            await self._parts.update_one({"_id": part.name}, change, upsert=True)

    async def record(self, part: Part) -> None:
        """Its block is in the archive. A part that has been recorded before stays as it is."""
        query = {"_id": part.name, "state": PartState.PLANNED.value}
        async with call("record a part"):
            await self._parts.update_one(query, {"$set": {"state": PartState.WRITTEN.value}})

    async def abandoned(self, before: datetime, limit: int) -> list[Part]:
        """Parts that were planned before that moment, by janitors that did not come to record them."""
        return await self._found({"state": PartState.PLANNED.value, "written_at": {"$lt": before}}, limit=limit)

    async def give_up(self, part: Part) -> None:
        async with call("give a part up"):
            await self._parts.delete_one({"_id": part.name, "state": PartState.PLANNED.value})

    async def seal(self, part: Part, sums: Sums) -> None:
        """From now on its mentions count here. Two that seal one part have counted the same."""
        query = {"_id": part.name, "state": PartState.WRITTEN.value}
        change = {"$set": {"state": PartState.SEALED.value, "sums": sums.to_dict()}}
        async with call("seal a part"):
            await self._parts.update_one(query, change)

    async def finish(self, part: Part) -> None:
        query = {"_id": part.name, "state": PartState.SEALED.value}
        async with call("finish a part"):
            await self._parts.update_one(query, {"$set": {"state": PartState.DONE.value}})

    async def expire(self, part: Part) -> None:
        async with call("expire a part"):
            await self._parts.update_one({"_id": part.name}, {"$set": {"state": PartState.EXPIRED.value}})

    async def revive(self, part: Part) -> Part:
        """A part that had expired has a block again: the very same mentions came back. They are counted already."""
        async with call("revive a part"):
            await self._parts.update_one({"_id": part.name}, {"$set": {"state": PartState.SEALED.value}})
        return replace(part, state=PartState.SEALED)

    async def part(self, name: str) -> Part | None:
        found = await self._found({"_id": name}, limit=1)
        return found[0] if found else None

    async def parts_by_number(self, numbers: Sequence[int]) -> dict[int, Part]:
        """Parts by what stones call them; a number nobody has is missing."""
        wanted = [Int64(number) for number in numbers]
        return {part.number: part for part in await self._found({"number": {"$in": wanted}})}

    async def parts_of(self, brand: str, day: str) -> list[Part]:
        """All recorded parts of a day, by name."""
        return await self._found({"brand": brand, "day": day, "state": {"$ne": PartState.PLANNED.value}})

    async def unfinished(self) -> list[Part]:
        return await self._found({"state": {"$in": [PartState.WRITTEN.value, PartState.SEALED.value]}})

    async def older(self, day: str, limit: int) -> list[Part]:
        """Finished parts of days before that one."""
        return await self._found({"state": PartState.DONE.value, "day": {"$lt": day}}, limit=limit)

    async def sums(self, brand: str, days: Sequence[str]) -> dict[str, list[tuple[Part, Sums]]]:
        """What is counted of the parts of some days, by day; days without a part that counts are missing."""
        query = {"brand": brand, "day": {"$in": list(days)}, "state": {"$in": [state.value for state in COUNTED]}}
        async with call("read parts"):
            found = await self._storage.collection(PARTS).find(query).sort("_id", ASCENDING).to_list(None)
        out: dict[str, list[tuple[Part, Sums]]] = {}
        for one in found:
            out.setdefault(one["day"], []).append((Part.of(one), Sums.from_dict(one["sums"])))
        return out

    async def counted_numbers(self, brand: str, day: str) -> set[int]:
        """Numbers of a day's parts that count."""
        query = {"brand": brand, "day": day, "state": {"$in": [state.value for state in COUNTED]}}
        return {part.number for part in await self._found(query)}

    async def counted_within(self, brand: str, first: str, last: str) -> bool:
        """Whether any day from `first` to `last` has a part that counts."""
        states = [state.value for state in COUNTED]
        query = {"brand": brand, "day": {"$gte": first, "$lte": last}, "state": {"$in": states}}
        async with call("read parts"):
            return await self._storage.collection(PARTS).find_one(query, {"_id": 1}) is not None

    async def _found(self, query: Document, *, limit: int = 0) -> list[Part]:
        async with call("read parts"):
            cursor = self._storage.collection(PARTS).find(query, {"sums": 0}).sort("_id", ASCENDING).limit(limit)
            found = await cursor.to_list(None)
        return [Part.of(one) for one in found]

    # -- days --------------------------------------------------------------------------------------------------

    async def open_day(self, brand: str, day: str) -> None:
        """Said before anything is added to a day, so that it is closed again whatever happens."""
        fields = {"brand": brand, "day": day, "state": DayState.OPEN.value}
        async with call("open a day"):
            await self._days.update_one({"_id": day_id(brand, day)}, {"$set": fields}, upsert=True)

    async def close_day(self, brand: str, day: str, fields: Document) -> None:
        change = {"$set": {**fields, "brand": brand, "day": day, "state": DayState.CLOSED.value}}
        async with call("close a day"):
            await self._days.update_one({"_id": day_id(brand, day)}, change, upsert=True)

    async def open_days(self) -> list[tuple[str, str]]:
        async with call("find open days"):
            query = {"state": DayState.OPEN.value}
            found = await self._storage.collection(HISTORY).find(query, {"brand": 1, "day": 1}).to_list(None)
        return sorted((one["brand"], one["day"]) for one in found)

    async def day(self, brand: str, day: str) -> Document | None:
        async with call("read a day"):
            return await self._storage.collection(HISTORY).find_one({"_id": day_id(brand, day)})

    async def held(self, now: datetime) -> set[tuple[str, str]]:
        """Days that were brought back and are to be left alone."""
        async with call("find days that were brought back"):
            query = {"held_until": {"$gt": now}}
            found = await self._storage.collection(HISTORY).find(query, {"brand": 1, "day": 1}).to_list(None)
        return {(one["brand"], one["day"]) for one in found}

    async def hold_day(self, brand: str, day: str, until: datetime) -> None:
        async with call("hold a day"):
            await self._days.update_one({"_id": day_id(brand, day)}, {"$set": {"held_until": until}})


def stone_key(identity: Any) -> bytes:
    """`_id` of a stone. Ours are texts; a mention somebody else has put there may have one of another type."""
    return archived_key(identity if isinstance(identity, str) else f"\x00{id_bytes(identity).hex()}")


def _stone(document: Raw, number: int) -> Raw:
    fields = decoded(document.bson)
    author, owner = fields.get("author"), fields.get("owner")
    stone = {
        "_id": Binary(stone_key(document.id)),
        "part": Int64(number),
        "author": author if isinstance(author, str) else None,
        "owner": Int64(owner_number(owner)) if isinstance(owner, str) else None,
    }
    return Raw(stone["_id"], encoded(stone))
