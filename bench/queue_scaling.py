"""Does a second process help? Our worker with one and two processes on the same backlog.

`work` keeps the CPU busy for 100 µs per task, so that the workers are the bottleneck and not Redis; `noop` is the
queue alone. Each process counts for itself; tasks/s = all tasks / (last end - first start) over both.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench._machine import OthersLoad, process_seconds, wait_for_quiet
from bench._redis import CONFIG, PrivateRedis, private_redis
from bench._report import Figure, Report, at_least
from bench.queue._measure import MeasurementFailed, await_empty, enqueue, quietest, start, stop
from bench.queue._sides import STREAM, Side, all_sides

_REPETITIONS = 3
_COUNTS = {"work": 30_000, "noop": 100_000}
_QUICK_SHARE = 4
_TRIES = 3
"""A repetition that other programs disturb is made again this often."""
_WAIT_SEC = 120.0
_WANTED = 1.6


class Drained(NamedTuple):
    """What one run of one or two processes gave. CPU in µs per task."""

    per_second: float
    worker_us: float
    redis_us: float
    others_cores: float


def main(quick: bool = False) -> Report:
    report = Report(
        "queue_scaling", quick, f"{CONFIG}; concurrency 100 per process; {' '.join((__doc__ or '').split())}"
    )
    ours = all_sides()[0]
    with private_redis() as server:
        for kind, full in _COUNTS.items():
            count = full // _QUICK_SHARE if quick else full
            runs: dict[int, list[Drained]] = {1: [], 2: []}
            for _ in range(1 if quick else _REPETITIONS):
                for processes, done in runs.items():
                    once = partial(_drain, server, ours, kind, count, processes)
                    done.append(quietest(once, 1 if quick else _TRIES))
            _figures(report, kind, runs)
            report.details[kind] = {str(number): [run._asdict() for run in done] for number, done in runs.items()}
    return report


def _figures(report: Report, kind: str, runs: dict[int, list[Drained]]) -> None:
    speed = {processes: median(run.per_second for run in done) for processes, done in runs.items()}
    ratio = speed[2] / speed[1]
    wanted = at_least(ratio, _WANTED) if kind == "work" else ""
    report.add(Figure(f"queue_scaling.{kind}.1", speed[1], "tasks/s"))
    report.add(Figure(f"queue_scaling.{kind}.2", speed[2], "tasks/s", {"of one process": ratio}, wanted))
    for processes, done in runs.items():
        note = f"Redis {median(run.redis_us for run in done):.1f} µs"
        cost = median(run.worker_us for run in done)
        report.add(Figure(f"queue_scaling.{kind}.{processes}.cpu_us", cost, "µs CPU/task", note=note))


def _drain(server: PrivateRedis, ours: Side, kind: str, count: int, processes: int) -> Drained:
    """Tasks per second of `processes` workers started together; they write their counts when they are stopped."""
    server.say("FLUSHALL")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        outs = [Path(directory, str(number), "result.json") for number in range(processes)]
        for out in outs:
            out.parent.mkdir()
        enqueue(ours, server, kind, count, outs[0])
        wait_for_quiet([server.pid])
        workers = [start(ours, "work", server, kind, count, out) for out in outs]
        load = OthersLoad([server.pid, *(worker.pid for worker in workers)])
        load.start()
        redis_before = process_seconds(server.pid)
        try:
            await_empty(server, STREAM, _WAIT_SEC)
            others, redis = load.stop(), process_seconds(server.pid) - redis_before
        finally:
            for worker in workers:
                stop(worker)
        results = [json.loads(out.read_text()) for out in outs]
        spent = sum(result["cpu_ns"] for result in results)
        return Drained(_per_second(results, count), spent / 1000 / count, redis * 1e6 / count, others)


def _per_second(results: list[dict[str, Any]], count: int) -> float:
    done = sum(result["done"] for result in results)
    if done != count:
        raise MeasurementFailed(f"{done:,} executions of {count:,} tasks")
    first = min(result["first_ns"] for result in results if result["done"])
    last = max(result["last_ns"] for result in results if result["done"])
    return count / (int(last - first) / 1e9)
