"""/v1/audit: what operators have done, how the keys have changed, who was turned away."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from ..storage import Document
from ..times import iso
from .access import OPERATES
from .brands import read_cursor, write_cursor
from .context import Context
from .problems import responses
from .schemas.system import AuditPage

router = APIRouter(prefix="/v1/audit", tags=["system"], dependencies=[OPERATES])


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@router.get("", response_model=AuditPage, responses=responses(400, 404, 503))
async def audit(
    ctx: Context,
    actor: Annotated[
        str | None, Query(max_length=64, description="name of a key; `local` while none is needed")
    ] = None,
    outcome: Outcome | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JSONResponse:
    """Actions of operators, newest first, kept for 400 days. A record is in the log at once and here as soon as MongoDB
    takes it; `lostBefore` counts records that are in the log only. `next` is the cursor of the next page."""
    if ctx.audit is None:
        raise HTTPException(404, "This process keeps no audit log.")
    page = await ctx.audit.page(
        limit=limit, before=read_cursor(cursor) if cursor else None, actor=actor, outcome=outcome and outcome.value
    )
    following = write_cursor(*page.next_cursor) if page.next_cursor else None
    return JSONResponse({"items": [_shown(one) for one in page.items], "next": following})


def _shown(record: Document) -> dict[str, Any]:
    return {
        "id": record["_id"],
        **{name: value for name, value in record.items() if name != "_id"},
        "at": iso(record["at"]),
    }
