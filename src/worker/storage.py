"""MongoDB: collections, indexes and the few operations the worker needs. The only module that knows the driver.

Every write is an upsert under a key made of the content, so that any of them may run twice.
Changing the driver (motor's successor is PyMongo's own async client) is a change of the imports below.
"""

from __future__ import annotations

import asyncio
import hashlib
import linecache
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument

from .errors import ConfigError, StorageUnavailable, WorkerError
from .imports import absent
from .trace_context import SpanKind
from .tracing import span

# The driver loads all of `cryptography` (8 MB) before it finds that pyOpenSSL, which is none of our packages, is not
# there. TLS is the standard library's for it, as it is without this.
with absent("pymongo.pyopenssl_context"):
    from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
    from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
    from pymongo.errors import (
        BulkWriteError,
        ConnectionFailure,
        ExecutionTimeout,
        OperationFailure,
        PyMongoError,
        WTimeoutError,
    )
    from pymongo.write_concern import WriteConcern

Document = dict[str, Any]
_Item = TypeVar("_Item")

MENTIONS: Final = "mentions"
PROCESSED_CHUNKS: Final = "processed_chunks"
LLM_CALLS: Final = "llm_calls"
LEADS: Final = "leads"
ARCHIVED: Final = "archived_mentions"
"""What is left of a mention in the archive: enough to know a repeat of it."""

_LEADS_KEPT_SEC: Final = 400 * 86_400
"""A year of leads can be compared with the one before it."""

_CALL_TIMEOUT_SEC: Final = 15.0
"""Longest one database call may take; a bulk of 200 upserts takes 0.1 s on a laptop."""
PER_CALL: Final = 500
"""Documents one call reads or writes. A chunk may have thousands; in one call they were seen to take longer than the
timeout where the machine was busy, at every attempt anew."""
_INDEX_TIMEOUT_SEC: Final = 120.0
"""Building an index over an existing large collection at the first start of a new version."""
_TRANSIENT_CODES: Final = frozenset({11600, 11602, 10107, 13435, 13436, 189, 91, 7, 6, 89, 9001, 262})
"""Server codes for shutting down, stepping down, not primary and network trouble (MongoDB error code table)."""
_INDEX_TRIES: Final = 4
_INDEX_CONFLICTS: Final = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict


class StorageRefused(WorkerError):
    """MongoDB refused the data itself; trying again cannot help."""

    code = "STORAGE_REFUSED"


class _Money(TypeCodec):
    """Decimals are stored as Decimal128 and come back as they went: 34 digits, no rounding."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Any) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Any) -> Decimal:
        number: Decimal = value.to_decimal()
        return number


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first; `next_cursor` is None on the last."""

    items: list[Document]
    next_cursor: tuple[datetime, str] | None


class Storage:
    """One client for the process. Raises `StorageUnavailable` when waiting may help, `StorageRefused` when not, and
    `ConfigError` when it is made with a URI that cannot be used."""

    def __init__(self, uri: str, *, default_database: str = "worker", timeout_sec: float = 5.0) -> None:
        try:
            self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                uri,
                serverSelectionTimeoutMS=int(timeout_sec * 1000),
                connectTimeoutMS=int(timeout_sec * 1000),
                socketTimeoutMS=int(_CALL_TIMEOUT_SEC * 1000),
                maxPoolSize=32,
                appname="brand-eval-worker",
            )
        except (PyMongoError, ValueError) as error:
            # Only the kind of the problem is told: the driver's words may repeat a part of the password.
            raise ConfigError(f"MONGODB_URI: cannot be used ({type(error).__name__})") from None
        # The driver has noted who made it, with every line of each file on the way kept in memory: 1 MB.
        linecache.clearcache()
        self._database: AsyncIOMotorDatabase[Document] = self._client.get_default_database(
            default_database, codec_options=CodecOptions(tz_aware=True, type_registry=TypeRegistry([_Money()]))
        )

        self._journaled = WriteConcern(w=self._client.write_concern.document.get("w", 1), j=True)

    def collection(self, name: str) -> AsyncIOMotorCollection[Document]:
        return self._database[name]

    @property
    def database(self) -> AsyncIOMotorDatabase[Document]:
        """For what belongs to no one collection."""
        return self._database

    async def ping(self) -> None:
        async with _call("ping"):
            await self._database.command("ping")

    def close(self) -> None:
        self._client.close()

    async def ensure_indexes(self, *, processed_chunks_ttl_days: int, llm_calls_ttl_days: int) -> None:
        """Create what is missing; safe to run at every start and by several workers at once."""
        ttl = processed_chunks_ttl_days * 86_400
        wanted = {
            MENTIONS: [
                IndexModel(
                    [("brand", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="by_brand_time"
                ),
                IndexModel(
                    [("brand", ASCENDING), ("competitor", ASCENDING), ("created_at", DESCENDING)],
                    name="by_competitor",
                    partialFilterExpression={"competitor": {"$gt": ""}},
                ),
            ],
            LEADS: [
                IndexModel([("brand", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="by_brand_time"),
                IndexModel([("written_at", ASCENDING)], name="expiry", expireAfterSeconds=_LEADS_KEPT_SEC),
            ],
            PROCESSED_CHUNKS: [
                IndexModel([("first_seen", ASCENDING)], name="expiry", expireAfterSeconds=ttl),
                IndexModel([("brand", ASCENDING), ("chunk_id", ASCENDING)], name="by_brand_chunk"),
            ],
            LLM_CALLS: [
                # One index is both the order of time and the age at which calls go.
                IndexModel([("at", DESCENDING)], name="expiry", expireAfterSeconds=llm_calls_ttl_days * 86_400),
                IndexModel([("brand", ASCENDING), ("at", DESCENDING)], name="by_brand_time"),
            ],
        }
        await self.make_indexes(wanted)

    async def make_indexes(self, wanted: Mapping[str, list[IndexModel]]) -> None:
        """The same for the collections of a service."""
        async with _call("create indexes", _INDEX_TIMEOUT_SEC):
            for name, models in wanted.items():
                await self._create(name, models)

    async def _create(self, name: str, models: list[IndexModel]) -> None:
        """Create indexes; one whose age the settings have changed is changed. Other workers may be doing the same."""
        for attempt in range(_INDEX_TRIES):
            try:
                await self.collection(name).create_indexes(models)
            except OperationFailure as error:
                if error.code not in _INDEX_CONFLICTS or attempt == _INDEX_TRIES - 1:
                    raise
                await self._change_ages(name, models)
            else:
                return

    async def _change_ages(self, name: str, models: list[IndexModel]) -> None:
        existing = await self.collection(name).index_information()
        for model in models:
            wanted = model.document
            found = existing.get(wanted["name"])
            same_keys = found is not None and list(found["key"]) == list(wanted["key"].items())
            if same_keys and found is not None and found.get("expireAfterSeconds") != wanted.get("expireAfterSeconds"):
                age = {"name": wanted["name"], "expireAfterSeconds": wanted["expireAfterSeconds"]}
                await self._database.command("collMod", name, index=age)

    async def mentions_by_key(self, keys: Sequence[str], *, owner: str | None = None) -> dict[str, Document]:
        """Stored mentions by `_id`; absent ones are missing from the answer.

        Of one in the archive there are `_id`, `content_hash`, `author`, and the `owner` nobody: it can only be
        repeated. `owner`: a chunk that is executed again; what it has brought itself is absent when it is not at hand.
        """
        found: dict[str, Document] = {}
        for part in parts(keys):
            found |= await self._some_by_key(part, owner)
        return found

    async def _some_by_key(self, keys: Sequence[str], owner: str | None) -> dict[str, Document]:
        async with _call("read mentions"):
            found = await self.collection(MENTIONS).find({"_id": {"$in": list(keys)}}).to_list(None)
            at_hand = {document["_id"]: document for document in found}
            missing = {archived_key(key): key for key in keys if key not in at_hand}
            stones: list[Document] = []
            if missing:
                stones = await self.collection(ARCHIVED).find({"_id": {"$in": list(missing)}}).to_list(None)
        if owner is not None:
            stones = [one for one in stones if one["owner"] != owner_number(owner)]
        archived = [_archived(missing[bytes(one["_id"])], one) for one in stones]
        return at_hand | {document["_id"]: document for document in archived}

    async def insert_mentions(self, documents: Iterable[Document]) -> None:
        """Store those whose `_id` is not there yet; the others stay as they are."""
        await self._insert_new(MENTIONS, "store mentions", documents)

    async def insert_llm_calls(self, documents: Iterable[Document]) -> None:
        """The same for records of model calls."""
        await self._insert_new(LLM_CALLS, "store model calls", documents)

    async def aggregate(self, name: str, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        """All documents an aggregation gives."""
        async with _call(f"aggregate {name}"):
            found: list[Document] = await self.collection(name).aggregate(list(pipeline)).to_list(None)
        return found

    async def _insert_new(self, name: str, what: str, documents: Iterable[Document]) -> None:
        operations = [
            UpdateOne({"_id": document["_id"]}, {"$setOnInsert": _without_id(document)}, upsert=True)
            for document in documents
        ]
        for part in parts(operations):
            async with _call(what):
                try:
                    await self.collection(name).bulk_write(part, ordered=False)
                except BulkWriteError as error:
                    _raise_unless_duplicates(error, what)

    async def save_chunk(self, key: str, on_insert: Mapping[str, Any], always: Mapping[str, Any]) -> Document:
        """Upsert one processed chunk and return it as it is now stored (the first writer's `on_insert` stays).

        Journaled, and with it every write before it: the task is acknowledged next, and must not be when a crash of
        the database could still take its mentions back.
        """
        async with _call("store chunk"):
            collection = self.collection(PROCESSED_CHUNKS).with_options(write_concern=self._journaled)
            await collection.update_one(
                {"_id": key}, {"$setOnInsert": dict(on_insert), "$set": dict(always)}, upsert=True
            )
            stored = await collection.find_one({"_id": key}, {"task_id": 1, "entry": 1, "first_seen": 1})
        if stored is None:
            raise StorageUnavailable("store chunk: the chunk just written cannot be read back")
        return stored

    async def list_mentions(
        self, brand: str, *, limit: int, before: tuple[datetime, str] | None, topics: Sequence[str] = ()
    ) -> Page:
        """Mentions of a brand, newest first; only those of `topics` where some are named. `before` is the cursor of the
        page before."""
        query: Document = {"brand": brand, **({"topic": {"$in": list(topics)}} if topics else {})}
        if before is not None:
            when, key = before
            query["$or"] = [{"created_at": {"$lt": when}}, {"created_at": when, "_id": {"$lt": key}}]
        async with _call("list mentions"):
            cursor = self.collection(MENTIONS).find(query).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            items = await cursor.limit(limit + 1).to_list(limit + 1)
        more = len(items) > limit
        items = items[:limit]
        return Page(items, (items[-1]["created_at"], items[-1]["_id"]) if more else None)


def parts(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as one call may take."""
    for start in range(0, len(items), PER_CALL):
        yield items[start : start + PER_CALL]


def archived_key(key: str) -> bytes:
    """`_id` in `archived_mentions`: 16 bytes of a hash instead of 60 letters and more, for there are many."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16]


def owner_number(owner: str) -> int:
    """A chunk's key as a signed number of 64 bits."""
    return int.from_bytes(hashlib.sha256(owner.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)


def _archived(key: str, stone: Document) -> Document:
    return {"_id": key, "content_hash": key.rpartition(":")[2], "author": stone["author"], "owner": ""}


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "_id"}


def _raise_unless_duplicates(error: BulkWriteError, what: str) -> None:
    """Two workers upserting one new `_id` at the same moment: one of them is told "duplicate key". That is success."""
    problems = [bad for bad in error.details.get("writeErrors", []) if bad.get("code") != 11000]
    if problems:
        raise StorageRefused(f"{what}: {problems[0].get('errmsg', 'refused')}") from error
    if error.details.get("writeConcernErrors"):
        raise StorageUnavailable(f"{what}: not acknowledged by enough members") from error


@asynccontextmanager
async def _call(what: str, timeout_sec: float = _CALL_TIMEOUT_SEC) -> AsyncIterator[None]:
    """Turn the driver's errors into the worker's, and give every call a deadline."""
    try:
        with span(f"mongodb {what}", SpanKind.CLIENT) as here:
            here.set("db.system.name", "mongodb")
            here.set("db.operation.name", what)
            async with asyncio.timeout(timeout_sec):
                yield
    except TimeoutError as error:
        raise StorageUnavailable(f"{what}: no answer in {timeout_sec:.0f} s") from error
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        raise StorageUnavailable(f"{what}: {_short(error)}") from error
    except OperationFailure as error:
        kind = StorageUnavailable if error.code in _TRANSIENT_CODES else StorageRefused
        raise kind(f"{what}: {_short(error)}") from error
    except (InvalidDocument, ArithmeticError) as error:  # integers of over 64 bits, decimals of over 34 digits
        raise StorageRefused(f"{what}: {_short(error)}") from error
    except PyMongoError as error:
        raise StorageUnavailable(f"{what}: {_short(error)}") from error


call: Final = _call
"""For services that have collections of their own."""


def _short(error: Exception) -> str:
    # Driver messages carry the whole topology; the first sentence says what happened.
    return str(error).split(", Timeout:")[0][:300]
