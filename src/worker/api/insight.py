"""/v1/brands and /v1/brands/{brand}/…: what is happening to brands, from their stored states."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from ..errors import InvalidTask, StorageUnavailable
from ..pipeline.brand_state import BrandState
from ..pipeline.brand_summary import brand_summary, crisis_metrics, health_document, health_of
from ..services.insight_store import (
    CRISIS_EVENTS,
    SPIKES,
    VOLUME,
    InsightStore,
    NumberedPage,
    bucket_shown,
    shown,
)
from ..spike_detector import BUCKET_MS, SpikeDetector
from ..storage import Document
from ..tasks import brand_field, slug_of
from ..times import from_ms, iso_ms, parse_time, to_ms
from .access import READS
from .brands import read_cursor, write_cursor
from .context import ApiContext, Context
from .problems import responses
from .schemas.insight import BrandHealth, BrandPage, BrandSummary, CrisisState, Spikes, Volume
from .topics import TopicId, topic_names

router = APIRouter(prefix="/v1/brands", tags=["insight"], dependencies=[READS])

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=500)]
Moment = Annotated[str | None, Query(max_length=64, description="ISO 8601 or epoch milliseconds")]
_BUCKETS_MAX: Final = 2_016
"""A week of five-minute buckets in one answer."""
_SPIKES: Final = SpikeDetector()


@router.get("", response_model=BrandPage, responses=responses(400, 401, 503))
async def brands(ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Brands that are known, by slug, with how they are doing. `next` is the cursor of the next page."""
    after = read_cursor(cursor)[1] if cursor else None
    found = await _store(ctx).states(limit=limit, after=after)
    items = [_overview(document) for document in found[:limit]]
    following = write_cursor(from_ms(0), items[-1]["brand"]) if len(found) > limit else None
    return JSONResponse({"items": items, "next": following})


@router.get("/{brand}/summary", response_model=BrandSummary, responses=responses(400, 401, 404, 503))
async def summary(brand: str, ctx: Context) -> JSONResponse:
    """The cumulative summary. What is null is explained in `null_reasons`."""
    return JSONResponse(brand_summary(await brand_state(ctx, brand)))


@router.get("/{brand}/health", response_model=BrandHealth, responses=responses(400, 401, 404, 503))
async def health(brand: str, ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Health with its parts; `items` are the days, newest first, each at its end."""
    state = await brand_state(ctx, brand)
    before = read_cursor(cursor)[1] if cursor else None
    days = [one for one in reversed(state.health_history()) if before is None or one.day.isoformat() < before]
    items = [health_of(one) for one in days[:limit]]
    following = write_cursor(from_ms(0), items[-1]["date"]) if len(days) > limit else None
    return JSONResponse({**health_document(state), "items": items, "next": following})


@router.get("/{brand}/crisis", response_model=CrisisState, responses=responses(400, 401, 404, 503))
async def crisis(brand: str, ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Where the brand stands, the figures of the last hour judged, and its crises, newest first, each with its
    `history`. `provisional` is what would be told if nothing more came."""
    state = await brand_state(ctx, brand)
    page = await _store(ctx).page(CRISIS_EVENTS, state.brand, limit=limit, before=_place(cursor), show=shown)
    return JSONResponse(
        {
            "brand": state.brand,
            "state": state.crisis.state.value,
            "metrics": crisis_metrics(state),
            "reason": None if state.crisis.risk is not None else "no hour could be judged yet",
            "provisional": state.provisional["crises"],
            **_page(page),
        }
    )


@router.get("/{brand}/spikes", response_model=Spikes, responses=responses(400, 401, 404, 503))
async def spikes(brand: str, ctx: Context, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """Spikes of volume, newest first. `provisional`: not certain before the hour for late mentions is over."""
    state = await brand_state(ctx, brand)
    page = await _store(ctx).page(SPIKES, state.brand, limit=limit, before=_place(cursor), show=shown)
    return JSONResponse(
        {
            "brand": state.brand,
            "spikeDetected": state.spiking,
            "status": _SPIKES.status(state.spike).value,
            "provisional": [shown(one) for one in state.provisional["spikes"]],
            **_page(page),
        }
    )


@router.get("/{brand}/volume", response_model=Volume, responses=responses(400, 401, 404, 503))
async def volume(
    brand: str,
    ctx: Context,
    since: Moment = None,
    until: Moment = None,
    limit: Annotated[int, Query(ge=1, le=_BUCKETS_MAX)] = 288,
    cursor: Cursor = None,
    topic: TopicId = None,
) -> JSONResponse:
    """Posts per five minutes, newest first; buckets in which nobody wrote are left out. `since` <= bucket < `until`.
    With `topic` only posts in that one."""
    slug = await _known(ctx, brand)
    topics = await topic_names(ctx, slug, topic)
    conditions: list[Document] = []
    if (first := _ms(since, "since")) is not None:
        # As `$gte` of whole numbers; the embedded server leaves its bound out where an index is in descending order.
        conditions.append({"ms": {"$gt": first - 1}})
    if (end := _ms(until, "until")) is not None:
        conditions.append({"ms": {"$lt": end}})
    if topics:
        conditions.append({"$or": [{f"topics.{name}": {"$exists": True}} for name in topics]})
    query = {"$and": conditions} if conditions else None
    page = await _store(ctx).page(
        VOLUME,
        slug,
        limit=limit,
        before=_place(cursor),
        query=query,
        fields=["count", *(f"topics.{name}" for name in topics)],
        show=lambda document: bucket_shown(document, topics),
    )
    return JSONResponse({"brand": slug, "bucketMinutes": BUCKET_MS // 60_000, **_page(page)})


def _store(ctx: ApiContext) -> InsightStore:
    if ctx.insight is None:
        raise StorageUnavailable("insight is not kept by this process")
    return ctx.insight


async def brand_state(ctx: ApiContext, brand: str) -> BrandState:
    slug = slug_of(brand_field(brand) or brand)
    document = await _store(ctx).state(slug)
    if document is None:
        raise _unknown(slug)
    return BrandState.from_dict(document)


async def _known(ctx: ApiContext, brand: str) -> str:
    slug = slug_of(brand_field(brand) or brand)
    if await _store(ctx).spike_state(slug) is None:
        raise _unknown(slug)
    return slug


def _unknown(slug: str) -> HTTPException:
    return HTTPException(404, f"No mention of {slug!r} has been counted.")


def _overview(document: Document) -> Document:
    as_of = document["as_of_ms"]
    return {
        "brand": document["_id"],
        "totalMentions": document["totals"]["stored"],
        "asOf": iso_ms(as_of) if as_of else None,
        "updatedAt": iso_ms(document["updated_ms"]),
        **document["overview"],
    }


def _page(page: NumberedPage) -> dict[str, Any]:
    following = None if page.following is None else write_cursor(from_ms(page.following[0]), page.following[1])
    return {"items": page.items, "next": following}


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    when, key = read_cursor(cursor)
    return to_ms(when), key


def _ms(value: str | None, field: str) -> int | None:
    if value is None:
        return None
    when: datetime | None = parse_time(value)
    if when is None:
        raise InvalidTask(field, "is not a time: ISO 8601 or epoch milliseconds are")
    return to_ms(when)
