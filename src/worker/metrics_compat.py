"""Names that dashboards of the platform's earlier workers know, without their labels `worker_id` and `brand`.

Those two made a series per brand and restart, without end. Derived from what is counted anyway when somebody asks;
docs/operations.md says what stands for the names that are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CHUNKS: Final = "analyze_mentions"
REASONS: Final = ("validation", "processing")
"""`json_decode` is not among them: what cannot be read names no type, and is in `worker_dead_letters_total`."""


class Durations(Protocol):
    """A histogram's one series."""

    total: float

    def cumulative(self) -> Sequence[tuple[str, float]]: ...


class OlderNames(Collector):
    """`failed` by reason; `run` gives the durations of chunks, None before the first."""

    def __init__(
        self,
        executions: Mapping[tuple[str, str], int],
        failed: Mapping[str, int],
        run: Callable[[], Durations | None],
    ) -> None:
        self._executions = executions
        self._failed = failed
        self._run = run

    def collect(self) -> Iterable[Metric]:
        processed = CounterMetricFamily(
            "worker_chunks_processed",
            "Chunks of mentions processed (older name of worker_tasks_total).",
            value=self._executions.get((CHUNKS, "succeeded"), 0),
        )
        failed = CounterMetricFamily(
            "worker_chunks_failed",
            "Chunks of mentions that failed for good, by reason (older name of worker_tasks_total).",
            labels=["reason"],
        )
        for reason in REASONS:
            failed.add_metric([reason], self._failed.get(reason, 0))
        seconds = HistogramMetricFamily(
            "worker_processing_time_seconds",
            "Run time of a chunk of mentions (older name of worker_task_duration_seconds).",
        )
        run = self._run()
        if run is not None:
            seconds.add_metric([], run.cumulative(), run.total)
        return [processed, failed, seconds]
