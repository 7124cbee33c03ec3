"""/v1/brands/{brand}/history: days of a brand, whether their mentions are at hand or in the archive."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from ..errors import InvalidTask, StorageUnavailable
from ..services.history import History, HistoryDay
from ..storage import Document
from ..tasks import brand_field, slug_of
from ..times import from_ms, iso
from .access import READS
from .brands import read_cursor, write_cursor
from .context import ApiContext, Context
from .problems import responses
from .schemas.insight import HistoryDayWhole, HistoryPage

router = APIRouter(prefix="/v1/brands", tags=["history"], dependencies=[READS])

_DAYS_BACK: Final = 400
"""A year and a month, so that a month can be compared with the one a year before it."""
_Day = Annotated[str | None, Query(max_length=10, description="UTC day, YYYY-MM-DD")]


@router.get("/{brand}/history", response_model=HistoryPage, responses=responses(400, 401, 503))
async def history(
    brand: str,
    ctx: Context,
    since: Annotated[_Day, Query(alias="from")] = None,
    until: Annotated[_Day, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=62)] = 31,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """What was said on each UTC day from `from` to `to` (both included), newest first; days without mentions are left
    out. The figures are exact and the same before and after a day is archived. A page may hold fewer days than `limit`
    where days are large; `next` is the cursor of the next page."""
    slug = slug_of(brand_field(brand) or brand)
    last = _date(until, "to") or datetime.now(UTC).date() + timedelta(days=1)
    first = _date(since, "from") or last - timedelta(days=_DAYS_BACK)
    if first > last:
        raise InvalidTask("from", "is after `to`")
    if cursor is not None:
        last = min(last, _date(read_cursor(cursor)[1], "cursor") or last)
    page = await _history(ctx).page(slug, since=first, until=last, limit=limit)
    following = write_cursor(from_ms(0), page.following) if page.following else None
    return JSONResponse({"brand": slug, "items": [_item(one) for one in page.days], "next": following})


@router.get("/{brand}/history/{day}", response_model=HistoryDayWhole, responses=responses(400, 401, 404, 503))
async def history_day(brand: str, day: str, ctx: Context) -> JSONResponse:
    """One UTC day with its summary, and the parts of the archive it lies in."""
    slug = slug_of(brand_field(brand) or brand)
    wanted = _date(day, "day")
    found = await _history(ctx).day(slug, wanted.isoformat()) if wanted is not None else None
    if found is None:
        raise HTTPException(404, f"No mention of {slug!r} on {day} is known.")
    parts = [
        {"name": one.name, "count": one.count, "bytes": one.bytes, "sha256": one.sha256, "state": one.state.value}
        for one in found.parts
    ]
    return JSONResponse({"brand": slug, **_item(found), "events": found.events, "parts": parts, **_summary(found)})


def _history(ctx: ApiContext) -> History:
    if ctx.history is None:
        raise StorageUnavailable("history is not kept by this process")
    return ctx.history


def _item(one: HistoryDay) -> dict[str, Any]:
    archived = one.sums.mentions - one.mentions_hot
    return {
        "day": one.day,
        "where": "both" if archived and one.mentions_hot else "archive" if archived else "hot",
        **one.sums.shown(),
        "spikes": len(one.events["spikes"]),
        "crises": len(one.events["crises"]),
        "leadsFound": one.events["leads"],
    }


def _summary(one: HistoryDay) -> dict[str, Any]:
    """A summary is written when a day is archived; `reason` says why there is none."""
    kept: Document | None = None if one.record is None else one.record.get("summary")
    held = None if one.record is None else one.record.get("held_until")
    return {
        "summary": None if kept is None else {**kept, "at": iso(kept["at"])},
        "reason": None if kept is not None else "the day has not been archived yet",
        "heldUntil": None if held is None else iso(held),
    }


def _date(text: str | None, field: str) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidTask(field, "must be a day such as 2026-03-01") from None
    if found.year < 2 or found.year > 9998:  # a day before and after must exist
        raise InvalidTask(field, "is out of range")
    return found
