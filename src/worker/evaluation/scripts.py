"""The six scripts behind `workers/`. Heavy parts are imported by the script that needs them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .compat.logging import get_logger
from .protocol import Context, Script
from .validation import InvalidInput

if TYPE_CHECKING:
    from .model import Models

Body = Callable[[dict[str, Any], Context], dict[str, Any]]
WithModels = Callable[[dict[str, Any], "Models", Context], Coroutine[Any, Any, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A script that only computes."""

    body: Body
    reads_input: bool = True

    def __call__(self, payload: dict[str, Any], context: Context) -> dict[str, Any]:
        return self.body(payload, context)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A script that asks models: input is checked first, so that a mistake does not cost an import."""

    check: Callable[[dict[str, Any]], None]
    body: WithModels
    reads_input: bool = True

    def __call__(self, payload: dict[str, Any], context: Context) -> dict[str, Any]:
        self.check(payload)
        import asyncio

        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._asked(payload, context))
        finally:
            if not context.exits:  # else the process ends after the answer, and with it every connection
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()

    async def _asked(self, payload: dict[str, Any], context: Context) -> dict[str, Any]:
        from .compat.logging import route_standard_logging
        from .model import models_of
        from .standalone import standalone_adapter

        if context.exits:
            route_standard_logging()
        adapter = standalone_adapter(context.environ)
        try:
            return await self.body(payload, models_of(adapter), context)
        finally:
            if not context.exits:
                await adapter.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _check_probe(payload: dict[str, Any]) -> None:
    from .plan import read_plan

    read_plan(payload)


async def _probe(payload: dict[str, Any], models: Models, context: Context) -> dict[str, Any]:
    from .plan import read_plan
    from .probe import run_probe

    fields = {name: payload[name] for name in ("runId", "scenarioId", "modelId")}
    get_logger("probe").info("Starting probe", **fields)

    def started(partial: Any) -> None:
        context.partial = partial

    return await run_probe(read_plan(payload), models, deadline=context.deadline, now=_now, started=started)


def _check_summarize(payload: dict[str, Any]) -> None:
    from .summarize import check_payload

    check_payload(payload)


async def _summarize(payload: dict[str, Any], models: Models, context: Context) -> dict[str, Any]:
    from .summarize import run_summarize

    fields = {name: payload[name] for name in ("transcriptId", "modelId") if name in payload}
    get_logger("summarize").info("Starting summarize", **fields, items=len(payload.get("transcripts", [None])))
    return await run_summarize(payload, models, deadline=context.deadline)


def _analyze(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """`--html FILE` writes the report too; a relative FILE is relative to the working directory."""
    target = _html_target(context.arguments)
    from .analysis import analyse

    analysis = analyse(payload, now=_now)
    document: dict[str, Any] = {"success": True, "analysis": analysis}
    if target is not None:
        from .report import html_report

        try:
            target.write_text(html_report(analysis), encoding="utf-8")
        except OSError as error:
            raise InvalidInput("--html", f"cannot be written: {os.strerror(error.errno or 0)}") from error
        document["report"] = str(target)
    return document


def _html_target(arguments: tuple[str, ...]) -> Path | None:
    if not arguments:
        return None
    name, _, value = arguments[0].partition("=")
    given = [value, *arguments[1:]] if value else list(arguments[1:])
    if name != "--html" or len(given) != 1 or not given[0]:
        raise InvalidInput("arguments", "are not understood", message="Usage: analyze_basic.py [--html FILE] < INPUT")
    return Path(given[0])


def _health(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    from .health import check_health

    return check_health(context.environ)


def _token_stats(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    from .token_stats import compute_token_stats

    return compute_token_stats(payload, clock=time.perf_counter)


def _scenarios(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    from .scenarios import generate_scenarios

    return generate_scenarios(payload)


SCRIPTS: Final[dict[str, Script]] = {
    "probe": _Asking(_check_probe, _probe),
    "summarize": _Asking(_check_summarize, _summarize),
    "analyze_basic": _Plain(_analyze),
    "health_check": _Plain(_health, reads_input=False),
    "compute_token_stats": _Plain(_token_stats),
    "generate_scenarios": _Plain(_scenarios),
}
