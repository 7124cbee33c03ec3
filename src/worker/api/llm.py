"""/v1/llm: the providers, what calls have cost, what is left of the budget. Money is text: exact US dollars."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from ..errors import InvalidTask, QueueUnavailable, StorageUnavailable
from ..llm.budget import usd_text
from ..llm.costs import By, CostRow
from ..llm.view import LLMView, ProviderState
from ..tasks import brand_field, slug_of
from ..times import iso, parse_time
from .access import READS
from .problems import responses
from .schemas.llm import Costs, LanguageModels

router = APIRouter(prefix="/v1/llm", tags=["language models"], dependencies=[READS])

_SPAN: Final = timedelta(days=30)
"""What a report covers that names no beginning."""
_BLANK_ZONE: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\S+) (\d\d:?\d\d)$")
"""The "+" of a time zone that was not escaped in the URL arrives as a blank."""
_PARAMETERS: Final = ("by", "since", "until", "brand")


def _view(request: Request) -> LLMView:
    view: LLMView | None = request.app.state.context.llm
    if view is None:
        raise HTTPException(404, "This process calls no language models.")
    return view


View = Annotated[LLMView, Depends(_view)]


@router.get("", response_model=LanguageModels, responses=responses(401, 404))
async def state(view: View) -> JSONResponse:
    """Providers as this worker sees them; calls and budget of today (UTC), of all workers together.

    A part whose database is away is `{"problem": …}`: this page is looked at when something is wrong.
    """
    now = view.now()
    return JSONResponse(
        {
            "providers": [_provider(one, now) for one in view.status.providers()],
            "today": await _today(view, now),
            "budget": await _budget(view),
            "ledger": {"waiting": view.ledger.waiting, "lost": view.ledger.lost},
        }
    )


@router.get("/costs", response_model=Costs, responses=responses(400, 401, 404, 503))
async def report(
    request: Request,
    view: View,
    by: By = By.BRAND,
    since: str | None = None,
    until: str | None = None,
    brand: str | None = None,
) -> JSONResponse:
    """Calls, tokens and cost of the time from `since` to before `until` (ISO 8601; the last 30 days), dearest first.

    Calls are attempts, those that failed or were not sent included. `costUsd` is null where no price is known;
    `callsWithoutPrice` counts the calls that are missing in it. `key` is null for calls that serve no brand.
    """
    for name in request.query_params:
        if name not in _PARAMETERS:  # a misspelt filter would report other costs than were asked for
            raise InvalidTask(name[:50], f"is not known here, known: {', '.join(_PARAMETERS)}")
    end = view.now() if until is None else _time("until", until)
    begin = end - _SPAN if since is None else _time("since", since)
    if begin >= end:
        raise InvalidTask("since", "must be before until")
    slug = None if brand is None else slug_of(brand_field(brand) or brand)
    rows = await view.ledger.costs(since=begin, until=end, by=by, brand=slug)
    return JSONResponse(
        {
            "by": by.value,
            "since": iso(begin),
            "until": iso(end),
            "brand": slug,
            "items": [{"key": row.key, **_figures([row])} for row in rows],
            "total": _figures(rows),
        }
    )


async def _today(view: LLMView, now: datetime) -> dict[str, Any]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        rows = await view.ledger.costs(since=midnight, until=midnight + timedelta(days=1), by=By.PROVIDER)
    except StorageUnavailable as error:
        return {"problem": error.message}
    by_provider = {row.key: _figures([row]) for row in rows}
    return {"since": iso(midnight), **_figures(rows), "byProvider": by_provider}


async def _budget(view: LLMView) -> dict[str, Any] | None:
    try:
        today = await view.budget.state()
    except QueueUnavailable as error:
        return {"problem": error.message}
    if today is None:
        return None
    return {
        "day": today.day,
        "limitUsd": usd_text(today.limit),
        "spentUsd": usd_text(today.spent),
        "reservedUsd": usd_text(today.reserved),
        "leftUsd": usd_text(today.left),
    }


def _provider(one: ProviderState, now: datetime) -> dict[str, Any]:
    rests = one["resting_sec"] > 0
    return {
        "provider": one["provider"],
        "model": one["model"],
        "configured": one["configured"],
        "state": one["state"],
        "breaker": one["breaker"],
        "why": one["why"],
        "baseUrl": one["base_url"],
        "calls": one["calls"],
        "perMinute": one["per_minute"],
        "restingUntil": iso(now + timedelta(seconds=one["resting_sec"])) if rests else None,
    }


def _figures(rows: Iterable[CostRow]) -> dict[str, Any]:
    rows = list(rows)
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    return {
        "calls": sum(row.calls for row in rows),
        "failed": sum(row.failed for row in rows),
        "inputTokens": sum(row.input_tokens for row in rows),
        "outputTokens": sum(row.output_tokens for row in rows),
        "costUsd": usd_text(sum(known, Decimal(0))) if known or not rows else None,
        "callsWithoutPrice": sum(row.calls_without_price for row in rows),
    }


def _time(name: str, text: str) -> datetime:
    when = parse_time(_BLANK_ZONE.sub(r"\1+\2", text))
    if when is None:
        raise InvalidTask(name, "must be an ISO 8601 time or epoch milliseconds")
    return when
