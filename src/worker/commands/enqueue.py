"""`enqueue FILE`: tasks, one JSON object per line. All are checked as `POST /v1/tasks` does, then they are put in."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from ..config import Settings, load_settings
from ..errors import InvalidTask, QueueUnavailable
from ..handlers import Registry
from ..logging import configure
from ..models import TaskPriority
from ..queue_outputs import wall_ms
from ..runtime import Runtime
from ..strictjson import loads
from ..tasks import parse_task, run_at
from . import EXIT_OK, EXIT_PROBLEM, note
from .connection import QueueLink
from .counting import Counting
from .enqueue_lines import Line, TaskFile
from .tables import show

_TRY_SEC: Final = 30.0
"""How long a queue that went away is waited for: a restart of Redis takes less."""
_TRY_AGAIN_SEC: Final = 0.5
_PROBLEMS_KEPT: Final = 1_000
"""Named in the JSON; on standard error every one is."""
_ANY_SERVER: Final = "mongodb://127.0.0.1:1/worker"
"""Never connected to: the task types know what to check without a database."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A line that may go in. `task_id` is made up where the line names none."""

    document: dict[str, Any]
    task_id: str
    due: datetime | None


@dataclass(slots=True)
class Report:
    read: int = 0
    accepted: int = 0
    known: Counter[str] = field(default_factory=Counter)
    """Lines whose id was known already, by the status of that task."""
    refused: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)
    dry_run: bool = False

    @property
    def left(self) -> int:
        """Good lines that were not put in."""
        return self.read - self.refused - self.accepted - self.known.total()

    def refuse(self, line: int, problem: str) -> None:
        self.refused += 1
        note(f"line {line}: {problem}")
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append((line, problem))

    def document(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "accepted": self.accepted,
            "known": dict(sorted(self.known.items())),
            "refused": self.refused,
            "notSent": self.left,
            "dryRun": self.dry_run,
            "problems": [{"line": line, "problem": problem} for line, problem in self.problems],
        }

    def rows(self) -> list[tuple[str, str]]:
        out = [("read", f"{self.read:,}"), ("accepted", f"{self.accepted:,}")]
        out += [(f"known already, {status}", f"{count:,}") for status, count in sorted(self.known.items())]
        out.append(("refused", f"{self.refused:,}"))
        if self.left:
            out.append(("good (dry run)" if self.dry_run else "good, not put in", f"{self.left:,}"))
        return out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="JSONL, one task per line; - for standard input")
    add("--dry-run", action="store_true", help="check only; needs no server")
    add("--skip-bad", action="store_true", help="put the good lines in although others were refused")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else there")
    add("--quiet", action="store_true", help="no progress, problems only")


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    configure("warning", "text")
    with TaskFile(arguments.file, most_bytes=settings.queue_max_task_bytes) as file:
        report = asyncio.run(_enqueue(settings, arguments, file))
    if arguments.json:
        print(json.dumps(report.document()))
    else:
        show(report.rows(), numbers=(1,))
    if report.known["failed"]:
        note(
            f"{report.known['failed']:,} tasks with these ids have failed before: "
            "`dead replay` tries them again, another id makes a mended one a new task"
        )
    unsent = report.left and not report.dry_run
    return EXIT_PROBLEM if report.refused or unsent else EXIT_OK


async def _enqueue(settings: Settings, arguments: argparse.Namespace, file: TaskFile) -> Report:
    report = Report(dry_run=arguments.dry_run)
    if arguments.dry_run:
        await _check_all(settings, arguments, file, report)
        return report
    async with QueueLink(settings) as link:  # before a long file is read: is there a queue at all?
        types = await _check_all(settings, arguments, file, report)
        if report.refused and not arguments.skip_bad:
            note("nothing was put in: correct the lines above, or leave them out with --skip-bad")
            return report
        with Counting("put in", quiet=arguments.quiet) as counting:
            for line in file.lines():
                task = _checked_or_none(line, types)
                if task is not None and not await _put(link, task, report):
                    note(f"line {line.number} and those after it were not put in")
                    break
                counting.update(report.accepted, line.number, report.read)
    return report


async def _check_all(settings: Settings, arguments: argparse.Namespace, file: TaskFile, report: Report) -> Registry:
    """The same checks by the same code as the service's: its task types, without connecting to anything."""
    runtime = Runtime(settings, redis_url="redis://127.0.0.1:1/0", mongodb_uri=_ANY_SERVER)
    try:
        with Counting("checked", quiet=arguments.quiet) as counting:
            for line in file.lines():
                report.read += 1
                try:
                    check_line(line, runtime.handlers)
                except InvalidTask as error:
                    report.refuse(line.number, error.message)
                counting.update(report.read, file.position, file.size)
        return runtime.handlers
    finally:
        await runtime.close()


def check_line(line: Line, types: Registry) -> Checked:
    """Raises InvalidTask: what `POST /v1/tasks` would answer."""
    if line.raw is None:
        raise InvalidTask("task", f"has {line.size:,} bytes, which is more than QUEUE_MAX_TASK_BYTES")
    document = loads(line.raw)
    task = parse_task(document, fallback_id=line.made_up_id, received_ms=wall_ms(), stream_priority=TaskPriority.NORMAL)
    if task.type not in types:
        raise InvalidTask("type", f"unknown type {task.type[:50]!r}, known: {', '.join(sorted(types))}")
    types[task.type].check(task)
    return Checked(document, task.id, run_at(document))


def _checked_or_none(line: Line, types: Registry) -> Checked | None:
    try:
        return check_line(line, types)
    except InvalidTask:
        return None  # it was named in the first pass


async def _put(link: QueueLink, task: Checked, report: Report) -> bool:
    """False when the queue has gone away for good. The same id is sent again, so that no task gets in twice."""
    until = time.monotonic() + _TRY_SEC
    tried = False
    while time.monotonic() < until:
        try:
            known = await link.queue.enqueue(task.document, task_id=task.task_id, run_at=task.due)
        except QueueUnavailable as error:
            if not tried:
                note(f"Redis is not available, trying for {_TRY_SEC:.0f} s: {error.message}")
            tried = True
            await asyncio.sleep(_TRY_AGAIN_SEC)
            await _find_again(link)
            continue
        if known is None or tried:  # known after a failure: it was the answer that had been lost
            report.accepted += 1
        else:
            report.known[_status(known)] += 1
        return True
    return False


async def _find_again(link: QueueLink) -> None:
    try:
        await link.find_again()
    except QueueUnavailable:
        return  # the next try says so


def _status(record: bytes) -> str:
    try:
        status = orjson.loads(record).get("status")
    except (orjson.JSONDecodeError, AttributeError):
        status = None
    return status if isinstance(status, str) else "unknown"
