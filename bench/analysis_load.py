"""The worker under full load: event-loop lag, memory, mentions per second.

A worker process (as the service builds it, with its own embedded Redis and MongoDB-compatible server beside it) drains
a backlog of chunks of 30 mentions, students of both tasks in use. In its event loop a probe sleeps 10 ms again and
again; lag is how much later it wakes. Memory is the worker's peak (VmHWM), the servers not counted.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench._analysis_data import DATA, rows
from bench._report import Figure, Report, at_most

LAG_MS = 50.0
MEMORY_MB = 220.0
CHUNK = 30


def main(quick: bool = False) -> Report:
    report = Report("analysis_load", quick, " ".join((__doc__ or "").split()))
    if not DATA.exists():
        report.leave_out("everything: the development data are not on this machine")
        return report
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        command = [sys.executable, "-m", "bench.analysis_load", directory, "1" if quick else "4"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found = json.loads(done.stdout.splitlines()[-1])
    report.details |= found
    report.add(Figure("analysis_load.mentions", found["mentions"] / found["seconds"], "mentions/s"))
    report.add(Figure("analysis_load.lag_p50", found["lag_p50_ms"], "ms"))
    p99 = found["lag_p99_ms"]
    report.add(Figure("analysis_load.lag_p99", p99, "ms", wanted=at_most(p99, LAG_MS)))
    report.add(Figure("analysis_load.lag_max", found["lag_max_ms"], "ms"))
    report.add(Figure("analysis_load.peak_rss", found["peak_mb"], "MB", wanted=at_most(found["peak_mb"], MEMORY_MB)))
    return report


# -- in the child ------------------------------------------------------------------------------------------------


async def measure(directory: Path, times: int) -> dict[str, Any]:
    from src.worker.config import load_settings
    from src.worker.embedded import EmbeddedServers
    from src.worker.runtime import Runtime

    async with EmbeddedServers(directory) as servers:
        settings = load_settings(_env_file=None, data_dir=directory)
        runtime = Runtime(settings, redis_url=servers.redis_url, mongodb_uri=servers.mongodb_uri)
        running = asyncio.create_task(runtime.run())
        try:
            await _taught(runtime)
            return await _loaded(runtime, times)
        finally:
            runtime.stop()
            await running
            await runtime.close()


async def _taught(runtime: Any) -> None:
    """Students of both tasks, taught in a process of their own as in the service, adopted by this one."""
    from src.worker.students.school import Labelled, text_key
    from src.worker.students.student import StudentTask

    found = rows("airline_stream")[:1_000]
    moods = [Labelled(text_key(row["text"]), row["text"], row["brand"], row["sentiment"]) for row in found]
    intents = [
        one._replace(label={"negative": "BUG_REPORT", "positive": "PRAISE"}.get(one.label, "GENERAL")) for one in moods
    ]
    for task, labels in ((StudentTask.SENTIMENT, moods), (StudentTask.INTENT, intents)):
        await runtime.students.add(task, labels)
        await runtime.students.learn(task)
    await runtime.students.refresh()
    if runtime.students.current.sentiment is None:
        raise RuntimeError("no student was adopted")


async def _loaded(runtime: Any, times: int) -> dict[str, Any]:
    chunks = list(_chunks(times))
    for at in range(0, len(chunks), 200):
        await runtime.redis.batch(
            [("XADD", "worker:tasks:normal", "*", "task", json.dumps(one)) for one in chunks[at : at + 200]]
        )
    lags: list[float] = []
    probe = asyncio.create_task(_probe(lags))
    began = time.monotonic()
    while True:
        depth = await runtime.queue.depth()
        if not depth.in_flight and not any(depth.waiting.values()) and not depth.parked:
            break
        await asyncio.sleep(0.25)
    seconds = time.monotonic() - began
    probe.cancel()
    lags.sort()
    return {
        "mentions": sum(len(one["mentions"]) for one in chunks),
        "seconds": seconds,
        "lag_p50_ms": statistics.median(lags),
        "lag_p99_ms": lags[int(len(lags) * 0.99)],
        "lag_max_ms": lags[-1],
        "samples": len(lags),
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


async def _probe(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        lags.append((time.perf_counter() - began - 0.01) * 1000)


def _chunks(times: int) -> list[dict[str, Any]]:
    """The airline stream, again for other brands so that nothing is known already."""
    found = rows("airline_stream")
    out = []
    for again in range(times):
        for at in range(0, len(found), CHUNK):
            mentions = [
                {
                    "id": row["tweet_id"],
                    "text": row["text"],
                    "source": "x",
                    "created_at": row["ts_utc"],
                    "author": row["user"],
                }
                for row in found[at : at + CHUNK]
            ]
            out.append({"type": "analyze_mentions", "brand": f"air-{again}-{at // CHUNK % 4}", "mentions": mentions})
    return out


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]), int(sys.argv[2])))))
