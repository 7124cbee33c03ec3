"""The queue against others: no-op tasks, tasks that sleep 10 ms, and latency, in one run on one private Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench._report import Report


def main(quick: bool = False) -> Report:
    """Run all sides that are installed. Imported late: every measured process imports this package too."""
    from bench.queue._compare import compare

    return compare(quick)
