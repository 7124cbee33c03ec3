"""How much there is: sizes of Redis and MongoDB before and after a run of the janitor."""

from __future__ import annotations

from typing import Any

from ..redis_client import RedisClient
from ..storage import Storage, StorageRefused, call


async def stats(client: RedisClient, storage: Storage) -> dict[str, Any]:
    """`redis`: used bytes and keys. `mongodb`: documents per collection, and bytes on disk where the server says.

    Raises:
        QueueUnavailable, StorageUnavailable: one of them does not answer.
    """
    info = (await client.call("INFO", "memory")).decode()
    used = next(line for line in info.splitlines() if line.startswith("used_memory:"))
    return {
        "redis": {"used_bytes": int(used.partition(":")[2]), "keys": int(await client.call("DBSIZE"))},
        "mongodb": {"documents": await _documents(storage), **await _bytes(storage)},
    }


async def _documents(storage: Storage) -> dict[str, int]:
    """Estimated, from the server's own counters: counting millions would take as long as reading them."""
    database = storage.collection("mentions").database
    async with call("list collections"):
        names = await database.list_collection_names()
    counts: dict[str, int] = {}
    for name in sorted(names):
        if not name.startswith("system."):
            async with call(f"count {name}"):
                counts[name] = await storage.collection(name).estimated_document_count()
    return counts


async def _bytes(storage: Storage) -> dict[str, Any]:
    try:
        async with call("size of the database"):
            answer = await storage.collection("mentions").database.command("dbStats")
        return {"data_bytes": int(answer["dataSize"]), "storage_bytes": int(answer["storageSize"])}
    except (StorageRefused, KeyError) as error:
        reason = error.message if isinstance(error, StorageRefused) else f"dbStats has no {error}"
        return {"data_bytes": None, "storage_bytes": None, "bytes_unknown": reason}
