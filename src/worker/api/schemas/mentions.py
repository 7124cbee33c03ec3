"""Answers about mentions and what was made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ...models import Intent, Priority, SentimentLabel, StrategicTag, TimeSource, Urgency
from .common import Count, Cursor, Score, Share, Slug, Time, answer


class SentimentOf(TypedDict):
    label: SentimentLabel
    score: Score


class EntityOf(TypedDict):
    kind: str
    text: str


class JudgedMention(TypedDict):
    """A mention with its verdict."""

    id: str
    brand: str
    text: str
    source: str
    created_at: Time
    time_source: TimeSource
    author: str | None
    url: str | None
    author_followers: Count
    influence_score: float
    competitor: str | None
    content_hash: str
    metadata: dict[str, Any]
    notes: list[str]
    sentiment: SentimentOf
    intent: Intent
    intent_confidence: Share
    emotions: dict[str, float]
    urgency: Urgency
    priority: Priority
    strategic_tag: StrategicTag
    is_sarcastic: bool
    topics: list[str]
    entities: list[EntityOf]
    lead_score: Annotated[int, Field(ge=0, le=100)]
    relevant: bool
    tier: Literal[1, 2, 3]
    reasons: list[str]
    confidence: Share
    degraded: Annotated[bool, Field(description="tier 2 decided where tier 3 should have")]
    llm: dict[str, Any] | None
    duplicate_of: NotRequired[str]


class StoredMention(JudgedMention):
    first_seen: Time
    topic: NotRequired[Annotated[str | None, Field(description="its topic, as /clusters names it")]]
    topic_reason: NotRequired[str | None]


@answer
class MentionPage(TypedDict):
    items: list[StoredMention]
    next: Cursor


class Verdict(JudgedMention):
    index: Annotated[int, Field(ge=0, description="where it stood in `mentions`")]


class RejectedItem(TypedDict):
    index: Count
    reason: str


@answer
class Analysed(TypedDict):
    brand: str
    verdicts: list[Verdict]
    rejected: list[RejectedItem]


@answer
class CrisisMentions(TypedDict):
    brand: Slug
    event: str
    items: list[StoredMention]
    missing: Annotated[list[str], Field(description="ids that are not at hand any more")]


class DroppedReply(TypedDict):
    tone: str
    promises: Annotated[list[str], Field(description="what it promised in the brand's name")]


@answer
class Suggestions(TypedDict):
    suggestions: Annotated[list[str], Field(max_length=3)]
    tones: list[str]
    brand: str
    sentiment: SentimentLabel
    sentimentSource: str
    dropped: list[DroppedReply]
    degraded: bool
    tier: int
