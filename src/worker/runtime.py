"""All parts of one worker process, put together from the settings and taken apart in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final

from . import __version__
from .admission import Admission
from .allocator import keep_trimming
from .api.context import ApiContext
from .api.events import llm_figures
from .api.write_rate import WriteRate
from .brand_side import BrandSide
from .config import Settings
from .connections import Connections
from .dead_letters import DeadLetters
from .errors import StorageUnavailable
from .gates import Gates
from .handlers import Registry
from .lease_keeper import Held, LeaseKeeper, Lost
from .list_doors import ListDoors
from .llm.view import LLMView
from .logging import get_logger
from .processor import Processor
from .queue_worker import QueueWorker
from .retry_policy import RetryPolicy
from .services.audit import AuditLog
from .services.evaluations import Evaluations
from .services.finished_tasks import FinishedTasks
from .services.history import History
from .services.indexes import ensure_all_indexes
from .services.insight_store import InsightStore
from .services.janitor_report import LastRun
from .services.live_feed import LiveFeed
from .services.overview import Overview
from .services.topic_store import TopicStore
from .services.topic_view import TopicView
from .supervision import keep_running
from .trades import Parts, task_types

log = get_logger(__name__)

_PREPARE_AGAIN_SEC: Final = 2.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Runtime:
    """Built without any I/O; `run()` does the work until `stop()`."""

    def __init__(
        self, settings: Settings, *, redis_url: str, mongodb_uri: str, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.settings = settings
        base = self._base = Connections(settings, redis_url=redis_url, mongodb_uri=mongodb_uri, clock=clock)
        self.metrics, self.redis, self.storage = base.metrics, base.redis, base.storage
        self.cpu, self.llm, self.queue, self.standby = base.cpu, base.llm, base.queue, base.standby
        self.brand_side = BrandSide(base)
        self.students, self.topics = self.brand_side.students, self.brand_side.topics
        self.mentions, self.audience = self.brand_side.mentions, self.brand_side.audience
        self.evaluations = Evaluations(base.storage, clock=clock, ttl_days=settings.evaluations_ttl_days)
        self.janitor = LastRun(base.redis, base.metrics.registry)
        self.audit = AuditLog(base.storage, base.metrics.registry, worker_id=settings.worker_id, clock=clock)
        self.handlers = self._handlers()
        self.gates = Gates(
            base.metrics,
            storage_ping=base.storage.ping,
            memory_limit_bytes=settings.worker_memory_limit_mb << 20 or None,
            standing_by=base.standby is not None,
        )
        self.worker = self._worker()
        models = LLMView(base.llm, base.accounting.ledger, base.accounting.budget, clock)
        self._live = self._live_feed(models)
        self.api = self._api(models)

    def _handlers(self) -> Registry:
        base, brands = self._base, self.brand_side
        parts = Parts(
            settings=self.settings,
            clock=base.clock,
            redis=base.redis,
            storage=base.storage,
            cpu=base.cpu,
            metrics=base.metrics,
            llm=base.llm,
            queue=base.queue,
            brands=base.brands,
            mentions=brands.mentions,
            audience=brands.audience,
            evaluations=self.evaluations,
            local=brands.local,
            suggester=brands.suggester,
            bluesky=brands.bluesky,
            web=brands.web,
        )
        return task_types(parts)

    def _worker(self) -> QueueWorker:
        base, settings = self._base, self.settings
        processor = Processor(
            self.handlers,
            base.outputs,
            settings.platform_keys,
            policy=RetryPolicy(
                settings.queue_max_attempts, settings.queue_retry_base_sec, settings.queue_retry_max_sec
            ),
            rng=Random(),
            task_timeout_sec=settings.task_timeout_sec,
            max_task_bytes=settings.queue_max_task_bytes,
            tracing=base.tracing,
        )
        return QueueWorker(
            base.queue,
            processor,
            ListDoors(base.redis, settings.platform_keys, base.metrics, live_lists=settings.consume_live_lists),
            base.metrics,
            Admission(brand_slots=settings.brand_slots, type_slots=settings.type_slots),
            self.gates,
            self._keeper,
            concurrency=settings.queue_concurrency,
            drain_sec=settings.drain_timeout_sec,
            standby=base.standby,
        )

    def _keeper(self, held: Held, lost: Lost) -> LeaseKeeper:
        return LeaseKeeper(
            self._base.redis_url,
            worker_id=self.settings.worker_id,
            lease_sec=self.settings.queue_lease_sec,
            heartbeat_sec=self.settings.heartbeat_interval_sec,
            held=held,
            lost=lost,
            announcement=self.standby.announcement if self.standby is not None else None,
        )

    def _live_feed(self, models: LLMView) -> LiveFeed:
        overview = Overview(
            self.queue.depth,
            self.redis,
            llm=partial(llm_figures, models),
            worker=lambda: {
                "id": self.settings.worker_id,
                "version": __version__,
                "state": self.worker.state.value,
            },
            clock=self._base.clock,
        )
        return LiveFeed(overview, partial(FinishedTasks, self._base.redis_url))

    def _api(self, models: LLMView) -> ApiContext:
        base, settings = self._base, self.settings
        return ApiContext(
            tracing=base.tracing,
            worker_id=settings.worker_id,
            version=__version__,
            queue=base.queue,
            dead_letters=DeadLetters(
                base.redis, settings.platform_keys, clock=base.clock, result_ttl_sec=settings.task_result_ttl_sec
            ),
            storage=base.storage,
            mentions=self.mentions,
            task_types=self.handlers,
            evaluations=self.evaluations,
            metrics=base.metrics,
            redis_ping=base.redis.ping,
            worker_state=lambda: self.worker.state.value,
            standby=base.standby,
            suggester=self.brand_side.suggester,
            insight=InsightStore(base.storage),
            topics=TopicView(TopicStore(base.storage), InsightStore(base.storage)),
            history=History(base.storage, base.cpu),
            janitor=self.janitor,
            live=self._live,
            audit=self.audit,
            writes=WriteRate(base.redis, settings.http_write_rate),
            llm=models,
        )

    async def run(self) -> None:
        """Prepare the storage (waiting for it as long as it takes), then work until `stop()`."""
        self._base.accounting.start()
        self.janitor.start()
        self.audit.start()
        trimming = asyncio.create_task(keep_running("allocator", keep_trimming), name="allocator")
        try:
            if await self._prepared():
                await self._work()
        finally:
            self._live.stop()
            trimming.cancel()
            await asyncio.wait({trimming})

    async def _prepared(self) -> bool:
        """False when `stop()` came first."""
        preparing = asyncio.create_task(self._prepare())
        stopping = asyncio.create_task(self.worker.stopped_early())
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not preparing.done():
            preparing.cancel()
            return False
        preparing.result()
        return True

    async def _prepare(self) -> None:
        said = False
        while True:
            try:
                await ensure_all_indexes(self.storage, self.settings, clock=self._base.clock)
                return
            except StorageUnavailable as error:
                if not said:
                    said = True
                    log.warning("MongoDB is not available, waiting for it", problem=error.message)
            await asyncio.sleep(_PREPARE_AGAIN_SEC)

    async def _work(self) -> None:
        self.brand_side.start()
        try:
            await self.worker.run()
        finally:
            await self.brand_side.close()

    def stop(self) -> None:
        self.worker.stop()

    async def close(self) -> None:
        await self.janitor.close()
        await self.audit.close()
        self.brand_side.web.close()
        await self._base.close()
