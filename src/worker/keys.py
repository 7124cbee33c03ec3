"""Names of the Redis keys of the worker's own. Names of the platform's keys depend on settings: `PlatformKeys`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .models import TaskPriority

GROUP: Final = "workers"
DELAYED: Final = "worker:delayed"
DEAD: Final = "worker:dead"
EVENTS: Final = "worker:events"
STREAMS: Final = {priority: f"worker:tasks:{priority.value}" for priority in TaskPriority}
"""The native queue: where producers add."""
PARKED_STREAMS: Final = {priority: f"worker:unparked:{priority.value}" for priority in TaskPriority}
"""Where a task that waited in a lane is held while it is executed; only the claim script adds to them."""
LANE_INDEXES: Final = {priority: f"worker:lanes:{priority.value}" for priority in TaskPriority}
"""Sorted sets: lanes that hold tasks, scored by when they were last served."""
LANE_PREFIX: Final = "worker:lane:"
DEDUP_PREFIX: Final = "worker:dedup:"
_ALL: Final = [(name, priority) for names in (STREAMS, PARKED_STREAMS) for priority, name in names.items()]
ALL_STREAMS: Final = tuple(name for name, _ in _ALL)
PRIORITY_OF_STREAM: Final = {name.encode(): priority for name, priority in _ALL}


def result(task_id: str) -> str:
    return f"worker:result:{task_id}"


def heartbeat(worker_id: str) -> str:
    return f"workers:heartbeat:{worker_id}"


def normalise_prefix(prefix: str) -> str:
    """One trailing colon, whatever the dialect of the deployment wrote.

    >>> normalise_prefix("queue:brand"), normalise_prefix("queue:brand::")
    ('queue:brand:', 'queue:brand:')
    """
    return prefix.strip().rstrip(":") + ":"


@dataclass(frozen=True, slots=True)
class PlatformKeys:
    """Keys shared with the neighbours (`brands:set`, queues, results). Prefixes end with exactly one colon."""

    queue_prefix: str = "queue:brand:"
    result_prefix: str = "result:brand:"
    brands: str = "brands:set"
    failed_prefix: str = "failed:brand:"

    def chunks(self, slug: str) -> str:
        return f"{self.queue_prefix}{slug}:chunks"

    def live(self, slug: str) -> str:
        return f"data:brand:{slug}:mentions"

    def results(self, slug: str) -> str:
        return f"{self.result_prefix}{slug}:chunks"

    def failed(self, slug: str) -> str:
        """Failure records of other workers (and of the orchestrator): read only when somebody asks for a retry."""
        return f"{self.failed_prefix}{slug}"

    def meta(self, slug: str) -> str:
        return f"brand:{slug}:meta"

    def batch_remaining(self, batch_id: str) -> str:
        return f"batch:{batch_id}:remaining"

    def slug_of(self, key: str) -> str | None:
        """The brand in the name of a chunk list or live list, None when the name is of another kind."""
        if key.startswith(self.queue_prefix) and key.endswith(":chunks"):
            return key[len(self.queue_prefix) : -len(":chunks")] or None
        if key.startswith("data:brand:") and key.endswith(":mentions"):
            return key[len("data:brand:") : -len(":mentions")] or None
        return None
