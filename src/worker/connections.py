"""What every trade of the process stands on: connections, measures, models, the queue. Built without any I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from .config import Settings
from .cpu import Cpu
from .llm.accounting import Accounting
from .llm.operation_names import OPERATION_NAMES
from .llm_adapter import LLMAdapter
from .metrics import Metrics
from .queue_consumer import TaskQueue
from .queue_outputs import QueueOutputs
from .redis_client import RedisClient
from .services.brands import BrandDirectory
from .standby import Standby
from .storage import Storage
from .tracing import tracing_of


class Connections:
    """One of each per process; `close` when nothing uses them any more."""

    def __init__(self, settings: Settings, *, redis_url: str, mongodb_uri: str, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.clock = clock
        self.redis_url = redis_url
        self.metrics = Metrics()
        self.tracing = tracing_of(settings, self.metrics.registry)
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
        self.outputs = QueueOutputs(
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
            outputs=self.outputs,
        )
        self.brands = BrandDirectory(self.redis, settings.platform_keys)
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

    def active(self) -> bool:
        """Whether this worker works at all: a standby does only while its primary is away."""
        return self.standby is None or self.standby.active

    async def close(self) -> None:
        await self.llm.close()
        await self.accounting.close()
        await self.redis.close()
        self.storage.close()
        self.cpu.close()
        await asyncio.to_thread(self.tracing.close)
