"""A day in a few lines before its mentions are put away: by tier 3 within the budget, by the figures alone without it.

Which of the two it was, and why, stands beside the text. The figures are exact either way; the model only tells what
they cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import QueueUnavailable
from ..llm.errors import Kind, LLMError
from ..logging import get_logger
from ..pipeline.archive_sums import Sums
from ..storage import Document
from ..times import iso

if TYPE_CHECKING:
    from ..llm_adapter import LLMAdapter

log = get_logger(__name__)

WORTH_ASKING: Final = 20
"""Mentions of a day below which a model is not asked: the figures and the few texts say as much."""
SAMPLE: Final = 50
"""Mentions a model is shown of a day: the platform's figure for this compression (contract 8), some 4,000 tokens."""
_RECORD_CHARS: Final = 280
_FOR_THE_RUN: Final = frozenset({Kind.NO_KEY, Kind.BUDGET, Kind.AUTH, Kind.QUOTA, Kind.RESTING, Kind.UNSUPPORTED})
"""What will be no better for the next day: nobody is asked again in this run."""
_NAMED: Final = 5


class Summarizer(Protocol):
    async def summary(self, brand: str, day: str, sums: Sums, events: Document, sample: Sequence[Document]) -> Document:
        """`source` (model or statistics), `text`, `reason` (why no model, else null), and what a model adds."""
        ...

    @property
    def asks(self) -> bool:
        """Whether a sample of mentions is of any use."""
        ...


class DaySummaries:
    """Built once per run: what keeps it from asking a model holds for the rest of the run."""

    def __init__(self, llm: LLMAdapter | None) -> None:
        self._llm = llm
        self._why_not = None if llm is not None and llm.targets else "no language model is configured"

    @property
    def asks(self) -> bool:
        return self._why_not is None

    async def summary(self, brand: str, day: str, sums: Sums, events: Document, sample: Sequence[Document]) -> Document:
        reason = self._why_not
        if reason is None and sums.mentions < WORTH_ASKING:
            reason = f"fewer than {WORTH_ASKING} mentions"
        if reason is None:
            try:
                return await self._asked(brand, day, sums, events, sample)
            except (LLMError, QueueUnavailable) as error:
                reason = f"{error.code}: {error.message}"
                if isinstance(error, QueueUnavailable) or error.kind in _FOR_THE_RUN:
                    self._why_not = reason
                log.warning("a day is summarised by its figures alone", brand=brand, day=day, problem=error.message)
        return {"source": "statistics", "text": statistics(day, sums, events), "reason": reason}

    async def _asked(
        self, brand: str, day: str, sums: Sums, events: Document, sample: Sequence[Document]
    ) -> dict[str, Any]:
        from ..llm.operations.clusters import HISTORY_SUMMARY, Records  # builds pydantic models: not for every process

        assert self._llm is not None  # noqa: S101 - `_why_not` says so
        records = (statistics(day, sums, events), *(_record(one) for one in sample))
        answer = await self._llm.run(
            HISTORY_SUMMARY,
            Records(brand, records, left_out=max(0, sums.mentions - len(sample))),
            HISTORY_SUMMARY.read,
            brand=brand,
        )
        told = answer.value.model_dump(mode="json")
        return {
            "source": "model",
            "text": told["summary"],
            "reason": None,
            "key_events": list(told["key_events"]),
            "themes": list(told["themes"]),
            "sentiment_score": told["sentiment_score"],
            "model": str(answer.reply.target),
            "sampled": len(sample),
        }


def statistics(day: str, sums: Sums, events: Document) -> str:
    """Counted, not judged: true whatever the tier.

    >>> statistics("2026-03-01", Sums(), {"leads": 0, "spikes": [], "crises": []})
    '2026-03-01: 0 mentions.'
    """
    shares = ", ".join(f"{count:,} {label}" for label, count in sorted(sums.sentiments.items()))
    parts = [f"{sums.mentions:,} mention{'' if sums.mentions == 1 else 's'}{f' ({shares})' if shares else ''}"]
    if sums.authors:
        parts.append(f"{len(sums.authors):,} authors")
    named = sorted(sums.topics.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    if named:
        parts.append("mostly about " + ", ".join(f"{name} ({count:,})" for name, count in named))
    intents = {name: count for name, count in sorted(sums.intents.items()) if name != "GENERAL"}
    if intents:
        parts.append("intents " + ", ".join(f"{name} {count:,}" for name, count in intents.items()))
    if events["leads"]:
        parts.append(f"{events['leads']:,} leads")
    parts += [
        f"{name} at " + ", ".join(one["at"][11:16] for one in events[name])
        for name in ("spikes", "crises")
        if events[name]
    ]
    return f"{day}: {'; '.join(parts)}."


def sample_of(documents: Sequence[Document], size: int = SAMPLE) -> list[Document]:
    """Half of them spread evenly over the day, half those that weigh most (reach, leads, strong words); in order."""
    if len(documents) <= size:
        return list(documents)
    spread = {number * len(documents) // (size - size // 2) for number in range(size - size // 2)}
    heavy = sorted((n for n in range(len(documents)) if n not in spread), key=lambda n: (-_weight(documents[n]), n))
    return [documents[n] for n in sorted(spread | set(heavy[: size // 2]))]


def _weight(document: Document) -> float:
    sentiment = document.get("sentiment")
    score = sentiment.get("score") if isinstance(sentiment, dict) else None
    values = (document.get("influence_score"), score, document.get("lead_score"))
    reach, mood, lead = (value if isinstance(value, int | float) else 0.0 for value in values)
    return reach + abs(mood) + lead / 100


def _record(document: Document) -> str:
    text = document.get("text")
    when = document.get("created_at")
    said = " ".join(text.split())[:_RECORD_CHARS] if isinstance(text, str) else ""
    return f"{iso(when) if when is not None else 'time unknown'} [{document.get('intent')}] {said}"
