"""The archive: 200,000 mentions over 120 days in the embedded MongoDB; how much smaller, how fast, in how much memory.

Mentions are made of the development data's airline posts, analysed and stored as the service stores them, so that their
documents have the size and the repetition of real ones; within one day no post comes twice. The run is a process of its
own. All are archived (the clock stands 91 days after the last), so that the ratio is that of everything. `ratio`
compares BSON before with what is left in the archive and in MongoDB together: blocks, stones, figures, summaries.
Restoring gives back every document byte for byte, which is checked with a SHA-256 of each before and after.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._analysis_data import DATA, rows
from bench._report import Figure, Report, at_least, at_most
from src.worker.analyzer import Analyzer
from src.worker.brand_terms import BrandTerms
from src.worker.config import load_settings
from src.worker.cpu import Cpu
from src.worker.embedded import EmbeddedServers
from src.worker.models import Analysed, Chunk, Verdict
from src.worker.pipeline.documents import to_document
from src.worker.pipeline.normalize import normalise
from src.worker.raw_storage import Raw, RawStorage, encoded
from src.worker.services.archive_open import Archive
from src.worker.services.archive_records import HISTORY, PARTS
from src.worker.services.history import History
from src.worker.storage import ARCHIVED, MENTIONS, Storage
from src.worker.vader import Vader

MENTIONS_MADE = 200_000
DAYS = 120
BRAND = "united"
_START = datetime(2025, 9, 1, tzinfo=UTC)
_NOW = _START + timedelta(days=DAYS + 91, hours=3)
_CHUNK = 30
_READ = 2_000


def made(count: int) -> Iterator[dict[str, Any]]:
    """Stored mentions, evenly over the days."""
    posts = rows("airline_stream")
    items = tuple(
        {
            "id": f"tw_{row['tweet_id']}",
            "text": row["text"],
            "source": "x",
            "created_at": row["ts_utc"],
            "author": row["user"],
            "url": f"https://x.com/{row['user']}/status/{row['tweet_id']}",
            "metadata": {"likes": number % 7, "author_followers": number * 37 % 9_000},
        }
        for number, row in enumerate(posts)
    )
    mentions = [one for _, one in normalise(Chunk(BRAND, "c", items), received_at=_NOW, max_chars=10_000).mentions]
    judged = Analyzer(Vader.load()).analyse_batch(mentions, BrandTerms.build(BRAND))
    verdicts = [one if isinstance(one, Verdict) else one.verdict for one in judged]
    step = timedelta(days=DAYS) / count
    for number in range(count):
        at = (_START + step * number).replace(microsecond=0)
        chunk = hashlib.sha256(f"{number // _CHUNK}".encode()).hexdigest()[:40]
        document = to_document(
            Analysed(mentions[number % len(mentions)], verdicts[number % len(mentions)]),
            owner=f"{BRAND}:{chunk}",
            now=at + timedelta(seconds=number % _CHUNK),
        )
        digest = hashlib.sha256(f"{number}".encode()).hexdigest()[:40]
        yield {**document, "_id": f"{BRAND}:{digest}", "content_hash": digest, "id": f"tw_{number}", "created_at": at}


def main(quick: bool = False) -> Report:
    report = Report("janitor", quick, " ".join((__doc__ or "").split()))
    if not DATA.is_dir():
        report.leave_out("everything: the development data (../shared/data) is not there")
        return report
    asyncio.run(_measure(report, MENTIONS_MADE // (10 if quick else 1)))
    return report


async def _measure(report: Report, count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with EmbeddedServers(Path(directory) / "servers") as endpoints:
            storage, cpu = Storage(endpoints.mongodb_uri), Cpu()
            await storage.ensure_indexes(processed_chunks_ttl_days=90, llm_calls_ttl_days=400)
            sums, raw_bytes = await _filled(storage, count, report)
            history = History(storage, cpu, hot_per_page=10**9)
            before = await _figures(history)
            blocks = str(Path(directory) / "archive")
            done = await asyncio.to_thread(_run, endpoints.mongodb_uri, blocks)
            report.details["run"] = done
            _told(report, done, raw_bytes, await _left(storage), count)
            same = await _figures(history) == before
            report.add(Figure("janitor.figures_unchanged", float(same), "", wanted=at_least(same, 1)))
            await _restore(report, storage, blocks, sums)
            storage.close()
            cpu.close()


async def _filled(storage: Storage, count: int, report: Report) -> tuple[set[bytes], int]:
    """Store the mentions. Returns a hash of each, and the bytes of all."""
    raw, batch, sums, size = RawStorage(storage), [], set(), 0
    for document in made(count):
        bson = encoded(document)
        size += len(bson)
        sums.add(hashlib.sha256(bson).digest())
        batch.append(Raw(document["_id"], bson))
        if len(batch) == _READ:
            await raw.insert(MENTIONS, batch)
            batch = []
            report.progress(f"{len(sums):,} stored") if len(sums) % 50_000 == 0 else None
    await raw.insert(MENTIONS, batch)
    return sums, size


def _run(uri: str, directory: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "bench._janitor_run", uri, directory, _NOW.isoformat()]
    ended = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=3_600)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


async def _left(storage: Storage) -> int:
    """BSON left in MongoDB of what was archived."""
    total = 0
    for name in (MENTIONS, ARCHIVED, PARTS, HISTORY):
        async for one in storage.collection(name).find({}):
            total += len(encoded(one))
    return total


def _told(report: Report, done: dict[str, Any], raw_bytes: int, left: int, count: int) -> None:
    blocks, seconds = done["bytes_after"], done["seconds"]
    all_left = raw_bytes / (blocks + left)
    report.add(Figure("janitor.mention", raw_bytes / count, "bytes", note="BSON"))
    report.add(
        Figure("janitor.ratio_blocks", raw_bytes / blocks, "", wanted=at_least(raw_bytes / blocks, 4.3), note="zstd")
    )
    report.add(Figure("janitor.ratio", all_left, "", wanted=at_least(all_left, 3.5), note="blocks, stones and figures"))
    report.add(Figure("janitor.left_in_mongodb", left / count, "bytes/mention"))
    report.add(Figure("janitor.mentions", done["mentions_archived"] / seconds, "mentions/s", note="embedded server"))
    report.add(Figure("janitor.throughput", raw_bytes / seconds / 1e6, "MB/s"))
    report.add(
        Figure(
            "janitor.memory", done["peak_mb"], "MB", wanted=at_most(done["peak_mb"], 150), note="peak of the process"
        )
    )


async def _figures(history: History) -> dict[str, Any]:
    page = await history.page(BRAND, since=_START.date(), until=_NOW.date(), limit=400)
    return {one.day: one.sums.shown() for one in page.days}


async def _restore(report: Report, storage: Storage, blocks: str, sums: set[bytes]) -> None:
    settings = load_settings(_env_file=None, archive_url=f"file://{blocks}")
    archive = Archive(settings, storage, None, clock=lambda: _NOW)
    restorer, raw = archive.restorer(), RawStorage(storage)
    began = time.perf_counter()
    restored = 0
    found: set[bytes] = set()
    for number in range(DAYS):
        day = _START + timedelta(days=number)
        restored += (await restorer.restore(BRAND, day.date().isoformat())).inserted
        query = {"brand": BRAND, "created_at": {"$gt": day - timedelta(milliseconds=1), "$lt": day + timedelta(days=1)}}
        documents = await raw.read(MENTIONS, query, order=("created_at", "_id"), count=10**6, size=10**9)
        found |= {hashlib.sha256(one.bson).digest() for one in documents}
    seconds = time.perf_counter() - began
    archive.close()
    same = found == sums
    report.add(Figure("janitor.restore", restored / seconds, "mentions/s", note="checked again while reading"))
    report.add(Figure("janitor.restored_byte_for_byte", float(same), "", wanted=at_least(same, 1)))


if __name__ == "__main__":
    main("--quick" in sys.argv).write()
