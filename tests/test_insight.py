"""Insight through its service: counted once whatever is killed when, the same in any order, silence judged late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from src.worker.crisis_detector import CrisisDetector, CrisisState, gather
from src.worker.crisis_events import HOUR_MS
from src.worker.errors import QueueUnavailable
from src.worker.pipeline.brand_state import BrandState, Folder, Pending
from src.worker.pipeline.contribution import Contribution, Post, contribution
from src.worker.pipeline.fold_order import Waits, in_order
from src.worker.services import insight_store
from src.worker.services.insight_folds import HOLD_MS, Fold, hold_of
from src.worker.services.insight_publisher import InsightPublisher
from src.worker.services.insight_store import InsightStore
from src.worker.spike_detector import SpikeDetector, SpikeState, count_buckets
from src.worker.times import to_ms
from src.worker.voices import voice_of
from tests.insight_streams import (
    BRAND,
    NOW,
    T0,
    Bench,
    Sizes,
    chunks,
    document,
    mention,
    mood_of,
    shuffled_within_an_hour,
    stream,
    together,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(mongo_uri: str, redis_url: str) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, redis_url)
    yield bench
    await bench.close()


async def _replay(bench: Bench, parts: list[list[Post]], *, together: int) -> dict[str, Any]:
    """Chunks saved and folded, `together` of them at a time."""
    for start in range(0, len(parts), together):
        for number in range(start, min(start + together, len(parts))):
            await bench.save(number, parts[number])
        await bench.fold_all()
    return await bench.left()


async def _fresh(bench: Bench) -> None:
    await bench.client.call("FLUSHDB")
    for name in ("processed_chunks", "brand_state", "volume", "spikes", "crisis_events", "posts"):
        await bench.storage.collection(name).delete_many({})
    bench.restart()


async def test_the_service_finds_what_the_detectors_find_in_the_whole_stream(bench: Bench) -> None:
    posts = stream()
    found = await _replay(bench, chunks(posts), together=4)
    spikes = SpikeDetector().apply(SpikeState(BRAND), count_buckets(to_ms(p.mention.created_at) for p in posts))
    crises, state = [], CrisisState(BRAND)
    hours: dict[int, list[Post]] = {}
    for post in posts:
        hours.setdefault(to_ms(post.mention.created_at) // HOUR_MS, []).append(post)
    for hour in sorted(hours):
        crises += CrisisDetector().apply(state, gather(voice_of(p.mention, p.sentiment) for p in hours[hour]))
    assert spikes
    assert [one["_id"] for one in found["spikes"]] == [f"{BRAND}:{one.bucket_ms}" for one in spikes]
    told = [one.as_dict() for one in crises if one.finding is not None]
    assert {"critical", "recovered"} <= {one["severity"] for one in told}
    assert found["crisis_queue"] == told
    (event,) = [one for one in found["crises"] if one["severity"] != "insufficient_history"]
    assert event["severity"] == "recovered"
    assert event["isResolved"] is True
    assert [one["severity"] for one in event["history"]] == [one["severity"] for one in told]
    (shown,) = found["crisis_list"]  # one event, not four
    assert shown["id"] == event["_id"]
    assert sum(one["count"] for one in found["volume"]) == len(posts)


async def test_order_within_an_hour_one_go_and_two_halves_around_a_restart_are_the_same(bench: Bench) -> None:
    posts = stream(days=1, spread_sec=1_500)
    plain = await _replay(bench, chunks(posts), together=3)
    assert plain["spikes"]
    assert plain["crisis_queue"]
    await _fresh(bench)
    mixed = await _replay(bench, chunks(shuffled_within_an_hour(posts)), together=3)
    assert mixed == plain
    await _fresh(bench)
    assert await _replay(bench, chunks(posts), together=10_000) == plain
    await _fresh(bench)
    parts = chunks(posts)
    half = len(parts) // 2
    for number, part in enumerate(parts[:half]):
        await bench.save(number, part)
    await bench.fold_all()
    bench.restart()
    for number, part in enumerate(parts[half:], start=half):
        await bench.save(number, part)
    await bench.fold_all()
    assert await bench.left() == plain


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process goes on, not even its handlers of exceptions."""


class _Killer:
    """Kills at the n-th step, before or after it."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left = at
        self.after = after

    def wrap(self, step: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(*args: Any, **more: Any) -> Any:
            self.left -= 1
            mine = self.left  # steps are made of steps
            if mine == 0 and not self.after:
                raise Killed
            answer = await step(*args, **more)
            if mine == 0:
                raise Killed
            return answer

        return wrapped


_STEPS = ("state", "waiting_chunks", "contributions", "replace", "settle", "mark_folded")


def _deadly(bench: Bench, killer: _Killer, monkeypatch: pytest.MonkeyPatch) -> None:
    store, publisher = InsightStore(bench.storage), InsightPublisher(bench.client, summaries=True)
    for name in _STEPS:
        monkeypatch.setattr(store, name, killer.wrap(getattr(store, name)))
    monkeypatch.setattr(publisher, "publish", killer.wrap(publisher.publish))
    write = killer.wrap(_WRITE_ONCE)  # each of the three collections that a version adds to
    monkeypatch.setattr(insight_store, "_write_once", write)
    bench.restart(store=store, publisher=publisher)


_WRITE_ONCE = insight_store._write_once


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_kill_between_any_two_steps_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    posts = stream(days=1, after_hours=8, spread_sec=600)
    parts = chunks(posts, 400)
    plain = await _replay(bench, parts, together=1)
    assert plain["spikes"]
    assert plain["crisis_queue"]
    kills = 0
    for at in range(1, 100):
        await _fresh(bench)
        killer = _Killer(at, after=after)
        for number, part in enumerate(parts):
            await bench.save(number, part)
            _deadly(bench, killer, monkeypatch)
            try:
                await bench.fold_all()
            except Killed:
                kills += 1
            monkeypatch.undo()
            bench.restart()
            await bench.fold_all()
        assert await bench.left() == plain, f"killed at step {at}"
        if killer.left > 0:
            break
    assert kills == at - 1
    assert kills > 20


async def test_a_backlog_goes_into_one_version_and_is_read_in_small_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = chunks(stream(days=1), 10)
    for number, part in enumerate(parts):
        await bench.save(number, part)
    read, contributions = [], bench.store.contributions

    async def noted(keys: Sequence[str]) -> list[Any]:
        read.append(len(keys))
        return await contributions(keys)

    monkeypatch.setattr(bench.store, "contributions", noted)
    assert await bench.folds.fold(BRAND) is Fold.DONE
    state = await bench.store.state(BRAND)
    assert state is not None
    assert (len(state["applied"]), sum(read)) == (len(parts), len(parts))
    assert max(read) == 16 < len(parts), "all of them at once in memory"


async def test_several_workers_folding_one_brand_count_each_chunk_once(bench: Bench) -> None:
    parts = chunks(stream(days=1, after_hours=8), 50)
    plain = await _replay(bench, parts, together=10_000)
    await _fresh(bench)
    workers = [bench.restart() for _ in range(4)]
    saved = asyncio.Event()

    async def work(worker: Any) -> None:
        while not saved.is_set() or await bench.store.waiting():
            await worker.fold(BRAND)

    async def save() -> None:
        for number, part in enumerate(parts):
            await bench.save(number, part)
        saved.set()

    await asyncio.gather(save(), *(work(worker) for worker in workers))
    assert await bench.left() == plain


async def test_of_two_workers_that_read_one_version_the_slower_one_reads_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = chunks(stream(days=1)[:60])
    for number, part in enumerate((first, second)):
        await bench.save(number, part)
        slow_store, fast = InsightStore(bench.storage), bench.restart()
        slow = bench.restart(store=slow_store)
        replace = slow_store.replace

        async def overtaken(state: Any, *, read: int | None, fast: Any = fast, replace: Any = replace) -> bool:
            assert await fast.fold(BRAND) is Fold.DONE
            found: bool = await replace(state, read=read)
            return found

        monkeypatch.setattr(slow_store, "replace", overtaken)
        assert await slow.fold(BRAND) is Fold.CONFLICT
        monkeypatch.setattr(slow_store, "replace", replace)
        assert await slow.fold(BRAND) is Fold.DONE
    assert (await bench.left())["state"]["totals"]["posts"] == 60


async def test_an_outage_of_redis_after_the_state_was_stored_publishes_later_and_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = chunks(stream(), 2_000)
    plain = await _replay(bench, parts, together=1)
    await _fresh(bench)
    publisher = InsightPublisher(bench.client, summaries=True)

    async def away(_: BrandState) -> bool:
        raise QueueUnavailable("away")

    for number, part in enumerate(parts):
        await bench.save(number, part)
        with monkeypatch.context() as patch:
            patch.setattr(publisher, "publish", away)
            folds = bench.restart(publisher=publisher)
            for _ in range(3):
                with pytest.raises(QueueUnavailable):
                    await folds.fold(BRAND)
        await bench.fold_all()
    assert await bench.left() == plain


async def test_an_execution_that_is_repeated_after_its_chunk_was_folded_adds_nothing(bench: Bench) -> None:
    (part,) = chunks(stream(days=1)[:30])
    for _ in range(3):
        await bench.save(0, part)
        await bench.fold_all()
    found = await bench.left()
    assert found["state"]["totals"]["posts"] == 30
    assert found["state"]["chunks"] == 1


async def test_a_contribution_that_cannot_be_read_is_left_out_and_said(bench: Bench) -> None:
    good = chunks(stream(days=1)[:60])
    key = await bench.save(0, good[0])
    await bench.storage.collection("processed_chunks").update_one({"_id": key}, {"$set": {"insight.sums": {"v": 9}}})
    await bench.save(1, good[1])
    await bench.fold_all()
    found = await bench.left()
    assert found["state"]["totals"]["posts"] == 30
    bad = await bench.storage.collection("processed_chunks").find_one({"_id": key})
    assert bad is not None
    assert "KeyError" in bad["insight"]["problem"]


# -- who counts ------------------------------------------------------------------------------------------------


def _one(n: int, minutes: float, **more: Any) -> Post:
    post = mention(n, T0 + timedelta(minutes=minutes), author=more.pop("author", f"a{n}"), **more)
    return Post(post, mood_of(-0.5), document(post, mood_of(-0.5)))


def test_mentions_of_competitors_and_of_the_future_are_in_no_figure_but_their_own() -> None:
    future = _one(3, 0, created_at=NOW + timedelta(hours=2))
    sums = contribution([_one(1, 0), _one(2, 1, competitor="Other"), future], received_at=NOW)
    assert (sums.posts, sums.competitor, sums.future) == (2, 1, 1)
    assert sum(sums.buckets.values()) == 1
    assert sum(hour.mentions for hour in sums.hours.values()) == 1


def test_contributions_add_up_in_any_order_and_survive_storage() -> None:
    parts = [contribution(part, received_at=NOW) for part in chunks(stream(days=1), 37)]
    forward, backward = Contribution(), Contribution()
    for part in parts:
        forward.merge(Contribution.from_dict(part.to_dict()))
    for part in reversed(parts):
        backward.merge(part)
    assert forward.to_dict() == backward.to_dict()


def test_a_state_survives_storage() -> None:
    state = BrandState.new(BRAND, 1)
    parts = [contribution(part, received_at=NOW) for part in chunks(stream(), 300)]
    pending = [Pending(f"k{n}", f"c{n}", n, part, "text", clusters=2) for n, part in enumerate(parts)]
    Folder().fold(state, together(*pending), to_ms(NOW))
    assert BrandState.from_dict(state.to_dict()).to_dict() == state.to_dict()
    assert {clusters for _, clusters, _ in state.outbox.chunks} == {2}


def test_a_backlog_is_held_for_older_chunks_and_live_traffic_is_not() -> None:
    hour = HOUR_MS
    live = [Waits("k1", 1_000, 3, 5), Waits("k2", 1_000, 1, 4)]
    assert in_order(live, 1, 1_000, 1_000) == [live[1], live[0]]
    assert in_order([Waits("k1", 1_000, 7 * hour, 7 * hour + 1)], 0, 1_000, 1_000)  # a new brand's first minutes
    early, late = Waits("k1", 900, 10 * hour, 10 * hour), Waits("k2", 0, 20 * hour, 20 * hour)
    later = Waits("k3", 950, 30 * hour, 30 * hour)
    assert in_order([late, early, later], hour, 1_000, 1_000) == [early, late]  # the second is old enough to go
    assert in_order([early, later], hour, 1_000, 1_000) == []
    assert in_order([later, early], hour, 2_000, 1_000) == [early, later]


async def test_what_is_held_goes_at_once_when_nothing_older_can_come(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, part in enumerate(chunks(stream(days=1), 100)):
        await bench.save(number, part)
    folds = bench.restart(hold_ms=3_600_000)
    assert await folds.fold(BRAND) is Fold.HELD

    async def idle(_: Sizes) -> bool:
        return True

    monkeypatch.setattr(Sizes, "idle", idle)
    assert await folds.fold(BRAND) is Fold.DONE
    assert (await bench.left())["state"]["crisis"]["late"] == 0


async def test_what_a_dead_worker_had_in_hand_is_judged_with_the_rest_of_its_backlog(bench: Bench) -> None:
    lease_sec = 15
    parts = chunks(stream(days=2), 50)
    expected = await _replay(bench, parts, together=len(parts))
    await _fresh(bench)
    began = bench.now
    for number in (one for one in range(len(parts)) if one != 1):
        await bench.save(number, parts[number])
    folds = bench.restart(hold_ms=hold_of(lease_sec))
    seen = began - timedelta(minutes=1)  # as `save` dates them
    bench.now = seen + timedelta(seconds=lease_sec + 10)  # the lease is over, and somebody works on what is missing
    assert await folds.fold(BRAND) is Fold.HELD
    await bench.save(1, parts[1])
    bench.now = seen + timedelta(seconds=2 * lease_sec + 1)
    assert await folds.fold(BRAND) is Fold.DONE
    found = await bench.left()
    assert found["state"]["crisis"]["late"] == found["state"]["spike"]["late"] == 0
    assert found == expected


def test_a_backlog_is_held_for_two_leases_within_reason() -> None:
    assert [hold_of(seconds) for seconds in (1, 15, 3600)] == [HOLD_MS, 30_000, 600_000]


# -- silence ---------------------------------------------------------------------------------------------------


async def _live(bench: Bench, *, caught_up: bool = True) -> None:
    """A brand followed live, in a crisis at the end of its stream."""
    posts = stream(after_hours=1)
    bench.now = posts[-1].mention.created_at + timedelta(minutes=1)
    for number, part in enumerate(chunks(posts, 500)):
        await bench.save(number, part)
    bench.restart(caught_up=caught_up)
    await bench.fold_all()


async def _state(bench: Bench) -> BrandState:
    found = await bench.store.state(BRAND)
    assert found is not None
    return BrandState.from_dict(found)


async def test_a_brand_that_falls_silent_recovers_and_says_so(bench: Bench) -> None:
    await _live(bench)
    assert (await _state(bench)).crisis.state.value == "critical"
    for _ in range(10):
        bench.now += timedelta(hours=1)
        for brand in await bench.store.silent(to_ms(bench.now), 10):
            await bench.folds.advance(brand)
    assert (await _state(bench)).crisis.state.value == "calm"
    assert [one["severity"] for one in await bench.texts("queue:crisis:events")][-1] == "recovered"
    metrics = await bench.text(f"crisis:metrics:{BRAND}")
    assert metrics is not None
    assert metrics["severity"] == "normal"


async def test_silence_is_not_judged_while_something_of_the_brand_waits_or_the_queue_is_behind(bench: Bench) -> None:
    await _live(bench, caught_up=False)
    before = await _state(bench)
    bench.now += timedelta(hours=5)
    await bench.folds.advance(BRAND)
    assert (await _state(bench)).version == before.version
    bench.restart(caught_up=True)
    await bench.save(900, [_one(9_000, 60 * 90)])
    await bench.folds.advance(BRAND)
    assert (await _state(bench)).version == before.version


async def test_a_replayed_past_is_never_silent(bench: Bench) -> None:
    await _replay(bench, chunks(stream(after_hours=1), 500), together=1)
    bench.now = NOW + timedelta(days=3)
    assert await bench.store.silent(to_ms(bench.now), 10) == []
    assert (await _state(bench)).crisis.state.value == "critical"


async def test_a_brand_silent_for_long_is_left_alone(bench: Bench) -> None:
    await _live(bench)
    for _ in range(10 * 24):
        bench.now += timedelta(hours=1)
        for brand in await bench.store.silent(to_ms(bench.now), 10):
            await bench.folds.advance(brand)
    assert await bench.store.silent(to_ms(bench.now + timedelta(days=30)), 10) == []
    health = await bench.text(f"health:brand:{BRAND}")
    assert health is not None
    assert health["score"] is None
    assert "0 mentions within 7 days" in health["reason"]


async def test_the_spike_of_the_last_day_is_seen_and_an_older_one_is_not(bench: Bench) -> None:
    posts = stream(after_hours=2)
    await _replay(bench, chunks(posts, 500), together=1)
    assert (await _state(bench)).spiking
    last = posts[-1].mention.created_at
    later = [_one(50_000 + n, (last - T0).total_seconds() / 60 + 60 * n) for n in range(1, 40)]
    await bench.save(800, later)
    await bench.fold_all()
    assert not (await _state(bench)).spiking


def test_one_old_article_is_no_month_of_silence_for_health() -> None:
    def volume(posts: list[Post]) -> Any:
        state = BrandState.new(BRAND, 1)
        Folder().fold(state, together(Pending("k", "c", 1, contribution(posts, received_at=NOW))), to_ms(NOW))
        health = state.health()
        assert health is not None
        return health.parts["volume"].points

    week = [_one(n, 60 * n) for n in range(150)]
    assert volume(week) == 50.0
    assert volume([*week, _one(900, -25 * 24 * 60)]) == 50.0
    assert volume([*week, *(_one(1_000 + n, -25 * 24 * 60 + 60 * n) for n in range(100))]) > 50.0


async def test_a_fold_that_finds_nothing_writes_nothing(bench: Bench) -> None:
    assert await bench.folds.fold(BRAND) is Fold.DONE
    assert await bench.store.state(BRAND) is None
