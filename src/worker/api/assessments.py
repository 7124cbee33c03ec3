"""/v1/brands/{brand}/crisis/assessments: what tasks thought of mentions they were given."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from ..services.trade_store import CRISIS_ASSESSMENTS, TradeStore
from ..tasks import brand_field, slug_of
from .access import READS
from .audience import Limit
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses
from .schemas.insight import Assessments

router = APIRouter(prefix="/v1/brands/{brand}", tags=["insight"], dependencies=[READS])


@router.get("/crisis/assessments", response_model=Assessments, responses=responses(400, 401, 503))
async def assessments(
    brand: str,
    ctx: Context,
    events: Annotated[bool, Query(description="only those that were told as events")] = False,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """Results of `analyze_crisis`, newest first. The state of the brand is told by `/crisis`, whatever a task thinks.
    `next` is the cursor of the next page, null on the last."""
    slug = slug_of(brand_field(brand) or brand)
    query = {"brand": slug, "event": True} if events else {"brand": slug}
    page = await TradeStore(ctx.storage).page(
        CRISIS_ASSESSMENTS, query, limit=limit, before=read_cursor(cursor) if cursor else None
    )
    items = [{**one["body"], "isEvent": one["event"]} for one in page.items]
    following = write_cursor(*page.next_cursor) if page.next_cursor else None
    return JSONResponse({"brand": slug, "items": items, "next": following})
