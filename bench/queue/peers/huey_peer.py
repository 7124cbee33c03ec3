"""Huey: a list, threads, pickle, blocking reads. The consumer that its command starts, in this process.

A task that returns None leaves no result, its default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huey import RedisHuey

from bench.queue._side import Options, Recorder, run_side, send_all_blocking


def _queue(options: Options, recorder: Recorder | None) -> tuple[RedisHuey, Callable[..., Any]]:
    huey = RedisHuey("bench", url=options.url)
    body = recorder.thread_task(options.kind) if recorder else None

    def run(number: int, sent: int) -> None:  # named by its module: the same one in both roles
        if body:
            body(number, sent)

    return huey, huey.task()(run)


def enqueue(options: Options) -> None:
    _, run = _queue(options, None)
    send_all_blocking(options, run)


def work(options: Options, recorder: Recorder) -> None:
    huey, _ = _queue(options, recorder)
    huey.create_consumer(workers=options.concurrency, worker_type="thread", periodic=False).run()


if __name__ == "__main__":
    run_side(enqueue, work)
