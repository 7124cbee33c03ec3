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
from .api.context import ApiContext
from .cascade import Cascade
from .config import Settings
from .cpu import Cpu
from .dead_letters import DeadLetters
from .errors import StorageUnavailable
from .gates import Gates
from .judge import MentionJudge
from .lease_keeper import Held, LeaseKeeper, Lost
from .list_doors import ListDoors
from .llm.accounting import Accounting
from .llm.operation_names import OPERATION_NAMES
from .llm.view import LLMView
from .llm_adapter import LLMAdapter
from .logging import get_logger
from .metrics import Metrics
from .processor import Processor
from .queue_consumer import TaskQueue
from .queue_outputs import QueueOutputs
from .queue_worker import QueueWorker
from .redis_client import RedisClient
from .retry_policy import RetryPolicy
from .services.audience import AudienceService
from .services.brands import BrandDirectory
from .services.duplicates import NearLinks
from .services.evaluations import Evaluations
from .services.insight import InsightService
from .services.insight_metrics import InsightMetrics
from .services.insight_publisher import InsightPublisher
from .services.insight_queue import QueueSizes
from .services.insight_store import InsightStore, insight_indexes
from .services.mentions import MentionService
from .services.students import StudentService, StudentStore
from .services.tiers import Tiers
from .standby import Standby
from .storage import Storage
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
        self._clock = clock
        self.metrics = Metrics()
        # Room for the blocking read, the loops and the routes beside one call per running task.
        self.redis = RedisClient(redis_url, max_connections=settings.queue_concurrency + 32)
        self.storage = Storage(mongodb_uri)
        self.cpu = Cpu()
        self.accounting = Accounting(
            settings,
            redis=self.redis,
            storage=self.storage,
            registry=self.metrics.registry,
            now=clock,
            operations=OPERATION_NAMES,
        )
        self.llm = LLMAdapter(
            settings,
            recorder=self.accounting.recorder,
            money=self.accounting.money,
            budget=self.accounting.budget,
            redis=self.redis,
            now=clock,
        )
        self.accounting.metrics.watch_providers(self.llm.states)
        keys = settings.platform_keys
        outputs = QueueOutputs(
            worker_id=settings.worker_id,
            dead_letters_max=settings.dead_letters_max,
            result_ttl_sec=settings.task_result_ttl_sec,
        )
        self.queue = TaskQueue(
            self.redis,
            worker_id=settings.worker_id,
            lease_sec=settings.queue_lease_sec,
            dead_letters_max=settings.dead_letters_max,
            dead_letters_max_bytes=settings.dead_letters_max_mb << 20,
            result_ttl_sec=settings.task_result_ttl_sec,
            outputs=outputs,
        )
        brands = BrandDirectory(self.redis, keys)
        self.students = StudentService(StudentStore(self.storage), clock=clock)
        judge = MentionJudge(self.llm, self.redis, keep_sec=settings.llm_cache_ttl_sec)
        self.insight = self._build_insight()
        self.mentions = MentionService(
            self.storage,
            brands,
            self.cpu,
            self.metrics,
            clock=clock,
            max_chars=settings.mention_max_chars,
            tiers=Tiers(self.cpu, self.metrics, self.students, judge, Cascade(settings.llm_max_share)),
            near=NearLinks.build(self.redis, self.cpu, settings),
            insight=self.insight,
        )
        self.audience = AudienceService(self.storage, brands, self.cpu, clock=clock, live=settings.consume_live_lists)
        self.evaluations = Evaluations(self.storage, clock=clock, ttl_days=settings.evaluations_ttl_days)
        self.handlers = task_types(
            Parts(
                settings=settings,
                clock=clock,
                redis=self.redis,
                storage=self.storage,
                cpu=self.cpu,
                metrics=self.metrics,
                llm=self.llm,
                queue=self.queue,
                brands=brands,
                mentions=self.mentions,
                audience=self.audience,
                evaluations=self.evaluations,
            )
        )
        processor = Processor(
            self.handlers,
            outputs,
            keys,
            policy=RetryPolicy(
                settings.queue_max_attempts, settings.queue_retry_base_sec, settings.queue_retry_max_sec
            ),
            rng=Random(),
            task_timeout_sec=settings.task_timeout_sec,
            max_task_bytes=settings.queue_max_task_bytes,
        )
        self.standby = (
            Standby(
                self.redis,
                settings.standby_for,
                worker_id=settings.worker_id,
                interval_sec=settings.heartbeat_interval_sec,
            )
            if settings.standby_for
            else None
        )
        self.gates = Gates(
            self.metrics,
            storage_ping=self.storage.ping,
            memory_limit_bytes=settings.worker_memory_limit_mb << 20 or None,
            standing_by=self.standby is not None,
        )
        self.worker = QueueWorker(
            self.queue,
            processor,
            ListDoors(self.redis, keys, self.metrics, live_lists=settings.consume_live_lists),
            self.metrics,
            Admission(brand_slots=settings.brand_slots, type_slots=settings.type_slots),
            self.gates,
            partial(self._keeper, redis_url),
            concurrency=settings.queue_concurrency,
            drain_sec=settings.drain_timeout_sec,
            standby=self.standby,
        )
        self.api = ApiContext(
            worker_id=settings.worker_id,
            version=__version__,
            queue=self.queue,
            dead_letters=DeadLetters(self.redis, keys, clock=clock, result_ttl_sec=settings.task_result_ttl_sec),
            storage=self.storage,
            mentions=self.mentions,
            task_types=self.handlers,
            evaluations=self.evaluations,
            metrics=self.metrics,
            redis_ping=self.redis.ping,
            worker_state=lambda: self.worker.state.value,
            standby=self.standby,
            insight=InsightStore(self.storage),
            llm=LLMView(self.llm, self.accounting.ledger, self.accounting.budget, clock),
        )

    def _build_insight(self) -> InsightService:
        metrics = InsightMetrics(self.metrics.registry)
        return InsightService(
            InsightStore(self.storage),
            InsightPublisher(
                self.redis, summaries=self.settings.publish_summary, on_refused=metrics.refused.labels("output").inc
            ),
            self.cpu,
            metrics,
            clock=self._clock,
            queue=QueueSizes(
                self.queue.depth, clock=self._clock, active=lambda: self.standby is None or self.standby.active
            ),
        )

    def _keeper(self, redis_url: str, held: Held, lost: Lost) -> LeaseKeeper:
        return LeaseKeeper(
            redis_url,
            worker_id=self.settings.worker_id,
            lease_sec=self.settings.queue_lease_sec,
            heartbeat_sec=self.settings.heartbeat_interval_sec,
            held=held,
            lost=lost,
            announcement=self.standby.announcement if self.standby is not None else None,
        )

    async def run(self) -> None:
        """Prepare the storage (waiting for it as long as it takes), then work until `stop()`."""
        self.accounting.start()
        preparing = asyncio.create_task(self._prepare())
        stopping = asyncio.create_task(self.worker.stopped_early())
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not preparing.done():
            preparing.cancel()
            return
        preparing.result()
        self.insight.start()
        learning = asyncio.create_task(self.students.run(), name="students")
        try:
            await self.worker.run()
        finally:
            learning.cancel()
            await asyncio.wait({learning})
            await self.insight.close()
        if not learning.cancelled() and (fault := learning.exception()) is not None:
            log.error("learning had stopped", problem=f"{type(fault).__name__}: {fault}")

    def stop(self) -> None:
        self.worker.stop()

    async def close(self) -> None:
        await self.llm.close()
        await self.accounting.close()
        await self.redis.close()
        self.storage.close()
        self.cpu.close()

    async def _prepare(self) -> None:
        said = False
        while True:
            try:
                await self.storage.ensure_indexes(
                    processed_chunks_ttl_days=self.settings.processed_chunks_ttl_days,
                    llm_calls_ttl_days=self.accounting.calls_ttl_days,
                )
                await self.evaluations.ensure_indexes()
                await self.storage.make_indexes(insight_indexes(self.settings.processed_chunks_ttl_days))
                return
            except StorageUnavailable as error:
                if not said:
                    said = True
                    log.warning("MongoDB is not available, waiting for it", problem=error.message)
            await asyncio.sleep(_PREPARE_AGAIN_SEC)
