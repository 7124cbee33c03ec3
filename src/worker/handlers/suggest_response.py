"""`suggest_response`: at most three replies that a brand could give to a comment (contract 6 and 8).

In: `brand`, `text`; `sentiment` (positive, neutral, negative; else the local analysis says), `voice` (how the brand
wishes to sound), `tone` (safe, engaging, bold: only that one; any other words are a voice). Out: the result alone,
`{suggestions, tones, brand, sentiment, sentimentSource, language, dropped, degraded, reason, tier, llm}`.
"""

from __future__ import annotations

from ..models import Task
from ..pipeline.suggestion_request import read_comment
from ..services.suggestions import Suggester
from . import HandlerResult


class SuggestResponse:
    """Built once per process."""

    def __init__(self, suggester: Suggester) -> None:
        self._suggester = suggester

    def check(self, task: Task) -> None:
        read_comment(task.brand, task.payload)

    async def handle(self, task: Task) -> HandlerResult:
        return HandlerResult(await self._suggester.suggest(read_comment(task.brand, task.payload), task=task))
