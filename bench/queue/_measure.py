"""One measurement: enqueue with the side's own client, run its worker in a process, read what its recorder wrote."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench._machine import QUIET_CORES, OthersLoad, process_seconds, wait_for_quiet
from bench._redis import PrivateRedis
from bench.queue._sides import Side, environment_of, working_directory

_START_SEC = 20.0
"""How long a worker may take from its start to its first task, and a producer beyond its own timetable."""
_WARM_UP = 50
"""Latencies not counted at the beginning of a run: connections are made and scripts are sent then, by every side."""
_SLOWEST = 100.0
"""Tasks per second below which a run is given up."""


class MeasurementFailed(Exception):
    """A side did not do what was asked of it; says what its process printed."""


@dataclass(frozen=True)
class Run:
    """What one run of one side gave."""

    per_second: float
    cpu_us: float
    peak_rss_mb: float
    p50_ms: float | None
    p99_ms: float | None
    redis_us: float
    """CPU of the Redis process per task, enqueueing not counted."""
    others_cores: float
    """Cores that other programs used meanwhile; the run is called noisy above `QUIET_CORES`."""

    @property
    def noisy(self) -> bool:
        return self.others_cores > QUIET_CORES

    def said(self, kind: str) -> str:
        """One line for whoever watches."""
        speed = f"p99 {self.p99_ms:.2f} ms" if kind == "latency" else f"{self.per_second:,.0f}/s"
        return f"{speed}, {self.cpu_us:.1f} µs CPU{', noisy' if self.noisy else ''}"


class Disturbed(Protocol):
    """A run that knows how busy others kept the machine."""

    @property
    def others_cores(self) -> float: ...


_R = TypeVar("_R", bound=Disturbed)


def quietest(run: Callable[[], _R], tries: int) -> _R:
    """Repeat a run that other programs disturbed; of several disturbed ones the least is taken, and it says so."""
    runs: list[_R] = []
    while len(runs) < tries and (not runs or runs[-1].others_cores > QUIET_CORES):
        runs.append(run())
    return min(runs, key=lambda one: one.others_cores)


def drain(server: PrivateRedis, side: Side, kind: str, count: int) -> Run:
    """`count` tasks are enqueued first; then, with the producer gone, the worker is started and drains them."""
    server.say("FLUSHALL")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        out = Path(directory, "result.json")
        enqueue(side, server, kind, count, out)
        wait_for_quiet([server.pid])
        worker = start(side, "work", server, kind, count, out)
        try:
            seen = _await_result(worker, server, out, _START_SEC + count / _SLOWEST)
            if side.stream:
                await_empty(server, side.stream, _START_SEC)
            if side.records:
                _check_records(server, count)
        finally:
            stop(worker)
    return _run(side, *seen)


def paced(server: PrivateRedis, side: Side, rate: float, seconds: float) -> Run:
    """The worker is idle; a producer in a process of its own sends at `rate` with the moment inside each task."""
    server.say("FLUSHALL")
    count = int(rate * seconds)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        out = Path(directory, "result.json")
        wait_for_quiet([server.pid])
        worker = start(side, "work", server, "latency", count, out)
        try:
            time.sleep(2.0)  # every worker is up and waits by then
            producer = start(side, "enqueue", server, "latency", count, out, rate)
            try:
                seen = _await_result(worker, server, out, seconds + _START_SEC, [producer.pid])
            finally:
                producer.wait(_START_SEC)
        finally:
            stop(worker)
    return _run(side, *seen)


def enqueue(side: Side, server: PrivateRedis, kind: str, count: int, out: Path) -> None:
    """All tasks through the side's own client, which has ended when this returns."""
    process = start(side, "enqueue", server, kind, count, out)
    try:
        code = process.wait(_START_SEC + count / _SLOWEST)
    except subprocess.TimeoutExpired:
        stop(process)
        code = -1
    if code != 0:
        raise MeasurementFailed(f"{side.name}: enqueueing ended with {code}\n{_printed(out, 'enqueue')}")


def start(
    side: Side, role: str, server: PrivateRedis, kind: str, count: int, out: Path, rate: float = 0.0
) -> subprocess.Popen[bytes]:
    """The process of a side; what it prints on stderr goes to a file beside `out`."""
    words = [*side.command, role, "--url", server.url, "--kind", kind, "--count", str(count)]
    words += ["--concurrency", str(side.concurrency), "--rate", str(rate), "--out", str(out)]
    with open(out.with_name(f"{role}.log"), "wb") as log:
        return subprocess.Popen(
            words, stdout=log, stderr=log, env=environment_of(side), cwd=working_directory(), start_new_session=True
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, then insist. A worker's own shutdown is not measured."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_empty(server: PrivateRedis, stream: str, seconds: float) -> None:
    """Until every task of the stream is acknowledged and deleted: a worker must not be quick by leaving that out."""
    deadline = time.monotonic() + seconds
    while server.say("XLEN", stream).strip() != ":0":
        if time.monotonic() > deadline:
            raise MeasurementFailed(f"{stream} was not empty {seconds:.0f} s later")
        time.sleep(0.02)


def median_of(runs: Sequence[Run], name: str) -> float | None:
    values = [value for run in runs if (value := getattr(run, name)) is not None]
    return statistics.median(values) if values else None


def _await_result(
    worker: subprocess.Popen[bytes], server: PrivateRedis, out: Path, seconds: float, helpers: Sequence[int] = ()
) -> tuple[dict[str, Any], float, float]:
    """The recorder's file, the cores that other programs used until it was there, and the CPU seconds of Redis."""
    load = OthersLoad([worker.pid, server.pid, *helpers])
    load.start()
    redis_before = process_seconds(server.pid)
    deadline = time.monotonic() + seconds
    while not out.exists():
        if worker.poll() is not None or time.monotonic() > deadline:
            what = f"worker ended with {worker.poll()}" if worker.poll() is not None else f"not done in {seconds:.0f} s"
            raise MeasurementFailed(f"{what}\n{_printed(out, 'work')}\n{_printed(out, 'enqueue')}")
        time.sleep(0.05)
    return json.loads(out.read_text()), load.stop(), process_seconds(server.pid) - redis_before


def _printed(out: Path, role: str) -> str:
    path = out.with_name(f"{role}.log")
    return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""


def _check_records(server: PrivateRedis, count: int) -> None:
    keys = int(server.say("DBSIZE").strip().removeprefix(":"))
    if keys < count:
        raise MeasurementFailed(f"{keys:,} keys for {count:,} tasks: result records are missing")


def _run(side: Side, result: dict[str, Any], others: float, redis: float) -> Run:
    done, distinct = result["done"], result["distinct"]
    if done != distinct:
        raise MeasurementFailed(f"{side.name}: {done} executions of {distinct} tasks")
    wall = (result["last_ns"] - result["first_ns"]) / 1e9
    waits = sorted(result["waits_ns"][_WARM_UP:])
    return Run(
        per_second=done / wall,
        cpu_us=result["cpu_ns"] / 1000 / done,
        peak_rss_mb=result["peak_rss_mb"],
        p50_ms=_percentile(waits, 0.50),
        p99_ms=_percentile(waits, 0.99),
        redis_us=redis * 1e6 / done,
        others_cores=round(others, 3),
    )


def _percentile(values: Sequence[int], share: float) -> float | None:
    return values[min(len(values) - 1, int(share * len(values)))] / 1e6 if values else None
