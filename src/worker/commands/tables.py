"""Results for people: a table on a terminal, aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import printable

Row = Sequence[str]


def show(rows: Sequence[Row], *, header: Row = (), title: str = "", numbers: Sequence[int] = ()) -> None:
    """Write to standard output. `numbers` are the columns that are aligned to the right."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _table(clean, header, title, numbers)
        return
    lines = [list(header), *clean] if header else clean
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))] if lines else []
    for line in lines:
        cells = [
            f"{cell:>{width}}" if column in numbers else f"{cell:{width}}"
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _table(rows: Sequence[Row], header: Row, title: str, numbers: Sequence[int]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(printable(title)) if title else None, show_header=bool(header))
    width = len(header) or (len(rows[0]) if rows else 0)
    for column in range(width):
        last = column == width - 1
        table.add_column(
            header[column] if header else "",
            justify="right" if column in numbers else "left",
            no_wrap=not last,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
