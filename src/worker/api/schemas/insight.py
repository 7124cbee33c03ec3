"""Answers about how brands are doing."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .common import Count, Cursor, Score, Share, Slug, Time, answer

Points = Annotated[float, Field(ge=0, le=100)]


class BrandOverview(TypedDict):
    brand: Slug
    totalMentions: Count
    asOf: Time | None
    updatedAt: Time
    healthScore: NotRequired[Points | None]
    crisisState: NotRequired[str]
    spikeDetected: NotRequired[bool]


@answer
class BrandPage(TypedDict):
    items: list[BrandOverview]
    next: Cursor


class SentimentCounts(TypedDict):
    positive: Count
    neutral: Count
    negative: Count
    score: Score


class DaySentiment(SentimentCounts):
    date: str


class NamedCount(TypedDict):
    name: str
    count: Count


class SummaryCluster(TypedDict):
    id: str
    label: str
    labelBy: str | None
    mentions: Count
    posts: Count
    spike: bool
    sentimentScore: Score | None


@answer
class BrandSummary(TypedDict):
    brand: Slug
    generatedAt: Time
    totalChunks: Count
    totalMentions: Annotated[int, Field(ge=0, description="stored mentions, each once")]
    totalPosts: Annotated[int, Field(ge=0, description="with what others repeated of them")]
    competitorMentions: Count
    sentiment: SentimentCounts
    dominantTopics: list[str]
    topics: list[NamedCount]
    clusters: list[SummaryCluster]
    spikeDetected: bool
    summary: str
    chunkSummaries: list[str]
    healthScore: Annotated[int, Field(ge=0, le=100)] | None
    crisisState: str
    entities: dict[str, list[Any]]
    recommended_actions: list[str]
    avgLeadScore: Annotated[int, Field(ge=0, le=100)] | None
    sentimentHistory: list[DaySentiment]
    intents: dict[str, Count]
    tiers: dict[str, Count]
    asOf: Time | None
    null_reasons: Annotated[dict[str, str], Field(description="why what is null is null")]


class HealthPart(TypedDict):
    points: Points | None
    weight: Share
    reason: str


class DayHealth(TypedDict):
    score: Points | None
    reason: str | None
    date: str
    mentions7d: Count
    parts: dict[str, HealthPart]


@answer
class BrandHealth(TypedDict):
    brand: Slug
    updated_at: Time
    score: Points | None
    reason: str | None
    parts: dict[str, HealthPart]
    date: NotRequired[str]
    mentions7d: NotRequired[Count]
    items: list[DayHealth]
    next: Cursor


class CrisisEvent(TypedDict):
    id: str
    brand: Slug
    severity: str
    timestamp: Time
    riskScore: Points | None
    reasons: list[str]
    evidence: Annotated[list[str], Field(description="ids of mentions; /crisis/mentions shows them")]
    isResolved: bool
    recommendedAction: str
    history: list[dict[str, Any]]


@answer
class CrisisState(TypedDict):
    brand: Slug
    state: str
    metrics: Annotated[dict[str, Any] | None, Field(description="figures of the last hour that was judged")]
    reason: str | None
    provisional: list[Any]
    items: list[CrisisEvent]
    next: Cursor


class Spike(TypedDict):
    timestamp: Time


@answer
class Spikes(TypedDict):
    brand: Slug
    spikeDetected: bool
    status: str
    provisional: list[dict[str, Any]]
    items: list[Spike]
    next: Cursor


class Bucket(TypedDict):
    timestamp: Time
    count: Count


@answer
class Volume(TypedDict):
    brand: Slug
    bucketMinutes: Annotated[int, Field(ge=1)]
    items: list[Bucket]
    next: Cursor


class Sentiments(TypedDict):
    positive: Count
    neutral: Count
    negative: Count


class Topic(TypedDict):
    id: str
    label: str | None
    labelBy: str | None
    summary: str | None
    mentions: Count
    share: Share
    mentionsAll: Count | None
    postsAll: Count | None
    sentiments: Sentiments
    sentimentScore: Score | None
    firstMention: Time
    lastMention: Time
    spike: bool
    examples: list[str]


@answer
class Topics(TypedDict):
    brand: Slug
    days: Annotated[int, Field(ge=1)]
    since: Time
    asOf: Time
    mentions: Count
    alone: Count
    items: list[Topic]
    next: Cursor


@answer
class Assessments(TypedDict):
    brand: Slug
    items: list[dict[str, Any]]
    next: Cursor


class HistoryDay(TypedDict):
    day: str
    where: Annotated[str, Field(description="hot, archive or both")]
    mentions: Count
    spikes: Count
    crises: Count
    leadsFound: Count
    sentiment: dict[str, Any]
    intents: dict[str, Count]
    tiers: dict[str, Count]
    authors: Count


@answer
class HistoryPage(TypedDict):
    brand: Slug
    items: list[HistoryDay]
    next: Cursor


@answer
class HistoryDayWhole(HistoryDay):
    brand: Slug
    events: dict[str, Any]
    parts: Annotated[list[dict[str, Any]], Field(description="parts of the archive it lies in")]
    summary: dict[str, Any] | None
    reason: str | None
    heldUntil: Time | None
