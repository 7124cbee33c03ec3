"""`noop`: returns its payload. For checks of the queue itself."""

from __future__ import annotations

from ..models import Task
from . import HandlerResult


async def noop(task: Task) -> HandlerResult:
    return HandlerResult(dict(task.payload))
