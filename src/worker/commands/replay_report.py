"""What became of a file's rows, counted, and shown as a table, as plain text or as JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from . import printable
from .replay_chunks import REASONS_MAX, FileChunk, Reason

FATES: Final = ("stored", "duplicates", "rejected", "synthetic")
_SECTIONS: Final = {"sentiments": "sentiment", "intents": "intent", "priorities": "priority", "tiers": "tier"}
_BRANDS_SHOWN: Final = 20

Line = tuple[str, str, str]
"""Section, name, value."""


class Outcome(StrEnum):
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"
    FILE_PROBLEM = "file_problem"
    """The file could be read to a point only."""


@dataclass(slots=True)
class Totals:
    """Grows while the replay runs. `read` and the bad rows of the file are added by whoever reads it."""

    read: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    sections: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _SECTIONS})
    brands: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    chunks: int = 0
    failed_chunks: int = 0
    done_rows: int = 0
    bad_rows: int = 0
    """Rows that could not be read; they are among the rejected."""
    open_chunks: int = 0
    open_rows: int = 0

    @property
    def unaccounted(self) -> int:
        return self.read - sum(self.fates[name] for name in FATES)

    @property
    def unsent_rows(self) -> int:
        """Rows that were read and did not get into the queue before the end."""
        return self.read - self.bad_rows - self.done_rows - self.open_rows

    def add_counts(self, chunk: FileChunk, counts: Mapping[str, Any]) -> None:
        """A chunk that the worker has done."""
        self.chunks += 1
        self.done_rows += len(chunk.rows)
        brand = self.brands.setdefault(chunk.brand, Counter())
        for name in FATES:
            number = _whole(counts.get(name))
            self.fates[name] += number
            brand[name] += number
        for name, counter in self.sections.items():
            section = counts.get(name)
            if isinstance(section, dict):
                counter.update({str(key): _whole(value) for key, value in section.items()})

    def add_failed(self, chunk: FileChunk, reason: Reason) -> None:
        """A chunk that the worker has given up: none of its rows counts as processed."""
        self.failed_chunks += 1
        self.add_counts(chunk, {"rejected": len(chunk.rows)})
        self.add_reason(reason)

    def add_reason(self, reason: Reason) -> None:
        if len(self.reasons) < REASONS_MAX and reason not in self.reasons:
            self.reasons.append(reason)

    def add_unread(self, bad: int, reasons: list[Reason]) -> None:
        """Rows that could not be read."""
        self.bad_rows += bad
        self.fates["rejected"] += bad
        self.reasons = sorted([*self.reasons, *reasons], key=lambda one: one.row)[:REASONS_MAX]


@dataclass(frozen=True, slots=True)
class Report:
    """A replay that is over."""

    file: str
    totals: Totals
    outcome: Outcome
    seconds: float

    @property
    def rate(self) -> float:
        """Mentions per second, whatever became of them."""
        done = self.totals.read - self.totals.unaccounted
        return done / self.seconds if self.seconds > 0 else 0.0

    def show(self, *, as_json: bool) -> None:
        """Write to standard output."""
        if as_json:
            print(json.dumps(self.document()))
        elif sys.stdout.isatty():
            self._table()
        else:
            print("\n".join([*self._plain(), *self._closing()]))

    def document(self) -> dict[str, Any]:
        totals = self.totals
        return {
            "file": printable(self.file),
            "outcome": self.outcome.value,
            "read": totals.read,
            **{name: totals.fates[name] for name in FATES},
            "accounted": totals.unaccounted == 0,
            "unaccounted": totals.unaccounted,
            "rejected_reasons": [{"row": one.row, "reason": printable(one.reason)} for one in totals.reasons],
            **{name: dict(_ordered(name, counter)) for name, counter in totals.sections.items()},
            "brands": {
                name: {fate: counter[fate] for fate in FATES} for name, counter in sorted(totals.brands.items())
            },
            "chunks": {
                "done": totals.chunks,
                "failed": totals.failed_chunks,
                "open": totals.open_chunks,
                "open_rows": totals.open_rows,
                "unsent_rows": totals.unsent_rows,
            },
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
        }

    # -- for people --------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[Line]:
        totals = self.totals
        yield "rows", "read", f"{totals.read:,}"
        for name in FATES:
            yield "", name, f"{totals.fates[name]:,}"
        for name, title in _SECTIONS.items():
            for index, (key, number) in enumerate(_ordered(name, totals.sections[name])):
                yield "" if index else title, printable(key), f"{number:,}"
        yield from self._brand_lines()
        yield "time", "seconds", f"{self.seconds:,.1f}"
        yield "", "mentions/s", f"{self.rate:,.0f}"

    def _brand_lines(self) -> Iterator[Line]:
        brands = sorted(self.totals.brands.items(), key=lambda one: (-one[1]["stored"], one[0]))
        if len(brands) < 2:
            return
        for index, (name, counter) in enumerate(brands[:_BRANDS_SHOWN]):
            yield "" if index else "stored of", printable(name), f"{counter['stored']:,}"
        if len(brands) > _BRANDS_SHOWN:
            rest = sum(counter["stored"] for _, counter in brands[_BRANDS_SHOWN:])
            yield "", f"{len(brands) - _BRANDS_SHOWN:,} more", f"{rest:,}"

    def _plain(self) -> list[str]:
        lines = list(self._lines())
        first, second, third = (max(len(line[column]) for line in lines) for column in range(3))
        return [f"{section:{first}}  {name:{second}}  {value:>{third}}" for section, name, value in lines]

    def _table(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=escape(printable(self.file)), show_header=False)
        table.add_column(style="bold")
        table.add_column()
        table.add_column(justify="right")
        for index, (section, name, value) in enumerate(self._lines()):
            if section and index:
                table.add_section()
            table.add_row(section, escape(name), value)
        console = Console()
        console.print(table)
        console.print("\n".join(self._closing()), markup=False, highlight=False, soft_wrap=True)

    def _closing(self) -> Iterator[str]:
        totals = self.totals
        if totals.reasons:
            yield "rejected, the first reasons:"
            yield from (f"  row {one.row:,}: {printable(one.reason)}" for one in totals.reasons)
        fates = " + ".join(f"{totals.fates[name]:,}" for name in FATES)
        verdict = "ok" if totals.unaccounted == 0 else f"difference {totals.unaccounted:,}"
        yield f"accounted for: read = {' + '.join(FATES)}: {totals.read:,} = {fates}: {verdict}"
        if totals.open_chunks:
            yield f"in the queue, not done: {totals.open_rows:,} rows in {totals.open_chunks:,} chunks"
        if totals.unsent_rows:
            yield f"read, not sent: {totals.unsent_rows:,} rows"


def _ordered(section: str, counter: Counter[str]) -> list[tuple[str, int]]:
    """Priorities and tiers by name, the others by number."""
    if section in ("priorities", "tiers"):
        return sorted(counter.items())
    return sorted(counter.items(), key=lambda one: (-one[1], one[0]))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
