"""Does the worker's memory grow with the backlog? RSS of our worker while it drains 10,000 and 1,000,000 tasks.

The peaks are those of the process (VmHWM) with the small and with the large backlog; `added_while_draining` is its
RSS at the end against that of the first tenth, sampled four times a second once it has started.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from bench._machine import rss_mb
from bench._redis import CONFIG, PrivateRedis, private_redis
from bench._report import Figure, Report, at_most
from bench.queue._measure import MeasurementFailed, enqueue, start, stop
from bench.queue._sides import Side, all_sides

SMALL = 10_000
LARGE = 1_000_000
QUICK_LARGE = 100_000
_GROWTH_MB = 8.0
"""Allowed: the recorder's own byte per task, and what an allocator keeps."""
_SLOWEST = 1_000


def main(quick: bool = False, large: int | None = None) -> Report:
    """`large` overrides how many tasks wait."""
    count = large or (QUICK_LARGE if quick else LARGE)
    report = Report("queue_backlog", quick, f"{CONFIG}; concurrency 100; {' '.join((__doc__ or '').split())}")
    ours = all_sides()[0]
    with private_redis() as server:
        _, small, _ = _drain(server, ours, SMALL)
        samples, peak, speed = _drain(server, ours, count)
        report.details |= {"rss_mb": samples, "redis_mb_after": server.used_mb(), "tasks": count}
    early = max(samples[: max(1, len(samples) // 10)], default=0.0)
    added = peak - small
    report.add(Figure(f"queue_backlog.peak_rss.{SMALL}", small, "MB"))
    report.add(Figure(f"queue_backlog.peak_rss.{count}", peak, "MB", {"of the small backlog": peak / small}))
    report.add(Figure("queue_backlog.added_by_the_backlog", added, "MB", wanted=at_most(added, _GROWTH_MB)))
    report.add(Figure("queue_backlog.speed", speed, "tasks/s"))
    report.add(Figure("queue_backlog.added_while_draining", (samples[-1] if samples else peak) - early, "MB"))
    return report


def _drain(server: PrivateRedis, ours: Side, count: int) -> tuple[list[float], float, float]:
    """Samples of the worker's RSS, its peak, and tasks per second, while `count` tasks are drained."""
    server.say("FLUSHALL")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        out = Path(directory, "result.json")
        enqueue(ours, server, "noop", count, out)
        worker = start(ours, "work", server, "noop", count, out)
        samples: list[float] = []
        try:
            deadline = time.monotonic() + 30 + count / _SLOWEST
            while not out.exists():
                if worker.poll() is not None or time.monotonic() > deadline:
                    raise MeasurementFailed(f"the worker did not drain {count:,} tasks")
                time.sleep(0.25)
                samples.append(round(rss_mb(worker.pid), 2))
            result = json.loads(out.read_text())
        finally:
            stop(worker)
    # The worker's first second is its start: imports, connections.
    speed = count / ((result["last_ns"] - result["first_ns"]) / 1e9)
    return samples[4:] or samples, result["peak_rss_mb"], speed
