"""The OpenAPI document: what the routes declare, and what is true of every route because the guard stands before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ..access import Role
from .access import RouteTable
from .examples import EXAMPLES
from .problems import responses

Document = dict[str, Any]
_SCHEMES: Final = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key as `cli keys new` prints it"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key in the header Authorization"},
}
_DESCRIPTION: Final = """\
Analyses mentions of brands and evaluates models; tasks in over Redis or REST, results out.

Errors are problem documents (RFC 9457). Lists have `limit` and `cursor`; `next` in an answer is the cursor of the \
next page, null on the last. Every answer names its request in `X-Request-ID`, as the log does.

Keys have a role, and each role may do what those before it may: **read** (every GET), **write** (tasks, analyses, \
suggestions), **operate** (replay, drop, retry, the audit log). Without any key the service answers on its own machine \
only.
"""
_HEADERS: Final = {
    "X-Request-ID": {"description": "Names the request in the log", "schema": {"type": "string"}},
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
_PARAMETERS: Final = {
    "brand": "Name or slug of a brand",
    "competitor": "Id or name of a competitor, as its tasks name it",
    "name": "Name of a competitor, as `suggested` lists it",
    "limit": "Items in one answer at most",
    "cursor": "`next` of the answer before; none for the first page",
    "days": "How many days back",
    "day": "UTC day, YYYY-MM-DD",
    "task_id": "Id of a task",
    "letter_id": "Id of a dead letter, e.g. 1700000000000-0",
    "identity": "Id of the `analyze_basic` task",
    "type": "Only of this task type",
    "code": "Only with this code of error",
    "all": "Instead of a filter: every dead letter",
    "status": "Only of this status",
    "outcome": "Only of this outcome",
    "intent": "Only of this intent",
    "kind": "Only of this kind",
    "minScore": "Lead score from",
    "minConfidence": "Confidence of the intent from",
    "by": "What costs are summed by",
    "since": "From this time on, ISO 8601 or epoch milliseconds",
    "until": "Before this time, ISO 8601 or epoch milliseconds",
}
"""What a parameter means, wherever a route does not say more."""
_GUARDED: Final = (400, 401, 403, 414, 421, 500)
_OPEN: Final = (400, 403, 414, 421, 500)
_WITH_BODY: Final = (413, 415)


def document_of(app: FastAPI, table: RouteTable) -> Callable[[], Document]:
    """What `app.openapi` is to be. The document is made by the first call."""
    needed = {(one.method.lower(), one.template): one.needed for one in table.routes}

    def openapi() -> Document:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, description=_DESCRIPTION, routes=app.routes
            )
            app.openapi_schema = _completed(document, needed)
        return app.openapi_schema

    return openapi


def _completed(document: Document, needed: Mapping[tuple[str, str], Role | None]) -> Document:
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; ours are problem documents
        components.get("schemas", {}).pop(name, None)
    roles = {_plain(template): template for _, template in needed}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, needed[method, roles[path]], found="{" not in path)
    for (method, path), example in EXAMPLES.items():
        told = document["paths"][path][method]["responses"]
        for status in told:
            if status.startswith("2"):
                told[status]["content"]["application/json"]["example"] = example
    return document


def _plain(template: str) -> str:
    """Without the kinds of parameters: `{task_id:path}` is `{task_id}` in OpenAPI."""
    return template.replace(":path}", "}")


def _complete(operation: Document, method: str, role: Role | None, *, found: bool) -> None:
    """`found`: the path has no parameter, whose slash would make it another one."""
    for parameter in operation.get("parameters", ()):
        parameter.setdefault("description", _PARAMETERS.get(parameter["name"], ""))
    statuses = list(_OPEN if role is None else _GUARDED)
    if not found:
        statuses.append(404)
    if "requestBody" in operation:
        statuses += _WITH_BODY
    if role is not None and role.covers(Role.WRITE) and method != "get":
        statuses += [413, 429]
    if role is not None:
        operation["security"] = [{scheme: []} for scheme in _SCHEMES]
        operation["x-role"] = role.value
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the role `{role}`.".strip()
    else:
        operation["security"] = []
    told: Document = operation["responses"]
    told.pop("422", None)
    for status, entry in responses(*sorted(set(statuses))).items():
        told.setdefault(str(status), entry)
    operation["responses"] = {status: _with_headers(status, told[status]) for status in sorted(told)}


def _with_headers(status: str, entry: Document) -> Document:
    headers = {**entry.get("headers", {}), **_HEADERS}
    if status in ("429", "503") and "application/problem+json" in entry.get("content", {}):
        headers |= _RETRY_AFTER
    return {**entry, "headers": headers}
