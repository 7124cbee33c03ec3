"""/health, /ready, /metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from ..errors import WorkerError
from .access import OPEN
from .context import Context
from .schemas.system import Health, Ready

router = APIRouter(tags=["system"], dependencies=[OPEN])

_PROBE_SEC: Final = 3.0
"""Shorter than the probe timeouts people set, so that they see which dependency it was."""


@router.get("/health", response_model=Health, summary="Is the process alive?")
async def health(ctx: Context) -> dict[str, str]:
    return {"status": "ok", "workerId": ctx.worker_id, "version": ctx.version}


@router.get(
    "/ready",
    response_model=Ready,
    summary="Can it work? Asks Redis and MongoDB.",
    responses={503: {"description": "Not ready", "model": Ready}},
)
async def ready(ctx: Context) -> JSONResponse:
    redis, mongodb = await asyncio.gather(_ask(ctx.redis_ping), _ask(ctx.storage.ping))
    state = ctx.worker_state()
    fine = redis["ok"] and mongodb["ok"] and state in ("running", "standby")
    body: dict[str, Any] = {
        "status": "ready" if fine else "not_ready",
        "dependencies": {"redis": redis, "mongodb": mongodb},
        "worker": {"id": ctx.worker_id, "state": state},
    }
    if ctx.standby is not None:
        body["standby"] = ctx.standby.state
    return JSONResponse(body, status_code=200 if fine else 503)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics(ctx: Context) -> Response:
    return Response(ctx.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _ask(ping: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_PROBE_SEC):
            await ping()
    except TimeoutError:
        return {"ok": False, "problem": f"no answer in {_PROBE_SEC:.0f} s"}
    except WorkerError as error:
        return {"ok": False, "problem": error.message}
    return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 1)}
