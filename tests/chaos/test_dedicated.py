"""Workers that end, die, freeze or are killed by a task; producers that push twice. One promise per test."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from src.worker import keys

from .cluster import LEASE_SEC, Cluster, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

Deploy = Callable[..., Cluster]


def _chunk(name: str, mentions: int, brand: str = "acme") -> dict[str, Any]:
    texts = [{"source": "x", "text": f"{brand} is fine, says {name} n{number}"} for number in range(mentions)]
    return {"type": "analyze_mentions", "id": name, "brand": brand, "chunkId": name, "mentions": texts}


def _published(cluster: Cluster, brand: str = "acme") -> Counter[str]:
    return Counter(json.loads(raw)["chunkId"] for raw in cluster.client.lrange(f"result:brand:{brand}:chunks", 0, -1))


def test_a_stopping_worker_gives_back_at_once_and_the_next_one_goes_on(deploy: Deploy) -> None:
    """With a lease of a minute: what is done within seconds was given back and not waited for."""
    cluster = deploy(QUEUE_LEASE_SEC="60", DRAIN_TIMEOUT_SEC="0.3")
    (first,) = cluster.workers
    names = [f"chunk-{number}" for number in range(30)]
    cluster.push(*(_chunk(name, 200) for name in names))
    wait_until(lambda: len(cluster.pending()) >= 10, 10, "the worker is busy", every=0.005)
    began = time.monotonic()
    assert first.end() == 0
    assert time.monotonic() - began < 3
    held = {name for name in _consumers_with_work(cluster) if name != b"released"}
    assert not held, f"still held under the name of a worker that has ended: {held}"
    assert cluster.client.keys("workers:heartbeat:*") == []
    left = [name for name in names if cluster.record(name).get("status") != "succeeded"]
    assert left, "nothing was left to give back: this machine needs larger chunks here"
    cluster.add_worker()
    records = cluster.wait_for_records(names, 30)
    assert {record["status"] for record in records} == {"succeeded"}
    assert {record["attempts"] for record in records} == {1}, "given back is not tried"
    assert _published(cluster) == Counter(names)


def _consumers_with_work(cluster: Cluster) -> set[bytes]:
    return {
        consumer["name"]
        for stream in keys.ALL_STREAMS
        for consumer in cluster.client.xinfo_consumers(stream, keys.GROUP)
        if consumer["pending"]
    }


def test_a_task_that_kills_its_worker_is_dead_lettered_with_its_history_and_the_others_finish(deploy: Deploy) -> None:
    """Those that ran beside it were cut short as often as it was: they must not be buried with it."""
    attempts = 3
    cluster = deploy(0, QUEUE_MAX_ATTEMPTS=str(attempts), QUEUE_CONCURRENCY="16", QUEUE_LEASE_SEC="1")
    others = [f"other-{number}" for number in range(60)]
    tasks = [{"type": "noop", "id": name} for name in others]
    cluster.push(*tasks[:5], {"type": "noop", "id": "deadly", "kill": True}, *tasks[5:])
    worker = cluster.add_worker("tests.chaos.deadly_worker")
    deaths = 0

    def over() -> bool:
        nonlocal deaths
        code = worker.process.poll()
        if code is not None:
            assert code == -signal.SIGKILL, worker.log.read_text()[-3000:]
            deaths += 1
            assert deaths <= 3 * attempts, "the deadly task goes on killing"
            worker.start()
        return all(cluster.record(one).get("status") in ("succeeded", "failed") for one in ("deadly", *others))

    wait_until(over, 60, "all tasks are over")
    failed = [one for one in others if cluster.record(one)["status"] == "failed"]
    assert not failed, f"{len(failed)} innocent tasks are dead, e.g. {cluster.record(failed[0])}"
    ((_, letter),) = cluster.client.xrange(keys.DEAD)
    assert json.loads(letter[b"task"])["id"] == "deadly"
    assert (json.loads(letter[b"error"])["code"], deaths) == ("WORKER_LOST", attempts)
    assert cluster.record("deadly")["status"] == "failed"
    history = json.loads(letter.get(b"history", b"[]"))
    assert len(history) >= attempts - 1, f"the letter does not tell of the deaths: {letter}"


def test_a_worker_frozen_longer_than_its_lease_changes_nothing_when_it_wakes(deploy: Deploy) -> None:
    """As a machine that was suspended: it goes on in the middle of tasks that others have finished."""
    cluster = deploy(1)
    (sleeper,) = cluster.workers
    names = [f"chunk-{number}" for number in range(8)]
    cluster.push(*(_chunk(name, 400) for name in names))
    wait_until(lambda: len(cluster.pending()) == len(names), 10, "the worker has them", every=0.005)
    time.sleep(0.1)
    sleeper.process.send_signal(signal.SIGSTOP)
    assert len(cluster.pending()) >= 4, "nothing was cut short: this machine needs larger chunks here"
    cluster.add_worker()
    cluster.wait_for_records(names, 60)
    before = [cluster.record(name) for name in names]
    sleeper.process.send_signal(signal.SIGCONT)
    time.sleep(3.0)
    assert [cluster.record(name) for name in names] == before, "records were written over"
    assert {record["status"] for record in before} == {"succeeded"}
    assert _published(cluster) == Counter(names)
    assert cluster.database.mentions.count_documents({}) == 400 * len(names)
    cluster.push(*(_chunk(f"after-{number}", 1) for number in range(20)))
    cluster.wait_for_records([f"after-{number}" for number in range(20)], 10)
    assert sleeper.ready()


@pytest.mark.parametrize("how", ["with an id", "without an id", "to two streams"])
def test_a_chunk_pushed_twice_is_published_once(deploy: Deploy, how: str) -> None:
    """As by a producer whose push had no reply: the native door is a plain XADD, which cannot look for the first."""
    cluster = deploy(2)
    names = [f"chunk-{number}" for number in range(20)]
    for name in names:
        task = _chunk(name, 3)
        if how == "without an id":
            del task["id"]
        cluster.push(task)
        if int(name.removeprefix("chunk-")) % 2:  # half of them while the first may still be under way
            time.sleep(0.2)
        cluster.push(task, priority=keys.TaskPriority.LOW if how == "to two streams" else keys.TaskPriority.NORMAL)
    wait_until(lambda: not any(cluster.client.xlen(stream) for stream in keys.ALL_STREAMS), 20, "all is done")
    time.sleep(0.5)
    assert cluster.client.xlen(keys.DEAD) == 0, cluster.client.xrange(keys.DEAD)
    assert cluster.database.mentions.count_documents({}) == 3 * len(names)
    assert _published(cluster) == Counter(names)


def test_tasks_of_a_dead_worker_come_back_within_a_lease_though_the_living_are_busy(deploy: Deploy) -> None:
    """A backlog fills every slot of the others: what was taken from it already must not wait behind it."""
    cluster = deploy(1)
    dying = cluster.add_worker(WORKER_ID="dying")
    wait_until(dying.ready, 20, "ready")
    names = [(f"chunk-{number}", f"brand-{number % 16}") for number in range(3_000)]
    cluster.push(*(_chunk(name, 10, brand) for name, brand in names))
    wait_until(lambda: len(cluster.pending("dying")) >= 12, 10, "the worker is busy", every=0.005)
    dying.kill()
    abandoned = cluster.pending("dying").keys()
    assert abandoned
    began = time.monotonic()
    wait_until(lambda: not abandoned & cluster.pending().keys(), 60, "the abandoned tasks are done")
    seconds = time.monotonic() - began
    backlog = _backlog(cluster)
    # The lease, the second between two looks, and five for taking them over a few at a time and running them.
    assert seconds < LEASE_SEC + 1 + 5, f"{len(abandoned)} abandoned tasks took {seconds:.1f} s, backlog {backlog}"
    assert backlog > 100, "the living were not busy for long enough: this machine needs a longer backlog here"


def _backlog(cluster: Cluster) -> int:
    lanes = list(cluster.client.scan_iter(match=f"{keys.LANE_PREFIX}*", count=5_000))
    return sum(map(cluster.client.llen, lanes)) + sum(map(cluster.client.xlen, keys.ALL_STREAMS))
