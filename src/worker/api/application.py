"""The FastAPI application: routes, guard, problem documents."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware

from . import analyses, audience, brands, dead_letters, insight, llm, problems, system, tasks
from .context import ApiContext
from .guard import Guard


def create_application(context: ApiContext, *, api_key: str | None, max_body_bytes: int) -> FastAPI:
    app = FastAPI(
        title="Brand and evaluation worker",
        version=context.version,
        summary="Analyses mentions of brands and evaluates models; tasks in over Redis or REST, results out.",
        middleware=[Middleware(Guard, api_key=api_key, max_body_bytes=max_body_bytes)],
    )
    app.state.context = context
    problems.install(app)
    for module in (system, tasks, dead_letters, brands, audience, insight, llm, analyses):
        app.include_router(module.router)
    return app
