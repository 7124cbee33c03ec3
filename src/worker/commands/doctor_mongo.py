"""What `doctor` asks MongoDB: is it there, does it take journaled writes, has it the indexes a worker creates?"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import IndexModel
from pymongo.common import MIN_SUPPORTED_SERVER_VERSION
from pymongo.write_concern import WriteConcern

from ..config import Settings
from ..errors import ConfigError, WorkerError
from ..secrecy import masked_url
from ..services.indexes import ensure_all_indexes
from ..storage import Storage, call
from .doctor_checks import Finding, fault, ok, warning
from .doctor_redis import BAD_URL

_COLLECTION: Final = "doctor_checks"
_SHOWN: Final = 4


async def check_mongo(uri: str, settings: Settings) -> list[Finding]:
    """Never raises for a server that does not answer: that is a finding."""
    try:
        survey = _Survey(uri)
    except ConfigError as error:
        return [fault("mongodb", error.message, BAD_URL)]
    try:
        await survey.ping()
        async with call("ask the server"):
            build = await survey.database.command("buildInfo")
            hello = await survey.database.command("hello")
        return [
            ok("mongodb", f"{masked_url(uri)} answers, database {survey.database.name}"),
            _version(build),
            _members(hello),
            await _write(survey),
            await _indexes(survey, settings),
        ]
    except WorkerError as error:
        mend = "start that server, or correct MONGODB_URI (user, password, authSource, host, port, replicaSet)"
        return [fault("mongodb", f"{masked_url(uri)}: {error.message}", mend)]
    finally:
        survey.close()


class _Survey(Storage):
    """A storage that looks for indexes instead of creating them."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.missing: list[str] = []
        self.wanted = 0

    async def make_indexes(self, wanted: Mapping[str, list[IndexModel]]) -> None:
        for name, models in wanted.items():
            async with call("list indexes"):
                present = await self.collection(name).index_information()
            names = [str(model.document["name"]) for model in models]
            self.wanted += len(names)
            self.missing += [f"{name}.{one}" for one in names if one not in present]


def _version(build: Mapping[str, Any]) -> Finding:
    text = str(build.get("version", ""))
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    least = tuple(int(part) for part in MIN_SUPPORTED_SERVER_VERSION.split(".")[:2])
    if len(numbers) == 2 and numbers >= least:
        return ok("mongodb version", text)
    return fault("mongodb version", f"{text or 'not told'}", f"use MongoDB {MIN_SUPPORTED_SERVER_VERSION} or later")


def _members(hello: Mapping[str, Any]) -> Finding:
    name = hello.get("setName")
    if name:
        return ok("mongodb members", f"replica set {name}, {len(hello.get('hosts', []))} members")
    if hello.get("msg") == "isdbgrid":
        return ok("mongodb members", "a sharded cluster")
    return ok("mongodb members", "one server: its disk is the only copy")


async def _write(storage: Storage) -> Finding:
    """A journaled write, as what decides whether something counts again is written."""
    key = uuid.uuid4().hex
    collection = storage.collection(_COLLECTION).with_options(write_concern=WriteConcern(w="majority", j=True))
    try:
        async with call("write"):
            await collection.insert_one({"_id": key, "at": datetime.now(UTC)})
            read = await collection.find_one({"_id": key})
            await collection.delete_one({"_id": key})
            if not await collection.count_documents({}, limit=1):
                await collection.drop()
    except WorkerError as error:
        mend = "give this user the role readWrite on the database, and the server a journal and a primary"
        return fault("mongodb write", error.message, mend)
    if read is None:
        return fault("mongodb write", "what was written could not be read", "read from the primary (readPreference)")
    return ok("mongodb write", "journaled by a majority, read, deleted")


async def _indexes(survey: _Survey, settings: Settings) -> Finding:
    await ensure_all_indexes(survey, settings, clock=lambda: datetime.now(UTC))
    missing = survey.missing
    if not missing:
        return ok("mongodb indexes", f"all {survey.wanted} present")
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    shown = f"{len(missing)} of {survey.wanted} missing: {', '.join(missing[:_SHOWN])}{more}"
    return warning("mongodb indexes", shown, "start a worker on this database: it creates them")
