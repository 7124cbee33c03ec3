"""/v1/brands/{brand}/leads, /competitors and /influencers: who speaks about a brand, and who could be won or lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from ..competitor_findings import Status as CompetitorStatus
from ..competitor_findings import ranked, suggestion
from ..errors import InvalidTask
from ..models import Intent
from ..pipeline.leads import LeadKind, LeadStatus
from ..services.audience import AudienceView, LeadFilter, LeadStore, Span
from ..services.competitor_store import CompetitorStore
from ..storage import Document
from ..tasks import brand_field, json_kind, slug_of
from ..times import from_ms, iso, to_ms
from .access import READS, WRITES
from .bodies import json_body
from .body import read_json
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses
from .schemas.audience import Competitors, CompetitorSuggested, Influencers, LeadPage

router = APIRouter(prefix="/v1/brands/{brand}", tags=["brands"], dependencies=[READS])

_STATUS_BODY: Final = json_body(
    {"status": {"type": "string", "enum": [one.value for one in CompetitorStatus]}}, required=["status"]
)


def utc_now() -> datetime:
    """Overridden in tests."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(utc_now)]
Cursor = Annotated[str | None, Query(max_length=500)]
Limit = Annotated[int, Query(ge=1, le=200)]
Days = Annotated[int, Query(ge=1, le=366)]
_RANKS_MAX: Final = 10_000
"""Whoever reads on further wants all mentions, which have a list of their own."""


@router.get("/leads", response_model=LeadPage, responses=responses(400, 401, 503))
async def leads(
    brand: str,
    ctx: Context,
    status: LeadStatus | None = None,
    intent: Intent | None = None,
    kind: LeadKind | None = None,
    min_score: Annotated[int | None, Query(alias="minScore", ge=0, le=100)] = None,
    min_confidence: Annotated[float | None, Query(alias="minConfidence", ge=0, le=1)] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """Leads of a brand, newest first. `next` is the cursor of the next page, null on the last.

    `lastMentionAt` is the newest mention of the same person, kind and week.
    """
    page = await LeadStore(ctx.storage).page(
        _slug(brand),
        LeadFilter(status, intent, kind, min_score, min_confidence),
        limit=limit,
        before=read_cursor(cursor) if cursor else None,
    )
    following = write_cursor(*page.next_cursor) if page.next_cursor else None
    return JSONResponse({"items": [_lead(document) for document in page.items], "next": following})


@router.get("/competitors", response_model=Competitors, responses=responses(400, 401, 503))
async def competitors(
    brand: str, ctx: Context, now: Now, days: Days = 30, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """Competitors whose mentions came with the brand's, most mentioned first; the last `days` of them.

    `suggested` are those that discovery knows of, best evidence first, without the dismissed: `suggestedTotal` in all.
    A page shows the same ranks of both; what is counted meanwhile may move them. `next` is the cursor of the next page.
    """
    view, slug = AudienceView(ctx.storage), _slug(brand)
    span = await view.span(slug, days=days, now=now)
    first = _rank(cursor)
    found = await view.competitors(slug, span, limit=first + limit + 1)
    known = ranked(await CompetitorStore(ctx.storage).of(slug))
    suggested = [one for one in known if one["status"] != CompetitorStatus.DISMISSED]
    return JSONResponse(
        {
            **_span(slug, span),
            "items": [_competitor(one) for one in found[first : first + limit]],
            "suggested": [_suggested(one) for one in suggested[first : first + limit]],
            "suggestedTotal": len(suggested),
            "next": _next(first + limit, max(len(found), len(suggested))),
        }
    )


@router.post(
    "/competitors/{name}/status",
    response_model=CompetitorSuggested,
    dependencies=[WRITES],
    openapi_extra=_STATUS_BODY,
    responses=responses(400, 401, 404, 415, 503),
)
async def decide(brand: str, name: str, request: Request, ctx: Context, now: Now) -> JSONResponse:
    """Confirm or dismiss a competitor that discovery knows of. No later run changes what was decided here."""
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidTask("body", f"must be a JSON object, not {json_kind(document)}")
    word = document.get("status")
    if not isinstance(word, str) or word not in list(CompetitorStatus):
        raise InvalidTask("status", f"must be one of {', '.join(CompetitorStatus)}")
    status = CompetitorStatus(word)
    found = await CompetitorStore(ctx.storage).decide(_slug(brand), name, status, now=now)
    if found is None:
        raise HTTPException(404, "No competitor of that name is known; GET …/competitors lists them under `suggested`.")
    return JSONResponse(_suggested(found))


@router.get("/influencers", response_model=Influencers, responses=responses(400, 401, 503))
async def influencers(
    brand: str, ctx: Context, now: Now, days: Days = 30, limit: Limit = 50, cursor: Cursor = None
) -> JSONResponse:
    """Authors by the influence of their best mention, in the `days` up to the brand's newest mention.

    Influence is log10 of the followers, or else of the votes; authors of whom neither is known are not listed.
    """
    view, slug = AudienceView(ctx.storage), _slug(brand)
    span = await view.span(slug, days=days, now=now)
    first = _rank(cursor)
    found = await view.influencers(slug, span, limit=first + limit + 1)
    items = [_influencer(one) for one in found[first : first + limit]]
    return JSONResponse({**_span(slug, span), "items": items, "next": _next(first + limit, len(found))})


def _rank(cursor: str | None) -> int:
    """The rank at which a page begins. Rankings are counted anew for every page, so they have ranks and no places."""
    if cursor is None:
        return 0
    rank = to_ms(read_cursor(cursor)[0])
    if not 0 <= rank <= _RANKS_MAX:
        raise InvalidTask("cursor", "is not one that this API has given out")
    return rank


def _next(rank: int, found: int) -> str | None:
    return write_cursor(from_ms(rank), "rank") if rank < found and rank <= _RANKS_MAX else None


def _slug(brand: str) -> str:
    return slug_of(brand_field(brand) or brand)


def _span(brand: str, span: Span) -> dict[str, Any]:
    return {"brand": brand, "since": iso(span.since), "until": iso(span.until)}


def _lead(document: Document) -> dict[str, Any]:
    return {**document["body"], "status": document["status"], "lastMentionAt": iso(document["last_at"])}


def _competitor(found: Document) -> dict[str, Any]:
    return {
        "name": found["_id"],
        "ids": sorted(str(one) for one in found["ids"] if isinstance(one, str | int)),
        "mentions": found["mentions"],
        "sentiment": {
            **{label: found[label] for label in ("positive", "neutral", "negative")},
            "score": round(found["score"], 4),
        },
        "opportunities": found["opportunities"],
        "lastMentionAt": iso(found["last"]),
    }


def _suggested(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **suggestion(document),
        "aliases": list(document["aliases"]),
        "contexts": list(document["evidence"]["contexts"]),
        "firstSeen": iso(document["first_seen"]),
        "lastSeen": iso(document["last_seen"]),
    }


def _influencer(found: Document) -> dict[str, Any]:
    return {
        "author": found["author"],
        "source": found["_id"]["source"],
        "author_followers": found["followers"],
        "influence_score": round(found["influence"], 4),
        "influence_sum": round(found["influence_sum"], 4),
        "mentions": found["mentions"],
        "sentiment_score": round(found["score"], 4),
        "lastMentionAt": iso(found["last"]),
    }
