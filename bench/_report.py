"""What a benchmark hands back: figures, printed one per line and kept as JSON under bench/out/."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True)
class Figure:
    """One measured number. `ratios` says what it is compared with, `wanted` what was promised of it."""

    name: str
    value: float | None
    unit: str
    ratios: Mapping[str, float] = field(default_factory=dict)
    wanted: str = ""
    note: str = ""

    def line(self) -> str:
        """`name: value unit (ratio …)`; a figure that could not be taken is `-` with its reason."""
        remarks = [f"ratio {ratio:.2f} {what}" for what, ratio in self.ratios.items()]
        remarks += [f"wanted {self.wanted}"] if self.wanted else []
        remarks += [self.note] if self.note else []
        return f"{self.name}: {said(self.value)} {self.unit}" + (f" ({'; '.join(remarks)})" if remarks else "")


@dataclass
class Report:
    """All figures of one benchmark, with what is needed to judge them."""

    name: str
    quick: bool
    method: str
    figures: list[Figure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    """What else the figures stand on. `table` ({"head", "rows"}) is shown on the page as it is; `noisy` names what
    other programs disturbed."""
    seconds: float | None = None

    def add(self, figure: Figure) -> None:
        """Keep a figure and print it at once: a long benchmark shows that it lives."""
        self.figures.append(figure)
        print(figure.line(), flush=True)

    def progress(self, text: str) -> None:
        """For whoever watches; not part of the figures."""
        print(f"  .. {text}", file=sys.stderr, flush=True)

    def leave_out(self, what: str) -> None:
        self.left_out.append(what)
        print(f"left out: {what}", flush=True)

    def write(self) -> Path:
        OUT.mkdir(exist_ok=True)
        path = OUT / f"{self.name}.json"
        document = {**asdict(self), "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        return path


def machine() -> dict[str, Any]:
    """What the figures depend on and can be told without naming the machine."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "argv": sys.argv[1:],
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows aligned under their heads, for people."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in pairs)
        for pairs in (list(enumerate(zip(row, widths, strict=True))) for row in (head, *rows))
    ]
    return "\n".join(lines)


def at_least(value: float, bound: float) -> str:
    """What was wanted of a figure, and whether it was reached."""
    return f">= {bound:g}: {'met' if value >= bound else 'MISSED'}"


def at_most(value: float, bound: float) -> str:
    return f"<= {bound:g}: {'met' if value <= bound else 'MISSED'}"


def said(value: float | None) -> str:
    """A figure as people read it; `-` where it could not be taken."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
