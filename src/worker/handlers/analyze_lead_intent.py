"""`analyze_lead_intent`: is the author of one text somebody to sell to? (contract 2.1)

In: `text`; `mention_id`, `brand`, `monitor_id`, `user_id`, `source_platform`, `source_author`, `source_url`,
`created_at`, `competitor` (the text is about this competitor of the brand), as far as known, in either spelling.
Out: one lead in the shape of all leads, to `queue:leads`, `leads:brand:{b}`, `leads:monitor:{id}` and MongoDB, once per
person, kind and week. Result: `{isLead, announced, why, salesIntent, confidence, intentType, painPoint, kind, leadId,
brand, mentionId, degraded, reason, tier, llm}`.
"""

from __future__ import annotations

from typing import Any, Final

from ..models import Mention, Task
from ..pipeline.commercial import Recipients, lead_commands
from ..pipeline.task_fields import Fields, mention_of
from ..services.commercial import CommercialService, Inquiry, Outcome
from ..tasks import slug_of
from . import HandlerResult

_URL_MAX: Final = 2_000
_NOTHING: Final[dict[str, Any]] = {
    "isLead": False,
    "announced": False,
    "why": "an aggregator made this text up for want of a real one: nobody was asked",
    **dict.fromkeys(("salesIntent", "confidence", "intentType", "painPoint", "kind", "leadId", "brand", "mentionId")),
    "degraded": False,
    "reason": None,
    "tier": 1,
    "llm": None,
}


class AnalyzeLeadIntent:
    """Built once per process."""

    def __init__(self, service: CommercialService, *, max_chars: int) -> None:
        """`max_chars`: of a text (MENTION_MAX_CHARS)."""
        self._service = service
        self._max_chars = max_chars

    def check(self, task: Task) -> None:
        self._mention(task)
        _recipients(task)

    async def handle(self, task: Task) -> HandlerResult:
        mention, to = self._mention(task), _recipients(task)
        if mention is None:
            return HandlerResult(_NOTHING | {"brand": to.brand})
        outcome = await self._service.judge(Inquiry(mention, task.brand, to), task)
        outputs = lead_commands(outcome.lead, to) if outcome.lead is not None and outcome.announced else []
        return HandlerResult(_result(outcome, mention, to), tuple(outputs))

    def _mention(self, task: Task) -> Mention | None:
        fields = Fields(task.payload)
        competitor = fields.optional("competitor", "competitor_name", "competitorName")
        metadata = {"isCompetitor": True, "competitorName": competitor} if competitor else {}
        item: dict[str, Any] = {
            "id": fields.identity("mention_id", "mentionId"),
            "text": fields.text("text", limit=self._max_chars),
            "source": fields.optional("source_platform", "sourcePlatform", "source"),
            "author": fields.identity("source_author", "sourceAuthor", "author"),
            "url": fields.optional("source_url", "sourceUrl", "url", limit=_URL_MAX),
            "created_at": fields.first("created_at", "createdAt", "timestamp"),
            "metadata": metadata,
        }
        brand = slug_of(task.brand) if task.brand else ""
        return mention_of(item, brand=brand, received_at=task.received_at, max_chars=self._max_chars)


def _recipients(task: Task) -> Recipients:
    fields = Fields(task.payload)
    return Recipients(
        slug_of(task.brand) if task.brand else None,
        fields.key_part("monitor_id", "monitorId"),
        fields.identity("user_id", "userId"),
    )


def _result(outcome: Outcome, mention: Mention, to: Recipients) -> dict[str, Any]:
    finding, lead = outcome.finding, outcome.lead
    taken = lead is not None and not outcome.announced
    return {
        "isLead": lead is not None,
        "announced": outcome.announced,
        "why": "this person has been announced as a lead of this kind this week" if taken else finding.why,
        "salesIntent": finding.sales_intent,
        "confidence": finding.confidence,
        "intentType": finding.intent_type,
        "painPoint": finding.pain_point,
        "kind": None if lead is None else lead.kind.value,
        "leadId": None if lead is None else lead.body["id"],
        "brand": to.brand,
        "mentionId": mention.id,
        **outcome.advice.marks(),
    }
