"""arq: a sorted set that is polled, asyncio, pickle. Results are kept for an hour, its default.

Polls every 10 ms: with its default of half a second it would make about 1,000 tasks a second.
"""

from __future__ import annotations

import asyncio
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from bench.queue._side import Options, Recorder, run_side, send_all

_POLL_SEC = 0.01


async def _enqueue(options: Options) -> None:
    pool = await create_pool(RedisSettings.from_dsn(options.url))

    async def send(number: int, sent: int) -> None:
        await pool.enqueue_job("run", number, sent)

    await send_all(options, send)
    await pool.aclose()


async def _work(options: Options, recorder: Recorder) -> None:
    body = recorder.task(options.kind)

    async def run(_context: dict[str, Any], number: int, sent: int) -> None:
        await body(number, sent)

    worker = Worker(
        [func(run, name="run")],
        redis_settings=RedisSettings.from_dsn(options.url),
        max_jobs=options.concurrency,
        poll_delay=_POLL_SEC,
        handle_signals=False,
    )
    await worker.async_run()


def enqueue(options: Options) -> None:
    asyncio.run(_enqueue(options))


def work(options: Options, recorder: Recorder) -> None:
    asyncio.run(_work(options, recorder))


if __name__ == "__main__":
    run_side(enqueue, work)
