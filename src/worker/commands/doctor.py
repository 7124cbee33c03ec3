"""`doctor`: settings, servers, disk, port, models: is everything as a worker needs it, and if not, what mends it?"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..config import InvalidSettings, Settings, load_settings
from ..logging import configure
from . import EXIT_OK, EXIT_PROBLEM, note
from .doctor_checks import DEADLINE_SEC, Check, Finding, Named, Verdict, fault, ok, run_checks, skipped
from .tables import show

_ASK_SEC: Final = 70.0
"""Longer than `llm --ask` gives a provider, so that its own words are heard."""
_MODELS_SEC: Final = 30.0
"""Building the providers' adapters imports their packages: seconds on a busy machine."""
_DOTENV: Final = Path(".env")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ask", action="store_true", help="ask each language model for one word (costs a few tokens each)")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else there")


def run(arguments: argparse.Namespace) -> int:
    configure("error", "text")
    findings = asyncio.run(examine(ask=arguments.ask))
    sums = Counter(one.verdict for one in findings)
    healthy = not sums[Verdict.FAULT]
    if arguments.json:
        print(json.dumps({"ok": healthy, "checks": [one.document() for one in findings]}))
    else:
        rows = [(one.name, one.verdict.value, _text(one)) for one in findings]
        show(rows, header=("check", "verdict", "what, and how to mend it"), title="doctor")
        note(", ".join(f"{sums[kind]} {kind.value}" for kind in Verdict if sums[kind]))
    return EXIT_OK if healthy else EXIT_PROBLEM


async def examine(*, ask: bool) -> list[Finding]:
    """All findings; settings that cannot be used leave nothing else to look at."""
    try:
        settings = load_settings()
    except InvalidSettings as error:
        mend = "correct it in the environment or .env; .env.example says what is allowed"
        found = [fault("settings", problem, mend) for problem in error.problems]
        return [*found, *check_names(), skipped("servers", "not looked at before the settings can be read")]
    return [ok("settings", "all can be used"), *check_names(), *await run_checks(_groups(settings, ask=ask))]


def check_names() -> list[Finding]:
    from .doctor_machine import check_dotenv

    return check_dotenv(_DOTENV)


def _groups(settings: Settings, *, ask: bool) -> Sequence[Named]:
    from ..app import http_host
    from .doctor_machine import check_disk, check_keys, check_port
    from .doctor_models import check_embeddings, check_models, check_tokens

    host, port = http_host(settings), settings.http_port
    return (
        Named("redis", lambda: _redis(settings)),
        Named("mongodb", lambda: _mongo(settings)),
        Named("disk", _thread(lambda: check_disk(settings.data_dir))),
        Named("keys", _thread(lambda: check_keys(settings, datetime.now(UTC)))),
        Named("http", _thread(lambda: check_port(host, port))),
        Named("models", lambda: check_models(settings, ask=ask), _ASK_SEC if ask else _MODELS_SEC),
        Named("token tables", _thread(lambda: check_tokens(settings))),
        Named("embeddings", _thread(lambda: check_embeddings(settings)), max(DEADLINE_SEC, _MODELS_SEC)),
    )


async def _redis(settings: Settings) -> Sequence[Finding]:
    from ..embedded import read_state
    from .doctor_machine import check_embedded
    from .doctor_redis import check_redis

    here = read_state(settings.data_dir)
    url = settings.redis_url or (here.redis_url if here else "")
    return await check_redis(url) if url else check_embedded("redis", settings.data_dir)


async def _mongo(settings: Settings) -> Sequence[Finding]:
    from ..embedded import read_state
    from .doctor_machine import check_embedded
    from .doctor_mongo import check_mongo

    here = read_state(settings.data_dir)
    uri = settings.mongodb_uri or (here.mongodb_uri if here else "")
    return await check_mongo(uri, settings) if uri else check_embedded("mongodb", settings.data_dir)


def _thread(look: Callable[[], Sequence[Finding]]) -> Check:
    """A check that waits for files or sockets, beside the event loop."""

    async def check() -> Sequence[Finding]:
        return await asyncio.to_thread(look)

    return check


def _text(one: Finding) -> str:
    return one.detail if one.mend is None else f"{one.detail} → {one.mend}"
