"""The types that flow through the worker. Validation happens once, at the door; inside, types are trusted.

Everything here is data: no I/O, no clock. Times are timezone-aware UTC `datetime`s unless a name ends in `_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from .times import from_ms
from .trace_context import TraceContext


class TaskPriority(StrEnum):
    """Priority of a queue task. The order of the members is the order of urgency."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class TaskStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SentimentLabel(StrEnum):
    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Intent(StrEnum):
    HOT_LEAD = "HOT_LEAD"
    CHURN_RISK = "CHURN_RISK"
    BUG_REPORT = "BUG_REPORT"
    FEATURE_REQUEST = "FEATURE_REQUEST"
    PRAISE = "PRAISE"
    GENERAL = "GENERAL"


class StrategicTag(StrEnum):
    OPPORTUNITY_TO_STEAL = "OPPORTUNITY_TO_STEAL"
    CRITICAL_ALERT = "CRITICAL_ALERT"
    NONE = "NONE"


class Priority(StrEnum):
    """Priority of a mention, in the form the frontend shows."""

    P0_CRITICAL = "P0_CRITICAL"
    P1_HIGH = "P1_HIGH"
    P2_MEDIUM = "P2_MEDIUM"
    P3_LOW = "P3_LOW"


class Urgency(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class TimeSource(StrEnum):
    """Where a mention's `created_at` comes from."""

    EVENT = "event"
    """The producer said when the mention was written."""
    RECEIVED = "received"
    """The producer gave no time, or none that can be read: the time the item reached the queue."""


@dataclass(frozen=True, slots=True)
class Sentiment:
    """`score` in -1..1; `label` is derived from it by the tier that judged."""

    label: SentimentLabel
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """Something named in a text, e.g. `Entity("handle", "@acme")`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Mention:
    """One post about a brand, normalised. `text` is the original for people and models; `canonical` is for matching."""

    id: str
    brand: str
    text: str
    canonical: str
    content_hash: str
    source: str
    created_at: datetime
    time_source: TimeSource
    author: str | None = None
    url: str | None = None
    author_followers: int = 0
    influence_score: float = 0.0
    competitor: str | None = None
    """Name of the competitor the mention is about; None when it is about the brand itself."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the door had to mend or could not read, e.g. `timestamp_unreadable`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the worker thinks of one mention, which tier decided, and why."""

    sentiment: Sentiment
    intent: Intent
    intent_confidence: float
    emotions: Mapping[str, float]
    urgency: Urgency
    priority: Priority
    strategic_tag: StrategicTag
    is_sarcastic: bool
    topics: tuple[str, ...]
    entities: tuple[Entity, ...]
    lead_score: int
    relevant: bool
    tier: int
    reasons: tuple[str, ...]
    confidence: float
    degraded: bool = False
    llm: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Analysed:
    """A mention with its verdict."""

    mention: Mention
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item of a chunk that cannot be used: where it stood and why, naming the field."""

    index: int
    reason: str
    item: Any


@dataclass(frozen=True, slots=True)
class Chunk:
    """A batch of raw mentions of one brand, whatever shape it came in."""

    brand: str
    chunk_id: str
    items: tuple[Any, ...]
    keywords: tuple[str, ...] = ()
    envelope_id: str | None = None
    batch_id: str | None = None
    org_id: str | None = None


class Task(NamedTuple):
    """One unit of work from any door. `payload` holds the fields of the task's type.

    A named tuple, because one is made for every task: a frozen dataclass of this size costs four times as much.
    """

    id: str
    type: str
    payload: Mapping[str, Any]
    brand: str | None
    priority: TaskPriority
    attempt: int
    received_ms: int
    """Epoch milliseconds at which the queue first had it."""
    dedup_key: str | None = None
    deadline_ms: int | None = None
    door: str | None = None
    """The list it came from; None for the native streams and REST."""
    entry: str = ""
    """Id of its first entry in the queue: the same through deliveries and retries, another when a producer sends a task
    of the same id again. Empty: not from the queue."""
    replayed: bool = False
    """It had failed for good, and an operator has sent it back."""
    trace: TraceContext | None = None
    """Of whoever sent it."""

    @property
    def received_at(self) -> datetime:
        return from_ms(self.received_ms)
