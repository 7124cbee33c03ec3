"""A worker whose `noop` kills the whole process when its task says so, as a crash in native code does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from src.worker.config import load_settings
from src.worker.handlers import HandlerResult, TaskType
from src.worker.logging import configure
from src.worker.models import Task
from src.worker.runtime import Runtime


async def _noop(task: Task) -> HandlerResult:
    if task.payload.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    # Long enough that tasks claimed together are all begun, and none is over, when one of them kills them all.
    await asyncio.sleep(0.2)
    return HandlerResult(dict(task.payload))


async def _main() -> None:
    settings = load_settings(_env_file=None)
    configure("info", "json", sys.stderr)
    runtime = Runtime(settings, redis_url=settings.redis_url or "", mongodb_uri=settings.mongodb_uri or "")
    runtime.handlers["noop"] = TaskType(_noop)  # type: ignore[index]
    await runtime.run()


if __name__ == "__main__":
    asyncio.run(_main())
