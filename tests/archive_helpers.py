"""Mentions of past days, an archive over a real database and a directory, and everything that is in both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from bson import encode
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from src.worker.cpu import Cpu
from src.worker.janitor_seams import Run
from src.worker.pipeline.archive_block import unpack
from src.worker.services.archive import ArchiveStep
from src.worker.services.archive_books import ArchiveBooks
from src.worker.services.archive_days import Days
from src.worker.services.archive_parts import ArchiveParts
from src.worker.services.archive_restore import Restorer
from src.worker.services.archive_store import ArchiveStore, LocalArchive
from src.worker.services.archive_summary import DaySummaries, Summarizer
from src.worker.services.day_events import DayEvents
from src.worker.services.history import History
from src.worker.storage import ARCHIVED, MENTIONS, Storage

NOW = datetime(2026, 6, 1, 3, 30, tzinfo=UTC)
"""When the janitor runs. With 90 hot days, 3 March 2026 is the first day that stays."""
OLD = datetime(2026, 2, 1, tzinfo=UTC)
_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_WORDS = "app crash login price support slow great update refund battery screen love broken team plan".split()


@dataclass
class OpenFence:
    """A lock that is never lost; counts how often it was asked."""

    token: int = 1
    asked: int = 0

    async def hold(self) -> None:
        self.asked += 1


class Quiet:
    """A terminal nobody looks at."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def total(self, name: str, count: int) -> None:
        self.totals[name] = count

    def advance(self, name: str, count: int = 1) -> None:
        self.done[name] = self.done.get(name, 0) + count


def mention(number: int, at: datetime, *, brand: str = "acme", **more: Any) -> dict[str, Any]:
    """A stored mention, with types and values that JSON would not bring back."""
    rng = Random(f"{brand}{number}")
    score = round(rng.uniform(-1, 1), 6)
    label = "positive" if score > 0.05 else "negative" if score < -0.05 else "neutral"
    fields: dict[str, Any] = {
        "_id": f"{brand}:{rng.getrandbits(160):040x}",
        "id": f"m{number}",
        "brand": brand,
        "text": f"{' '.join(rng.choices(_WORDS, k=14))} é 🙂 {number}",
        "source": rng.choice(("x", "reddit", "news")),
        "created_at": at,
        "author": rng.choice((None, f"@Person{rng.randrange(40)}")),
        "content_hash": f"{rng.getrandbits(160):040x}",
        "sentiment": {"label": label, "score": score},
        "influence_score": -0.0 if number % 7 == 0 else rng.random() * 4,
        "intent": rng.choice(("GENERAL", "BUG_REPORT", "HOT_LEAD")),
        "priority": "P3_LOW",
        "strategic_tag": "NONE",
        "topics": rng.sample(["pricing", "bugs", "mobile"], k=rng.randrange(3)),
        "topic": rng.choice((None, "t1", "t2")),
        "tier": rng.choice((1, 2)),
        "lead_score": rng.choice((0, 0, 40)),
        "competitor": None,
        "degraded": False,
        "metadata": {"raw": {"z": 1, "a": [1, 2.5, None, {"n": 2**40}]}},
        "owner": f"{brand}:chunk{number // 30}",
        "first_seen": at,
    }
    return {**fields, **more}


def days_of(count: int, *, days: int = 3, brand: str = "acme", start: datetime = OLD) -> list[dict[str, Any]]:
    """`count` mentions spread evenly over some days."""
    step = timedelta(days=days) / count
    return [mention(n, _ms(start + step * n), brand=brand) for n in range(count)]


def _ms(when: datetime) -> datetime:
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


@dataclass
class Bench:
    """One database and one directory; `step()` is a new process' view of both."""

    storage: Storage
    directory: Path
    cpu: Cpu = field(default_factory=Cpu)
    now: datetime = NOW

    @classmethod
    async def open(cls, mongo_uri: str, directory: Path) -> Bench:
        bench = cls(Storage(mongo_uri), directory)
        await bench.storage.ensure_indexes(processed_chunks_ttl_days=90, llm_calls_ttl_days=400)
        return bench

    def close(self) -> None:
        self.storage.close()
        self.cpu.close()

    @property
    def books(self) -> ArchiveBooks:
        return ArchiveBooks(self.storage)

    @property
    def store(self) -> ArchiveStore:
        return LocalArchive(self.directory)

    def step(
        self,
        *,
        books: ArchiveBooks | None = None,
        store: ArchiveStore | None = None,
        summaries: Summarizer | None = None,
        **more: Any,
    ) -> ArchiveStep:
        known = books or self.books
        days = Days(known, DayEvents(self.storage), summaries or DaySummaries(None), clock=lambda: self.now)
        options = {"hot_days": 90, "part_mentions": 200, **more}
        return ArchiveStep(known, store or self.store, self.cpu, days, clock=lambda: self.now, **options)

    def run(self, *, dry: bool = False, fence: Any = None) -> Run:
        return Run(dry, self.now, fence or OpenFence(), Quiet())

    async def archive(self, **options: Any) -> dict[str, Any]:
        return await self.step(**options).run(self.run())

    def restorer(self) -> Restorer:
        parts = ArchiveParts(self.books, self.store, self.cpu, clock=lambda: self.now)
        return Restorer(self.books, parts, clock=lambda: self.now)

    def history(self, **options: Any) -> History:
        return History(self.storage, self.cpu, **options)

    async def put(self, documents: Iterable[dict[str, Any]]) -> dict[Any, bytes]:
        """Store mentions; returns each as its bytes."""
        raw = {one["_id"]: encode(one) for one in documents}
        collection = self.storage.collection(MENTIONS).with_options(codec_options=_RAW)
        listed = list(raw.values())
        for start in range(0, len(listed), 1000):
            await collection.insert_many([RawBSONDocument(one) for one in listed[start : start + 1000]], ordered=False)
        return raw

    async def hot(self) -> dict[Any, bytes]:
        """Every mention at hand as its bytes."""
        collection = self.storage.collection(MENTIONS).with_options(codec_options=_RAW)
        return {one["_id"]: bytes(one.raw) for one in await collection.find({}).to_list(None)}

    def blocks(self) -> list[Path]:
        return sorted(self.directory.rglob("*.bwa"))

    def archived(self) -> list[bytes]:
        """Every document in every block, with repeats."""
        return [one for path in self.blocks() for one in unpack(path.read_bytes()).documents]

    async def stones(self) -> int:
        return await self.storage.collection(ARCHIVED).count_documents({})

    async def first_day(self) -> dict[str, Any] | None:
        """The figures of the first day of these tests alone, for those that ask often."""
        found = await self.history().day("acme", OLD.date().isoformat())
        return found.sums.shown() if found is not None else None

    async def figures(self, brands: Sequence[str] = ("acme",), *, recent: bool = False) -> dict[str, Any]:
        """The figures of every day of the first week of February, and with `recent` of the last before `NOW`, as the
        API shows them: the days these tests put mentions on."""
        found = {}
        spans = [(OLD - timedelta(days=1), OLD + timedelta(days=6)), (NOW - timedelta(days=6), NOW)]
        for brand in brands:
            for since, until in spans if recent else spans[:1]:
                page = await self.history().page(brand, since=since.date(), until=until.date(), limit=400)
                assert page.following is None
                found |= {(brand, one.day): one.sums.shown() for one in page.days}
        return found
