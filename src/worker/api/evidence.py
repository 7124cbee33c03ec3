"""/v1/brands/{brand}/crisis/mentions: what was said that a crisis was told of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse

from ..pipeline.documents import public
from ..services.crisis_evidence import CrisisEvidence
from ..tasks import brand_field, slug_of
from .access import READS
from .context import Context
from .problems import responses
from .schemas.mentions import CrisisMentions

router = APIRouter(prefix="/v1/brands/{brand}", tags=["insight"], dependencies=[READS])


@router.get("/crisis/mentions", response_model=CrisisMentions, responses=responses(400, 401, 404, 503))
async def crisis_mentions(
    brand: str,
    ctx: Context,
    event: Annotated[str, Query(min_length=1, max_length=500, description="`id` of a crisis, as /crisis names it")],
) -> JSONResponse:
    """The mentions that a crisis names as its evidence, the worst first. `missing` are ids of those that are not at
    hand any more: archived, or deleted."""
    slug = slug_of(brand_field(brand) or brand)
    evidence = CrisisEvidence(ctx.storage)
    found = await evidence.event(slug, event)
    if found is None:
        raise HTTPException(404, "No crisis of this id is known; GET …/crisis lists them.")
    items = [public(document) for document in await evidence.mentions(slug, found)]
    shown = {one["id"] for one in items}
    missing = [one for one in found["evidence"] if one not in shown]
    return JSONResponse({"brand": slug, "event": event, "items": items, "missing": missing})
