"""/v1/brands/{brand}/web-insights: what the web says of a brand, as its latest scan has found it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse

from ..services.web_scan_store import WebScans
from ..tasks import brand_field, slug_of
from .access import READS
from .context import Context
from .problems import responses
from .schemas.audience import WebInsights

router = APIRouter(prefix="/v1/brands/{brand}", tags=["brands"], dependencies=[READS])


@router.get("/web-insights", response_model=WebInsights, responses=responses(400, 401, 404, 503))
async def web_insights(brand: str, ctx: Context) -> JSONResponse:
    """The report that stands for a brand. `evidence` holds, for each text of a list, the numbers of its `sources`."""
    slug = slug_of(brand_field(brand) or brand)
    report = await WebScans(ctx.storage).latest(slug)
    if report is None:
        raise HTTPException(
            404, f'No web scan of {slug!r} is kept. Send a task {{"type": "web_scan", "brand": …}} to POST /v1/tasks.'
        )
    return JSONResponse(report)
