"""Metrics of topics. Label values are bounded; never brands."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class TopicMetrics:
    """On the registry of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.placed = Counter(
            "worker_topics_mentions",
            "New mentions by what became of them (joined, began, noise, competitor, degraded).",
            ["outcome"],
            registry=registry,
        )
        self.flushes = Counter(
            "worker_topics_flushes",
            "Attempts to store the topics of a brand, by outcome (stored, conflict, failed).",
            ["outcome"],
            registry=registry,
        )
        self.discarded = Counter(
            "worker_topics_discarded",
            "Stored topics that could not be used: damaged, or of another embedding space.",
            registry=registry,
        )
        self.degraded = Counter(
            "worker_topics_degraded_chunks", "Chunks without topics because of the embeddings.", registry=registry
        )
        self.brands = Gauge("worker_topics_brands", "Brands whose topics are in memory.", registry=registry)
        self.unflushed = Gauge(
            "worker_topics_unflushed_mentions", "Mentions whose topics are not stored yet.", registry=registry
        )
        self.names = Counter(
            "worker_topics_named",
            "Topics that a model was asked to name (named, failed).",
            ["outcome"],
            registry=registry,
        )
