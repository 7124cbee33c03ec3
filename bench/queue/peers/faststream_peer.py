"""FastStream on a Redis stream with a consumer group and 100 workers. Has no results."""

from __future__ import annotations

import asyncio
import logging

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

from bench.queue._side import Options, Recorder, run_side, send_all

_STREAM = "faststream"


async def _enqueue(options: Options) -> None:
    async with RedisBroker(options.url, logger=None) as broker:

        async def send(number: int, sent: int) -> None:
            await broker.publish({"number": number, "sent": sent}, stream=_STREAM)

        await send_all(options, send)


async def _work(options: Options, recorder: Recorder) -> None:
    broker = RedisBroker(options.url, logger=None)
    body = recorder.task(options.kind)
    # last_id: the group begins with what waits already. max_records: as many as there are workers.
    stream = StreamSub(_STREAM, group="bench", consumer="one", last_id="0", max_records=options.concurrency)

    @broker.subscriber(stream=stream, max_workers=options.concurrency)
    async def run(number: int, sent: int) -> None:
        await body(number, sent)

    await FastStream(broker).run(log_level=logging.ERROR)


def enqueue(options: Options) -> None:
    asyncio.run(_enqueue(options))


def work(options: Options, recorder: Recorder) -> None:
    asyncio.run(_work(options, recorder))


if __name__ == "__main__":
    run_side(enqueue, work)
