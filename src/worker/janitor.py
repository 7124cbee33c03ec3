"""The scheduled clean-up: `python -m src.worker.janitor`.

Archives mentions that are old, bounds what is in Redis, says what it did, and ends. One janitor works at a time; one
that finds another at work says so and ends too. It may be killed at any moment: nothing is lost, the next run goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from . import __version__
from .config import Settings, load_settings
from .errors import ConfigError, InvalidTask, WorkerError
from .logging import configure, get_logger
from .stopping import stop_on_signals
from .tasks import brand_field, slug_of

log = get_logger(__name__)

Report = dict[str, Any]

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
_MAX_HOURS: Final = 24 * 31

_EPILOG: Final = """\
Settings are those of the service (.env.example). Without REDIS_URL and MONGODB_URI it works on the servers of the
worker that runs under DATA_DIR, or starts them for the run.

exit codes:
  0  done; or another janitor was at work; or ended by a signal, with all that was begun finished
  1  something failed: the report says what
  2  wrong usage of the command line
"""


def main(argv: list[str] | None = None) -> int:
    """Exit codes: see `_EPILOG`; 128 + signal after a second signal, or one during a restore."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is not None and (arguments.dry_run or arguments.once or arguments.every):
        parser.error(f"--dry-run, --once and --every are not for {arguments.command}")
    try:
        settings = load_settings()
        configure(settings.log_level, settings.log_format)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return EXIT_FAILED
    every = 0.0 if arguments.once or arguments.dry_run else arguments.every or settings.janitor_every_hours
    if arguments.command == "restore":
        try:
            return asyncio.run(_restore(arguments, settings))
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
    return asyncio.run(_run(arguments, settings, timedelta(hours=every)))


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m src.worker.janitor",
        description="Archive what is old, bound what is in Redis, and report.",
        epilog=_EPILOG,
        formatter_class=form,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--once", action="store_true", help="one run, whatever JANITOR_EVERY_HOURS says")
    parser.add_argument("--every", type=_hours, metavar="HOURS", help="run again and again, until SIGTERM")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done; one run")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    commands = parser.add_subparsers(dest="command", metavar="[COMMAND]")
    restore = commands.add_parser("restore", help="bring the archived mentions of one day back", formatter_class=form)
    restore.add_argument("--brand", type=_brand, required=True)
    restore.add_argument("--day", type=_day, required=True, metavar="YYYY-MM-DD", help="in UTC")
    restore.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="the report as JSON")
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not (math.isfinite(hours) and 0 < hours <= _MAX_HOURS):
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {_MAX_HOURS}")
    return hours


def _brand(text: str) -> str:
    try:
        return slug_of(brand_field(text) or text)
    except InvalidTask as error:
        raise argparse.ArgumentTypeError(error.problem) from None


def _day(text: str) -> str:
    with contextlib.suppress(ValueError):
        if date.fromisoformat(text).isoformat() == text:  # 20260301 and 2026-W09-7 are dates too
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is no day of the form YYYY-MM-DD")


async def _run(arguments: argparse.Namespace, settings: Settings, every: timedelta) -> int:
    """Runs until it is done, or, with `every`, until a signal."""
    from .janitor_output import show

    stop = asyncio.Event()
    stop_on_signals(stop, finishing="the step in hand")
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        report = await one_run(settings, dry_run=arguments.dry_run, stop=stop)
        show(report, as_json=arguments.json)
        if not every:
            return EXIT_OK if report["success"] else EXIT_FAILED
        if await _asked_within(stop, began + every.total_seconds() - loop.time()):
            return EXIT_OK


async def _restore(arguments: argparse.Namespace, settings: Settings) -> int:
    """It may be interrupted anywhere: what has been brought back is found by the next try."""
    from .janitor_output import show_restored
    from .janitor_parts import connected
    from .services.janitor_restore import not_restored, restore

    brand, day = arguments.brand, arguments.day
    try:
        async with connected(settings, clock=_utc_now) as parts:
            report = await restore(parts.lock(), parts.archive.restorer(), brand, day)
    except WorkerError as error:  # no servers, an ARCHIVE_URL nobody can open
        report = not_restored(brand, day, error)
    show_restored(report, as_json=arguments.json)
    return EXIT_OK if report["success"] else EXIT_FAILED


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def one_run(
    settings: Settings, *, dry_run: bool, stop: asyncio.Event, clock: Callable[[], datetime] = _utc_now
) -> Report:
    """Connect, run, and say what came of it; never raises for what went wrong."""
    from .janitor_output import progress
    from .janitor_parts import connected
    from .services.janitor_run import failed

    began = clock()
    try:
        async with connected(settings, clock=clock) as parts:
            with progress() as bars:
                return await parts.janitor().run(dry_run=dry_run, progress=bars, stop=stop)
    except WorkerError as error:  # no servers, or settings of the language models that cannot be used
        log.error("the janitor could not begin", problem=error.message)
        return failed(error, began=began, ended=clock(), dry_run=dry_run)


async def _asked_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await stop.wait()
    except TimeoutError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
