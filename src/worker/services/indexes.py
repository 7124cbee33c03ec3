"""Every index that a start creates, in one place, so that `doctor` looks for the same ones. (Students and the janitor
make theirs when they first have something to keep.)"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..config import Settings
from ..storage import Storage
from .audit import audit_indexes
from .competitor_store import competitor_indexes
from .evaluations import Evaluations
from .insight_store import insight_indexes
from .topic_store import topic_indexes
from .trade_store import trade_indexes
from .web_scan_store import web_scan_indexes


async def ensure_all_indexes(storage: Storage, settings: Settings, *, clock: Callable[[], datetime]) -> None:
    """Create what is missing; safe to run at every start and by several workers at once.

    Raises:
        StorageUnavailable: MongoDB does not answer; what has been created stays.
    """
    chunks_days = settings.processed_chunks_ttl_days
    await storage.ensure_indexes(processed_chunks_ttl_days=chunks_days, llm_calls_ttl_days=settings.llm_calls_ttl_days)
    await Evaluations(storage, clock=clock, ttl_days=settings.evaluations_ttl_days).ensure_indexes()
    for wanted in (
        competitor_indexes(),
        insight_indexes(chunks_days),
        trade_indexes(),
        web_scan_indexes(),
        topic_indexes(),
        audit_indexes(),
    ):
        await storage.make_indexes(wanted)
