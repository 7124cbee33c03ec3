"""How far a replay has come: a bar on a terminal, a line now and then elsewhere, nothing when that is wished."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol

from . import note, printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

_LINE_EVERY_SEC: Final = 10.0


class Progress(Protocol):
    def update(self, read: int, done: int, fraction: float | None) -> None:
        """`fraction` of the file that has been read, None where its size is not known."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def close(self) -> None: ...


def progress(name: str, *, quiet: bool) -> Progress:
    if quiet:
        return Silent()
    return Bar(name) if sys.stderr.isatty() else Lines()


class Silent:
    """Problems only."""

    def update(self, read: int, done: int, fraction: float | None) -> None:
        pass

    def say(self, text: str) -> None:
        note(text)

    def close(self) -> None:
        pass


class Lines(Silent):
    """For logs of scheduled runs: how far, every ten seconds."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def update(self, read: int, done: int, fraction: float | None) -> None:
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_SEC:
            self._said = now
            note(f"{read:,} rows read, {done:,} done, {done / (now - self._began):,.0f}/s")


class Bar:
    """A bar on standard error, so that standard output has the result only."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar: RichBar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(escape(printable(name)), total=None, rows="")
        self._began = time.monotonic()
        self._bar.start()

    def update(self, read: int, done: int, fraction: float | None) -> None:
        rate = done / max(time.monotonic() - self._began, 1e-3)
        rows = f"{done:,} of {read:,} read rows, {rate:,.0f}/s"
        if fraction is None:
            self._bar.update(self._task, rows=rows)
        else:
            share = fraction * done / read if read else 0.0
            self._bar.update(self._task, total=1.0, completed=share, rows=rows)

    def say(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False)

    def close(self) -> None:
        self._bar.stop()
