"""Students shared by replicas: labels are stored once, one replica teaches, all use what was adopted, nobody waits."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from src.worker.errors import StorageUnavailable
from src.worker.services import students as service
from src.worker.services.students import LABELS, MODELS, StudentService, StudentStore, labelled, lesson_apart
from src.worker.storage import Storage
from src.worker.students.school import Labelled, Taught, hold_lesson
from src.worker.students.student import StudentTask, from_bytes
from tests.helpers import until
from tests.lessons import mention, texts
from tests.loop_work import turns

pytestmark = pytest.mark.anyio

MOOD = StudentTask.SENTIMENT
START = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


Labels = AsyncIterator[Sequence[Labelled]]


async def everything(labels: Labels) -> list[Labelled]:
    return [one async for some in labels for one in some][::-1]


async def parts(labels: Sequence[Labelled], size: int) -> Labels:
    newest = labels[::-1]
    for start in range(0, len(newest), size):
        yield newest[start : start + size]


async def in_thread(task: StudentTask, labels: Labels, previous: bytes | None) -> Taught:
    return await asyncio.to_thread(hold_lesson, task, await everything(labels), previous)


def replica(storage: Storage, clock: Clock, every: int = 100) -> StudentService:
    return StudentService(StudentStore(storage), clock=clock, hold=in_thread, lesson_every=every)


async def test_labels_teach_a_student_that_every_replica_comes_to_use(storage: Storage) -> None:
    clock = Clock()
    one, two = replica(storage, clock), replica(storage, clock)
    await one.add(MOOD, texts(200))
    taught = await one.learn(MOOD)
    assert taught is not None
    assert taught.lesson.adopted
    for each in (one, two):
        await each.refresh()
        assert each.current.sentiment is not None
        assert each.current.sentiment.origin.version == 1
        assert each.current.intent is None


async def test_the_same_labels_again_are_no_new_labels(storage: Storage) -> None:
    one = replica(storage, Clock())
    assert await one.add(MOOD, texts(120)) == 120
    assert await one.add(MOOD, texts(120)) == 0
    assert await one.labels(MOOD) == 120
    assert await storage.collection(LABELS).count_documents({}) == 120
    await one.learn(MOOD)
    assert await one.learn(MOOD) is None


async def test_a_lesson_waits_for_enough_new_labels(storage: Storage) -> None:
    one = replica(storage, Clock())
    await one.add(MOOD, texts(99))
    assert await one.learn(MOOD) is None
    await one.add(MOOD, texts(100, seed=9)[:1])
    assert await one.learn(MOOD) is not None


async def test_one_replica_teaches_at_a_time_and_a_lost_one_is_replaced(storage: Storage) -> None:
    clock = Clock()
    one, two = replica(storage, clock), replica(storage, clock)
    await one.add(MOOD, texts(150))
    assert await StudentStore(storage).lease(MOOD, now=clock()) is not None  # a replica that dies in its lesson
    assert await two.learn(MOOD) is None
    clock.now += timedelta(minutes=11)
    outcomes = await asyncio.gather(one.learn(MOOD), two.learn(MOOD))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_a_teacher_ends_when_it_is_told_to_also_while_mongodb_is_away(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure to give the lease back took the cancellation's place, and a worker that was stopped never ended."""
    begun = asyncio.Event()

    async def endless(task: StudentTask, labels: Labels, previous: bytes | None) -> Taught:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("end a lesson: connection refused")

    store = StudentStore(storage)
    one = StudentService(store, clock=Clock(), hold=endless, lesson_every=100)
    await one.add(MOOD, texts(120))
    running = asyncio.create_task(one.run())
    await begun.wait()
    monkeypatch.setattr(store, "release", away)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=30)
    assert done
    assert running.cancelled()


async def test_a_failed_lesson_gives_the_lease_back_and_is_held_again(storage: Storage) -> None:
    async def fails(task: StudentTask, labels: Labels, previous: bytes | None) -> Taught:
        raise RuntimeError("out of memory")

    clock = Clock()
    await replica(storage, clock).add(MOOD, texts(150))
    with pytest.raises(RuntimeError):
        await StudentService(StudentStore(storage), clock=clock, hold=fails, lesson_every=100).learn(MOOD)
    assert await replica(storage, clock).learn(MOOD) is not None


async def test_a_worse_student_leaves_the_one_before_in_use(storage: Storage) -> None:
    clock = Clock()
    one = replica(storage, clock)
    await one.add(MOOD, texts(300))
    await one.learn(MOOD)
    await one.refresh()

    async def worse(task: StudentTask, labels: Labels, previous: bytes | None) -> Taught:
        taught = await in_thread(task, labels, previous)
        return Taught(taught.student, replace(taught.lesson, adopted=False, reason="worse"))

    await one.add(MOOD, texts(200, seed=7))
    taught = await StudentService(StudentStore(storage), clock=clock, hold=worse, lesson_every=100).learn(MOOD)
    assert taught is not None
    await one.refresh()
    assert one.current.sentiment is not None
    assert one.current.sentiment.origin.version == 1
    assert await storage.collection(MODELS).count_documents({"task": "sentiment"}) == 1


async def test_a_damaged_student_in_the_database_is_not_used(storage: Storage) -> None:
    clock = Clock()
    one = replica(storage, clock)
    await one.add(MOOD, texts(200))
    await one.learn(MOOD)
    await one.refresh()
    await storage.collection(MODELS).insert_one(
        {"_id": "x", "task": "sentiment", "format": 1, "version": 2, "data": b"brand-worker-student\nno"}
    )
    before = one.current
    await one.refresh()
    await one.refresh()
    assert one.current is before
    # Nor does it stand in the way of the next version.
    await one.add(MOOD, texts(200, seed=8))
    assert await one.learn(MOOD) is not None
    await one.refresh()
    assert one.current.sentiment is not None
    assert await storage.collection(MODELS).count_documents({"_id": "x"}) == 0


async def test_a_student_of_another_feature_space_is_left_alone(storage: Storage) -> None:
    one = replica(storage, Clock())
    await storage.collection(MODELS).insert_one(
        {"_id": "new", "task": "sentiment", "format": 999, "version": 7, "data": b"of a newer worker"}
    )
    await one.add(MOOD, texts(200))
    assert await one.learn(MOOD) is not None
    await one.refresh()
    assert one.current.sentiment is not None
    assert one.current.sentiment.origin.version == 1
    assert await storage.collection(MODELS).count_documents({"_id": "new"}) == 1


async def test_versions_and_labels_are_bounded(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock = StudentStore(storage), Clock()
    taught = hold_lesson(MOOD, texts(150), None)
    assert taught.student is not None
    student = from_bytes(taught.student)
    for version in range(1, 9):
        numbered = replace(student, origin=replace(student.origin, version=version))
        assert await store.publish(numbered, taught.student, {}, at=clock())
        assert not await store.publish(numbered, taught.student, {}, at=clock())
    assert await storage.collection(MODELS).count_documents({"task": "sentiment"}) == 5
    monkeypatch.setattr(service, "MAX_EXAMPLES", 50)
    for part in (texts(40, seed=1), texts(40, seed=2)):
        await store.add_labels(MOOD, part, at=clock())
    kept = await everything(store.labels(MOOD))
    assert len(kept) == 50
    assert {one.key for one in texts(40, seed=2)} == {one.key for one in kept[10:]}


async def test_labels_are_read_a_few_at_a_time_and_all_of_them_once(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, clock = StudentStore(storage), Clock()
    monkeypatch.setattr(service, "_AT_ONCE", 20)
    for start in range(0, 130, 10):
        await store.add_labels(MOOD, texts(130)[start : start + 10], at=clock())
    sizes = [len(some) async for some in store.labels(MOOD)]
    assert max(sizes) == 20
    assert Counter(await everything(store.labels(MOOD))) == Counter(texts(130))
    for most in (60, 55):  # a page's end, and inside of one
        monkeypatch.setattr(service, "MAX_EXAMPLES", most)
        newest = await everything(store.labels(MOOD))
        assert {one.key for one in newest[-50:]} == {one.key for one in texts(130)[-50:]}
        assert len(newest) == most
    assert len(await everything(store.labels(MOOD))) == 55
    assert await storage.collection(LABELS).count_documents({}) == 60, "of one moment all stay"


async def test_the_event_loop_goes_on_while_a_lesson_is_held_in_a_process_of_its_own() -> None:
    hold_lesson(MOOD, texts(100), None)  # imports what lessons need
    began = time.thread_time()
    hold_lesson(MOOD, texts(600), None)
    lesson = time.thread_time() - began
    async with turns() as work:
        taught = await lesson_apart(MOOD, parts(texts(600), 100), None)
    assert taught == hold_lesson(MOOD, texts(600), None), "the same as in one piece"
    assert taught.lesson.adopted
    assert work.whole < lesson / 2, "in this process, it would be all of it"


async def test_the_service_survives_a_database_that_is_away(mongo_uri: str) -> None:
    away = Storage("mongodb://127.0.0.1:9/none", timeout_sec=0.2)
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        await asyncio.sleep(0.01)

    job = asyncio.create_task(replica(away, Clock()).run(nap))

    async def napped() -> bool:
        return len(naps) >= 2

    await until(napped)
    assert not job.done()
    job.cancel()
    await asyncio.wait({job})
    away.close()


async def test_the_run_loop_survives_a_lesson_whose_process_was_killed(storage: Storage) -> None:
    tries: list[int] = []

    async def killed(task: StudentTask, labels: Labels, previous: bytes | None) -> Taught:
        tries.append(len(await everything(labels)))
        raise BrokenProcessPool("killed")

    async def nap(seconds: float) -> None:
        await asyncio.sleep(0.01)

    one = StudentService(StudentStore(storage), clock=Clock(), hold=killed, lesson_every=100)
    await one.add(MOOD, texts(150))
    job = asyncio.create_task(one.run(nap))

    async def again() -> bool:
        return len(tries) >= 2

    await until(again)
    assert not job.done()
    job.cancel()
    await asyncio.wait({job})


async def test_the_run_loop_learns_and_uses_by_itself(storage: Storage) -> None:
    one = replica(storage, Clock())
    await one.add(MOOD, texts(150))
    job = asyncio.create_task(one.run())

    async def taught() -> bool:
        return one.current.sentiment is not None

    await until(taught, 20)
    job.cancel()
    await asyncio.wait({job})


async def test_a_verdict_of_tier_three_becomes_a_label_under_the_content_of_its_mention() -> None:
    label = labelled(MOOD, mention("x" * 9_000, key="ab"), "negative")
    assert (label.key, len(label.text), label.brand, label.label) == ("ab", 5_000, "acme", "negative")
