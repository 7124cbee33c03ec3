"""Work that goes on while a test does its worst: pushed by a producer of its own, judged when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from .cluster import LEASE_SEC, Cluster
from .producer import Producer
from .verdict import Verdict, judge, records, unfinished, waiting
from .workload import Mix, make

QUIET_SEC = 5 * LEASE_SEC
"""The queue is empty and a task has no record: after this long nobody holds it any more, it is lost."""


class Load:
    """A producer at work, in a thread, from the start of the block to its end."""

    def __init__(self, cluster: Cluster, mix: Mix, *, seconds: float, seed: int = 1) -> None:
        self.workload = make(seed, mix)
        self._cluster = cluster
        self._client = cluster.new_client()
        self.producer = Producer(self.workload, self._client, seconds=seconds)
        self._quiet_since: float | None = None
        self._look_at = 0.0

    def __enter__(self) -> Load:
        self.producer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.producer.stop()
        self.producer.join(30)
        self._client.close()

    def over(self) -> bool:
        """Everything is pushed and done, or what is missing does not come any more. Looks twice a second at most."""
        now = time.monotonic()
        if self.producer.is_alive() or now < self._look_at:
            return False
        self._look_at = now + 0.5
        try:
            if waiting(self._cluster.client):
                self._quiet_since = None
                return False
            if not unfinished(self.workload, records(self._cluster.client)):
                return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        self._quiet_since = self._quiet_since or now
        return now - self._quiet_since > QUIET_SEC

    def run(self, seconds: float, step: Callable[[], None] = lambda: None) -> None:
        """Until everything is over, at most so long; `step` is called all the time."""
        deadline = time.monotonic() + seconds
        while not self.over() and time.monotonic() < deadline:
            step()
            time.sleep(0.02)

    def verdict(self) -> Verdict:
        assert self.producer.sent == len(self.workload.pushes), "the producer did not get everything in"
        return judge(self._cluster, self.workload, self.producer.tries)
