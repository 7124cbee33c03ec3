"""What a run of the janitor is made of: connections, language models, the steps in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .config import Settings
from .janitor_seams import Step
from .janitor_servers import servers
from .llm.accounting import Accounting
from .llm.operation_names import OPERATION_NAMES
from .llm_adapter import LLMAdapter
from .metrics import Metrics
from .redis_client import RedisClient
from .redis_families import families
from .services.archive_open import Archive
from .services.janitor_lock import JanitorLock
from .services.janitor_run import Janitor
from .services.redis_memory import RedisMemory
from .storage import Storage

_CONNECTIONS: Final = 8
"""Steps run one after another; the lock renews itself beside them, and the ledger of model calls writes."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each per run."""

    settings: Settings
    clock: Callable[[], datetime]
    redis: RedisClient
    storage: Storage
    archive: Archive

    def lock(self) -> JanitorLock:
        return JanitorLock(self.redis, self.storage, clock=self.clock)

    def steps(self) -> list[Step]:
        """Archive first: in Redis, what is old may go when MongoDB or the archive has it."""
        return [self.archive.step(), self._redis_memory()]

    def janitor(self) -> Janitor:
        return Janitor(self.redis, self.storage, self.steps(), clock=self.clock, lock=self.lock)

    def _redis_memory(self) -> RedisMemory:
        settings, keys = self.settings, self.settings.platform_keys
        return RedisMemory(
            self.redis,
            families(keys, hot_days=settings.mentions_hot_days, result_ttl_sec=settings.task_result_ttl_sec),
            brands_key=keys.brands,
            limit_bytes=settings.redis_memory_limit_mb << 20 or None,
        )


@asynccontextmanager
async def connected(settings: Settings, *, clock: Callable[[], datetime]) -> AsyncIterator[Parts]:
    """Everything, and in the end its orderly end. Raises `ConfigError` when there are no servers to work on."""
    async with servers(settings) as found:
        redis = RedisClient(found.redis_url, max_connections=_CONNECTIONS)
        storage = Storage(found.mongodb_uri)
        accounting = Accounting(
            settings,
            redis=redis,
            storage=storage,
            registry=Metrics().registry,  # nobody scrapes a janitor; its figures are in its report
            now=clock,
            operations=OPERATION_NAMES,
        )
        llm = LLMAdapter(
            settings,
            recorder=accounting.recorder,
            money=accounting.money,
            budget=accounting.budget,
            redis=redis,
            now=clock,
        )
        archive = Archive(settings, storage, llm, clock=clock)
        accounting.start()
        try:
            yield Parts(settings, clock, redis, storage, archive)
        finally:
            archive.close()
            await llm.close()
            await accounting.close()
            await redis.close()
            storage.close()
