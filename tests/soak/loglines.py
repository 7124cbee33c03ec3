"""Every warning and error of the worker's log gets a cause, or fails the run.

A cause is one of two: the load itself, which brings what the line speaks of on purpose (faults of models, pages that
are missing, malformed items), or an outage, in whose time or shortly after it the line was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LOUD = ("warning", "error", "critical")
AFTER_SEC = 45.0
"""How long after an outage its lines may come: a model's deadline of 30 s, a pause of a breaker, a retry."""
BY_LOAD: dict[str, str] = {
    "model call failed": "a tenth of the model's answers are faults",
    "a search source gave nothing": "a part of the outside world is missing or slow",
    "no advice of a model, the local analysis decides": "models had failed until time was up",
    "a topic keeps its name by phrases": "models had failed until time was up",
    "task will be tried again": "models or pages had failed",
    "task dead-lettered": "malformed items; dead letters are judged one by one",
}
"""Warnings that the load explains, by message."""
BY_OUTAGE: dict[str, tuple[str, ...]] = {
    "Redis is not available, trying again until it is": ("redis",),
    "MongoDB is not available, claiming rests": ("mongodb",),
    "MongoClient background task encountered an error:": ("mongodb",),
    "model calls are recorded later": ("mongodb",),
    "rate limit is not shared: Redis does not answer": ("redis",),
}
"""Further lines, explained inside an outage of one of these parts only; any other is explained by any outage."""
_DRIVERS = ("pymongo.",)
"""Libraries that tell an outage with a traceback."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a part was away, in epoch seconds."""

    name: str
    start: float
    end: float


@dataclass(slots=True)
class LogVerdict:
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By level, message and cause; the cause is empty where there is none."""
    unexplained: list[dict[str, Any]] = field(default_factory=list)


def judge_log(lines: Iterable[Mapping[str, Any]], windows: Sequence[Window]) -> LogVerdict:
    verdict = LogVerdict()
    for line in lines:
        if line["level"] not in LOUD:
            continue
        cause = _cause(line, windows)
        verdict.counts[line["level"], line["message"], cause] += 1
        if not cause:
            verdict.unexplained.append(dict(line))
    return verdict


def _cause(line: Mapping[str, Any], windows: Sequence[Window]) -> str:
    message = line["message"]
    if line["level"] == "warning" and message in BY_LOAD:
        return f"load: {BY_LOAD[message]}"
    if "exception" in line and not str(line.get("logger")).startswith(_DRIVERS):
        return ""  # a traceback of ours is a fault of ours, whenever it comes
    at = datetime.fromisoformat(line["timestamp"]).timestamp()
    wanted = BY_OUTAGE.get(message)
    for window in reversed(windows):  # where two are near, the later one
        if window.start - 1 <= at <= window.end + AFTER_SEC and (wanted is None or window.name in wanted):
            return f"outage: {window.name}"
    return ""
