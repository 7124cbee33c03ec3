"""/v1/analyze and /v1/brands/{brand}/…: what the worker thinks and knows about brands."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from ..errors import InvalidTask
from ..pipeline.documents import public
from ..pipeline.intake import parse_chunk
from ..tasks import brand_field, json_kind, slug_of
from .access import READS, WRITES
from .bodies import json_body
from .body import read_json
from .context import Context
from .problems import responses
from .schemas.mentions import Analysed, MentionPage
from .topics import TopicId, topic_names

router = APIRouter(prefix="/v1", tags=["brands"], dependencies=[READS])

_ANALYZE_MAX: Final = 100
"""A synchronous batch must answer within a second; larger ones are tasks."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANALYZE_BODY: Final = json_body(
    {
        "brand": {"type": "string"},
        "keywords": {"type": "array", "items": {"type": "string"}},
        "mentions": {"type": "array", "maxItems": _ANALYZE_MAX, "items": {"type": "object"}},
    },
    required=["brand", "mentions"],
    example={"brand": "acme", "mentions": [{"text": "The new acme app is great"}]},
)


@router.post(
    "/analyze",
    response_model=Analysed,
    dependencies=[WRITES],
    openapi_extra=_ANALYZE_BODY,
    responses=responses(400, 401, 413, 415, 503),
)
async def analyze(request: Request, ctx: Context) -> JSONResponse:
    """Judge a small batch now. Nothing is stored; `rejected` names the items that could not be used, and why."""
    document = await read_json(request)
    if not isinstance(document, dict):
        raise InvalidTask("body", f"must be a JSON object, not {json_kind(document)}")
    mentions = document.get("mentions")
    if isinstance(mentions, list) and len(mentions) > _ANALYZE_MAX:
        raise InvalidTask("mentions", f"has {len(mentions)} items, at most {_ANALYZE_MAX}; send more as a task")
    chunk = parse_chunk(document, brand=None, fallback_id="analyze")
    verdicts, rejected = await ctx.mentions.analyse(chunk)
    return JSONResponse(
        {
            "brand": chunk.brand,
            "verdicts": verdicts,
            "rejected": [{"index": bad.index, "reason": bad.reason} for bad in rejected],
        }
    )


@router.get("/brands/{brand}/mentions", response_model=MentionPage, responses=responses(400, 401, 503))
async def mentions(
    brand: str,
    ctx: Context,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    topic: TopicId = None,
) -> JSONResponse:
    """Stored mentions of a brand, newest first; with `topic` only those in that one. `next` is the cursor of the next
    page, null on the last."""
    slug = slug_of(brand_field(brand) or brand)
    before = read_cursor(cursor) if cursor else None
    topics = await topic_names(ctx, slug, topic)
    page = await ctx.storage.list_mentions(slug, limit=limit, before=before, topics=topics)
    following = write_cursor(*page.next_cursor) if page.next_cursor else None
    return JSONResponse({"items": [public(document) for document in page.items], "next": following})


def write_cursor(when: datetime, key: str) -> str:
    """An opaque place in a list."""
    ms = round((when - _EPOCH) / timedelta(milliseconds=1))
    return base64.urlsafe_b64encode(orjson.dumps([ms, key])).decode().rstrip("=")


def read_cursor(text: str) -> tuple[datetime, str]:
    """The place a cursor stands for; `InvalidTask` for anything this API has not given out."""
    try:
        ms, key = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not (isinstance(ms, int) and isinstance(key, str)):
            raise ValueError(text)
        return _EPOCH + timedelta(milliseconds=ms), key
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise InvalidTask("cursor", "is not one that this API has given out") from None
