"""Prometheus metrics. Label values are bounded: task types, outcomes, priorities; never ids, workers or brands."""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from . import __version__, metrics_compat
from .models import TaskPriority
from .trace_context import Span
from .tracing import span

_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
)
_LAGS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""0.02: the longest that anything may hold the event loop by the house's own rule."""
_BUCKETS: Final = (*(str(bound) for bound in _SECONDS), "+Inf")


class _Durations:
    """One histogram series. Written by the event loop only, so it needs no lock."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKETS)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        running, out = 0, []
        for bound, count in zip(_BUCKETS, self.counts, strict=True):
            running += count
            out.append((bound, float(running)))
        return out


class TaskMetrics(Collector):
    """What is counted for every task. The client library's own objects cost microseconds per task for their locks and
    label look-ups; these cost a dictionary access and are turned into metrics when somebody asks."""

    def __init__(self) -> None:
        self.executions: dict[tuple[str, str], int] = {}
        self.in_flight: dict[str, int] = {}
        self.chunks_failed: dict[str, int] = {}
        self._run: dict[str, _Durations] = {}
        self._wait: dict[TaskPriority, _Durations] = {priority: _Durations() for priority in TaskPriority}

    def waited(self, priority: TaskPriority, seconds: float) -> None:
        self._wait[priority].add(seconds)

    def ran(self, task_type: str, seconds: float) -> None:
        series = self._run.get(task_type)
        if series is None:
            series = self._run[task_type] = _Durations()
        series.add(seconds)

    def ended(self, task_type: str, outcome: str, *, invalid: bool = False) -> None:
        """`invalid`: it failed because of its input."""
        key = (task_type, outcome)
        self.executions[key] = self.executions.get(key, 0) + 1
        if outcome == "failed" and task_type == metrics_compat.CHUNKS:
            reason = metrics_compat.REASONS[0 if invalid else 1]
            self.chunks_failed[reason] = self.chunks_failed.get(reason, 0) + 1

    def run_times(self, task_type: str) -> _Durations | None:
        return self._run.get(task_type)

    def collect(self) -> Iterable[Metric]:
        executions = CounterMetricFamily(
            "worker_tasks",
            "Executions by task type and outcome (succeeded, failed, retried, postponed, duplicate, superseded).",
            labels=["type", "outcome"],
        )
        for (task_type, outcome), count in sorted(self.executions.items()):
            executions.add_metric([task_type, outcome], count)
        running = GaugeMetricFamily("worker_tasks_in_flight", "Tasks being executed by this process.", labels=["type"])
        for task_type, count in sorted(self.in_flight.items()):
            running.add_metric([task_type], count)
        run = HistogramMetricFamily("worker_task_duration_seconds", "Run time of one execution.", labels=["type"])
        for task_type, series in sorted(self._run.items()):
            run.add_metric([task_type], series.cumulative(), series.total)
        wait = HistogramMetricFamily(
            "worker_task_wait_seconds",
            "From the arrival of a task at the queue to the start of its execution.",
            labels=["priority"],
        )
        for priority, series in self._wait.items():
            wait.add_metric([priority.value], series.cumulative(), series.total)
        return [executions, running, run, wait]


class Metrics:
    """All metrics of one process on one registry of its own, so that tests can have several."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a series began is not worth a second series of each
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        r = self.registry
        self.tasks = TaskMetrics()
        r.register(self.tasks)
        older = metrics_compat.OlderNames(
            self.tasks.executions,
            self.tasks.chunks_failed,
            lambda: self.tasks.run_times(metrics_compat.CHUNKS),
        )
        r.register(older)
        Info("worker_build", "Which version runs.", registry=r).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self.loop_lag = Histogram(
            "worker_event_loop_lag_seconds",
            "How much later than asked for the event loop comes round, measured ten times a second.",
            buckets=_LAGS,
            registry=r,
        )
        self._stages = Histogram(
            "worker_mention_stage_duration_seconds",
            "Duration of one stage of one chunk (normalise, dedup, analyse, topics, store, conclude).",
            ["stage"],
            buckets=_SECONDS,
            registry=r,
        )
        self.dead_letters = Counter("worker_dead_letters", "Dead letters written, by error code.", ["code"], registry=r)
        self.reclaimed = Counter("worker_tasks_reclaimed", "Tasks taken over from a lost worker.", registry=r)
        self.parked = Counter("worker_tasks_parked", "Tasks put into a lane to let others pass.", registry=r)
        self.door_items = Counter(
            "worker_door_items", "Items taken into custody from the platform's lists, by door.", ["door"], registry=r
        )
        self.depth = Gauge("worker_queue_depth", "Tasks waiting, by priority.", ["priority"], registry=r)
        self.oldest = Gauge(
            "worker_queue_oldest_age_seconds", "Age of the oldest task waiting, by priority.", ["priority"], registry=r
        )
        self.lanes = Gauge("worker_queue_parked", "Tasks waiting in lanes.", registry=r)
        self.delayed = Gauge("worker_queue_delayed", "Tasks waiting for their time.", registry=r)
        self.dead = Gauge("worker_queue_dead_letters", "Dead letters kept.", registry=r)
        self.mentions = Counter(
            "worker_mentions",
            "Mentions by what became of them (stored, duplicate, rejected, synthetic).",
            ["outcome"],
            registry=r,
        )
        self.verdicts = Counter("worker_verdicts", "Verdicts by the tier that decided.", ["tier"], registry=r)
        self.degraded = Counter(
            "worker_verdicts_degraded", "Verdicts of tier 2 that tier 3 should have given.", registry=r
        )
        self.redis_outages = Counter(
            "worker_redis_outages", "Times the connection to Redis was lost and had to come back.", registry=r
        )
        self.pauses = Counter("worker_claim_pauses", "Times claiming rested, by reason.", ["reason"], registry=r)
        self.standby_changes = Counter(
            "worker_standby_changes", "Times the worker took over from or gave back to the primary.", ["to"], registry=r
        )
        self.standby_active = Gauge(
            "worker_standby_active", "1 while this worker stands in for the primary, 0 while it stands by.", registry=r
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[Span]:
        """A stage of a chunk, as a span and, when it comes to its end, in the histogram."""
        began = time.perf_counter()
        with span(name) as here:
            yield here
        self._stages.labels(name).observe(time.perf_counter() - began)

    def watch_state(self, states: Iterable[str], state: Callable[[], str]) -> None:
        """Show the worker's state, asked for at every scrape."""
        gauge = Gauge("worker_state", "1 for the state the worker is in.", ["state"], registry=self.registry)
        for one in states:
            gauge.labels(one).set_function(lambda one=one: float(state() == one))  # type: ignore[misc]

    def set_depths(
        self,
        waiting: Mapping[TaskPriority, int],
        ages: Mapping[TaskPriority, float],
        *,
        parked: int,
        delayed: int,
        dead: int,
    ) -> None:
        for priority, count in waiting.items():
            self.depth.labels(priority.value).set(count)
            self.oldest.labels(priority.value).set(ages[priority])
        self.lanes.set(parked)
        self.delayed.set(delayed)
        self.dead.set(dead)

    def render(self) -> bytes:
        return generate_latest(self.registry)
