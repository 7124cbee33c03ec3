"""Metrics of the live stream. Label values are bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """On the registry of the process; label values are bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "worker_bluesky_stream_events",
            "Events of Bluesky's live stream: read, odd (no events), matched, left_out, private (authors who do not "
            "want strangers), repeated.",
            ["outcome"],
            registry=registry,
        )
        self.failures = Counter(
            "worker_bluesky_stream_failures", "Connections that ended, and faults.", registry=registry
        )
        self.listening = Gauge("worker_bluesky_stream_listening", "1 while this worker listens.", registry=registry)
        self.lag = Gauge(
            "worker_bluesky_stream_lag_seconds",
            "Age of the newest event that was handed on; 0 in workers that do not listen.",
            registry=registry,
        )
