"""MongoDB through the driver the service uses: idempotent, with errors that say whether waiting helps."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.worker import storage as storage_module
from src.worker.errors import StorageUnavailable
from src.worker.storage import Storage, StorageRefused

pytestmark = pytest.mark.anyio
T0 = datetime(2025, 3, 1, tzinfo=UTC)


def _document(n: int, **more: Any) -> dict[str, Any]:
    return {"_id": f"acme:{n:03}", "brand": "acme", "created_at": T0 + timedelta(minutes=n // 2), "n": n, **more}


async def test_indexes_are_made_once_and_their_ages_can_be_changed(storage: Storage) -> None:
    for days in (30, 30, 60):
        await asyncio.gather(
            *(storage.ensure_indexes(processed_chunks_ttl_days=days, llm_calls_ttl_days=1) for _ in range(3))
        )
        found = await storage.collection("processed_chunks").index_information()
        assert found["expiry"]["expireAfterSeconds"] == days * 86_400


async def test_a_mention_stored_again_stays_as_it_was(storage: Storage) -> None:
    await storage.insert_mentions([_document(1, owner="first")])
    await storage.insert_mentions([_document(1, owner="second"), _document(2, owner="second")])
    stored = await storage.mentions_by_key(["acme:001", "acme:002", "acme:003"])
    assert {key: document["owner"] for key, document in stored.items()} == {"acme:001": "first", "acme:002": "second"}
    assert stored["acme:001"]["created_at"] == T0


async def test_storing_the_same_mentions_from_many_sides_at_once_is_no_error(storage: Storage) -> None:
    documents = [_document(n) for n in range(50)]
    await asyncio.gather(*(storage.insert_mentions(documents) for _ in range(10)))
    assert await storage.collection("mentions").count_documents({}) == 50


async def test_thousands_of_mentions_are_read_and_written_a_few_at_a_time(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    call = storage_module._call

    def counted(what: str, *seconds: float) -> Any:
        calls.append(what)
        return call(what, *seconds)

    monkeypatch.setattr(storage_module, "_call", counted)
    monkeypatch.setattr(storage_module, "PER_CALL", 10)
    documents = [_document(n) for n in range(25)]
    await storage.insert_mentions(documents)
    found = await storage.mentions_by_key([document["_id"] for document in documents] + ["acme:999"])
    assert [found[document["_id"]]["n"] for document in documents] == list(range(25))
    assert (len(found), Counter(calls)) == (25, {"store mentions": 3, "read mentions": 3})


async def test_pages_are_complete_and_without_repeats_also_where_times_are_equal(storage: Storage) -> None:
    await storage.insert_mentions([_document(n) for n in range(25)] + [_document(99, brand="other")])
    seen: list[int] = []
    before = None
    while True:
        page = await storage.list_mentions("acme", limit=4, before=before)
        seen += [item["n"] for item in page.items]
        before = page.next_cursor
        if before is None:
            break
    assert seen == list(range(24, -1, -1))


async def test_the_first_task_of_a_chunk_stays_its_task(storage: Storage) -> None:
    first = await storage.save_chunk("k", {"task_id": "t1", "first_seen": T0}, {"result": 1})
    again = await storage.save_chunk("k", {"task_id": "t2", "first_seen": T0 + timedelta(days=1)}, {"result": 2})
    assert (first["task_id"], again["task_id"], again["first_seen"]) == ("t1", "t1", T0)


async def test_data_the_database_cannot_hold_is_refused_for_good(storage: Storage) -> None:
    with pytest.raises(StorageRefused):
        await storage.insert_mentions([_document(1, number=2**70)])
    with pytest.raises(StorageRefused):
        await storage.insert_mentions([_document(1, text="x" * 17_000_000)])


async def test_a_database_that_is_not_there_is_worth_another_try() -> None:
    storage = Storage("mongodb://127.0.0.1:1/worker", timeout_sec=0.3)
    for call in (storage.ping(), storage.mentions_by_key(["a"]), storage.insert_mentions([_document(1)])):
        with pytest.raises(StorageUnavailable) as caught:
            await call
        assert caught.value.retryable
        assert not caught.value.counts_attempt
        assert len(caught.value.message) < 400
    storage.close()
