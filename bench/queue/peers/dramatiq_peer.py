"""Dramatiq: lists, threads, JSON. The worker that its command starts, in this process. Keeps no results by default."""

from __future__ import annotations

import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.queue._side import Options, Recorder, run_side, send_all_blocking


def _actor(options: Options, recorder: Recorder | None) -> tuple[RedisBroker, dramatiq.Actor]:
    broker = RedisBroker(url=options.url)
    dramatiq.set_broker(broker)
    body = recorder.thread_task(options.kind) if recorder else lambda _number, _sent: None
    return broker, dramatiq.actor(body, actor_name="run", broker=broker)


def enqueue(options: Options) -> None:
    _, actor = _actor(options, None)
    send_all_blocking(options, actor.send)


def work(options: Options, recorder: Recorder) -> None:
    broker, _ = _actor(options, recorder)
    dramatiq.Worker(broker, worker_threads=options.concurrency).start()
    threading.Event().wait()


if __name__ == "__main__":
    run_side(enqueue, work)
