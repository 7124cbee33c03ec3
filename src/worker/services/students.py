"""Tier 2's students in MongoDB: labels go in, versions come out, and every replica uses the newest one adopted.

`student_labels` holds the latest labels, one per task and text; `student_models` the latest versions and, per task, a
state with the number of labels so far and a lease, so that one replica holds a lesson at a time. A lesson runs in a
process of its own: it takes seconds of CPU and loads scikit-learn, and both must neither stop the event loop nor stay.
Losing a lease only means that a version is computed twice: versions are numbered, and a number is taken once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any, Final

from bson.binary import Binary
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from ..errors import WorkerError
from ..logging import get_logger
from ..models import Mention
from ..storage import Storage, call
from ..students.features import FORMAT
from ..students.learning import MAX_EXAMPLES
from ..students.panel import UNTAUGHT, Students
from ..students.school import Labelled, Taught, hand_in, hold_lesson_of_all
from ..students.student import BadStudent, Student, StudentTask, from_bytes

log = get_logger(__name__)

LABELS: Final = "student_labels"
MODELS: Final = "student_models"
LESSON_EVERY: Final = 100
"""New labels between two lessons. On the airline stream a lesson per 100 keeps a point more than one per 250; each
costs some two seconds of CPU, most of them for loading scikit-learn."""
POLL_SEC: Final = 30.0
"""A student that is half a minute old on one replica and new on another does no harm."""
_LEASE: Final = timedelta(minutes=10)
"""Far more than a lesson of MAX_EXAMPLES takes (12,000: some 5 s of one core); then another replica may try."""
_AT_ONCE: Final = 200
"""Labels read at a time: the service holds so many, the lesson's own process holds MAX_EXAMPLES, 50 MB."""
_KEPT: Final = 5
_LONGEST: Final = 5_000
_NEVER_MS: Final = 0

HoldLesson = Callable[[StudentTask, AsyncIterator[Sequence[Labelled]], bytes | None], Awaitable[Taught]]
"""The labels come newest first, some at a time."""


async def lesson_apart(task: StudentTask, labels: AsyncIterator[Sequence[Labelled]], previous: bytes | None) -> Taught:
    """`hold_lesson` in a process that ends with the lesson and gives its memory back."""
    # Spawned, not forked: a fork of a process with threads and open connections may lock itself up.
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    loop = asyncio.get_running_loop()
    try:
        async for some in labels:
            await loop.run_in_executor(pool, hand_in, some)
        return await loop.run_in_executor(pool, hold_lesson_of_all, task, previous)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def labelled(task: StudentTask, mention: Mention, label: str) -> Labelled:
    """What tier 3 said of a mention, as a label to learn from."""
    return Labelled(mention.content_hash, mention.text[:_LONGEST], mention.competitor or mention.brand, label)


@dataclass(frozen=True, slots=True)
class Progress:
    """Labels that have come in for a task, and how many of them the last lesson knew."""

    labels: int
    taught: int


class StudentStore:
    """The two collections. Every method raises `StorageUnavailable` when waiting may help."""

    def __init__(self, storage: Storage) -> None:
        self._labels = storage.collection(LABELS)
        self._models = storage.collection(MODELS)

    async def ensure_indexes(self) -> None:
        async with call("create indexes of students"):
            await self._labels.create_indexes([IndexModel([("task", ASCENDING), ("at", DESCENDING)], name="by_task")])
            await self._models.create_indexes(
                [IndexModel([("task", ASCENDING), ("version", DESCENDING)], name="by_version")]
            )

    async def add_labels(self, task: StudentTask, texts: Sequence[Labelled], *, at: datetime) -> int:
        """Add labels; a text that has one gets the new one. Returns how many texts are new or changed."""
        if not texts:
            return 0
        operations = [
            UpdateOne(
                {"_id": f"{task.value}:{one.key}"},
                {"$set": {"task": task.value, **one._asdict()}, "$setOnInsert": {"at": at}},
                upsert=True,
            )
            for one in texts
        ]
        async with call("store labels"):
            done = await self._labels.bulk_write(operations, ordered=False)
            news = done.upserted_count + done.modified_count
            if news:
                change = {"$inc": {"labels": news}, "$setOnInsert": {"taught": 0, "lease_ms": _NEVER_MS}}
                await self._models.update_one({"_id": _state(task)}, change, upsert=True)
        return news

    async def labels(self, task: StudentTask) -> AsyncIterator[list[Labelled]]:
        """The latest MAX_EXAMPLES, newest first, some at a time; older ones are deleted."""
        cursor = self._labels.find({"task": task.value}, limit=MAX_EXAMPLES + 1, batch_size=_AT_ONCE)
        cursor = cursor.sort([("at", DESCENDING), ("_id", ASCENDING)])
        left = MAX_EXAMPLES
        while True:
            async with call("read labels"):
                found = await cursor.to_list(_AT_ONCE)
                if len(found) > left:
                    await self._labels.delete_many({"task": task.value, "at": {"$lt": found[left]["at"]}})
            if not found:
                return
            yield [Labelled(*(one[name] for name in Labelled._fields)) for one in found[:left]]
            left -= min(left, len(found))

    async def progress(self, task: StudentTask) -> Progress:
        async with call("read the state of a student"):
            found = await self._models.find_one({"_id": _state(task)})
        return Progress(0, 0) if found is None else Progress(found["labels"], found["taught"])

    async def lease(self, task: StudentTask, *, now: datetime) -> Progress | None:
        """Take the lease for a lesson; None when another replica has it or there are no labels."""
        change = {"$set": {"lease_ms": _ms(now + _LEASE)}}
        query = {"_id": _state(task), "lease_ms": {"$lt": _ms(now)}}
        async with call("lease a lesson"):
            found = await self._models.find_one_and_update(query, change, return_document=ReturnDocument.AFTER)
        return Progress(found["labels"], found["taught"]) if found else None

    async def release(self, task: StudentTask, *, taught: int | None) -> None:
        """Give the lease back. `taught`: labels that the lesson knew; None when it was not held."""
        change: dict[str, Any] = {"lease_ms": _NEVER_MS} | ({} if taught is None else {"taught": taught})
        async with call("end a lesson"):
            await self._models.update_one({"_id": _state(task)}, {"$set": change})

    async def newest(self, task: StudentTask, *, after: int = 0) -> bytes | None:
        """The bytes of the newest version, if it is newer than `after`; those of another feature space do not count."""
        async with call("read a student"):
            found = await self._models.find_one(
                {"task": task.value, "format": FORMAT, "version": {"$gt": after}}, sort=[("version", DESCENDING)]
            )
        return None if found is None else bytes(found["data"])

    async def publish(self, student: Student, data: bytes, facts: Mapping[str, Any], *, at: datetime) -> bool:
        """Store a version; False when another replica took its number first. The latest few are kept."""
        task, version = student.task.value, student.origin.version
        document = {
            "_id": f"{task}:{FORMAT}:{version}",
            "task": task,
            "format": FORMAT,
            "version": version,
            "data": Binary(data),
            "at": at,
        }
        async with call("store a student"):
            try:
                await self._models.insert_one({**document, "lesson": dict(facts)})
            except DuplicateKeyError:
                return False
            await self._models.delete_many({"task": task, "format": FORMAT, "version": {"$lte": version - _KEPT}})
        return True

    async def withdraw(self, task: StudentTask, data: bytes) -> None:
        """Delete a version that nobody can use."""
        async with call("withdraw a student"):
            await self._models.delete_one({"task": task.value, "data": Binary(data)})


class StudentService:
    """The students that this process uses (`current`), kept up to date; and its turn at teaching them."""

    def __init__(
        self,
        store: StudentStore,
        *,
        clock: Callable[[], datetime],
        hold: HoldLesson = lesson_apart,
        lesson_every: int = LESSON_EVERY,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hold = hold
        self._lesson_every = lesson_every
        self._broken: dict[StudentTask, int] = {}
        self.current: Students = UNTAUGHT
        """Replaced as a whole: a chunk that took it goes on with what it took."""

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look for newer versions and hold lessons that are due, until cancelled. What fails is tried again."""
        prepared = said = False
        while True:
            try:
                if not prepared:
                    await self._store.ensure_indexes()
                    prepared = True
                for task in StudentTask:
                    await self.learn(task)
                await self.refresh()
                said = False
            except (WorkerError, BrokenExecutor) as error:  # also a lesson's process that was killed
                if not said:
                    said = True
                    log.warning("students are not kept up to date", problem=str(error) or type(error).__name__)
            await sleep(POLL_SEC)

    async def add(self, task: StudentTask, texts: Sequence[Labelled]) -> int:
        """Labels to learn from, e.g. tier 3's verdicts; safe to repeat."""
        return await self._store.add_labels(task, texts, at=self._clock())

    async def labels(self, task: StudentTask) -> int:
        """Labels that have come in so far, from all replicas; the cascade's warm-up ends by it."""
        return (await self._store.progress(task)).labels

    async def refresh(self) -> None:
        """Use newer versions, where there are any. One that cannot be read is named once and left alone."""
        for task in StudentTask:
            now = self._student(task)
            known = max(0 if now is None else now.origin.version, self._broken.get(task, 0))
            data = await self._store.newest(task, after=known)
            if data is None:
                continue
            try:
                student = await asyncio.to_thread(from_bytes, data)
            except BadStudent as error:
                self._broken[task] = known + 1
                log.error("a student in MongoDB cannot be used", task=task.value, problem=error.message)
                continue
            self.current = (
                replace(self.current, sentiment=student)
                if task is StudentTask.SENTIMENT
                else replace(self.current, intent=student)
            )
            log.info("student in use", task=task.value, version=student.origin.version, score=student.origin.score)

    async def learn(self, task: StudentTask) -> Taught | None:
        """Hold a lesson if enough labels are new and no other replica does; None when there was none to hold."""
        progress = await self._store.progress(task)
        if progress.labels - progress.taught < self._lesson_every:
            return None
        leased = await self._store.lease(task, now=self._clock())
        if leased is None:
            return None
        taught: int | None = None
        try:
            if leased.labels - leased.taught < self._lesson_every:  # another replica was faster
                return None
            outcome = await self._lesson(task)
            taught = leased.labels
            return outcome
        except asyncio.CancelledError:
            # A release that fails must not take the cancellation's place: whoever waits for the end would for ever.
            with contextlib.suppress(WorkerError):  # the lease runs out by itself
                await self._store.release(task, taught=None)
            leased = None
            raise
        finally:
            if leased is not None:
                await self._store.release(task, taught=taught)

    async def _lesson(self, task: StudentTask) -> Taught:
        outcome = await self._hold(task, self._store.labels(task), await self._previous(task))
        lesson = outcome.lesson
        facts = {name: value for name, value in asdict(lesson).items() if name != "student"}
        log.info("lesson held", task=task.value, **{name: facts[name] for name in ("adopted", "reason", "examples")})
        if outcome.student is not None and lesson.adopted:
            student = await asyncio.to_thread(from_bytes, outcome.student)
            await self._store.publish(student, outcome.student, facts, at=self._clock())
        return outcome

    async def _previous(self, task: StudentTask) -> bytes | None:
        """The newest version that can be read; damaged ones would stand in the way of the next, so they go."""
        while (data := await self._store.newest(task)) is not None:
            try:
                await asyncio.to_thread(from_bytes, data)
            except BadStudent as error:
                log.error("a student in MongoDB is withdrawn", task=task.value, problem=error.message)
                await self._store.withdraw(task, data)
            else:
                return data
        return None

    def _student(self, task: StudentTask) -> Student | None:
        return self.current.sentiment if task is StudentTask.SENTIMENT else self.current.intent


def _state(task: StudentTask) -> str:
    return f"state:{task.value}"


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
