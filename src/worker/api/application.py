"""The FastAPI application: routes, guard, problem documents."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from . import (
    analyses,
    assessments,
    audience,
    audit,
    brands,
    clusters,
    dashboard,
    dead_letters,
    docs,
    events,
    evidence,
    history,
    insight,
    janitor,
    launches,
    llm,
    problems,
    suggestion,
    system,
    tasks,
    weaknesses,
    web,
)
from .access import route_table
from .context import ApiContext
from .guard import Guard, Rules
from .headers import Cors
from .key_ring import KeyRing
from .openapi import document_of
from .spans import Spans

MODULES: Final = (
    system,
    tasks,
    dead_letters,
    brands,
    audience,
    insight,
    clusters,
    llm,
    analyses,
    history,
    janitor,
    suggestion,
    launches,
    assessments,
    weaknesses,
    web,
    evidence,
    events,
    dashboard,
    audit,
    docs,
)
"""Each has a `router` whose routes declare who may use them."""


def create_application(
    context: ApiContext,
    *,
    api_key: str | None = None,
    max_body_bytes: int,
    keys: KeyRing | None = None,
    cors_origins: frozenset[str] = frozenset(),
) -> FastAPI:
    """`keys` are those that open the service: without them `api_key` alone does, and without both it needs none.

    Raises:
        UndeclaredRoute: a route declares not who may use it.
    """
    app = FastAPI(
        title="Brand and evaluation worker",
        version=context.version,
        summary="Analyses mentions of brands and evaluates models; tasks in over Redis or REST, results out.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.context = context
    problems.install(app)
    for module in MODULES:
        app.include_router(module.router)
    table = route_table(app)
    app.openapi = document_of(app, table)  # type: ignore[method-assign]
    rules = Rules(
        routes=table,
        keys=keys or KeyRing(api_key),
        max_body_bytes=max_body_bytes,
        cors=Cors(cors_origins),
        writes=context.writes,
        audit=context.audit,
    )
    app.add_middleware(Spans, tracing=context.tracing)
    app.add_middleware(Guard, rules=rules)  # added last: stands before all else
    return app
