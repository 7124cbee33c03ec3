"""The parts that work on brands, and what of them goes on in the background while tasks are executed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .batch_processor import BatchProcessor
from .bluesky_scraper import BlueskyClient
from .cascade import Cascade
from .connections import Connections
from .embedding_books import Books
from .embeddings import embedder_of
from .handlers.competitor_detection import marker_key
from .judge import MentionJudge
from .services.advisor import Advisor
from .services.audience import AudienceService
from .services.discovery_schedule import DiscoverySchedule
from .services.duplicates import NearLinks
from .services.insight import InsightService
from .services.insight_folds import hold_of
from .services.insight_metrics import InsightMetrics
from .services.insight_publisher import InsightPublisher
from .services.insight_queue import QueueSizes
from .services.insight_store import InsightStore
from .services.jetstream import JetstreamListener
from .services.local_analysis import LocalAnalysis
from .services.students import StudentService, StudentStore
from .services.suggestions import Suggester
from .services.tiers import Tiers
from .services.topic_metrics import TopicMetrics
from .services.topic_names import TopicNames
from .services.topic_store import TopicStore
from .services.topics import TopicService
from .supervision import keep_running
from .web_scraper import WebScraper


class BrandSide:
    """Built without any I/O; `start` once the storage is prepared, `close` after the last task."""

    def __init__(self, base: Connections) -> None:
        settings, clock = base.settings, base.clock
        self.students = StudentService(StudentStore(base.storage), clock=clock)
        judge = MentionJudge(base.llm, base.redis, keep_sec=settings.llm_cache_ttl_sec)
        self.insight = _insight(base)
        self.topics = _topics(base)
        self.mentions = BatchProcessor(
            base.storage,
            base.brands,
            base.cpu,
            base.metrics,
            clock=clock,
            max_chars=settings.mention_max_chars,
            tiers=Tiers(base.cpu, base.metrics, self.students, judge, Cascade(settings.llm_max_share)),
            near=NearLinks.build(base.redis, base.cpu, settings),
            insight=self.insight,
            topics=self.topics,
        )
        self.audience = AudienceService(
            base.storage, base.brands, base.cpu, clock=clock, live=settings.consume_live_lists
        )
        self.local = LocalAnalysis(base.cpu, base.brands, self.students)
        self.suggester = Suggester(Advisor.build(base.llm, settings), self.local)
        self.web = WebScraper.build(settings, base.cpu, now=clock)
        self.bluesky = BlueskyClient.of(settings, base.cpu, clock=clock)
        self._stream = _stream(base, self.bluesky) if settings.bluesky_stream else None
        discovery = DiscoverySchedule(
            InsightStore(base.storage),
            base.queue,
            base.redis,
            clock=clock,
            marker_key=marker_key,
            active=base.active,
        )
        self._loops: dict[str, Callable[[], Awaitable[None]]] = {"students": self.students.run}
        if settings.competitor_detection_auto:
            self._loops["discovery"] = discovery.run
        self._jobs: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        self.insight.start()
        self.topics.start()
        self._jobs = {
            name: asyncio.create_task(keep_running(name, loop), name=name) for name, loop in self._loops.items()
        }
        if self._stream is not None:
            self._stream.start()

    async def close(self) -> None:
        if self._stream is not None:
            await self._stream.close()
        for job in self._jobs.values():
            job.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs.values())
        await self.topics.close()
        await self.insight.close()


def _insight(base: Connections) -> InsightService:
    metrics = InsightMetrics(base.metrics.registry)
    return InsightService(
        InsightStore(base.storage),
        InsightPublisher(
            base.redis, summaries=base.settings.publish_summary, on_refused=metrics.refused.labels("output").inc
        ),
        base.cpu,
        metrics,
        clock=base.clock,
        queue=QueueSizes(base.queue.depth, clock=base.clock, active=base.active),
        hold_ms=hold_of(base.settings.queue_lease_sec),
        tracing=base.tracing,
    )


def _topics(base: Connections) -> TopicService:
    accounting = base.accounting
    books = Books(accounting.budget, accounting.money, base.llm.tokens, accounting.recorder, base.clock)
    embedder = embedder_of(base.settings, base.cpu, books)
    store, metrics = TopicStore(base.storage), TopicMetrics(base.metrics.registry)
    names = TopicNames(base.llm, store, embedder, metrics) if base.llm.targets else None
    return TopicService(embedder, store, base.cpu, metrics, names=names)


def _stream(base: Connections, client: BlueskyClient) -> JetstreamListener:
    return JetstreamListener.of(
        base.settings.bluesky_jetstream_url,
        base.redis,
        base.settings.platform_keys,
        base.brands,
        client,
        base.cpu,
        base.metrics.registry,
        worker_id=base.settings.worker_id,
        clock=base.clock,
        max_task_bytes=base.settings.queue_max_task_bytes,
        active=base.active,
    )
