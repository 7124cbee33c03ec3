"""`detect_launch`: does one text tell of a launch, and how is it received? (contract 3.18)

In: `brand` and `text`; `competitor` (name) or `isCompetitor` where it is a competitor's; `source`, `url`, `mention_id`,
`created_at` as far as known. Out: `launch:brand:{b}:my` or `:competitor`, and one document per product in MongoDB.
Result: the prediction, with `words` (rules that saw a launch) and `announced`.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import InvalidTask
from ..models import Task
from ..pipeline.launches import Source, Subject, launch_commands
from ..pipeline.task_fields import Fields, mention_of
from ..services.launches import LaunchService
from ..tasks import slug_of
from . import HandlerResult

_URL_MAX: Final = 2_000


class DetectLaunch:
    """Built once per process."""

    def __init__(self, service: LaunchService, *, max_chars: int) -> None:
        """`max_chars`: of a text (MENTION_MAX_CHARS)."""
        self._service = service
        self._max_chars = max_chars

    def check(self, task: Task) -> None:
        self._source(task, _subject(task))

    async def handle(self, task: Task) -> HandlerResult:
        subject = _subject(task)
        told = self._source(task, subject)
        if told is None:
            why = "an aggregator made this text up for want of a real one: nobody was asked"
            return HandlerResult({"is_launch": None, "announced": False, "reason": why, "brand": subject.brand})
        outcome = await self._service.detect(subject, told, task)
        outputs = launch_commands(subject, outcome.body) if outcome.finding.is_launch else []
        words = list(outcome.signs.words)
        return HandlerResult({**outcome.body, "words": words, "announced": bool(outputs)}, tuple(outputs))

    def _source(self, task: Task, subject: Subject) -> Source | None:
        fields = Fields(task.payload)
        identity = fields.identity("mention_id", "mentionId")
        item: dict[str, Any] = {
            "id": identity,
            "text": fields.text("text", limit=self._max_chars),
            "source": fields.optional("source", "source_platform", "sourcePlatform"),
            "url": fields.optional("url", "source_url", "sourceUrl", limit=_URL_MAX),
            "created_at": fields.first("created_at", "createdAt", "timestamp"),
        }
        mention = mention_of(item, brand=subject.brand, received_at=task.received_at, max_chars=self._max_chars)
        if mention is None:
            return None
        return Source(mention.text, mention.content_hash, mention.source, identity, mention.url, mention.created_at)


def _subject(task: Task) -> Subject:
    if not task.brand:
        raise InvalidTask("brand", "is required")
    fields = Fields(task.payload)
    name = fields.optional("competitor", "competitor_name", "competitorName")
    flag = fields.flag("isCompetitor", "is_competitor")
    brand = slug_of(task.brand)
    if name is not None and flag is False:
        raise InvalidTask("isCompetitor", "is false although a competitor is named")
    if name is not None and slug_of(name) == brand:
        raise InvalidTask("competitor", "is the brand itself")
    return Subject(brand, task.brand, bool(flag) or name is not None, name)
