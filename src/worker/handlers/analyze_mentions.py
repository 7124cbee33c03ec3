"""`analyze_mentions`: a chunk of mentions of one brand, in any shape producers send it."""

from __future__ import annotations

from typing import Final

from .. import strictjson
from ..batch_processor import BatchProcessor
from ..errors import InvalidTask
from ..keys import PlatformKeys
from ..models import Chunk, Rejected, Task
from ..pipeline.intake import parse_chunk
from ..queue_commands import Command
from ..services.audience import AudienceService
from ..services.launches import LaunchScout
from ..tasks import slug_of
from . import HandlerResult, RejectedItem

_RESULTS_KEPT_SEC: Final = 7 * 86_400
"""An orchestrator collects results within seconds; a week without one and the list must not stay for ever."""


class AnalyzeMentions:
    """Publishes one chunk result for the orchestrator, and its new mentions, when the chunk held anything new."""

    def __init__(
        self,
        service: BatchProcessor,
        keys: PlatformKeys,
        *,
        results_max: int,
        max_attempts: int,
        audience: AudienceService | None = None,
        launches: LaunchScout | None = None,
    ) -> None:
        """`max_attempts`: of a task, as the queue allows them. `audience` publishes the mentions themselves; without it
        only the result is."""
        self._service = service
        self._keys = keys
        self._results_max = results_max
        self._max_attempts = max_attempts
        self._audience = audience
        self._launches = launches

    def check(self, task: Task) -> None:
        _chunk(task)

    async def handle(self, task: Task) -> HandlerResult:
        """The counts as the result; what is published of the chunk as outputs; unusable items apart.

        Raises:
            InvalidTask: no item of the chunk can be used; the field and problem are the first one's.
            StorageUnavailable, QueueUnavailable, LLMError: as `BatchProcessor.process`.
        """
        chunk = _chunk(task)
        outcome = await self._service.process(
            chunk,
            task_id=task.id,
            received_at=task.received_at,
            entry=task.entry,
            replayed=task.replayed,
            last_attempt=task.attempt >= self._max_attempts,
        )
        if outcome.rejected and len(outcome.rejected) == len(chunk.items):
            field, _, problem = outcome.rejected[0].reason.partition(": ")
            raise InvalidTask(field, problem)
        outputs: tuple[Command, ...] = ()
        if outcome.result is not None:
            key = self._keys.results(chunk.brand)
            outputs = (
                ("RPUSH", key, strictjson.dumps(outcome.result)),
                ("LTRIM", key, -self._results_max, -1),
                ("EXPIRE", key, _RESULTS_KEPT_SEC),
            )
        if self._audience is not None:
            outputs += await self._audience.outputs(chunk.brand, outcome.own, keywords=chunk.keywords)
        if self._launches is not None:
            outputs += await self._launches.outputs(chunk.brand, outcome.own, task)
        rejected = () if outcome.again else tuple(_rejected(chunk, bad) for bad in outcome.rejected)
        return HandlerResult(dict(outcome.counts), outputs, rejected)


def _chunk(task: Task) -> Chunk:
    slug = task.brand
    if slug is not None and task.door is None:  # a list's key holds the slug as its producer writes it
        slug = slug_of(slug)
    return parse_chunk(task.payload, brand=slug, fallback_id=task.id)


def _rejected(chunk: Chunk, bad: Rejected) -> RejectedItem:
    document = {
        "type": "analyze_mentions",
        "brand": chunk.brand,
        "chunkId": f"{chunk.chunk_id}#{bad.index}",
        "keywords": list(chunk.keywords),
        "mentions": [bad.item],
    }
    return RejectedItem(document, bad.reason)
