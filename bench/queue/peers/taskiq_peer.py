"""taskiq-redis, stream broker, as `taskiq worker` runs it in one process. Keeps no results by default."""

from __future__ import annotations

import asyncio

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from bench.queue._side import Options, Recorder, run_side, send_all


async def _enqueue(options: Options) -> None:
    broker = RedisStreamBroker(options.url, consumer_id="0")

    @broker.task(task_name="run")
    async def run(number: int, sent: int) -> None:
        """Only named here."""

    await broker.startup()

    async def send(number: int, sent: int) -> None:
        await run.kiq(number, sent)

    await send_all(options, send)
    await broker.shutdown()


async def _work(options: Options, recorder: Recorder) -> None:
    broker = RedisStreamBroker(options.url, consumer_id="0")
    body = recorder.task(options.kind)

    @broker.task(task_name="run")
    async def run(number: int, sent: int) -> None:
        await body(number, sent)

    await run_receiver_task(broker, max_async_tasks=options.concurrency, run_startup=True)


def enqueue(options: Options) -> None:
    asyncio.run(_enqueue(options))


def work(options: Options, recorder: Recorder) -> None:
    asyncio.run(_work(options, recorder))


if __name__ == "__main__":
    run_side(enqueue, work)
