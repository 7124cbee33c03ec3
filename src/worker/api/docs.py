"""/openapi.json and /docs: the interface as a document, and the same as one page for people.

The page is made here, as plain HTML: it works offline, under the strictest content policy and without a script. (The
usual explorers weigh 1.7 MB, Swagger UI 5, or 0.9 MB, RapiDoc 9, and need inline styles; any of them can be pointed at
/openapi.json.)
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from .access import READS
from .docs_page import docs_page

router = APIRouter(dependencies=[READS], include_in_schema=False)

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
}


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(await _document(request))


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page. A browser may send the key as the password that it asks for; the user name does not matter."""
    page = await asyncio.to_thread(docs_page, await _document(request))
    policy = _PAGE_HEADERS["Content-Security-Policy"].format(hash=page.style_hash)
    return HTMLResponse(page.html, headers={"Content-Security-Policy": policy})


async def _document(request: Request) -> dict[str, Any]:
    """Made once per process, in a thread: it takes a few hundred milliseconds."""
    document: dict[str, Any] = await asyncio.to_thread(request.app.openapi)
    return document
