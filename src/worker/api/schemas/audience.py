"""Answers about leads, competitors, launches and what the web says."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from ...competitor_findings import Status as CompetitorStatus
from ...models import Intent
from ...pipeline.launches import LaunchKind
from ...pipeline.leads import LeadKind, LeadStatus
from .common import Count, Cursor, Score, Share, Slug, Time, answer
from .insight import SentimentCounts

Percent = Annotated[float, Field(ge=0, le=100)]


class Lead(TypedDict):
    id: str
    brand: str
    kind: LeadKind
    status: LeadStatus
    intent: Intent
    intent_confidence: Share
    leadScore: Annotated[int, Field(ge=0, le=100)]
    text: str
    source: str
    author: str | None
    url: str | None
    mentionId: str
    created_at: Time
    lastMentionAt: Time


@answer
class LeadPage(TypedDict):
    items: list[Lead]
    next: Cursor


class CompetitorMentioned(TypedDict):
    name: str
    ids: list[str]
    mentions: Count
    sentiment: SentimentCounts
    opportunities: Count
    lastMentionAt: Time


@answer
class CompetitorSuggested(TypedDict):
    name: str
    keywords: list[str]
    products: list[str]
    confidence: Share
    confidenceRule: str
    reason: str
    website: str | None
    source: str
    verified: bool
    degraded: bool
    status: CompetitorStatus
    decided: bool
    tracked: bool
    evidence: dict[str, Any]
    direction: dict[str, Any]
    aliases: list[str]
    contexts: list[Any]
    firstSeen: Time
    lastSeen: Time


@answer
class Competitors(TypedDict):
    brand: Slug
    since: Time
    until: Time
    items: list[CompetitorMentioned]
    suggested: list[CompetitorSuggested]
    suggestedTotal: Count
    next: Cursor


class Influencer(TypedDict):
    author: str
    source: str
    author_followers: Count
    influence_score: float
    influence_sum: float
    mentions: Count
    sentiment_score: Score
    lastMentionAt: Time


@answer
class Influencers(TypedDict):
    brand: Slug
    since: Time
    until: Time
    items: list[Influencer]
    next: Cursor


class Launch(TypedDict):
    is_launch: bool | None
    product_name: str | None
    success_score: Annotated[int, Field(ge=0, le=100)] | None
    band: str | None
    reason: str
    kind: LaunchKind
    mentions: Count
    firstDetectedAt: Time
    lastDetectedAt: Time


@answer
class Launches(TypedDict):
    brand: Slug
    myLaunch: Launch | None
    competitorLaunch: Launch | None
    items: list[Launch]
    next: Cursor


class WeaknessCategory(TypedDict):
    category: str
    count: Count
    percentage: Percent
    avgPainLevel: Annotated[float, Field(ge=0, le=10)]
    topIssues: list[str]


@answer
class Weaknesses(TypedDict):
    competitorId: str
    brand: str | None
    since: Time
    until: Time
    totalComplaints: Count
    categoryBreakdown: list[WeaknessCategory]
    opportunities: list[str]


@answer
class WebInsights(TypedDict):
    brand: str
    query: str
    status: str
    generated_at: Time
    summary: Any
    sentiment: Any
    notable_mentions: list[Any]
    sources: list[dict[str, Any]]
    evidence: dict[str, Any]
    citations: Any
    pages: dict[str, Any]
