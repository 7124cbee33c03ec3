"""Redis and MongoDB go away, freeze, lose connections and data: the worker says so once, waits, and goes on."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest
import redis

from src.worker import keys

from .cluster import Cluster, Server, WorkerProcess, wait_until
from .load import Load
from .workload import Mix

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

Deploy = Callable[..., Cluster]
SMALL = Mix(noops=3_000, singles=800, multis=200, doors=0.4)
PUSH_SEC = 12.0
AWAY_SEC = 5.0
FINISH_SEC = 60.0
SETTINGS = {"CHUNK_RESULTS_MAX": "100000"}


class AwayFor:
    """A step of a load: the server goes when a share is pushed and comes back after some seconds."""

    def __init__(self, load: Load, server: Server, signum: int = signal.SIGTERM, *, share: float = 0.3) -> None:
        self._load = load
        self._server = server
        self._signum = signum
        self._share = share
        self._back_at: float | None = None

    def __call__(self) -> None:
        if self._load.producer.share < self._share:
            return
        if self._back_at is None:
            self._server.stop(self._signum)
            self._back_at = time.monotonic() + AWAY_SEC
        elif not self._server.running and time.monotonic() > self._back_at:
            self._server.start()


def _said(worker: WorkerProcess, pattern: str) -> int:
    """How many lines of the worker's log have a message like that."""
    return sum(bool(re.search(pattern, line["message"], re.IGNORECASE)) for line in worker.log_lines())


def _loud(worker: WorkerProcess) -> str:
    """The beginning of its log without what is only informative about single tasks."""
    lines = [json.dumps(line)[:300] for line in worker.log_lines() if "task_id" not in line]
    return "\n".join(lines[:40])


def _warnings(worker: WorkerProcess) -> int:
    return sum(line["level"] in ("warning", "error") for line in worker.log_lines())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_redis_away_for_five_seconds_is_said_once_and_costs_nothing(deploy: Deploy, how: int) -> None:
    cluster = deploy(**SETTINGS)
    (worker,) = cluster.workers
    pid = worker.process.pid
    with Load(cluster, SMALL, seconds=PUSH_SEC) as load:
        load.run(FINISH_SEC, AwayFor(load, cluster.redis, how))
    verdict = load.verdict()
    assert not verdict.problems(), verdict.problems()
    assert _said(worker, "redis is not available") == 1, _loud(worker)
    assert _said(worker, "redis is available again") == 1, _loud(worker)
    # One line for the outage; others may be lost replies that turned out to have arrived, never one per attempt.
    assert _warnings(worker) <= 5, _loud(worker)
    assert worker.process.pid == pid
    wait_until(worker.ready, 5, "ready again")


def test_a_redis_that_is_frozen_longer_than_any_timeout_costs_nothing(deploy: Deploy) -> None:
    """What was sent before is executed when it thaws, though nobody waits for its reply any more."""
    cluster = deploy(2, **SETTINGS)
    thawed = False
    with Load(cluster, SMALL, seconds=PUSH_SEC) as load:

        def freeze() -> None:
            nonlocal thawed
            if load.producer.share > 0.3 and not thawed:
                thawed = True
                cluster.redis.freeze(12.0)

        load.run(FINISH_SEC, freeze)
    verdict = load.verdict()
    assert not verdict.problems(), verdict.problems()


def test_closed_connections_cost_nothing(deploy: Deploy) -> None:
    """Every fifth of a second all connections are cut, in the middle of whatever they carry."""
    cluster = deploy(2, **SETTINGS)
    cut_at = time.monotonic()
    cuts = 0
    with Load(cluster, SMALL, seconds=PUSH_SEC) as load:

        def cut() -> None:
            nonlocal cut_at, cuts
            if time.monotonic() >= cut_at and load.producer.share < 1:
                cut_at = time.monotonic() + 0.2
                cuts += 1
                cluster.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        load.run(FINISH_SEC, cut)
    verdict = load.verdict()
    assert cuts > 20
    assert not verdict.problems(), verdict.problems()


def test_an_emptied_redis_is_worked_with_again_within_two_seconds(deploy: Deploy) -> None:
    cluster = deploy(**SETTINGS)
    cluster.push({"type": "noop", "id": "before"})
    cluster.wait_for_records(["before"], 5)
    for turn in range(5):
        cluster.client.flushall()
        time.sleep(0.3 * turn)  # in the middle of a blocking read, at its end, and in between
        began = time.monotonic()
        cluster.push({"type": "noop", "id": f"after-{turn}"})
        cluster.wait_for_records([f"after-{turn}"], 10)
        assert time.monotonic() - began < 2.0, f"turn {turn}"
        cluster.push({"type": "analyze_mentions", "id": f"c-{turn}", "brand": "acme", "mentions": [f"Acme {turn}"]})
        cluster.wait_for_records([f"c-{turn}"], 2)
    assert cluster.client.llen("result:brand:acme:chunks") == 1
    assert cluster.database.mentions.count_documents({}) == 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_mongodb_away_for_five_seconds_burns_no_attempts_and_kills_no_task(deploy: Deploy, how: int) -> None:
    """Killed: what was acknowledged to Redis is in MongoDB all the same, because the last write was journaled."""
    cluster = deploy(QUEUE_MAX_ATTEMPTS="2", **SETTINGS)
    (worker,) = cluster.workers
    with Load(cluster, SMALL, seconds=PUSH_SEC) as load:
        load.run(FINISH_SEC, AwayFor(load, cluster.mongo, how))
    verdict = load.verdict()
    assert not verdict.problems(), verdict.problems()
    assert verdict.most_attempts == 1
    assert _said(worker, "mongodb is not available") == 1, _loud(worker)
    assert _said(worker, "mongodb is available again") == 1, _loud(worker)
    assert _warnings(worker) <= 5, _loud(worker)


def test_a_redis_without_memory_still_gets_its_tasks_finished(deploy: Deploy) -> None:
    """Finishing frees memory: a worker that stopped at the limit would keep Redis there for ever."""
    cluster = deploy(**SETTINGS)
    ids = [f"task-{number}" for number in range(3_000)]
    chunks = [f"chunk-{number}" for number in range(200)]
    pipe = cluster.client.pipeline(transaction=True)  # all of it and the limit at once: the worker is quick
    for one in chunks:
        task = {"type": "analyze_mentions", "id": one, "brand": "acme", "chunkId": one, "mentions": [f"Acme {one}"]}
        pipe.xadd(keys.STREAMS[keys.TaskPriority.NORMAL], {"task": json.dumps(task)})
    for one in ids:
        pipe.xadd(keys.STREAMS[keys.TaskPriority.NORMAL], {"task": json.dumps({"type": "noop", "id": one})})
    pipe.config_set("maxmemory", "1mb")
    pipe.execute()
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        cluster.push({"type": "noop"})
    records = cluster.wait_for_records([*ids, *chunks], 30)
    assert {record["status"] for record in records} == {"succeeded"}
    published = Counter(json.loads(raw)["chunkId"] for raw in cluster.client.lrange("result:brand:acme:chunks", 0, -1))
    assert published == Counter(chunks)
    assert cluster.client.xlen(keys.DEAD) == 0
    cluster.client.config_set("maxmemory", "0")
    cluster.push({"type": "noop", "id": "after"})
    cluster.wait_for_records(["after"], 5)
