"""Errors as problem documents (RFC 9457, `application/problem+json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..errors import InvalidTask, QueueUnavailable, StorageUnavailable, WorkerError
from ..logging import get_logger, request_id

log = get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_AFTER_SEC: Final = "2"
_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "Content too large",
    414: "URI too long",
    415: "Unsupported media type",
    421: "Misdirected request",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> JSONResponse:
    """A problem document. `extra` members (e.g. `field`) stand beside the standard ones."""
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **extra}
    if (request := request_id.get()) is not None:
        body["requestId"] = request
    sent = {"Retry-After": _RETRY_AFTER_SEC} if status == 503 else {}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers={**sent, **(headers or {})})


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong, and where it helps how to mend it"},
        "requestId": {"type": "string", "description": "Names this request in the log; also in X-Request-ID"},
        "field": {"type": "string", "description": "Path of the offending field, e.g. mentions[3].text"},
        "code": {"type": "string"},
    },
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problem documents that are a route's own; `openapi` adds those of the guard."""
    return {
        status: {"description": _TITLES[status], "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(WorkerError)
    async def worker_error(_: Request, error: WorkerError) -> JSONResponse:
        if isinstance(error, InvalidTask):
            return problem(400, error.message, code=error.code, field=error.field)
        if isinstance(error, QueueUnavailable | StorageUnavailable):
            return problem(503, error.message, code=error.code)
        log.error("request failed", exc=error)
        return problem(500, "The request failed; the log has the reason.", code=error.code)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(400, f"{field}: {first['msg']}", code=InvalidTask.code, field=field)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc=error)
        return problem(500, "The request failed; the log has the reason.")
