"""`python -m docs.generator`: writes docs/reference. With `--check` it only says which page is not up to date."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from src.worker.config import Settings, load_settings

from . import cli, metrics, rest, settings, tasks

if TYPE_CHECKING:
    from src.worker.api.access import RouteTable

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_CONVERTER: Final = re.compile(r":\w+\}")
PLACE: Final = Path("docs", "reference")
_NOWHERE: Final = ("redis://127.0.0.1:1/0", "mongodb://127.0.0.1:1/worker")
"""Never connected to: a worker knows its types, routes and metrics without servers."""


def pages() -> dict[str, str]:
    """File name → content. The same on every machine: no setting of the environment is read."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.lower() in Settings.model_fields:
            del os.environ[name]
    try:
        return asyncio.run(_pages())
    finally:
        os.environ.update(kept)


async def _pages() -> dict[str, str]:
    from src.worker.api.access import route_table
    from src.worker.api.application import create_application
    from src.worker.cli import whole_parser
    from src.worker.janitor import _parser as janitor_parser
    from src.worker.runtime import Runtime

    # What is there only with a setting belongs into the reference, too.
    chosen = load_settings(
        _env_file=None, _secrets_dir=None, bluesky_stream=True, standby_for="workers:heartbeat:other"
    )
    runtime = Runtime(chosen, redis_url=_NOWHERE[0], mongodb_uri=_NOWHERE[1])
    try:
        app = create_application(runtime.api, api_key=None, max_body_bytes=chosen.http_max_body_bytes)
        return {
            "settings.md": settings.render(ROOT),
            "tasks.md": tasks.render(runtime.handlers),
            "rest.md": rest.render(app.openapi(), _roles(route_table(app))),
            "metrics.md": metrics.render(runtime.metrics.registry),
            "cli.md": cli.render(whole_parser(), janitor_parser()),
        }
    finally:
        await runtime.close()


def _roles(table: RouteTable) -> dict[tuple[str, str], str | None]:
    """(method, path as OpenAPI writes it: `{id}` for the router's `{id:path}`) → the role that is needed."""
    return {(one.method, _CONVERTER.sub("}", one.template)): one.needed for one in table.routes}


def stale(found: dict[str, str]) -> list[str]:
    """Names of pages that are not as the code would write them now."""
    return [
        name
        for name, content in found.items()
        if not (ROOT / PLACE / name).is_file() or (ROOT / PLACE / name).read_text("utf-8") != content
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is not up to date")
    arguments = parser.parse_args(argv)
    found = pages()
    old = stale(found)
    if arguments.check:
        for name in old:
            print(f"{PLACE / name} is not up to date: make docs", file=sys.stderr)
        return 1 if old else 0
    (ROOT / PLACE).mkdir(parents=True, exist_ok=True)
    for name in old:
        (ROOT / PLACE / name).write_text(found[name], "utf-8")
        print(PLACE / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
