"""/v1/brands/{brand}/leads, /competitors and /influencers: who speaks about a brand, and who could be won or lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from ..models import Intent
from ..pipeline.leads import LeadKind, LeadStatus
from ..services.audience import AudienceView, LeadFilter, LeadStore, Span
from ..storage import Document
from ..tasks import brand_field, slug_of
from ..times import iso
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses

router = APIRouter(prefix="/v1/brands/{brand}", tags=["brands"])


def utc_now() -> datetime:
    """Overridden in tests."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(utc_now)]
Limit = Annotated[int, Query(ge=1, le=200)]
Days = Annotated[int, Query(ge=1, le=366)]


@router.get("/leads", responses=responses(400, 401, 503))
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


@router.get("/competitors", responses=responses(400, 401, 503))
async def competitors(brand: str, ctx: Context, now: Now, days: Days = 30, limit: Limit = 50) -> JSONResponse:
    """Competitors whose mentions came with the brand's, most mentioned first; the last `days` of them."""
    view, slug = AudienceView(ctx.storage), _slug(brand)
    span = await view.span(slug, days=days, now=now)
    found = await view.competitors(slug, span, limit=limit)
    return JSONResponse({**_span(slug, span), "items": [_competitor(one) for one in found]})


@router.get("/influencers", responses=responses(400, 401, 503))
async def influencers(brand: str, ctx: Context, now: Now, days: Days = 30, limit: Limit = 50) -> JSONResponse:
    """Authors by the influence of their best mention, in the `days` up to the brand's newest mention.

    Influence is log10 of the followers, or else of the votes; authors of whom neither is known are not listed.
    """
    view, slug = AudienceView(ctx.storage), _slug(brand)
    span = await view.span(slug, days=days, now=now)
    found = await view.influencers(slug, span, limit=limit)
    return JSONResponse({**_span(slug, span), "items": [_influencer(one) for one in found]})


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
