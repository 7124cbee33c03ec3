"""Reading a JSON body with the worker's own strictness."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException, Request

from .. import strictjson


async def read_json(request: Request) -> Any:
    """The body as JSON.

    The content type must say so: a form or text/plain can be sent by any web page a user of this machine looks at,
    without the browser asking first.

    Raises:
        HTTPException: 415, another content type.
        InvalidTask: the body is not strict JSON; names the field where one can be found.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise HTTPException(415, "Send JSON with the header content-type: application/json.")
    return strictjson.loads(await request.body())
