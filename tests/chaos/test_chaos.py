"""Nothing lost, nothing doubled, while workers and servers are killed in the middle of their work.

How the time is bounded: the producer takes PUSH_SEC for everything; without chaos two workers on two cores need less
than half of that for it (14,000 noops 2 s, 4,500 chunks of one mention 13 s, 1,500 of six 11 s), the rest is for what
dies half done and for starting a worker every second. At DEADLINE_SEC the run ends whatever is missing, and says what.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from .cluster import Cluster, Server
from .load import Load
from .workload import Mix

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(470)]

MIX = Mix(noops=17_500, singles=1_800, multis=700, doors=0.4)
PUSH_SEC = 60.0
DEADLINE_SEC = 400.0
"""A worker needs over a second of CPU to start and is killed after two: most of the time goes into starting."""
KILL_EVERY_SEC = 1.0
SETTINGS = {
    # Innocent tasks are hit several times where a worker lives for two seconds. What a task that kills its worker
    # costs is another test's.
    "QUEUE_MAX_ATTEMPTS": "20",
    "CHUNK_RESULTS_MAX": "100000",
    "DEAD_LETTERS_MAX": "100000",
}


class Restart:
    """One server goes away when a share of the tasks is pushed, and comes back a moment later. Never blocks."""

    def __init__(self, share: float, server: Server, stop: Callable[[], None], away_sec: float) -> None:
        self.done = False
        self._share = share
        self._server = server
        self._stop = stop
        self._away_sec = away_sec
        self._back_at: float | None = None
        self._stopping = False

    def step(self, share: float) -> None:
        if self.done or share < self._share:
            return
        if not self._stopping:
            self._stopping = True
            self._stop()
        elif self._back_at is None:
            if self._server.ended():
                self._back_at = time.monotonic() + self._away_sec
        elif time.monotonic() >= self._back_at:
            self._server.start()
            self.done = True


class Chaos:
    """Kills a worker every second, and restarts the servers one after another."""

    def __init__(self, cluster: Cluster, load: Load, rng: Random) -> None:
        self._cluster = cluster
        self._load = load
        self._rng = rng
        self._kill_at = time.monotonic() + KILL_EVERY_SEC
        self.kills = 0
        redis, mongo = cluster.redis, cluster.mongo
        self.restarts = [
            Restart(0.25, redis, self._shut_redis_down, rng.uniform(0.3, 1.5)),
            Restart(0.50, mongo, lambda: mongo.send(signal.SIGTERM), rng.uniform(0.3, 1.5)),
            Restart(0.75, redis, lambda: redis.send(signal.SIGKILL), rng.uniform(0.3, 1.5)),
        ]

    def _shut_redis_down(self) -> None:
        with self._cluster.new_client() as client:
            client.shutdown()

    def step(self) -> None:
        for restart in self.restarts:
            restart.step(self._load.producer.share)
        if time.monotonic() >= self._kill_at:
            self._kill_at = time.monotonic() + KILL_EVERY_SEC
            self._kill_one()

    def _kill_one(self) -> None:
        for worker in self._cluster.workers:
            worker.must_live()
        worker = self._rng.choice(self._cluster.workers)
        worker.kill()
        worker.start()
        self.kills += 1


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(2, **SETTINGS) as cluster:
        yield cluster


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_effect_happens_exactly_once_whatever_is_killed(
    seed: int, cluster: Cluster, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    with Load(cluster, MIX, seconds=PUSH_SEC, seed=seed) as load:
        chaos = Chaos(cluster, load, Random(seed))
        load.run(DEADLINE_SEC, chaos.step)
    seconds = time.monotonic() - began
    taken_over = sum(worker.metric("worker_tasks_reclaimed_total") for worker in cluster.workers)
    verdict = load.verdict()
    figure = (
        f"seed {seed}: {load.workload.tasks} tasks, {chaos.kills} kills,"
        f" {sum(restart.done for restart in chaos.restarts)} server restarts,"
        f" {load.producer.lost_replies} pushes without reply, {verdict.redelivered} redelivered"
        f" (at most {verdict.most_attempts} attempts; {taken_over:.0f} taken over by the last two workers),"
        f" {seconds:.0f} s, {len(verdict.lost)} lost, {len(verdict.doubled)} doubled, {len(verdict.wrong)} wrong"
    )
    record_property("figure", figure)
    with capsys.disabled():
        print(f"\nchaos {figure}")
    assert all(restart.done for restart in chaos.restarts)
    assert not verdict.problems(), verdict.problems()
