"""/v1/analyses: the statistics of evaluation runs that this service has computed, and their reports."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, JSONResponse

from ..times import iso
from .access import READS
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses
from .schemas.llm import Analysis, AnalysisPage

router = APIRouter(prefix="/v1/analyses", tags=["evaluation"], dependencies=[READS])

_HEADERS: Final = {
    # The report draws with inline styles and SVG and needs nothing from anywhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("", response_model=AnalysisPage, responses=responses(400, 401, 503))
async def listed(
    ctx: Context,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """Analyses, newest first. `next` is the cursor of the next page, null on the last."""
    page = await ctx.evaluations.analyses(limit=limit, before=read_cursor(cursor) if cursor else None)
    items = [{"id": one["_id"], "runId": one["run_id"], "at": iso(one["at"])} for one in page.items]
    return JSONResponse({"items": items, "next": write_cursor(*page.next_cursor) if page.next_cursor else None})


@router.get("/{identity}", response_model=Analysis, responses=responses(401, 404, 503))
async def one(identity: str, ctx: Context) -> JSONResponse:
    """An analysis by the id of its `analyze_basic` task, as the task's result holds it."""
    return JSONResponse(await _found(identity, ctx))


@router.get("/{identity}/report", response_class=HTMLResponse, responses=responses(401, 404, 503))
async def report(identity: str, ctx: Context) -> HTMLResponse:
    """The same as a page for people: plots and tables in one file that opens offline."""
    analysis = await _found(identity, ctx)
    page = await asyncio.to_thread(_page, analysis)
    return HTMLResponse(page, headers=_HEADERS)


async def _found(identity: str, ctx: Context) -> dict[str, Any]:
    analysis = await ctx.evaluations.analysis(identity)
    if analysis is None:
        raise HTTPException(404, f"There is no analysis {identity[:100]!r}.")
    return analysis


def _page(analysis: dict[str, Any]) -> str:
    from ..evaluation.report import html_report

    return html_report(analysis)
