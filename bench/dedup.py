"""Deduplication: precision, recall and speed on 28,000 posts with known re-posts of twelve kinds, beside simpler ways.

Posts are made by `bench/reposts.py` from the development data. A link is right when both posts have one origin; recall
counts re-posts that are linked so. CPU seconds of one thread, canonical form and signatures included, median of three.
The seeds of the three runs differ, so the figures are of three sets of posts.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench._redis import private_redis
from bench._report import Figure, Report, at_least
from bench._reposts import DATA, KINDS, Labelled, make, non_paraphrases
from src.worker.cpu import Cpu
from src.worker.models import Mention, TimeSource
from src.worker.near_duplicates import NearDuplicates, Post
from src.worker.pipeline.canonical import canonical, content_hash, cut_short, unescaped
from src.worker.redis_client import RedisClient
from src.worker.services.duplicates import NearLinks

POSTS = 28_000
SEEDS = (101, 202, 303)
CHUNK = 30
_START = datetime(2026, 11, 1, tzinfo=UTC)
Method = Callable[[Sequence[Labelled]], list[str | None]]


@dataclass(frozen=True)
class Score:
    precision: float
    recall: float
    by_kind: dict[str, float]


def score(posts: Sequence[Labelled], links: Iterable[str | None]) -> Score:
    """Links (id of the first of the kind per post) against the truth."""
    origin = {post.id: post.origin for post in posts}
    right: Counter[str] = Counter()
    made = 0
    for post, link in zip(posts, links, strict=True):
        made += link is not None
        right[post.kind] += link is not None and origin[link] == post.origin
    wanted = Counter(post.kind for post in posts if post.kind in KINDS)
    found = {kind: right[kind] / count for kind, count in wanted.items()}
    recall = sum(right[kind] for kind in wanted) / max(1, wanted.total())
    return Score(right.total() / made if made else 1.0, recall, dict(sorted(found.items())))


def near(posts: Sequence[Labelled]) -> list[str | None]:
    """Ours."""
    texts = [(post.id, unescaped(post.text)) for post in posts]
    stream = (Post(name, canonical(text), None, cut_short(text)) for name, text in texts)
    return list(NearDuplicates().add_all(stream))


def _by_hash(form: Callable[[str], str]) -> Method:
    def method(posts: Sequence[Labelled]) -> list[str | None]:
        firsts: dict[bytes, str] = {}
        links: list[str | None] = []
        for post in posts:
            digest = hashlib.sha256(form(post.text).encode("utf-8", "surrogatepass")).digest()
            first = firsts.setdefault(digest, post.id)
            links.append(None if first == post.id else first)
        return links

    return method


METHODS: dict[str, Method] = {
    "raw_hash": _by_hash(lambda text: text),
    "canonical_hash": _by_hash(lambda text: canonical(unescaped(text))),
    "near": near,
}
_WANTED = {"near.precision": 0.985, "near.recall": 0.95, "near.speed": 20_000}


def main(quick: bool = False) -> Report:
    report = Report("dedup", quick, " ".join((__doc__ or "").split()))
    if not DATA.is_dir():
        report.leave_out("everything: the development data (../shared/data) is not there")
        return report
    near([Labelled("w", "loads the library before the clock runs", "w", "original")])
    sets = [make(POSTS, seed=seed) for seed in (SEEDS[:1] if quick else SEEDS)]
    gc.freeze()  # the posts are the benchmark's own: looking through them for cycles is no part of the work
    for name, method in METHODS.items():
        scores, speeds = [], []
        for posts in sets:
            began = time.process_time()
            links = method(posts)
            speeds.append(len(posts) / (time.process_time() - began))
            scores.append(score(posts, links))
        _add(report, f"{name}.precision", statistics.median(one.precision for one in scores), "")
        _add(report, f"{name}.recall", statistics.median(one.recall for one in scores), "")
        _add(report, f"{name}.speed", statistics.median(speeds), "texts/s")
        report.details[name] = {"by_kind": scores[0].by_kind, "speeds": speeds}
    report.add(Figure("dedup.non_paraphrases_merged", _merged_non_paraphrases(), "share"))
    asyncio.run(_shared(report, sets[0][: 3_000 if quick else None]))
    return report


def _add(report: Report, name: str, value: float, unit: str) -> None:
    least = _WANTED.get(name)
    wanted = "" if least is None else at_least(value, least)
    report.add(Figure(f"dedup.{name}", value, unit, wanted=wanted))


def _merged_non_paraphrases() -> float:
    pairs = list(non_paraphrases())
    merged = 0
    for one, other in pairs:
        index = NearDuplicates()
        index.add("one", canonical(one))
        merged += index.add("other", canonical(other)) is not None
    return merged / len(pairs)


class _Counted(RedisClient):
    """Counts round trips."""

    trips = 0

    async def call(self, *words: object) -> object:
        self.trips += 1
        return await super().call(*words)  # type: ignore[arg-type]


async def _shared(report: Report, posts: Sequence[Labelled]) -> None:
    """The same posts as one brand's chunks of 30 through Redis, one chunk after the other."""
    mentions = [_mention(post, number) for number, post in enumerate(posts)]
    distinct = list({mention.content_hash: mention for mention in mentions}.values())
    with private_redis() as server:
        server.say("FLUSHALL")
        before = server.used_mb()
        client, cpu = _Counted(server.url), Cpu()
        service = NearLinks(client, cpu, window=timedelta(hours=72))
        await service.of(distinct[:1])
        client.trips = 0
        began = time.perf_counter()
        links: dict[str, str] = {}
        for start in range(0, len(distinct), CHUNK):
            links |= await service.of(distinct[start : start + CHUNK])
        seconds = time.perf_counter() - began
        used = server.used_mb() - before
        await client.close()
        cpu.close()
    chunks = -(-len(distinct) // CHUNK)
    report.add(Figure("dedup.shared.round_trips_per_chunk", client.trips / chunks, ""))
    report.add(
        Figure("dedup.shared.chunk_time", seconds / chunks * 1000, "ms", note="30 mentions, one after the other")
    )
    report.add(Figure("dedup.shared.redis_memory", used * 2**20 / len(distinct), "bytes/mention"))
    first = {mention.content_hash: mention.id for mention in reversed(mentions)}
    ids = [
        None
        if (first[m.content_hash] == m.id and m.content_hash not in links)
        else first[links.get(m.content_hash, m.content_hash)]
        for m in mentions
    ]
    result = score(posts, ids)
    _add(report, "shared.precision", result.precision, "")
    _add(report, "shared.recall", result.recall, "")


def _mention(post: Labelled, number: int) -> Mention:
    text = unescaped(post.text)
    form = canonical(text)
    at = _START + timedelta(seconds=number)
    return Mention(post.id, "acme", text, form, content_hash("x", form), "x", at, TimeSource.EVENT)


if __name__ == "__main__":
    main().write()
