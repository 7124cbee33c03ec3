"""Documents of MongoDB byte for byte: what an archive keeps is what the server sent, and what comes back is the same.

Beside `storage.py` the only module that knows BSON. A document is `bytes` here, its `_id` the first field.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pymongo
from bson import CodecOptions, DatetimeConversion, decode, encode
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorCollection, AsyncIOMotorGridFSBucket
from pymongo import ASCENDING, DeleteOne, InsertOne
from pymongo.errors import BulkWriteError

from .errors import StorageUnavailable
from .storage import Document, Storage, StorageRefused, call

_RAW: Final[CodecOptions[Any]] = CodecOptions(
    document_class=RawBSONDocument,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""Dates beyond the year 9999 and texts that are no UTF-8 are as lawful in MongoDB as any; the bytes are kept anyway."""
_PLAIN: Final[CodecOptions[Document]] = CodecOptions(
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
_IDS_PER_READ: Final = 100
"""MongoDB takes thousands at the same pace; the embedded server's time grows with the square of them."""
_WRITES_PER_CALL: Final = 500
_READ_SEC: Final = 60.0
"""One part of an archive: 5,000 documents take the embedded server 0.3 s, a busy MongoDB with a cold cache more."""
_DUPLICATE_KEY: Final = 11000


@dataclass(frozen=True, slots=True)
class Raw:
    """One document: its `_id`, and all of it as BSON."""

    id: Any
    bson: bytes


def decoded(bson: bytes) -> Document:
    """A document as Python values, times in UTC (those that Python does not know as `DatetimeMS`). Raises `ValueError`
    for bytes that are no document."""
    try:
        return decode(bson, _PLAIN)
    except Exception as error:  # noqa: BLE001 - the library raises InvalidBSON, and others on damaged bytes
        raise ValueError(f"no BSON document: {type(error).__name__}") from None


def encoded(document: Mapping[str, Any]) -> bytes:
    """Python values as a document."""
    return encode(document)


def id_of(bson: bytes) -> Any:
    """The `_id` of a document."""
    return RawBSONDocument(bson, _RAW)["_id"]


def id_bytes(identity: Any) -> bytes:
    """An `_id` of any type as bytes: equal for equal ones only."""
    return encode({"_id": identity})


@asynccontextmanager
async def patient(what: str, timeout_sec: float) -> AsyncIterator[None]:
    """`storage.call` for what may take longer than a socket of the service waits for an answer."""
    with pymongo.timeout(timeout_sec):
        async with call(what, timeout_sec):
            yield


class RawStorage:
    """Reads, inserts and deletes raw documents. Raises as `Storage` does."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def _raw(self, name: str) -> AsyncIOMotorCollection[Any]:
        return self._storage.collection(name).with_options(codec_options=_RAW)

    async def read(
        self,
        name: str,
        query: Mapping[str, Any],
        *,
        order: Sequence[str],
        count: int,
        size: int,
        skip: Callable[[Mapping[str, Any]], bool] = lambda _: False,
    ) -> list[Raw]:
        """The first documents in ascending `order`: `count` at most, and no more once they hold `size` bytes.

        `skip` is asked of each document whether to leave it out.
        """
        limit = count
        while True:
            found, read = await self._first(name, query, order, (limit, count, size), skip)
            full = len(found) >= count or sum(len(one.bson) for one in found) >= size
            if full or read < limit:
                return found
            limit *= 4  # some were left out

    async def _first(
        self,
        name: str,
        query: Mapping[str, Any],
        order: Sequence[str],
        bounds: tuple[int, int, int],
        skip: Callable[[Mapping[str, Any]], bool],
    ) -> tuple[list[Raw], int]:
        """What `read` wants of the first `limit` documents, and how many of them were looked at."""
        limit, count, size = bounds
        found: list[Raw] = []
        held = seen = 0
        async with patient(f"read {name}", _READ_SEC):
            cursor = self._raw(name).find(
                dict(query), sort=[(field, ASCENDING) for field in order], limit=limit, batch_size=_WRITES_PER_CALL
            )
            try:
                async for document in cursor:
                    seen += 1
                    if skip(document):
                        continue
                    found.append(Raw(document["_id"], bytes(document.raw)))
                    held += len(document.raw)
                    if held >= size or len(found) >= count:
                        break
            finally:
                await cursor.close()
        return found, seen

    async def by_ids(self, name: str, ids: Sequence[Any]) -> dict[bytes, bytes]:
        """Documents that are there, by `id_bytes`."""
        found: dict[bytes, bytes] = {}
        for part in _cut(ids, _IDS_PER_READ):
            async with call(f"read {name}"):
                documents = await self._raw(name).find({"_id": {"$in": part}}).to_list(None)
            found |= {id_bytes(document["_id"]): bytes(document.raw) for document in documents}
        return found

    async def insert(self, name: str, documents: Iterable[Raw]) -> int:
        """Insert those whose `_id` is not there, unchanged; the others stay as they are. Returns how many were new.

        Plain inserts: an upsert would let the server put the fields into another order.
        """
        done = 0
        for part in _cut(list(documents), _WRITES_PER_CALL):
            operations = [InsertOne(RawBSONDocument(one.bson, _RAW)) for one in part]
            async with call(f"store {name}"):
                try:
                    done += (await self._raw(name).bulk_write(operations, ordered=False)).inserted_count
                except BulkWriteError as error:
                    done += int(error.details.get("nInserted", 0))
                    _raise_unless_duplicates(error, name)
        return done

    async def delete(self, name: str, ids: Sequence[Any]) -> int:
        """Delete documents by their `_id`."""
        done = 0
        for part in _cut(ids, _WRITES_PER_CALL):
            async with call(f"remove {name}"):
                result = await self._raw(name).bulk_write([DeleteOne({"_id": one}) for one in part], ordered=False)
            done += result.deleted_count
        return done


class GridFiles:
    """Named blobs in GridFS: one is there when its entry in `<bucket>.files` is, which is written last."""

    def __init__(self, storage: Storage, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket
        self._grid = AsyncIOMotorGridFSBucket(storage.database, bucket_name=bucket)

    async def put(self, name: str, data: bytes) -> None:
        async with call("store a block", _READ_SEC):
            if await self._files.find_one({"_id": name}, {"_id": 1}) is not None:
                await self._grid.delete(name)
            # Chunks of an upload that was cut off have no entry, and would be in the way of the next.
            await self._chunks.delete_many({"files_id": name})
            await self._grid.upload_from_stream_with_id(name, name, data)

    async def get(self, name: str) -> bytes | None:
        async with call("read a block", _READ_SEC):
            if await self._files.find_one({"_id": name}, {"_id": 1}) is None:
                return None
            stream = await self._grid.open_download_stream(name)
            data: bytes = await stream.read()
        return data

    async def remove(self, name: str) -> None:
        async with call("delete a block", _READ_SEC):
            await self._files.delete_one({"_id": name})
            await self._chunks.delete_many({"files_id": name})

    @property
    def _files(self) -> AsyncIOMotorCollection[Document]:
        return self._storage.collection(f"{self._bucket}.files")

    @property
    def _chunks(self) -> AsyncIOMotorCollection[Document]:
        return self._storage.collection(f"{self._bucket}.chunks")


def _cut(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _raise_unless_duplicates(error: BulkWriteError, name: str) -> None:
    problems = [bad for bad in error.details.get("writeErrors", []) if bad.get("code") != _DUPLICATE_KEY]
    if problems:
        raise StorageRefused(f"store {name}: {problems[0].get('errmsg', 'refused')}") from error
    if error.details.get("writeConcernErrors"):
        raise StorageUnavailable(f"store {name}: not acknowledged by enough members") from error
