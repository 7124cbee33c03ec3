"""/v1/brands/{brand}/launches: launches of a brand and of its competitors, and how they are received."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from ..pipeline.announcements import KEPT_SEC
from ..pipeline.launches import LaunchKind
from ..services.launches import LaunchView
from ..services.trade_store import LAUNCHES, TradeStore
from ..storage import Document
from ..tasks import brand_field, slug_of
from ..times import iso
from .access import READS
from .audience import Limit, Now
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses
from .schemas.audience import Launches

router = APIRouter(prefix="/v1/brands/{brand}", tags=["brands"], dependencies=[READS])

_CURRENT: Final = timedelta(seconds=KEPT_SEC)
"""As long as the same prediction stands in Redis."""


@router.get("/launches", response_model=Launches, responses=responses(400, 401, 503))
async def launches(
    brand: str,
    ctx: Context,
    now: Now,
    kind: LaunchKind | None = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """`myLaunch` and `competitorLaunch` are the latest of the last 30 days, null where there is none; `items` are all
    products, the one that was told of last first. `next` is the cursor of the next page, null on the last."""
    slug = slug_of(brand_field(brand) or brand)
    store = TradeStore(ctx.storage)
    view = LaunchView(store)
    mine = await view.latest(slug, LaunchKind.MY, since=now - _CURRENT)
    theirs = await view.latest(slug, LaunchKind.COMPETITOR, since=now - _CURRENT)
    query = {"brand": slug} if kind is None else {"brand": slug, "kind": kind.value}
    page = await store.page(LAUNCHES, query, limit=limit, before=read_cursor(cursor) if cursor else None)
    return JSONResponse(
        {
            "brand": slug,
            "myLaunch": None if mine is None else _shown(mine),
            "competitorLaunch": None if theirs is None else _shown(theirs),
            "items": [_shown(one) for one in page.items],
            "next": write_cursor(*page.next_cursor) if page.next_cursor else None,
        }
    )


def _shown(document: Document) -> dict[str, Any]:
    return {
        **document["body"],
        "kind": document["kind"],
        "mentions": document.get("mentions", 0),
        "firstDetectedAt": iso(document["first_at"]),
        "lastDetectedAt": iso(document["at"]),
    }
