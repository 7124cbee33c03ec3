"""/v1/brands/{brand}/clusters: what people talk about, by topics that stay."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from ..services.topic_view import span_shown
from ..times import from_ms
from .access import READS
from .brands import read_cursor, write_cursor
from .context import Context
from .insight import brand_state
from .problems import responses
from .schemas.insight import Topics
from .topics import topic_view

router = APIRouter(prefix="/v1/brands", tags=["insight"], dependencies=[READS])

_DAYS_MAX: Final = 90
"""As far back as the summary's history goes."""


@router.get("/{brand}/clusters", response_model=Topics, responses=responses(400, 401, 404, 503))
async def clusters(
    brand: str,
    ctx: Context,
    days: Annotated[int, Query(ge=1, le=_DAYS_MAX, description="of the brand's own time, up to `asOf`")] = 7,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """Topics with the most mentions first. `mentions`, sentiments and times are those of the span, `mentionsAll` and
    `postsAll` (with repeats) of all time; mentions that are `alone` in their topic are counted and not listed. `spike`:
    the topic takes part in a spike of the brand that is on. `examples` are `_id`s of mentions."""
    view, state = topic_view(ctx), await brand_state(ctx, brand)
    span = await view.span(state, days)
    items = span.items
    if cursor is not None:
        when, last = read_cursor(cursor)
        before = (-round(when.timestamp()), last)
        items = [one for one in items if (-one["mentions"], one["id"]) > before]
    page = await view.with_examples(state.brand, items[:limit])
    following = None
    if len(items) > limit:
        # A cursor is a number and a name; here the number counts mentions, not milliseconds.
        following = write_cursor(from_ms(1000 * page[-1]["mentions"]), page[-1]["id"])
    shown = span_shown(state.brand, days, state.as_of_ms, span)
    return JSONResponse({**shown, "items": page, "next": following})
