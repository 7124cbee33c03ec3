"""What the tests of publishing share: stored mentions as documents, and a worker that publishes them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.handlers import TaskType
from src.worker.handlers.analyze_mentions import AnalyzeMentions
from src.worker.models import Analysed, Chunk
from src.worker.pipeline.documents import to_document
from src.worker.pipeline.normalize import normalise
from src.worker.runtime import Runtime, utc_now
from src.worker.services.audience import AudienceService
from src.worker.services.brands import BrandDirectory
from src.worker.vader import Vader
from tests.helpers import running

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_ANALYZER = Analyzer(Vader.load())


def stored(text: str, *, brand: str = "acme", at: str = "2026-11-20T10:20:30.500Z", **item: Any) -> dict[str, Any]:
    """A mention as the pipeline stores it, from a raw item."""
    raw = {"id": "17", "text": text, "source": "x", "created_at": at, **item}
    normal = normalise(Chunk(brand, "c", (raw,)), received_at=NOW, max_chars=100_000)
    ((_, mention),) = normal.mentions
    verdict = _ANALYZER.analyse(mention, BrandTerms.build(brand))
    return to_document(Analysed(mention, verdict), owner="o", now=NOW)


def about(name: str, identity: Any = "42") -> dict[str, Any]:
    """Metadata of a mention of a competitor."""
    return {"isCompetitor": True, "competitorName": name, "competitorId": identity}


def strict(raw: bytes | str) -> Any:
    """One JSON document as a strict reader takes it: no NaN, no repeated keys."""
    return json.loads(raw, parse_constant=pytest.fail, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@asynccontextmanager
async def publishing(redis_url: str, mongo_uri: str, **overrides: Any) -> AsyncIterator[Runtime]:
    """A running worker whose chunks publish their mentions."""
    async with running(redis_url, mongo_uri, **overrides) as runtime:
        keys = runtime.settings.platform_keys
        audience = AudienceService(
            runtime.storage,
            BrandDirectory(runtime.redis, keys),
            runtime.cpu,
            clock=utc_now,
            live=runtime.settings.consume_live_lists,
        )
        handler = AnalyzeMentions(
            runtime.mentions,
            keys,
            results_max=runtime.settings.chunk_results_max,
            max_attempts=runtime.settings.queue_max_attempts,
            audience=audience,
        )
        assert isinstance(runtime.handlers, dict)
        runtime.handlers["analyze_mentions"] = TaskType(handler.handle, handler.check)
        yield runtime
