"""The loop that folds in the background: woken by chunks, finds what others left, and outlives whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from src.worker.errors import QueueUnavailable, StorageUnavailable
from src.worker.models import Mention, Sentiment, TaskPriority
from src.worker.queue_entries import Depth
from src.worker.services import insight
from src.worker.services.insight import InsightService
from src.worker.services.insight_publisher import InsightPublisher
from src.worker.services.insight_queue import QueueSizes
from src.worker.services.insight_store import InsightStore
from src.worker.services.posts import PostCounter, Repeated
from src.worker.times import to_ms
from tests.helpers import until
from tests.insight_streams import BRAND, NOW, T0, Bench, Sizes, document, mention, metrics, mood_of, stream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(mongo_uri: str, redis_url: str) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, redis_url)
    yield bench
    await bench.close()


@asynccontextmanager
async def _service(bench: Bench, **more: Any) -> AsyncIterator[InsightService]:
    service = InsightService(
        more.pop("store", bench.store),
        more.pop("publisher", InsightPublisher(bench.client, summaries=True)),
        bench.cpu,
        metrics(),
        clock=lambda: bench.now,
        queue=Sizes(True),
        hold_ms=0,
        **more,
    )
    service.start()
    try:
        yield service
    finally:
        await service.close()


async def _posts(bench: Bench) -> int:
    state = await bench.store.state(BRAND)
    return 0 if state is None else int(state["totals"]["posts"])


async def test_a_chunk_is_folded_as_soon_as_it_is_signalled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else would have it folded: the first look finds nothing, and the second comes in an hour."""
    looked = asyncio.Event()

    async def scan(_: InsightService) -> None:
        looked.set()

    monkeypatch.setattr("src.worker.services.insight._SCAN_SEC", 3_600.0)
    monkeypatch.setattr(InsightService, "_scan", scan)
    async with _service(bench, sleep=lambda _: asyncio.sleep(0)) as service:
        await looked.wait()
        await asyncio.sleep(0.1)  # the loop waits by now; if not, it need not be woken, and folds all the same
        await bench.save(0, stream(days=1)[:30])
        service.signal(BRAND)
        await until(lambda: _posts(bench))


async def test_what_others_left_is_found_without_a_signal_and_what_is_theirs_to_fold_is_left(bench: Bench) -> None:
    bench.now = NOW + timedelta(minutes=1)
    await bench.save(0, stream(days=1)[:30])  # processed a minute ago
    async with _service(bench):
        await until(lambda: _posts(bench))
        bench.now += timedelta(minutes=1)
        key = await bench.save(1, stream(days=1)[30:60])
        await bench.storage.collection("processed_chunks").update_one({"_id": key}, {"$set": {"first_seen": bench.now}})
        await asyncio.sleep(2.5)
        assert await _posts(bench) == 30
        bench.now += timedelta(seconds=4)
        await until(lambda: _is(bench, 60))


async def _is(bench: Bench, posts: int) -> bool:
    return await _posts(bench) == posts


@pytest.mark.parametrize("error", [StorageUnavailable("away"), QueueUnavailable("away")])
async def test_an_outage_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    publisher, calls = InsightPublisher(bench.client, summaries=True), 0
    publish, written = publisher.publish, []

    async def sometimes(state: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise error
        written.append(await publish(state))
        return written[-1]

    monkeypatch.setattr(publisher, "publish", sometimes)
    async with _service(bench, publisher=publisher) as service:
        await bench.save(0, stream(days=1)[:30])
        service.signal(BRAND)
        await until(lambda: bench.text(f"summary:brand:{BRAND}"))
    # A service that is closed before the chunks are marked settles the version once more, which writes nothing.
    assert (calls - len(written), written.count(True)) == (2, 1)
    assert await bench.store.waiting() == []


async def test_an_outage_of_one_database_is_said_once_while_the_other_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher, waiting = InsightPublisher(bench.client, summaries=True), bench.store.waiting
    failed: list[int] = []
    looks = 0

    async def no_redis(state: Any) -> bool:
        failed.append(looks)
        raise QueueUnavailable("away")

    async def look() -> Any:
        nonlocal looks
        found = await waiting()
        looks += 1
        return found

    async def failed_between_looks() -> bool:
        return len(set(failed)) > 3

    monkeypatch.setattr(publisher, "publish", no_redis)
    monkeypatch.setattr(bench.store, "waiting", look)
    monkeypatch.setattr(insight, "_SCAN_SEC", 0.1)
    async with _service(bench, publisher=publisher, sleep=lambda sec: asyncio.sleep(sec / 10)) as service:
        await bench.save(0, stream(days=1)[:30])
        service.signal(BRAND)
        await until(failed_between_looks)
    assert [record.getMessage() for record in caplog.records].count("insight waits for a database") == 1


async def test_a_brand_whose_state_cannot_be_read_does_not_stop_the_others(bench: Bench) -> None:
    await bench.storage.collection("brand_state").insert_one({"_id": "broken", "version": 1})
    async with _service(bench) as service:
        service.signal("broken")
        await asyncio.sleep(0.4)
        await bench.save(0, stream(days=1)[:30])
        service.signal(BRAND)
        await until(lambda: _posts(bench))


async def test_the_end_of_the_process_folds_what_was_signalled(bench: Bench) -> None:
    async with _service(bench) as service:
        await bench.save(0, stream(days=1)[:30])
        service.signal(BRAND)
    assert await _posts(bench) == 30


async def test_a_silent_brand_is_judged_by_the_loop(bench: Bench) -> None:
    posts = stream(days=1, after_hours=1)
    bench.now = posts[-1].mention.created_at + timedelta(minutes=1)
    await bench.save(0, posts)
    await bench.fold_all()
    bench.now += timedelta(hours=6)

    async def calm() -> bool:
        state = await bench.store.state(BRAND)
        return state is not None and state["overview"]["crisisState"] == "calm"

    assert not await calm()
    async with _service(bench):
        await until(calm)


# -- posts -----------------------------------------------------------------------------------------------------


async def _count(bench: Bench, owner: str, repeated: list[Repeated]) -> int:
    asked: list[Mention] = []

    async def moods(mentions: Any) -> list[Sentiment]:
        asked.extend(mentions)
        return [mood_of(-0.5) for _ in mentions]

    counter = PostCounter(InsightStore(bench.storage), bench.cpu, clock=lambda: NOW)
    sums = await counter.count([], repeated, moods, owner=owner, received_at=NOW)
    assert len(asked) == sums.posts
    return sums.posts


async def test_repeats_count_once_per_person_and_text_for_the_chunk_that_brought_them_first(bench: Bench) -> None:
    first = mention(1, T0, author="ann")
    stored = document(first, mood_of(0))

    def again(author: str | None, n: int = 1, *, same: bool = True) -> Repeated:
        return Repeated(mention(n, T0 + timedelta(hours=n), author=author), stored if same else None)

    repeats = [again("@ANN"), again("bob"), again("Bob"), again(None), again(None), again("cid", 2, same=False)]
    assert await _count(bench, "chunk1", repeats) == 3  # bob, somebody, and cid's own words
    assert await _count(bench, "chunk2", repeats) == 0
    assert await _count(bench, "chunk1", repeats) == 3  # the first chunk again, after a crash
    assert await _count(bench, "chunk3", [again("dora")]) == 1


async def test_chunks_that_bring_the_same_repeat_at_once_agree_on_one(bench: Bench) -> None:
    first = mention(1, T0, author="ann")
    repeats = [Repeated(mention(1, T0, author=f"p{n}"), document(first, mood_of(0))) for n in range(20)]
    counts = await asyncio.gather(*(_count(bench, f"chunk{n}", repeats) for n in range(8)))
    assert sum(counts) == 20


# -- the queue -------------------------------------------------------------------------------------------------


def _sizes(*, active: bool = True, in_flight: int = 0, parked: int = 0, oldest_sec: float | None = None) -> QueueSizes:
    async def depth() -> Depth:
        ms = None if oldest_sec is None else to_ms(NOW - timedelta(seconds=oldest_sec))
        waiting = {priority: int(oldest_sec is not None) for priority in TaskPriority}
        return Depth(waiting, parked, in_flight, 0, 0, dict.fromkeys(TaskPriority, ms))

    return QueueSizes(depth, clock=lambda: NOW, active=lambda: active)


async def test_a_queue_is_idle_when_nothing_waits_and_nothing_runs() -> None:
    assert await _sizes().idle()
    assert not await _sizes(in_flight=1).idle()
    assert not await _sizes(parked=1).idle()
    assert not await _sizes(oldest_sec=1).idle()


async def test_a_queue_is_behind_when_something_old_waits_and_a_standby_never_knows() -> None:
    assert await _sizes(in_flight=3).caught_up()
    assert await _sizes(oldest_sec=60).caught_up()
    assert not await _sizes(oldest_sec=3_600).caught_up()
    assert not await _sizes(active=False).caught_up()
