"""/v1/suggestion: replies that a brand could give to a comment, now."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..errors import InvalidTask, StorageUnavailable
from ..models import SentimentLabel
from ..pipeline.suggestion_request import TEXT_MAX, VOICE_MAX, read_comment
from ..pipeline.suggestions import Tone
from ..tasks import BRAND_MAX, brand_field, json_kind
from .access import WRITES
from .bodies import json_body
from .body import read_json
from .context import Context
from .problems import responses
from .schemas.mentions import Suggestions

router = APIRouter(prefix="/v1", tags=["brands"], dependencies=[WRITES])

_BODY: Final = json_body(
    {
        "brand": {"type": "string", "maxLength": BRAND_MAX},
        "text": {"type": "string", "maxLength": TEXT_MAX},
        "sentiment": {"type": "string", "enum": list(SentimentLabel), "default": "neutral"},
        "voice": {"type": "string", "maxLength": VOICE_MAX, "description": "How the brand sounds"},
        "tone": {"type": "string", "description": f"Only one of {', '.join(Tone)}; or a voice"},
    },
    required=["brand", "text"],
    example={"brand": "Acme", "text": "The new app is so slow", "sentiment": "negative"},
)


@router.post("/suggestion", response_model=Suggestions, openapi_extra=_BODY, responses=responses(400, 401, 413, 415))
async def suggestion(request: Request, ctx: Context) -> JSONResponse:
    """At most three replies: safe, engaging, bold. `degraded`: no model could be asked in time, they are canned.

    A reply that promises what the brand did not is left out and told in `dropped`.
    """
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidTask("body", f"must be a JSON object, not {json_kind(document)}")
    comment = read_comment(brand_field(document.get("brand")), document)
    if ctx.suggester is None:
        raise StorageUnavailable("suggestions are not made by this process")
    return JSONResponse(await ctx.suggester.suggest(comment, default=SentimentLabel.NEUTRAL))
