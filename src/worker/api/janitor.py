"""/v1/janitor: what the last run of the janitor did, and whether one is at work."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse

from .access import READS
from .context import Context
from .problems import responses
from .schemas.system import JanitorState

router = APIRouter(prefix="/v1/janitor", tags=["janitor"], dependencies=[READS])


@router.get("", response_model=JanitorState, responses=responses(401, 404, 503))
async def last_run(ctx: Context) -> JSONResponse:
    """`last` is the report of the last run as `python -m src.worker.janitor --json` prints it, with `last_success`, the
    time at which one ended without a failure; null before the first run and 35 days after the last one. `atWork` names
    the process that holds the janitor's lock now, or is null."""
    if ctx.janitor is None:
        raise HTTPException(404, "This process does not watch the janitor.")
    return JSONResponse({"last": await ctx.janitor.report(), "atWork": await ctx.janitor.at_work()})
