"""What several test files need: a worker in this process, waiting for what it does, and what a computation costs."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from src.worker import keys
from src.worker.cascade import Cascade
from src.worker.config import Settings, load_settings
from src.worker.cpu import Cpu
from src.worker.judge import Judgements
from src.worker.llm.exchange import Attempt
from src.worker.metrics import Metrics
from src.worker.models import Mention, TaskPriority
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from src.worker.services.tiers import Tiers
from src.worker.students.panel import UNTAUGHT
from src.worker.students.school import Labelled
from src.worker.students.student import StudentTask

NORMAL = keys.STREAMS[TaskPriority.NORMAL]


def settings(**overrides: Any) -> Settings:
    """Quick settings, untouched by the environment's .env. Leases outlive a machine that stands still for seconds."""
    quick = {"queue_lease_sec": 5, "drain_timeout_sec": 5, "heartbeat_interval_sec": 0.5, "queue_retry_base_sec": 0.05}
    return load_settings(_env_file=None, **{**quick, **overrides})


@asynccontextmanager
async def running(redis_url: str, mongo_uri: str, **overrides: Any) -> AsyncIterator[Runtime]:
    """A worker that runs in this process until the block ends, then drains."""
    runtime = Runtime(settings(**overrides), redis_url=redis_url, mongodb_uri=mongo_uri)
    job = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        runtime.stop()
        await asyncio.wait_for(job, 30)
        await runtime.close()


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """The first true answer of `condition`; fails when none comes in time.

    `seconds` is no promise of the worker's: long enough for the slowest machine, short enough to be told what was
    waited for before pytest ends the test.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = await condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def finished(runtime: Runtime, task_id: str, seconds: float = 30) -> dict[str, Any]:
    """The record of a task that has ended."""

    async def over() -> dict[str, Any] | None:
        record = await runtime.queue.read_record(task_id)
        return record if record and record["status"] in ("succeeded", "failed") else None

    record: dict[str, Any] = await until(over, seconds)
    return record


async def push(client: RedisClient, task: Any, stream: str = NORMAL) -> str:
    """XADD as any producer would; returns the id the worker gives a task that names none."""
    raw = task if isinstance(task, str | bytes) else orjson.dumps(task)
    entry = await client.call("XADD", stream, "*", "task", raw)
    return f"{stream.rpartition(':')[2]}-{entry.decode()}"


async def dead_letters(client: RedisClient) -> list[dict[str, str]]:
    entries = await client.call("XRANGE", keys.DEAD, "-", "+")
    return [
        {name.decode(): value.decode("utf-8", "replace") for name, value in zip(fields[::2], fields[1::2], strict=True)}
        for _, fields in entries
    ]


def least_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Processor seconds of this thread for `work`: the least of several runs, as what disturbs one only ever adds.

    Other threads and processes do not count, nor does a collection over all that other tests have left.
    """
    least = float("inf")
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            began = time.thread_time()
            work()
            least = min(least, time.thread_time() - began)
    finally:
        if enabled:
            gc.enable()
    return least


class _NoSchool:
    """Students that never learn."""

    current = UNTAUGHT

    async def add(self, task: StudentTask, texts: Sequence[Labelled]) -> int:
        return 0

    async def labels(self, task: StudentTask) -> int:
        return 0


class _NoJudge:
    """No language model is configured."""

    available = False

    async def judge(self, mentions: Sequence[Mention], **_: Any) -> Judgements:
        raise AssertionError("asked although it is not available")


def local_tiers(cpu: Cpu, metrics: Metrics) -> Tiers:
    """Tiers 1 and 2 as they are before anything has been learned."""
    return Tiers(cpu, metrics, _NoSchool(), _NoJudge(), Cascade(0.0))


class Attempts:
    """A recorder of model calls that a test can read."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def record(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
