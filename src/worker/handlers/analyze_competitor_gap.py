"""`analyze_competitor_gap`: what do these mentions complain about in a competitor? (contract 2.3)

In: `mentions` (texts or objects; the first 20 are read), `competitor_id` (required: it names the competitor's list),
`competitor_name` ("Competitor", as the contract has it), `brand` (who watches).
Out: complaints to `queue:competitors:complaints`, `competitor:complaints:{id}` and MongoDB, each once. Result:
`{competitorId, competitorName, brand, read, leftOut, synthetic, empty, complaints, announced, degraded, reason, tier,
llm}`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ..cpu import Cpu
from ..errors import InvalidTask
from ..models import Task
from ..pipeline.complaints import Rival, complaint_commands
from ..pipeline.task_fields import Fields, Mentions, mentions_of
from ..services.competitor_gap import CompetitorGaps
from ..tasks import slug_of
from . import HandlerResult

_READ_MAX: Final = 20
"""Contract 2.3."""
_MENTIONS_MAX: Final = 1_000
"""More than the worker will read is no error, up to a size that no producer needs."""
_NAMELESS: Final = "Competitor"


class AnalyzeCompetitorGap:
    """Built once per process."""

    def __init__(self, service: CompetitorGaps, cpu: Cpu, *, max_chars: int) -> None:
        """`max_chars`: of a text (MENTION_MAX_CHARS)."""
        self._service = service
        self._cpu = cpu
        self._max_chars = max_chars

    def check(self, task: Task) -> None:
        _rival(task)
        _items(task)

    async def handle(self, task: Task) -> HandlerResult:
        """Raises `InvalidTask` for a field, and what `CompetitorGaps.find` raises."""
        rival, items = _rival(task), _items(task)
        found = await self._cpu.run(_read, items[:_READ_MAX], rival.brand or "", task, self._max_chars)
        mentions = [replace(mention, competitor=rival.name) for mention in found.mentions]
        gap = await self._service.find(mentions, rival, task)
        result: dict[str, Any] = {
            "competitorId": rival.id,
            "competitorName": rival.name,
            "brand": rival.brand,
            "read": len(mentions),
            "leftOut": max(0, len(items) - _READ_MAX),
            **found.left_out(),
            "complaints": list(gap.complaints),
            "announced": len(gap.fresh),
            **gap.marks,
        }
        return HandlerResult(result, tuple(complaint_commands(gap.fresh, rival)))


def _items(task: Task) -> tuple[Any, ...]:
    return Fields(task.payload).items("mentions", most=_MENTIONS_MAX)


def _read(items: tuple[Any, ...], brand: str, task: Task, max_chars: int) -> Mentions:
    return mentions_of(items, brand=brand, received_at=task.received_at, max_chars=max_chars)


def _rival(task: Task) -> Rival:
    fields = Fields(task.payload)
    identity = fields.key_part("competitor_id", "competitorId")
    if identity is None:
        raise InvalidTask("competitor_id", "is required")
    name = fields.optional("competitor_name", "competitorName") or _NAMELESS
    return Rival(identity, name, slug_of(task.brand) if task.brand else None)
