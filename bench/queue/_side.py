"""What runs inside each measured process: the recorder, and the command line all sides share. Standard library only.

A side module gives `enqueue(options)` and `work(options, recorder)` to `run_side`. Tasks carry their number and the
moment they were sent (0 when that is not measured). Moments are of the system-wide monotonic clock, in nanoseconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLEEP_SEC = 0.010
WORK_NS = 100_000
BULK = 100
"""Tasks enqueued at a time by the asyncio libraries, which have no call for many."""

now_ns = time.monotonic_ns


@dataclass(frozen=True)
class Options:
    """One role of one side: `enqueue` `count` tasks (`rate` per second if not 0), or `work` until `count` are done."""

    role: str
    url: str
    kind: str
    count: int
    concurrency: int
    rate: float
    out: Path


class Recorder:
    """Counts tasks in memory and writes what it saw when the last one is done (or when it is told to).

    The same few statements for every worker: about 0.5 µs per task. `seen` tells tasks that were run twice.
    """

    def __init__(self, count: int, out: Path) -> None:
        self._goal = count
        self._out = out
        self._ends = itertools.count(1)  # counts without a lock, also between threads
        self._done = 0
        self._first = self._last = self._cpu_first = 0
        self._seen = bytearray(count)
        self._waits: list[int] = []

    def begin(self, number: int, sent: int) -> None:
        """First statement of every task."""
        now = now_ns()
        if not self._first:
            self._first = now
            self._cpu_first = time.process_time_ns()
        if sent:
            self._waits.append(now - sent)
        self._seen[number] = 1

    def end(self) -> None:
        """Last statement of every task."""
        self._last = now_ns()
        done = self._done = next(self._ends)
        if done == self._goal:
            self.write()

    def write(self) -> None:
        result = {
            "done": self._done,
            "distinct": sum(self._seen),
            "first_ns": self._first,
            "last_ns": self._last,
            "cpu_ns": time.process_time_ns() - self._cpu_first,
            "peak_rss_mb": peak_rss_mb(),
            "waits_ns": self._waits,
        }
        part = self._out.with_suffix(".part")
        part.write_text(json.dumps(result))
        part.rename(self._out)

    def task(self, kind: str) -> Callable[[int, int], Awaitable[None]]:
        """The body of an asynchronous task of this kind."""

        async def noop(number: int, sent: int) -> None:
            self.begin(number, sent)
            self.end()

        async def sleep(number: int, sent: int) -> None:
            import asyncio

            self.begin(number, sent)
            await asyncio.sleep(SLEEP_SEC)
            self.end()

        async def work(number: int, sent: int) -> None:
            self.begin(number, sent)
            spin()
            self.end()

        return {"noop": noop, "latency": noop, "sleep": sleep, "work": work}[kind]

    def thread_task(self, kind: str) -> Callable[[int, int], None]:
        """The body of a task that runs in a thread."""
        sleeping = kind == "sleep"

        def body(number: int, sent: int) -> None:
            self.begin(number, sent)
            if sleeping:
                time.sleep(SLEEP_SEC)
            self.end()

        return body


def spin() -> None:
    """Keep the CPU busy for `WORK_NS` of this thread's CPU time, however often it is interrupted."""
    until = time.thread_time_ns() + WORK_NS
    while time.thread_time_ns() < until:
        pass


def peak_rss_mb() -> float:
    """The most memory this program ever had in RAM. `ru_maxrss` would count the parent's before the exec."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def schedule(options: Options) -> Iterator[float]:
    """Seconds to wait before each paced task, by an absolute timetable: a late one does not delay the rest."""
    begin = time.monotonic()
    for number in range(options.count):
        yield max(0.0, begin + number / options.rate - time.monotonic())


async def send_all(options: Options, send: Callable[[int, int], Awaitable[Any]]) -> None:
    """Enqueue through an asynchronous call: paced one by one with the moment inside, else `BULK` at a time."""
    import asyncio

    if options.rate:
        for number, pause in enumerate(schedule(options)):
            await asyncio.sleep(pause)
            await send(number, now_ns())
        return
    for start in range(0, options.count, BULK):
        await asyncio.gather(*(send(number, 0) for number in range(start, min(start + BULK, options.count))))


def send_all_blocking(options: Options, send: Callable[[int, int], Any]) -> None:
    """Enqueue through a blocking call."""
    if options.rate:
        for number, pause in enumerate(schedule(options)):
            time.sleep(pause)
            send(number, now_ns())
        return
    for number in range(options.count):
        send(number, 0)


def run_side(enqueue: Callable[[Options], None], work: Callable[[Options, Recorder], None]) -> None:
    """Do what the command line says: the whole program of a side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["enqueue", "work"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--kind", default="noop", choices=["noop", "sleep", "work", "latency"])
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path(os.devnull))
    options = Options(**vars(parser.parse_args()))
    if options.role == "enqueue":
        enqueue(options)
    else:
        work(options, Recorder(options.count, options.out))
