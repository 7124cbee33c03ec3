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
PRIORITY_OF_STREAM: Final = {name.encode(): priority for priority, name in STREAMS.items()}


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

    def chunks(self, slug: str) -> str:
        return f"{self.queue_prefix}{slug}:chunks"

    def results(self, slug: str) -> str:
        return f"{self.result_prefix}{slug}:chunks"

    def meta(self, slug: str) -> str:
        return f"brand:{slug}:meta"

    def slug_of_chunks(self, key: str) -> str | None:
        """The slug in a chunk list's name, None when the name is of another kind."""
        if key.startswith(self.queue_prefix) and key.endswith(":chunks"):
            return key[len(self.queue_prefix) : -len(":chunks")] or None
        return None
