"""Which task types this worker knows: every handler built from the parts of the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .config import Settings
from .cpu import Cpu
from .evaluation.model import models_of
from .handlers import Registry, TaskType
from .handlers.analyze_mentions import AnalyzeMentions
from .handlers.evaluation import EvaluationHandlers, deadline_sec
from .handlers.noop import noop
from .llm_adapter import LLMAdapter
from .metrics import Metrics
from .queue_producer import QueueClient
from .redis_client import RedisClient
from .services.audience import AudienceService
from .services.brands import BrandDirectory
from .services.evaluations import Evaluations
from .services.mentions import MentionService
from .storage import Storage


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
    mentions: MentionService
    audience: AudienceService
    evaluations: Evaluations


def task_types(parts: Parts) -> Registry:
    """All task types by name."""
    settings = parts.settings
    analyze = AnalyzeMentions(
        parts.mentions, settings.platform_keys, results_max=settings.chunk_results_max, audience=parts.audience
    )
    evaluation = EvaluationHandlers(
        models_of(parts.llm), parts.cpu, parts.evaluations, deadline_sec=deadline_sec(settings), now=parts.clock
    )
    return {
        "analyze_mentions": TaskType(analyze.handle, analyze.check),
        "noop": TaskType(noop),
        **evaluation.task_types(),
    }
