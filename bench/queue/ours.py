"""Our worker as the service builds it, and only its queue run: no MongoDB (its client never connects), no REST.

Result record, event, acknowledgement and deletion of every task are written as in production; logs are off.
BENCH_PROFILE=FILE writes a cProfile of the worker to FILE.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import signal
from typing import Any, cast

from bench.queue._side import Options, Recorder, run_side
from bench.queue._stream import enqueue
from src.worker.config import load_settings
from src.worker.handlers import HandlerResult, TaskType
from src.worker.models import Task
from src.worker.runtime import Runtime

_NO_MONGODB = "mongodb://127.0.0.1:9/none"


def handler(recorder: Recorder, kind: str) -> TaskType:
    """What the service's own `noop` does, and the recorder's two statements around it."""
    body = recorder.task(kind)

    async def handle(task: Task) -> HandlerResult:
        payload = task.payload
        await body(payload["n"], payload["sent"])
        return HandlerResult(dict(payload))

    return TaskType(handle)


async def _run(options: Options, recorder: Recorder) -> None:
    settings = load_settings(_env_file=None, queue_concurrency=options.concurrency)
    runtime = Runtime(settings, redis_url=options.url, mongodb_uri=_NO_MONGODB)
    cast("dict[str, Any]", runtime.handlers)["noop"] = handler(recorder, options.kind)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runtime.stop)
    await runtime.worker.run()
    await runtime.close()
    if not options.out.exists():  # one of several workers: it cannot know that the last task is done
        recorder.write()


def work(options: Options, recorder: Recorder) -> None:
    path = os.environ.get("BENCH_PROFILE")
    if not path:
        asyncio.run(_run(options, recorder))
        return
    with cProfile.Profile() as profile:
        asyncio.run(_run(options, recorder))
    profile.dump_stats(path)


if __name__ == "__main__":
    run_side(enqueue, work)
