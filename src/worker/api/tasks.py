"""/v1/tasks and /v1/queue: the REST door of the queue."""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from ..errors import InvalidTask
from ..models import TaskPriority
from ..tasks import parse_task, run_at
from .access import READS, WRITES
from .bodies import json_body
from .body import read_json
from .context import Context
from .problems import responses
from .schemas.queue import Accepted, QueueState, TaskRecord

router = APIRouter(prefix="/v1", tags=["queue"], dependencies=[READS])

_TASK_BODY: Final = json_body(
    {
        "type": {"type": "string"},
        "id": {"type": "string", "description": "Generated when missing"},
        "brand": {"type": "string"},
        "priority": {"type": "string", "enum": [priority.value for priority in TaskPriority]},
        "runAt": {"description": "ISO 8601 or epoch ms: not before this time"},
        "deadline": {"description": "ISO 8601 or epoch ms: of no use after this time"},
        "payload": {"type": "object", "description": "Fields of the type; may also stand at top level"},
    },
    required=["type"],
    example={
        "type": "analyze_mentions",
        "brand": "acme",
        "mentions": [{"text": "I love acme, but the app keeps crashing", "source": "x"}],
    },
)


@router.post(
    "/tasks",
    response_model=Accepted,
    dependencies=[WRITES],
    status_code=202,
    openapi_extra=_TASK_BODY,
    responses=responses(400, 401, 413, 415, 503),
)
async def submit(request: Request, ctx: Context) -> JSONResponse:
    """Put a task into the queue. The same `id` sent again does nothing and returns the task as it stands."""
    document = await read_json(request)
    task = parse_task(
        document,
        fallback_id=uuid.uuid4().hex,
        received_ms=ctx.queue.now_ms(),
        stream_priority=TaskPriority.NORMAL,
    )
    if task.type not in ctx.task_types:
        raise InvalidTask("type", f"unknown type {task.type[:50]!r}, known: {', '.join(sorted(ctx.task_types))}")
    ctx.task_types[task.type].check(task)
    known = await ctx.queue.enqueue(document, task_id=task.id, run_at=run_at(document))
    status = orjson.loads(known)["status"] if known else "queued"
    return JSONResponse(
        {"id": task.id, "status": status}, status_code=202, headers={"Location": f"/v1/tasks/{task.id}"}
    )


@router.get("/tasks/{task_id:path}", response_model=TaskRecord, responses=responses(401, 404, 503))
async def task_state(task_id: str, ctx: Context) -> JSONResponse:
    """The record of a task: queued, running, succeeded or failed, with its result or error. Of a task that was added to
    a stream without an id, ask by `<priority>-<entry id>`."""
    record = await ctx.queue.state_of(task_id)
    if record is None:
        raise HTTPException(404, "No task of this id is known. Records are kept for a day after the last change.")
    return JSONResponse(record)


@router.get("/queue", response_model=QueueState, responses=responses(401, 503))
async def queue_state(ctx: Context) -> dict[str, Any]:
    """Sizes of the queue now."""
    depth = await ctx.queue.depth()
    return {
        "waiting": {priority.value: count for priority, count in depth.waiting.items()},
        "parked": depth.parked,
        "inFlight": depth.in_flight,
        "delayed": depth.delayed,
        "dead": depth.dead,
    }
