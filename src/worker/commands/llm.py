"""`llm`: which language models are used and why others are not, what calls have cost, and whether each answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..config import Settings, load_settings
from ..errors import StorageUnavailable
from ..logging import configure
from . import EXIT_OK, EXIT_PROBLEM, note
from .tables import show

_ASK_SEC: Final = 60.0
"""Enough for the import of a provider, for a model that is loaded first, and one word."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ask", action="store_true", help="ask each provider for one word: does it answer? (costs a few tokens each)")
    add("--by", choices=("brand", "operation", "provider", "model", "day"), default="provider", help="sums of costs by")
    add("--days", type=int, default=30, metavar="N", help="costs of the last N days (30)")
    add("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    configure("error", "text")
    return asyncio.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    providers = await ask_providers(settings, ask=arguments.ask)
    costs = await _costs(settings, arguments.by, arguments.days)
    if arguments.json:
        print(json.dumps({"providers": providers, "costs": costs}))
    else:
        rows = [(one["provider"], one["model"], one["state"], one["answer"] or one["why"] or "") for one in providers]
        show(rows, header=("provider", "model", "state", ""), title="Language models")
        if costs is not None:
            shown = [
                (one["key"] or "-", f"{one['calls']:,}", f"{one['failed']:,}", _money(one["costUsd"])) for one in costs
            ]
            show(shown, header=(arguments.by, "calls", "failed", "USD"), title="Costs", numbers=(1, 2, 3))
    return EXIT_PROBLEM if any(one["failed"] for one in providers) else EXIT_OK


async def ask_providers(settings: Settings, *, ask: bool) -> list[dict[str, Any]]:
    """Every provider with its state; `answer` and `failed` only with `ask`."""
    from ..llm.budget import Unlimited
    from ..llm.price_files import load_prices
    from ..llm_adapter import LLMAdapter

    llm = LLMAdapter(settings, recorder=_Unrecorded(), money=load_prices(None), budget=Unlimited())
    out: list[dict[str, Any]] = [
        {"provider": one["provider"], "model": one["model"], "state": one["state"], "why": one["why"]}
        | {"answer": None, "failed": False}
        for one in llm.providers()
    ]
    try:
        if ask:
            answers = await asyncio.gather(*(_ask(llm, target) for target in llm.targets))
            for one, (answer, failed) in zip(out, answers, strict=False):  # those that are used stand first
                one |= {"answer": answer, "failed": failed}
    finally:
        await llm.close()
    return out


class _Unrecorded:
    """A question by hand is the operator's; the worker's ledger is not told."""

    def record(self, attempt: object) -> None:
        return None


async def _ask(llm: Any, target: Any) -> tuple[str, bool]:
    from ..llm.errors import LLMError
    from ..llm.exchange import Message, Purpose, Request, Role
    from ..llm_adapter import text_of

    request = Request((Message(Role.USER, "Answer with the single word: fine"),), max_tokens=20, temperature=0.0)
    began = time.monotonic()
    try:
        answered = await llm.ask(
            request, purpose=Purpose("check"), deadline=began + _ASK_SEC, targets=(target,), check=text_of
        )
    except LLMError as error:
        return f"{error.kind.value}: {error.message}" + (f" ({error.detail})" if error.detail else ""), True
    return f"answers in {answered.reply.seconds:.1f} s", False


async def _costs(settings: Settings, by: str, days: int) -> list[dict[str, Any]] | None:
    """None where there is no database to be asked, which is said."""
    from ..llm.budget import usd_text
    from ..llm.costs import By, costs
    from ..storage import Storage

    uri = settings.mongodb_uri or _embedded_uri(settings)
    if uri is None:
        note("costs: no worker runs here and MONGODB_URI is not set")
        return None
    storage = Storage(uri)
    now = datetime.now(UTC)
    try:
        rows = await costs(storage, since=now - timedelta(days=days), until=now, by=By(by))
    except StorageUnavailable as error:
        note(f"costs: {error.message}")
        return None
    finally:
        storage.close()
    return [
        {
            "key": row.key,
            "calls": row.calls,
            "failed": row.failed,
            "inputTokens": row.input_tokens,
            "outputTokens": row.output_tokens,
            "costUsd": None if row.cost_usd is None else usd_text(row.cost_usd),
            "callsWithoutPrice": row.calls_without_price,
        }
        for row in rows
    ]


def _embedded_uri(settings: Settings) -> str | None:
    from ..embedded import read_state

    endpoints = read_state(settings.data_dir)
    return endpoints.mongodb_uri if endpoints is not None else None


def _money(text: str | None) -> str:
    return "unknown" if text is None else text
