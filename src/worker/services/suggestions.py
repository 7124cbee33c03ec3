"""Replies for a comment: by a model, screened, or canned. Somebody waits at a screen, so nothing is tried twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..models import SentimentLabel, Task
from ..pipeline.suggestion_request import Comment
from ..pipeline.suggestions import Suggested, Tone, canned, screened, suggestion_document
from ..tasks import slug_of
from .advisor import LOCAL_TIER, Advisor, Asked
from .local_analysis import LocalAnalysis

if TYPE_CHECKING:
    from ..llm.operations.replies import Suggestions

DEADLINE_SEC: Final = 20.0
"""What a person waits for a suggestion; then canned ones do."""
_UNSAFE: Final = "UNSAFE_ANSWER: every reply of the model promised something or asked for too much"


class Suggester:
    """Built once per process, for the queue and for REST."""

    def __init__(self, advisor: Advisor, local: LocalAnalysis, *, deadline_sec: float = DEADLINE_SEC) -> None:
        self._advisor = advisor
        self._local = local
        self._deadline_sec = deadline_sec

    async def suggest(
        self, comment: Comment, *, default: SentimentLabel | None = None, task: Task | None = None
    ) -> dict[str, Any]:
        """At most three replies with the tones they have, and who made them. Never fails for want of a model.

        Args:
            default: the mood of a comment that names none; None: what the local analysis says.

        Raises:
            QueueUnavailable: the local analysis is asked, and Redis, which knows the brand's names, is away.
        """
        mood, source = await self._mood(comment, default)
        advice = await self._advisor.ask(
            lambda: _question(comment, mood),
            brand=slug_of(comment.brand),
            task=task,
            patient=False,
            deadline_sec=self._deadline_sec,
        )
        marks = advice.marks()
        said = [] if advice.value is None else _only(_replies(advice.value), comment.tone)
        kept, dropped = screened(said, comment.brand)
        if not kept:
            kept = _only(canned(comment.brand, mood), comment.tone)
            marks |= {"degraded": True, "reason": advice.reason or _UNSAFE, "tier": LOCAL_TIER}
        return suggestion_document(
            kept,
            dropped,
            brand=comment.brand,
            sentiment=mood,
            sentiment_source=source,
            marks=marks,
        )

    async def _mood(self, comment: Comment, default: SentimentLabel | None) -> tuple[SentimentLabel, str]:
        """And whose word it is: `given`, `default` or `local`."""
        if comment.sentiment is not None:
            return comment.sentiment, "given"
        mention = comment.mention() if default is None else None
        if mention is None:
            return default or SentimentLabel.NEUTRAL, "default"
        (analysed,) = await self._local.analyse([mention], await self._local.terms(mention.brand))
        return analysed.verdict.sentiment.label, "local"


def _only(replies: list[Suggested], tone: Tone | None) -> list[Suggested]:
    return [one for one in replies if tone in (None, one.tone)]


def _replies(said: Suggestions) -> list[Suggested]:
    return [Suggested(tone, text) for tone, text in zip(Tone, said.replies, strict=True)]


def _question(comment: Comment, mood: SentimentLabel) -> Asked[Suggestions]:
    from ..llm.operations.replies import RESPONSE_SUGGESTION
    from ..llm.operations.replies import Comment as Inputs

    inputs = Inputs(comment.brand, comment.text, mood, comment.voice)
    return Asked(RESPONSE_SUGGESTION, inputs, RESPONSE_SUGGESTION.read)
