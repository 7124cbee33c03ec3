"""What grows in a worker, by line of code: for whoever looks for the cause of a slope. Off unless SOAK_TRACE is set.

Tracing costs half of the speed and as much memory again: figures of such a run are of use for nothing else.
"""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path

_EVERY_SEC = 60.0
_FRAMES = 3
_SHOWN = 25


def watch(path: Path) -> None:
    """Write a table into `path` every minute, from a thread: growth since the second one, and kinds of objects."""
    tracemalloc.start(_FRAMES)
    threading.Thread(target=_write, args=(path,), name="growth", daemon=True).start()


def _write(path: Path) -> None:
    base: tracemalloc.Snapshot | None = None
    kinds_base: Counter[str] = Counter()
    began = time.monotonic()
    while True:
        time.sleep(_EVERY_SEC)
        gc.collect()
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, tracemalloc.__file__)])
        kinds = Counter(type(one).__name__ for one in gc.get_objects())
        if base is None and time.monotonic() - began > 2 * _EVERY_SEC:
            base, kinds_base = taken, kinds
        now, peak = tracemalloc.get_traced_memory()
        lines = [f"--- {time.monotonic() - began:.0f} s: {now / 2**20:.1f} MB traced, peak {peak / 2**20:.1f} MB"]
        if base is not None:
            for one in taken.compare_to(base, "traceback")[:_SHOWN]:
                lines.append(f"{one.size_diff / 1024:+9.0f} kB {one.count_diff:+7d}")
                lines += [f"      {frame.filename}:{frame.lineno}" for frame in one.traceback]
            lines.append(str((kinds - kinds_base).most_common(_SHOWN)))
        with path.open("a") as out:
            out.write("\n".join(lines) + "\n")
