"""`replay FILE`: the mentions of a file go through the queue, and every row of it is accounted for at the end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from ..config import Settings, load_settings
from ..errors import QueueUnavailable
from ..logging import configure
from ..mention_files import FLAGS, NAMES, FileProblem, MentionFile
from ..models import TaskPriority
from ..tasks import brand_field
from . import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM
from .connection import QueueLink
from .replay_chunks import Chunker, ChunkSource, FileChunk
from .replay_progress import Progress, progress
from .replay_report import Outcome, Report, Totals
from .replay_window import Window

_CHUNK_BYTES: Final = 1_000_000
"""A chunk is the unit of retry and of a worker's turn; rows of ordinary length never come near this."""
_POLL_MIN_SEC: Final = 0.1
_POLL_MAX_SEC: Final = 0.5
_SENDS_PER_TURN: Final = 100
"""So that a wide window is looked at, and the bar moves, while it is being filled."""
_OUTAGE_PAUSE_SEC: Final = 0.5
_NOTHING_MOVES_SEC: Final = 10.0
"""After this long without a chunk done we look whether there is a worker at all: twice a heartbeat's interval."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, TSV or JSONL, also .gz; - for standard input")
    add("--brand", metavar="NAME", help="brand of rows that name none")
    add("--source", metavar="NAME", help="source of rows that name none, e.g. twitter")
    for field, flag in FLAGS.items():
        add(flag, metavar="C", dest=f"column_{field}", help=f"found by itself when named {', '.join(NAMES[field])}")
    add("--chunk-size", type=_between(1, 1_000), default=30, metavar="N", help="mentions per task (default 30)")
    add(
        "--in-flight", type=_between(1, 10_000), default=50, metavar="N", help="tasks in the queue at most (default 50)"
    )
    add("--limit", type=_between(1, 10**12), metavar="N", help="stop after N rows")
    add("--priority", choices=[one.value for one in TaskPriority], default="normal", help="of the tasks (normal)")
    add("--wait-sec", type=_between(1, 10**6), default=600, metavar="S", help="give up after S without progress (600)")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else there")
    add("--quiet", action="store_true", help="no progress, problems only")


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    configure("warning", "text")
    columns = {field: name for field in FLAGS if (name := getattr(arguments, f"column_{field}")) is not None}
    brand = brand_field(arguments.brand)
    with MentionFile(arguments.file, columns=columns, brand=brand, source=arguments.source) as file:
        report = asyncio.run(_replay(settings, arguments, file))
    report.show(as_json=arguments.json)
    if report.outcome is Outcome.INTERRUPTED:
        return EXIT_INTERRUPTED
    complete = report.outcome is Outcome.FINISHED and report.totals.unaccounted == 0
    return EXIT_OK if complete else EXIT_PROBLEM


async def _replay(settings: Settings, arguments: argparse.Namespace, file: MentionFile) -> Report:
    async with QueueLink(settings) as link:
        display = progress(Path(file.name).name, quiet=arguments.quiet)
        try:
            return await Replay(settings, arguments, file, link, display).run()
        finally:
            display.close()


class Replay:
    """One run: reads, sends, collects, until the file is done or there is no going on."""

    def __init__(
        self, settings: Settings, arguments: argparse.Namespace, file: MentionFile, link: QueueLink, display: Progress
    ) -> None:
        self._wake = asyncio.Event()
        # Half of what a task may have: the rest is for the envelope.
        chunker = Chunker(rows=arguments.chunk_size, size=min(_CHUNK_BYTES, settings.queue_max_task_bytes // 2))
        self._source = ChunkSource(file, chunker, limit=arguments.limit, wake=self._waker())
        self._totals = Totals()
        name = uuid.uuid4().hex[:12]
        self._window = Window(link, self._totals, size=arguments.in_flight, run=name, priority=arguments.priority)
        self._file = file
        self._link = link
        self._display = display
        self._wait_sec = float(arguments.wait_sec)
        self._outcome: Outcome | None = None
        self._unsent: FileChunk | None = None
        self._prepared = False
        self._moved_at = time.monotonic()
        self._looked_at = self._moved_at
        self._outage_said = False
        self._no_worker_said = False

    async def run(self) -> Report:
        began = time.monotonic()
        self._source.start()
        await self._until_interrupted(self._go_on())
        self._source.stop()
        seconds = time.monotonic() - began
        totals = self._totals
        totals.read = self._source.read
        totals.add_unread(self._source.bad, self._source.reasons)
        totals.open_chunks, totals.open_rows = len(self._window), self._window.rows
        return Report(self._file.name, totals, self._outcome or Outcome.FINISHED, seconds)

    async def _go_on(self) -> None:
        pause = _POLL_MIN_SEC
        while self._outcome is not Outcome.TIMED_OUT:
            self._wake.clear()
            moved = await self._turn()
            if self._source.done and self._unsent is None and not len(self._window):
                return
            now = time.monotonic()
            if moved or self._waits_for_the_file():
                self._moved_at = now
            elif now - self._moved_at > self._wait_sec:
                self._give_up()
            pause = _POLL_MIN_SEC if moved else min(_POLL_MAX_SEC, pause * 1.3)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _turn(self) -> bool:
        """Count what is done and send what there is room for. Returns whether anything moved."""
        try:
            if not self._prepared:
                await self._prepare()
            done = await self._window.collect()
            if done:  # said at once, because a Redis that is full lets us read and refuses what follows
                self._moved_at = time.monotonic()
            sent = await self._fill()
            if not done and time.monotonic() - max(self._moved_at, self._looked_at) > _NOTHING_MOVES_SEC:
                await self._look_for_workers()
        except QueueUnavailable as error:
            await self._outage(error)
            return False
        if self._outage_said:
            self._outage_said = False
            self._display.say("Redis is there again, going on")
        self._no_worker_said = self._no_worker_said and not done
        totals = self._totals
        self._display.update(self._source.read, totals.fates.total() + self._source.bad, self._source.fraction())
        return sent or done

    async def _prepare(self) -> None:
        await self._look_for_workers()
        self._prepared = True

    async def _fill(self) -> bool:
        sent = False
        for _ in range(_SENDS_PER_TURN):
            if not self._window.room:
                break
            if self._unsent is None:
                self._unsent = self._take()
            if self._unsent is None:
                break
            await self._window.send(self._unsent)
            self._unsent = None
            sent = True
        return sent

    def _take(self) -> FileChunk | None:
        try:
            return self._source.take()
        except FileProblem as problem:
            if self._source.read == 0:
                raise
            self._outcome = Outcome.FILE_PROBLEM
            self._display.say(problem.message)
            return None

    def _waits_for_the_file(self) -> bool:
        return self._prepared and self._unsent is None and not len(self._window)

    async def _look_for_workers(self) -> None:
        self._looked_at = time.monotonic()
        if not self._no_worker_said and await self._link.workers_alive() is False:
            self._no_worker_said = True
            self._display.say("no worker is alive on this Redis: waiting for one (`make run` starts one)")

    async def _outage(self, error: QueueUnavailable) -> None:
        if not self._outage_said:
            self._outage_said = True
            self._display.say(f"Redis is not available, trying for {self._wait_sec:.0f} s: {error.message}")
        await asyncio.sleep(_OUTAGE_PAUSE_SEC)
        with contextlib.suppress(QueueUnavailable):
            await self._link.find_again()

    def _give_up(self) -> None:
        self._outcome = Outcome.TIMED_OUT
        self._display.say(
            f"nothing moved for {self._wait_sec:.0f} s: {len(self._window):,} chunks are open; "
            "see what the worker says in its log, then replay the file again: nothing is stored twice"
        )

    def _waker(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        return wake

    async def _until_interrupted(self, work: Coroutine[Any, Any, None]) -> None:
        """Ctrl-C ends the work at once, whatever it waits for; what is counted by then is counted."""
        loop = asyncio.get_running_loop()
        job = asyncio.create_task(work)
        loop.add_signal_handler(signal.SIGINT, job.cancel)
        try:
            await job
        except asyncio.CancelledError:
            self._outcome = Outcome.INTERRUPTED
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be {least:,} to {most:,}")
        return value

    return number
