"""Prometheus metrics. Label values are bounded: task types, outcomes, priorities; never ids, workers or brands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from .models import TaskPriority

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """All metrics of one process on one registry of its own, so that tests can have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        r = self.registry
        self.tasks = Counter(
            "worker_tasks",
            "Finished executions of tasks, by type and outcome (succeeded, failed, retried, superseded).",
            ["type", "outcome"],
            registry=r,
        )
        self.task_seconds = Histogram(
            "worker_task_duration_seconds", "Run time of one execution.", ["type"], buckets=_SECONDS, registry=r
        )
        self.wait_seconds = Histogram(
            "worker_task_wait_seconds",
            "From the arrival of a task on its stream to the start of its execution.",
            ["priority"],
            buckets=_SECONDS,
            registry=r,
        )
        self.dead_letters = Counter("worker_dead_letters", "Dead letters written, by error code.", ["code"], registry=r)
        self.reclaimed = Counter("worker_tasks_reclaimed", "Tasks taken over from a lost worker.", registry=r)
        self.door_items = Counter(
            "worker_door_items", "Items taken into custody from the platform's lists, by door.", ["door"], registry=r
        )
        self.in_flight = Gauge("worker_tasks_in_flight", "Tasks being executed by this process.", registry=r)
        self.depth = Gauge("worker_queue_depth", "Tasks waiting, by priority.", ["priority"], registry=r)
        self.delayed = Gauge("worker_queue_delayed", "Tasks waiting for their time.", registry=r)
        self.dead = Gauge("worker_queue_dead_letters", "Dead letters kept.", registry=r)
        self.mentions = Counter(
            "worker_mentions",
            "Mentions by what became of them (stored, duplicate, rejected, synthetic).",
            ["outcome"],
            registry=r,
        )
        self.verdicts = Counter("worker_verdicts", "Verdicts by the tier that decided.", ["tier"], registry=r)
        self.redis_outages = Counter(
            "worker_redis_outages", "Times the connection to Redis was lost and had to come back.", registry=r
        )

    def set_depths(self, waiting: Mapping[TaskPriority, int], delayed: int, dead: int) -> None:
        for priority, count in waiting.items():
            self.depth.labels(priority.value).set(count)
        self.delayed.set(delayed)
        self.dead.set(dead)

    def render(self) -> bytes:
        return generate_latest(self.registry)
