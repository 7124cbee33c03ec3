"""/v1/…/competitors/{id}/weaknesses: what customers of a competitor complain about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from ..pipeline.complaints import weaknesses
from ..services.competitor_gap import WeaknessView
from ..tasks import brand_field, slug_of
from ..times import iso
from .access import READS
from .audience import Days, Now
from .context import ApiContext, Context
from .problems import responses
from .schemas.audience import Weaknesses

router = APIRouter(prefix="/v1", tags=["brands"], dependencies=[READS])

Competitor = Annotated[str, Path(min_length=1, max_length=200)]


@router.get(
    "/competitors/{competitor}/weaknesses",
    response_model=Weaknesses,
    responses=responses(400, 401, 503),
)
async def of_competitor(competitor: Competitor, ctx: Context, now: Now, days: Days = 30) -> JSONResponse:
    """Complaints about a competitor that were found in the last `days`, by category, most frequent first."""
    return await _weaknesses(ctx, competitor, None, now, days)


@router.get(
    "/brands/{brand}/competitors/{competitor}/weaknesses",
    response_model=Weaknesses,
    responses=responses(400, 401, 503),
)
async def of_brand(brand: str, competitor: Competitor, ctx: Context, now: Now, days: Days = 30) -> JSONResponse:
    """The same, found by the tasks of one brand only."""
    return await _weaknesses(ctx, competitor, slug_of(brand_field(brand) or brand), now, days)


async def _weaknesses(ctx: ApiContext, competitor: str, brand: str | None, now: datetime, days: int) -> JSONResponse:
    since = now - timedelta(days=days)
    tallies = await WeaknessView(ctx.storage).tallies(competitor, brand=brand, since=since)
    head = {"competitorId": competitor, "brand": brand, "since": iso(since), "until": iso(now)}
    return JSONResponse({**head, **weaknesses(tallies)})
