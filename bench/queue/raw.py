"""The same stream read by redis-py alone: XREADGROUP COUNT 100, the task, XACK and XDEL pipelined. No promise is kept.

BENCH_RAW chooses: `one` runs the entries of a batch one after the other. `slots` runs each in a task of asyncio and
acknowledges beside the reading; a slot is taken until its entry is acknowledged, so that at most 100 entries are in
custody, as with our worker: the ceiling for it. `ahead` frees a slot when its task has ended, and acknowledges later.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bench.queue._side import Options, Recorder, run_side
from bench.queue._sides import STREAM
from bench.queue._stream import enqueue

GROUP = "raw"
_BATCH = 100
_BLOCK_MS = 1000


async def _read(client: Redis, count: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
    reply: Any = await client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=count, block=_BLOCK_MS)
    return reply[0][1] if reply else []


async def _acknowledge(client: Redis, entries: list[bytes]) -> None:
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("XACK", STREAM, GROUP, *entries)
    pipe.execute_command("XDEL", STREAM, *entries)
    await pipe.execute()


async def _one(client: Redis, recorder: Recorder, kind: str) -> None:
    body = recorder.task(kind)
    while True:
        entries = await _read(client, _BATCH)
        for _, fields in entries:
            task = orjson.loads(fields[b"task"])
            await body(task["n"], task["sent"])
        if entries:
            await _acknowledge(client, [entry for entry, _ in entries])


class _Slots:
    """Two loops: one fills free slots, one acknowledges what is done."""

    def __init__(self, client: Redis, recorder: Recorder, options: Options, *, ahead: bool) -> None:
        self._client = client
        self._body = recorder.task(options.kind)
        self._ahead = ahead
        self._free = options.concurrency
        self._done: list[bytes] = []
        self._freed, self._ended = asyncio.Event(), asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await asyncio.gather(self._fill(), self._empty())

    async def _fill(self) -> None:
        while True:
            if not self._free:
                self._freed.clear()
                await self._freed.wait()
            for entry, fields in await _read(self._client, self._free):
                self._free -= 1
                job = asyncio.create_task(self._execute(entry, fields[b"task"]))
                self._running.add(job)
                job.add_done_callback(self._running.discard)

    async def _execute(self, entry: bytes, raw: bytes) -> None:
        task = orjson.loads(raw)
        await self._body(task["n"], task["sent"])
        self._done.append(entry)
        self._ended.set()
        if self._ahead:
            self._give_back(1)

    async def _empty(self) -> None:
        while True:
            await self._ended.wait()
            self._ended.clear()
            done, self._done = self._done, []
            await _acknowledge(self._client, done)
            if not self._ahead:
                self._give_back(len(done))

    def _give_back(self, slots: int) -> None:
        self._free += slots
        self._freed.set()


async def _run(options: Options, recorder: Recorder) -> None:
    client = Redis.from_url(options.url)
    try:
        await client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    how = os.environ["BENCH_RAW"]
    if how == "one":
        await _one(client, recorder, options.kind)
    else:
        await _Slots(client, recorder, options, ahead=how == "ahead").run()


def work(options: Options, recorder: Recorder) -> None:
    asyncio.run(_run(options, recorder))


if __name__ == "__main__":
    run_side(enqueue, work)
