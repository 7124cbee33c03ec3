"""How far a command has come that goes through many things: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from . import note, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_EVERY_SEC: Final = 10.0
_BAR_AFTER_SEC: Final = 0.5
"""What is done before this needs no bar."""


class Counting:
    """`with Counting("replaying") as counting: counting.update(done, seen, total)`. On standard error."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self._title = printable(title)
        self._quiet = quiet
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, seen: int, total: int) -> None:
        """`done` is what counts, `seen` of `total` is how far it has come."""
        now = time.monotonic()
        if self._quiet or now - self._began < _BAR_AFTER_SEC:
            return
        if sys.stderr.isatty():
            self._draw(done, seen, total)
        elif now - self._said >= _LINE_EVERY_SEC:
            self._said = now
            note(f"{self._title}: {done:,} done, {seen:,} of {total:,} looked at")

    def _draw(self, done: int, seen: int, total: int) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[done]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(escape(self._title), total=None, done="")
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, total=max(total, 1), completed=seen, done=f"{done:,}")
