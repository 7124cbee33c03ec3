"""From the bytes of a queue entry to a `Task`: the one place where a task's envelope is checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from .errors import InvalidTask
from .models import Task, TaskPriority
from .times import parse_time

_ID: Final = re.compile(r"^[\w.:@/+=-]{1,200}$")
"""Ids become part of Redis keys and URLs: no spaces, no control characters, bounded."""
_TYPE_MAX: Final = 100
_DEDUP_MAX: Final = 500
BRAND_MAX: Final = 200
_ENVELOPE: Final = frozenset({"type", "id", "brand", "priority", "dedupKey", "runAt", "deadline", "payload"})
ALIASES: Final = {"cluster_mentions": "analyze_mentions"}


def parse_task(
    document: Any,
    *,
    fallback_id: str,
    received_at: datetime,
    stream_priority: TaskPriority,
    attempt: int = 1,
) -> Task:
    """Check the envelope of a native task.

    Fields of the type may stand at top level or in `payload`; where both have one, `payload` wins.

    Raises:
        InvalidTask: its `field` names what is missing or of a wrong type.
    """
    if not isinstance(document, dict):
        raise InvalidTask("task", f"must be a JSON object, not {json_kind(document)}")
    kind = document.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidTask("type", "is required" if kind is None else f"must be text, not {json_kind(kind)}")
    if len(kind) > _TYPE_MAX:
        raise InvalidTask("type", f"is longer than {_TYPE_MAX} characters")
    inner = document.get("payload")
    if inner is not None and not isinstance(inner, dict):
        raise InvalidTask("payload", f"must be an object, not {json_kind(inner)}")
    payload = {name: value for name, value in document.items() if name not in _ENVELOPE}
    if inner:
        payload.update(inner)
    return Task(
        id=task_id(document, fallback_id),
        type=ALIASES.get(kind, kind),
        payload=payload,
        brand=brand_field(document.get("brand", payload.get("brand"))),
        priority=priority_field(document, stream_priority),
        attempt=attempt,
        received_at=received_at,
        dedup_key=_short_text(document, "dedupKey", _DEDUP_MAX),
        deadline=time_field(document, "deadline"),
    )


def task_id(document: Mapping[str, Any], fallback: str) -> str:
    value = document.get("id")
    if value is None:
        return fallback
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidTask("id", f"must be text, not {json_kind(value)}")
    if not _ID.match(value):
        raise InvalidTask("id", "must be 1 to 200 letters, digits or . _ : @ / + = -")
    return value


def brand_field(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTask("brand", f"must be text, not {json_kind(value)}")
    if not value.strip():
        raise InvalidTask("brand", "is empty")
    if len(value) > BRAND_MAX:
        raise InvalidTask("brand", f"is longer than {BRAND_MAX} characters")
    if not slug_of(value):
        raise InvalidTask("brand", "has no letter and no digit")
    return value.strip()


def priority_field(document: Mapping[str, Any], default: TaskPriority) -> TaskPriority:
    value = document.get("priority")
    if value is None:
        return default
    try:
        return TaskPriority(value)
    except ValueError:
        raise InvalidTask("priority", f"must be one of {', '.join(TaskPriority)}") from None


def time_field(document: Mapping[str, Any], name: str) -> datetime | None:
    value = document.get(name)
    if value is None:
        return None
    when = parse_time(value)
    if when is None:
        raise InvalidTask(name, "must be an ISO 8601 time or epoch milliseconds")
    return when


def _short_text(document: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTask(name, f"must be text, not {json_kind(value)}")
    if not 1 <= len(value) <= limit:
        raise InvalidTask(name, f"must be 1 to {limit} characters")
    return value


def json_kind(value: Any) -> str:
    """The name a producer knows a value's type by."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, list) else "an object"


def slug_of(brand: str) -> str:
    """The form of a brand's name that keys and collections use: lower case, words joined by hyphens.

    >>> slug_of("Acme Corp."), slug_of("acme-corp")
    ('acme-corp', 'acme-corp')
    """
    return re.sub(r"[^\w]+", "-", brand.strip().lower()).strip("-_")


def entry_time(entry_id: str) -> datetime:
    """When Redis accepted a stream entry: the milliseconds its id begins with."""
    return datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
