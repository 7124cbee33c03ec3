"""What people and programs see of the janitor: bars on a terminal, the report as text or as one line of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from . import strictjson
from .commands import printable
from .janitor_seams import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


class Silent:
    """In a pipe, in a log: the report says it all."""

    def total(self, name: str, count: int) -> None:
        pass

    def advance(self, name: str, count: int = 1) -> None:
        pass


class Bars:
    """One bar per name, on standard error, so that standard output has the report only."""

    def __init__(self, bars: RichBars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def total(self, name: str, count: int) -> None:
        self._bars.update(self._task(name), total=count)

    def advance(self, name: str, count: int = 1) -> None:
        self._bars.advance(self._task(name), count)

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            from rich.markup import escape

            self._tasks[name] = self._bars.add_task(escape(printable(name)), total=None)
        return self._tasks[name]


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichBars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichBars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bars(bars)


def show(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Write a report to standard output."""
    print(strictjson.dumps(report).decode() if as_json else "\n".join(_lines(report)), flush=True)


def show_restored(report: Mapping[str, Any], *, as_json: bool) -> None:
    """The same for a day that was brought back, or not."""
    if as_json:
        print(strictjson.dumps(report).decode(), flush=True)
        return
    what = f"{printable(report['brand'])} {report['day']}"
    if (error := report["error"]) is not None:
        print(f"restore  {what}: {error['code']}: {printable(error['message'])}", flush=True)
        return
    done = report["restored"]
    print(
        f"restore  {what}: {done['inserted']:,} of {done['mentions']:,} mentions brought back, {done['present']:,} were"
        f" there, {done['changed']:,} have changed since and stay; the janitor leaves the day alone until"
        f" {done['held_until']}",
        flush=True,
    )


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    mode = " (dry run: nothing was changed)" if report.get("dry_run") else ""
    yield f"janitor  {report['outcome']}{mode}, {report['started_at']} to {report['completed_at']}"
    if holder := report.get("holder"):
        yield f"         another janitor is at work: {printable(holder)}"
    if error := report.get("error"):
        yield f"error    {error['code']}: {printable(error['message'])}"
    for step in report.get("steps", ()):
        problem = "" if step["success"] else f", {step['error']['code']}: {printable(step['error']['message'])}"
        yield f"{step['name']:8} {'done' if step['success'] else 'not done'} in {step['seconds']:.1f} s{problem}"
        yield from _part(report.get(step["name"]) or {})
    yield from _stats(report.get("stats") or {})


def _part(part: Mapping[str, Any]) -> Iterator[str]:
    """Figures of one step; what is nested deeper than one level is for JSON. Zeros say nothing."""
    for name, value in part.items():
        if name.startswith("families"):
            continue
        if isinstance(value, Mapping):
            shown = ", ".join(f"{key} {_figure(key, one)}" for key, one in value.items() if _worth(one))
        else:
            shown = _figure(name, value) if _worth(value) else ""
        if shown:
            yield f"         {name:24} {shown}"


def _worth(value: Any) -> bool:
    return value not in (None, 0, False, "") and not isinstance(value, list | dict)


def _stats(stats: Mapping[str, Any]) -> Iterator[str]:
    for when in ("before", "after"):
        if (one := stats.get(when)) is not None:
            mongo = one["mongodb"]
            documents = ", ".join(f"{name} {count:,}" for name, count in mongo["documents"].items() if count)
            size = "" if mongo["storage_bytes"] is None else f" ({_bytes(mongo['storage_bytes'])})"
            redis = f"{_bytes(one['redis']['used_bytes'])} in {one['redis']['keys']:,} keys"
            yield f"{when:8} Redis {redis}; MongoDB{size} {documents or 'empty'}"


def _figure(name: str, value: Any) -> str:
    if "bytes" in name and isinstance(value, int | float):
        return _bytes(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return printable(str(value))
    return f"{value:,}"


def _bytes(count: float) -> str:
    for unit in _UNITS[:-1]:
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"
