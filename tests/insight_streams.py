"""Streams of mentions for tests of insight, chunks of them as the service stores them, and everything it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from src.worker.cpu import Cpu
from src.worker.models import Mention, Sentiment, SentimentLabel, TimeSource
from src.worker.pipeline.brand_state import Gathered, Pending
from src.worker.pipeline.contribution import Post, contribution
from src.worker.redis_client import RedisClient
from src.worker.services.insight_folds import BrandFolds, Fold
from src.worker.services.insight_metrics import InsightMetrics
from src.worker.services.insight_publisher import InsightPublisher
from src.worker.services.insight_store import (
    CRISIS_EVENTS,
    SPIKES,
    VOLUME,
    InsightStore,
    insight_indexes,
    waiting_fields,
)
from src.worker.storage import Storage

T0 = datetime(2025, 3, 3, tzinfo=UTC)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The worker's clock: long after the stream, as in a replay."""
BRAND = "acme"


def mention(n: int, at: datetime, *, author: str | None, text: str = "", **more: Any) -> Mention:
    said = text or f"words of mention {n}"
    fields: dict[str, Any] = {
        "id": f"m{n}",
        "brand": BRAND,
        "text": said,
        "canonical": said.lower(),
        "content_hash": f"{n:064x}",
        "source": "x",
        "created_at": at,
        "time_source": TimeSource.EVENT,
        "author": author,
        "metadata": {"likes": n % 3},
    }
    return Mention(**{**fields, **more})


def document(post: Mention, mood: Sentiment, **more: Any) -> dict[str, Any]:
    """The fields of a stored mention that insight looks at."""
    fields: dict[str, Any] = {
        "id": post.id,
        "text": post.text,
        "author": post.author,
        "created_at": post.created_at,
        "competitor": post.competitor,
        "sentiment": {"label": mood.label.value, "score": mood.score},
        "intent": "BUG_REPORT" if mood.score < 0 else "GENERAL",
        "tier": 2,
        "topics": ["bugs"] if mood.score < 0 else ["pricing"],
        "lead_score": 30 if mood.score > 0 else 0,
    }
    return {**fields, **more}


def mood_of(score: float) -> Sentiment:
    label = SentimentLabel.NEGATIVE if score < 0 else SentimentLabel.POSITIVE if score > 0 else SentimentLabel.NEUTRAL
    return Sentiment(label, score)


def stream(*, days: int = 3, complaints: int = 60, after_hours: int = 10, spread_sec: int = 3600) -> list[Post]:
    """Quiet days of twelve mentions an hour, three hours in which `complaints` people an hour are angry, then quiet.
    All mentions of an hour are in its first `spread_sec` seconds."""
    rng = Random(7)
    begin = days * 24 + 10
    posts = []
    for hour in range(begin + 3 + after_hours):
        angry = complaints if begin <= hour < begin + 3 else 0
        for who in range(12 + angry):
            score = -0.8 if who >= 12 or rng.random() < 0.15 else rng.choice((0.0, 0.4))
            at = T0 + timedelta(hours=hour, seconds=rng.randrange(spread_sec))
            one = mention(len(posts), at, author=f"person{len(posts)}")
            posts.append(Post(one, mood_of(score), document(one, mood_of(score))))
    return sorted(posts, key=lambda post: post.mention.created_at)


def chunks(posts: Sequence[Post], size: int = 30) -> list[list[Post]]:
    return [list(posts[start : start + size]) for start in range(0, len(posts), size)]


def shuffled_within_an_hour(posts: Sequence[Post], seed: int = 3) -> list[Post]:
    """Each mention comes up to 50 minutes later than it was written."""
    rng = Random(seed)
    delays = {post.mention.id: timedelta(minutes=rng.uniform(0, 50)) for post in posts}
    return sorted(posts, key=lambda post: post.mention.created_at + delays[post.mention.id])


@dataclass
class Sizes:
    """The queue as folding sees it."""

    answer: bool

    async def idle(self) -> bool:
        return False

    async def caught_up(self) -> bool:
        return self.answer


def together(*chunks: Pending) -> Gathered:
    """Chunks for one version of a state."""
    gathered = Gathered()
    for one in chunks:
        gathered.take(one)
    return gathered


@dataclass
class Bench:
    """The service's parts over real servers. `folds` is one process; `restart` is the next one."""

    storage: Storage
    client: RedisClient
    cpu: Cpu
    store: InsightStore
    folds: BrandFolds
    now: datetime = NOW

    @classmethod
    async def open(cls, mongo_uri: str, redis_url: str, *, hold_ms: int = 0) -> Bench:
        storage, client, cpu = Storage(mongo_uri), RedisClient(redis_url), Cpu()
        await storage.make_indexes(insight_indexes(90))
        bench = cls(storage, client, cpu, InsightStore(storage), None)  # type: ignore[arg-type]
        bench.restart(hold_ms=hold_ms)
        return bench

    def restart(
        self,
        *,
        hold_ms: int = 0,
        store: InsightStore | None = None,
        publisher: InsightPublisher | None = None,
        caught_up: bool = True,
        summaries: bool = True,
    ) -> BrandFolds:
        """A new process: nothing of the old one's memory is left."""

        self.folds = BrandFolds(
            store or self.store,
            publisher or InsightPublisher(self.client, summaries=summaries),
            self.cpu,
            metrics(),
            clock=lambda: self.now,
            queue=Sizes(caught_up),
            hold_ms=hold_ms,
        )
        return self.folds

    async def close(self) -> None:
        await self.client.close()
        self.storage.close()
        self.cpu.close()

    async def save(self, number: int, posts: Iterable[Post], *, result: dict[str, Any] | None = None) -> str:
        """A processed chunk, in the one write that makes it known."""
        sums = contribution(posts, received_at=NOW)
        key = f"{BRAND}:chunk{number:05}"
        on_insert = {
            "brand": BRAND,
            "chunk_id": f"c{number}",
            "task_id": f"t{number}",
            "first_seen": self.now - timedelta(minutes=1) + timedelta(milliseconds=number),
            "insight": waiting_fields(BRAND, sums),
        }
        await self.storage.save_chunk(key, on_insert, {"result": result})
        return key

    async def fold_all(self) -> None:
        while (found := await self.folds.fold(BRAND)) is not Fold.DONE:
            assert found is Fold.MORE

    async def left(self) -> dict[str, Any]:
        """Everything that must be the same whatever happened on the way."""
        state = await self.store.state(BRAND)
        assert state is not None
        assert await self.store.waiting() == []
        own = ("version", "updated_ms", "folded_ms", "applied", "outbox", "summaries")
        return {
            "state": {name: value for name, value in state.items() if name not in own},
            "volume": await self._all(VOLUME, ("_id", "count", "ms", "brand")),
            "spikes": await self._all(SPIKES, None),
            "crises": await self._all(CRISIS_EVENTS, None),
            "spike_list": await self.texts(f"spike:brand:{BRAND}"),
            "crisis_list": await self.texts(f"crisis:events:{BRAND}"),
            "crisis_queue": await self.texts("queue:crisis:events"),
        }

    async def _all(self, name: str, fields: Sequence[str] | None) -> list[dict[str, Any]]:
        found = await self.storage.collection(name).find({}).sort("_id", 1).to_list(None)
        hidden = ("fold", "written_at")
        return [{key: one[key] for key in one if (key in fields if fields else key not in hidden)} for one in found]

    async def texts(self, key: str) -> list[dict[str, Any]]:
        raw = await self.client.call("LRANGE", key, 0, -1)
        return [strict(one) for one in raw]

    async def text(self, key: str) -> dict[str, Any] | None:
        raw = await self.client.call("GET", key)
        return None if raw is None else strict(raw)


def strict(raw: bytes) -> dict[str, Any]:
    """As the strictest reader parses it: NaN and Infinity fail the test."""
    found: dict[str, Any] = json.loads(raw, parse_constant=pytest.fail)
    return found


def metrics() -> InsightMetrics:
    from prometheus_client import CollectorRegistry

    return InsightMetrics(CollectorRegistry())


Opened = Callable[[], Any]
