"""All sides, all kinds, medians, ratios, and what was promised of our worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from bench._machine import QUIET_CORES
from bench._redis import CONFIG, PrivateRedis, private_redis
from bench._report import Figure, Report, at_least, at_most, table
from bench.queue._measure import MeasurementFailed, Run, drain, median_of, paced, quietest
from bench.queue._sides import KINDS, Side, all_sides

_REPETITIONS = 3
_TRIES = 3
"""A repetition that other programs disturb is made again this often."""
_NOOPS = 20_000
_SLEEPS = 5_000
_RATE = 200.0
_PACED_SEC = 5.0
_QUICK_PACED_SEC = 3.0

METHOD = f"""{CONFIG}; one worker process per side, concurrency 100, no pinning to cores, no uvloop, logs off; each
repetition begins with an empty database. no-op and sleep: all tasks are enqueued by the side's own client, which ends
before the worker starts; tasks/s = count / (end of the last task - start of the first), both read from the monotonic
clock inside the worker's process; CPU of that process (all threads, user and system) over the same span, CPU of Redis
from the worker's start to its end; peak RSS = VmHWM at its end. latency: an idle worker, a producer process sending
one by one at {_RATE:.0f}/s; from the moment before the enqueueing call to the first statement of the task. Repetitions
go round all sides, medians are given; a repetition during which other programs used more than {QUIET_CORES} cores is
made again, at most twice."""

Results = dict[tuple[str, str], list[Run]]


def compare(quick: bool) -> Report:
    """Measure, report, and leave everything in the report's details."""
    report = Report("queue", quick, " ".join(METHOD.split()))
    sides = []
    for side in all_sides():
        if side.why_not:
            report.leave_out(f"{side.name} ({side.why_not})")
        else:
            sides.append(side)
    with private_redis() as server:
        report.details["redis"] = server.version
        results = _measure_all(server, sides, report, quick)
    _figures(report, results, [side.name for side in sides])
    _promises(report, results, [side.name for side in sides if side.peer])
    _warn_of_noise(report, results)
    head, rows = _table(results, sides)
    report.details["table"] = {"head": head, "rows": rows}
    print(table(head, rows))
    report.details["runs"] = {f"{kind}.{name}": [asdict(run) for run in runs] for (kind, name), runs in results.items()}
    return report


def _measure_all(server: PrivateRedis, sides: list[Side], report: Report, quick: bool) -> Results:
    run: dict[str, Callable[[Side], Run]] = {
        "noop": lambda side: drain(server, side, "noop", _NOOPS),
        "sleep": lambda side: drain(server, side, "sleep", _SLEEPS),
        "latency": lambda side: paced(server, side, _RATE, _QUICK_PACED_SEC if quick else _PACED_SEC),
    }
    results: Results = {}
    broken: set[tuple[str, str]] = set()
    for kind in KINDS:
        for _ in range(1 if quick else _REPETITIONS):
            for side in sides:
                key = (kind, side.name)
                if kind not in side.kinds or key in broken:
                    continue
                try:
                    measured = quietest(partial(run[kind], side), 1 if quick else _TRIES)
                    results.setdefault(key, []).append(measured)
                    report.progress(f"{kind} {side.name}: {measured.said(kind)}")
                except MeasurementFailed as error:
                    broken.add(key)
                    report.leave_out(f"{side.name}, {kind}: {error}")
    return {key: runs for key, runs in results.items() if runs and key not in broken}


def _figures(report: Report, results: Results, names: list[str]) -> None:
    for kind in ("noop", "sleep"):
        ours = _median(results, kind, "ours", "per_second")
        for name in names:
            value = _median(results, kind, name, "per_second")
            if value is not None:
                ratios = {"of ours": value / ours} if ours and name != "ours" else {}
                report.add(Figure(f"queue.{kind}.{name}", value, "tasks/s", ratios))
    for name in names:
        for what, unit in (
            ("cpu_us", "µs CPU/task"),
            ("redis_us", "µs CPU of Redis/task"),
            ("peak_rss_mb", "MB peak RSS"),
        ):
            value = _median(results, "noop", name, what)
            if value is not None:
                report.add(Figure(f"queue.noop.{what}.{name}", value, unit))
    for name in names:
        for what in ("p50_ms", "p99_ms"):
            value = _median(results, "latency", name, what)
            if value is not None:
                report.add(Figure(f"queue.latency.{what}.{name}", value, "ms"))


def _promises(report: Report, results: Results, peers: list[str]) -> None:
    """The project's own claims, each with its bound, whether it is met or not."""
    ours = _median(results, "noop", "ours", "per_second")
    speeds = {name: speed for name in peers if (speed := _median(results, "noop", name, "per_second")) is not None}
    fastest = max(speeds, key=lambda name: speeds[name], default=None)
    pairs = [
        (f"over the fastest Python peer, {fastest}", speeds.get(fastest or ""), 3.0),
        ("over BullMQ on Node", _median(results, "noop", "bullmq", "per_second"), 1.0),
        ("of the raw loop with slots", _median(results, "noop", "raw-slots", "per_second"), 0.25),
        ("of the raw loop that acknowledges later", _median(results, "noop", "raw-ahead", "per_second"), 0.25),
    ]
    for what, other, bound in pairs:
        if ours and other:
            ratio = ours / other
            report.add(Figure(f"queue.promise.noop {what}", ratio, "times", wanted=at_least(ratio, bound)))
    p99 = _median(results, "latency", "ours", "p99_ms")
    if p99 is not None:
        report.add(Figure("queue.promise.latency p99", p99, "ms", wanted=at_most(p99, 2)))


def _warn_of_noise(report: Report, results: Results) -> None:
    noisy = sorted({f"{kind}.{name}" for (kind, name), runs in results.items() if any(run.noisy for run in runs)})
    report.details["noisy"] = noisy
    if noisy:
        print(f"noisy: other programs used more than {QUIET_CORES} cores during {', '.join(noisy)}")


def _median(results: Results, kind: str, name: str, what: str) -> float | None:
    return median_of(results.get((kind, name), []), what)


def _table(results: Results, sides: list[Side]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: every side with the medians of its runs, and its no-op speed as a share of ours."""
    columns = [
        ("no-op/s", "noop", "per_second", ",.0f"),
        ("sleep/s", "sleep", "per_second", ",.0f"),
        ("CPU µs", "noop", "cpu_us", ".1f"),
        ("Redis µs", "noop", "redis_us", ".1f"),
        ("RSS MB", "noop", "peak_rss_mb", ".0f"),
        ("p50 ms", "latency", "p50_ms", ".2f"),
        ("p99 ms", "latency", "p99_ms", ".2f"),
    ]
    rows = []
    ours = _median(results, "noop", "ours", "per_second")
    for side in sides:
        values = [(_median(results, kind, side.name, what), form) for _, kind, what, form in columns]
        cells = ["-" if value is None else format(value, form) for value, form in values]
        rows.append([side.name, *cells, f"{values[0][0] / ours:.3f}" if values[0][0] and ours else "-"])
    return ["", *(column[0] for column in columns), "no-op of ours"], rows
