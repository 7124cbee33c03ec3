"""/v1/dead-letters and /v1/retry: what could not be processed, to be looked at, sent again or dropped."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from ..dead_letter_view import LetterFilter
from ..errors import InvalidTask
from ..tasks import json_kind
from .access import OPERATES, READS, note
from .bodies import json_body
from .body import read_json
from .context import Context
from .problems import MEDIA_TYPE, PROBLEM_SCHEMA, responses
from .schemas.queue import DeadLetter, DeadLetters, Dropped, Replayed, ReplayedMany, Retried

router = APIRouter(prefix="/v1", tags=["dead letters"], dependencies=[READS])

_FILTERS: Final = ("brand", "type", "code")
_GONE: Final = "There is no dead letter of this id (any more)."
_REPLAY_BODY: Final = json_body(
    {
        "brand": {"type": "string", "description": "Name or slug"},
        "type": {"type": "string", "description": "Task type"},
        "code": {"type": "string", "description": "Code of the error"},
        "all": {"type": "boolean", "description": "Instead of filters: every dead letter"},
        "limit": {"type": "integer", "minimum": 1, "description": "Replay at most so many"},
    },
    closed=True,
    example={"code": "STORAGE_UNAVAILABLE"},
)
_FOREIGN: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "Another web page's request", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
}


Text = Annotated[str | None, Query(max_length=200)]


@router.get("/dead-letters", response_model=DeadLetters, responses=responses(400, 401, 503))
async def letters(
    ctx: Context,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    brand: Text = None,
    type: Text = None,
    code: Text = None,
) -> JSONResponse:
    """Dead letters, newest first. `next` is the cursor of the next page, null on the last.

    A filter looks at 1,000 letters per request: a page may hold fewer than `limit`, even none, while `next` goes on.
    Tasks over 64 KB are cut off here and whole under their own address.
    """
    page = await ctx.dead_letters.list(limit, cursor, brand=brand, type=type, code=code)
    items = [{**one.shown(ctx.dead_letters.brand_of(one)), **one.shown_task()} for one in page.letters]
    return JSONResponse({"items": items, "next": page.next})


@router.get("/dead-letters/{letter_id}", response_model=DeadLetter, responses=responses(400, 401, 404, 503))
async def letter(letter_id: str, ctx: Context) -> JSONResponse:
    """One dead letter with its whole task; bytes that are no text also as `taskBase64`."""
    one = await ctx.dead_letters.get(letter_id)
    if one is None:
        raise HTTPException(404, _GONE)
    return JSONResponse({**one.shown(ctx.dead_letters.brand_of(one)), **one.shown_task(exact=True)})


@router.post(
    "/dead-letters/replay",
    response_model=ReplayedMany,
    dependencies=[OPERATES],
    status_code=202,
    openapi_extra=_REPLAY_BODY,
    responses={**responses(400, 401, 413, 415, 503), **_FOREIGN},
)
async def replay_matching(request: Request, ctx: Context) -> dict[str, int]:
    """Put back all that match and are there now, oldest first. `{}` names nothing: say `{"all": true}` for all."""
    document = await read_json(request)
    wanted = _filter_of_body(document)
    limit = _limit(document)
    note(request, **asdict(wanted), limit=limit)
    replayed = await ctx.dead_letters.replay_matching(wanted, limit=limit)
    note(request, replayed=replayed)
    return {"replayed": replayed}


@router.post(
    "/dead-letters/{letter_id}/replay",
    response_model=Replayed,
    dependencies=[OPERATES],
    status_code=202,
    responses={**responses(400, 401, 404, 503), **_FOREIGN},
)
async def replay(letter_id: str, request: Request, ctx: Context) -> JSONResponse:
    """Put one back onto its stream. `taskId` is the id of its task from now on (see `Location`)."""
    task_id = await ctx.dead_letters.replay(letter_id)
    if task_id is None:
        raise HTTPException(404, _GONE)
    note(request, taskId=task_id)
    body = {"id": letter_id, "taskId": task_id, "status": "queued"}
    return JSONResponse(body, status_code=202, headers={"Location": f"/v1/tasks/{quote(task_id)}"})


@router.delete(
    "/dead-letters/{letter_id}",
    dependencies=[OPERATES],
    status_code=204,
    response_class=Response,
    responses={**responses(400, 401, 404, 503), **_FOREIGN},
)
async def drop(letter_id: str, ctx: Context) -> Response:
    """Delete one."""
    if not await ctx.dead_letters.drop(letter_id):
        raise HTTPException(404, _GONE)
    return Response(status_code=204)


@router.delete(
    "/dead-letters",
    response_model=Dropped,
    dependencies=[OPERATES],
    responses={**responses(400, 401, 503), **_FOREIGN},
)
async def drop_matching(
    request: Request, ctx: Context, brand: Text = None, type: Text = None, code: Text = None, all: bool = False
) -> dict[str, int]:
    """Delete all that match and are there now. Needs a filter, or `all=true` for all."""
    for name in request.query_params:
        if name not in (*_FILTERS, "all"):  # a misspelt filter must not delete what it was to spare
            raise InvalidTask(name[:50], f"is not a filter, known: {', '.join(_FILTERS)}, all")
    wanted = _filter({"brand": brand, "type": type, "code": code}, everything=all)
    dropped = await ctx.dead_letters.drop_matching(wanted)
    note(request, dropped=dropped)
    return {"dropped": dropped}


@router.post(
    "/retry/{brand}",
    response_model=Retried,
    dependencies=[OPERATES],
    responses={**responses(400, 401, 503), **_FOREIGN},
)
async def retry(brand: str, request: Request, ctx: Context) -> dict[str, str | int]:
    """Everything of a brand that has failed, once more: its dead letters and the failure records of workers in
    `failed:brand:{slug}`. The orchestrator's records in that list stay where they are."""
    slug, retried = await ctx.dead_letters.retry_brand(brand)
    note(request, retried=retried)
    return {"status": "ok", "retried": retried, "brand": slug}


def _filter_of_body(document: Any) -> LetterFilter:
    if not isinstance(document, dict):
        raise InvalidTask("body", f"must be a JSON object, not {json_kind(document)}")
    for name, value in document.items():
        if name not in (*_FILTERS, "all", "limit"):
            raise InvalidTask(name[:50], f"is not a filter, known: {', '.join(_FILTERS)}, all, limit")
        if name in _FILTERS and value is not None and not isinstance(value, str):
            raise InvalidTask(name, f"must be text, not {json_kind(value)}")
    everything = document.get("all", False)
    if not isinstance(everything, bool):
        raise InvalidTask("all", f"must be true or false, not {json_kind(everything)}")
    return _filter({name: document.get(name) for name in _FILTERS}, everything=everything)


def _filter(values: dict[str, str | None], *, everything: bool) -> LetterFilter:
    """Nothing named is a slip, not "all"; both is one too."""
    wanted = LetterFilter(**values)
    if not wanted and not everything:
        raise InvalidTask("brand", "name a brand, a type, a code, or say all=true")
    if wanted and everything:
        raise InvalidTask("all", "cannot stand beside a filter")
    return wanted


def _limit(document: dict[str, Any]) -> int | None:
    value = document.get("limit")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidTask("limit", "must be a whole number from 1")
    return value
