"""SAQ: lists, asyncio, JSON. Results are kept for ten minutes, its default."""

from __future__ import annotations

import asyncio
from typing import Any

from saq import Queue, Worker

from bench.queue._side import Options, Recorder, run_side, send_all


async def _enqueue(options: Options) -> None:
    queue = Queue.from_url(options.url)
    await queue.connect()

    async def send(number: int, sent: int) -> None:
        await queue.enqueue("run", number=number, sent=sent)

    await send_all(options, send)
    await queue.disconnect()


async def _work(options: Options, recorder: Recorder) -> None:
    body = recorder.task(options.kind)

    async def run(_context: Any, *, number: int, sent: int) -> None:
        await body(number, sent)

    queue = Queue.from_url(options.url)
    await queue.connect()
    await Worker(queue, functions=[("run", run)], concurrency=options.concurrency).start()


def enqueue(options: Options) -> None:
    asyncio.run(_enqueue(options))


def work(options: Options, recorder: Recorder) -> None:
    asyncio.run(_work(options, recorder))


if __name__ == "__main__":
    run_side(enqueue, work)
