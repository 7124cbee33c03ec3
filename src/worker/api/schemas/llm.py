"""Answers about language models and about evaluation runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ...llm.costs import By
from .common import Count, Cursor, Time, Usd, answer


class Figures(TypedDict):
    calls: Count
    failed: Count
    inputTokens: Count
    outputTokens: Count
    costUsd: Usd
    callsWithoutPrice: Count


class Provider(TypedDict):
    provider: str
    model: str | None
    configured: bool
    state: Literal["ready", "resting", "open", "half_open", "left_out"]
    breaker: Literal["closed", "open", "half_open"] | None
    why: Annotated[str | None, Field(description="why it is left out or rests")]
    baseUrl: str | None
    calls: dict[str, int] | None
    perMinute: dict[str, int | None] | None
    restingUntil: Time | None


class Today(TypedDict):
    problem: NotRequired[str]
    since: NotRequired[Time]
    calls: NotRequired[Count]
    failed: NotRequired[Count]
    inputTokens: NotRequired[Count]
    outputTokens: NotRequired[Count]
    costUsd: NotRequired[Usd]
    callsWithoutPrice: NotRequired[Count]
    byProvider: NotRequired[dict[str, Figures]]


class Budget(TypedDict):
    problem: NotRequired[str]
    day: NotRequired[str]
    limitUsd: NotRequired[str]
    spentUsd: NotRequired[str]
    reservedUsd: NotRequired[str]
    leftUsd: NotRequired[str]


class LedgerState(TypedDict):
    waiting: Count
    lost: Count


@answer
class LanguageModels(TypedDict):
    providers: list[Provider]
    today: Today
    budget: Annotated[Budget | None, Field(description="null: none is set")]
    ledger: LedgerState


class CostRow(Figures):
    key: Annotated[str | None, Field(description="null: calls that serve no brand")]


@answer
class Costs(TypedDict):
    by: By
    since: Time
    until: Time
    brand: str | None
    items: list[CostRow]
    total: Figures


class AnalysisItem(TypedDict):
    id: str
    runId: str | None
    at: Time


@answer
class AnalysisPage(TypedDict):
    items: list[AnalysisItem]
    next: Cursor


Analysis = Annotated[dict[str, Any], Field(description="the result document of `analyze_basic`")]
