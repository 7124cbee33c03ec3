"""What the routes work with. Set on the application when it is built; no route reaches for anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from ..batch_processor import BatchProcessor
from ..dead_letters import DeadLetters
from ..handlers import Registry
from ..llm.view import LLMView
from ..metrics import Metrics
from ..queue_producer import QueueClient
from ..services.audit import AuditLog
from ..services.evaluations import Evaluations
from ..services.history import History
from ..services.insight_store import InsightStore
from ..services.janitor_report import LastRun
from ..services.live_feed import LiveFeed
from ..services.suggestions import Suggester
from ..services.topic_view import TopicView
from ..standby import Standby
from ..storage import Storage
from ..tracing import OFF, Tracing
from .write_rate import WriteRate


@dataclass(frozen=True, slots=True)
class ApiContext:
    worker_id: str
    version: str
    queue: QueueClient
    dead_letters: DeadLetters
    storage: Storage
    mentions: BatchProcessor
    task_types: Registry
    evaluations: Evaluations
    metrics: Metrics
    redis_ping: Callable[[], Awaitable[None]]
    worker_state: Callable[[], str]
    standby: Standby | None = None
    llm: LLMView | None = None
    insight: InsightStore | None = None
    history: History | None = None
    topics: TopicView | None = None
    suggester: Suggester | None = None
    janitor: LastRun | None = None
    tracing: Tracing = OFF
    live: LiveFeed | None = None
    audit: AuditLog | None = None
    writes: WriteRate | None = None


def context(request: Request) -> ApiContext:
    value: ApiContext = request.app.state.context
    return value


Context = Annotated[ApiContext, Depends(context)]
