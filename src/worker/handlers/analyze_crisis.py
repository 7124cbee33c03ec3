"""`analyze_crisis`: how bad is what these mentions say? (contract 2.2)

In: `mentions` (texts or objects; authors and times are used where they are given), `brand`, `monitor_id`,
`velocity_multiplier` (against the usual, by the producer's word; 1).
Out: above a risk score of 50 or a velocity of 3 one event to `queue:crisis:events` and `crisis:events:{b}`, and
`crisis:metrics:{b}` where the crisis detector has written none; every assessment to MongoDB, the same mentions once a
day. Result: the event's document with `isEvent`, `announced`, `why`, `repeats`, `synthetic`, `empty`.
"""

from __future__ import annotations

from typing import Any, Final

from ..cpu import Cpu
from ..models import Task
from ..pipeline.task_fields import Fields, Mentions, mentions_of
from ..services.crisis_assessment import CrisisAssessments, Situation
from ..tasks import slug_of
from . import HandlerResult

_MENTIONS_MAX: Final = 1_000
"""The local analysis reads so many in half a second."""
_VELOCITY_MAX: Final = 10_000.0
"""Anything above is a division by nearly nothing."""


class AnalyzeCrisis:
    """Built once per process."""

    def __init__(self, service: CrisisAssessments, cpu: Cpu, *, max_chars: int) -> None:
        """`max_chars`: of a text (MENTION_MAX_CHARS)."""
        self._service = service
        self._cpu = cpu
        self._max_chars = max_chars

    def check(self, task: Task) -> None:
        _checked(task)

    async def handle(self, task: Task) -> HandlerResult:
        items, monitor_id, velocity = _checked(task)
        brand = slug_of(task.brand) if task.brand else None
        found = await self._cpu.run(_read, items, brand or "", task, self._max_chars)
        if not found.mentions:
            why = "aggregators made all of these mentions up for want of real ones: nothing was assessed"
            result: dict[str, Any] = {"isEvent": False, "announced": False, "why": why, "riskScore": None}
            return HandlerResult({**result, "brand": brand, **found.left_out()})
        situation = Situation(found.mentions, brand, task.brand, monitor_id, velocity)
        outcome = await self._service.assess(situation, task)
        return HandlerResult({**outcome.result, **found.left_out()}, outcome.commands)


def _checked(task: Task) -> tuple[tuple[Any, ...], str | None, float]:
    fields = Fields(task.payload)
    velocity = fields.number("velocity_multiplier", "velocityMultiplier", default=1.0, low=0.0, high=_VELOCITY_MAX)
    return fields.items("mentions", most=_MENTIONS_MAX), fields.identity("monitor_id", "monitorId"), velocity


def _read(items: tuple[Any, ...], brand: str, task: Task, max_chars: int) -> Mentions:
    return mentions_of(items, brand=brand, received_at=task.received_at, max_chars=max_chars)
