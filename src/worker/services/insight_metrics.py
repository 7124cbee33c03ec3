"""Metrics of folding. Label values are bounded."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

_SEVERITIES: Final = ("insufficient_history", "watch", "warning", "critical", "recovered")


class InsightMetrics:
    """On the registry of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.folds = Counter(
            "worker_insight_folds",
            "Attempts to change a brand's state, by outcome (folded, advanced, conflict, failed).",
            ["outcome"],
            registry=registry,
        )
        self.chunks = Counter("worker_insight_chunks", "Chunks folded into states of brands.", registry=registry)
        self.refused = Counter(
            "worker_insight_refused",
            "What could not be used: contributions that cannot be read, outputs that Redis refused.",
            ["what"],
            registry=registry,
        )
        self.lag = Gauge(
            "worker_insight_fold_lag_seconds", "Age of the oldest chunk that waits for being folded.", registry=registry
        )
        self.waiting = Gauge("worker_insight_waiting_chunks", "Chunks that wait for being folded.", registry=registry)
        self.late = Counter(
            "worker_insight_late_mentions",
            "Mentions over an hour older than the newest of their brand: volume, but in no baseline.",
            registry=registry,
        )
        self.spikes = Counter("worker_insight_spikes", "Spikes raised.", registry=registry)
        self.crises = Counter("worker_insight_crises", "Crises told, by severity.", ["severity"], registry=registry)
        for severity in _SEVERITIES:
            self.crises.labels(severity)
