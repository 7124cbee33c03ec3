"""The platform's lists as doors into the queue: which task an item of a list is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .keys import PlatformKeys
from .models import TaskPriority

ANALYZE: Final = "analyze_mentions"


@dataclass(frozen=True, slots=True)
class Door:
    """One kind of list."""

    name: str
    """Short name for metrics and logs."""
    priority: TaskPriority
    task_type: str | None
    """The type of every item; None where items name their own."""
    typed: bool
    """Items are tasks (with `type`, or of the door's one type), not mentions, chunks or envelopes."""


CHUNKS: Final = Door("chunks", TaskPriority.NORMAL, ANALYZE, typed=False)
LIVE: Final = Door("live", TaskPriority.NORMAL, ANALYZE, typed=False)
TASK_LISTS: Final = {
    "tasks:priority": Door("tasks_priority", TaskPriority.HIGH, None, typed=True),
    "tasks:standard": Door("tasks_standard", TaskPriority.NORMAL, None, typed=True),
    "tasks:web_scan": Door("web_scan", TaskPriority.NORMAL, "web_scan", typed=True),
    "queue:competitor_detection": Door("competitor_detection", TaskPriority.NORMAL, "competitor_detection", typed=True),
}
"""Lists with one fixed name each (platform contract 1.1), in the order in which the older workers served them."""


def door_of(key: str, keys: PlatformKeys) -> tuple[Door, str | None] | None:
    """The door a list is, and the brand in its name; None for a key that is no door (a producer's own field)."""
    fixed = TASK_LISTS.get(key)
    if fixed is not None:
        return fixed, None
    slug = keys.slug_of(key)
    if slug is None:
        return None
    return (LIVE if key == keys.live(slug) else CHUNKS), slug
