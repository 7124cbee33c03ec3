"""Between a verdict and its documents: what MongoDB stores, what REST and the command line show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..models import Analysed, Mention, Verdict
from ..times import iso


@dataclass(frozen=True, slots=True)
class Place:
    """A mention's topic in its brand's stream, or why it has none."""

    topic: str | None
    reason: str | None = None


NO_TOPICS: Final = Place(None, "topics are not kept by this process")
COMPETITORS: Final = Place(None, "about a competitor")
"""Topics are the brand's own: a competitor's complaints are none of its."""


def mention_key(brand: str, content_hash: str) -> str:
    """`_id` of a mention: one per brand and content."""
    return f"{brand}:{content_hash}"


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """The verdict's own part of a mention, as in the worker's public interface."""
    return {
        "sentiment": {"label": verdict.sentiment.label.value, "score": verdict.sentiment.score},
        "intent": verdict.intent.value,
        "intent_confidence": verdict.intent_confidence,
        "emotions": dict(verdict.emotions),
        "urgency": verdict.urgency.value,
        "priority": verdict.priority.value,
        "strategic_tag": verdict.strategic_tag.value,
        "is_sarcastic": verdict.is_sarcastic,
        "topics": list(verdict.topics),
        "entities": [{"kind": entity.kind, "text": entity.text} for entity in verdict.entities],
        "lead_score": verdict.lead_score,
        "relevant": verdict.relevant,
        "tier": verdict.tier,
        "reasons": list(verdict.reasons),
        "confidence": verdict.confidence,
        "degraded": verdict.degraded,
        "llm": dict(verdict.llm) if verdict.llm else None,
    }


def mention_fields(mention: Mention) -> dict[str, Any]:
    """A mention as it is stored: the fields that do not depend on its verdict."""
    return {
        "id": mention.id,
        "brand": mention.brand,
        "text": mention.text,
        "source": mention.source,
        "created_at": mention.created_at,
        "time_source": mention.time_source.value,
        "author": mention.author,
        "url": mention.url,
        "author_followers": mention.author_followers,
        "influence_score": mention.influence_score,
        "competitor": mention.competitor,
        "content_hash": mention.content_hash,
        "metadata": dict(mention.metadata),
        "notes": list(mention.notes),
    }


def to_document(analysed: Analysed, *, owner: str, now: datetime, place: Place = NO_TOPICS) -> dict[str, Any]:
    """The stored form. `owner` is the chunk that brought the mention first: its only original, all others repeat it."""
    mention = analysed.mention
    return {
        "_id": mention_key(mention.brand, mention.content_hash),
        **mention_fields(mention),
        **verdict_fields(analysed.verdict),
        "topic": place.topic,
        "topic_reason": place.reason,
        "owner": owner,
        "first_seen": now,
    }


def public(document: Mapping[str, Any], *, duplicate_of: str | None = None) -> dict[str, Any]:
    """A mention as the API shows it: without the worker's own fields, times as ISO 8601 text."""
    shown = {name: value for name, value in document.items() if name not in ("_id", "owner")}
    for name in ("created_at", "first_seen"):
        if isinstance(shown.get(name), datetime):
            shown[name] = iso(shown[name])
    if duplicate_of is not None:
        shown["duplicate_of"] = duplicate_of
    return shown


def public_analysed(analysed: Analysed, *, duplicate_of: str | None = None) -> dict[str, Any]:
    """The same for a mention that is not stored."""
    return public({**mention_fields(analysed.mention), **verdict_fields(analysed.verdict)}, duplicate_of=duplicate_of)
