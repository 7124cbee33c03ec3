"""Which task types this worker knows: every handler built from the parts of the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .batch_processor import BatchProcessor
from .bluesky_scraper import BlueskyClient
from .config import Settings
from .cpu import Cpu
from .evaluation.model import models_of
from .handlers import Registry, TaskType
from .handlers.analyze_mentions import AnalyzeMentions
from .handlers.bluesky_search import BlueskySearch
from .handlers.competitor_detection import CompetitorDetection
from .handlers.evaluation import EvaluationHandlers, deadline_sec
from .handlers.noop import noop
from .handlers.web_scan import WebScanHandler
from .llm_adapter import LLMAdapter
from .metrics import Metrics
from .queue_producer import QueueClient
from .redis_client import RedisClient
from .services.audience import AudienceService
from .services.bluesky_marks import Marks
from .services.brands import BrandDirectory
from .services.competitors import Competitors
from .services.evaluations import Evaluations
from .services.local_analysis import LocalAnalysis
from .services.suggestions import Suggester
from .storage import Storage
from .trades_commercial import commercial_types, launch_scout
from .web_scraper import WebScraper


@dataclass(frozen=True, slots=True)
class Parts:
    """What handlers are built from; one of each per process."""

    settings: Settings
    clock: Callable[[], datetime]
    redis: RedisClient
    storage: Storage
    cpu: Cpu
    metrics: Metrics
    llm: LLMAdapter
    queue: QueueClient
    brands: BrandDirectory
    mentions: BatchProcessor
    audience: AudienceService
    evaluations: Evaluations
    local: LocalAnalysis
    suggester: Suggester
    bluesky: BlueskyClient
    web: WebScraper


def task_types(parts: Parts) -> Registry:
    """All task types by name."""
    settings = parts.settings
    analyze = AnalyzeMentions(
        parts.mentions,
        settings.platform_keys,
        results_max=settings.chunk_results_max,
        max_attempts=settings.queue_max_attempts,
        audience=parts.audience,
        launches=launch_scout(parts),
    )
    evaluation = EvaluationHandlers(
        models_of(parts.llm), parts.cpu, parts.evaluations, deadline_sec=deadline_sec(settings), now=parts.clock
    )
    bluesky = BlueskySearch(
        parts.bluesky, parts.brands, Marks(parts.redis), parts.cpu, max_task_bytes=settings.queue_max_task_bytes
    )
    competitors = CompetitorDetection(
        Competitors(parts.storage, parts.brands, parts.cpu, parts.llm, clock=parts.clock, pages=parts.web),
        parts.redis,
        settings.platform_keys,
    )
    web_scan = WebScanHandler.build(
        settings,
        fetcher=parts.web.fetcher,
        reader=parts.web,
        redis=parts.redis,
        storage=parts.storage,
        cpu=parts.cpu,
        llm=parts.llm,
        local=parts.local,
        now=parts.clock,
    )
    return {
        "analyze_mentions": TaskType(analyze.handle, analyze.check),
        "bluesky_search": TaskType(bluesky.handle, bluesky.check),
        "competitor_detection": TaskType(competitors.handle, competitors.check),
        "noop": TaskType(noop),
        **evaluation.task_types(),
        **commercial_types(parts),
        **web_scan.task_types(),
    }
