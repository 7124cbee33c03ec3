"""From the bytes of a queue entry to a `Task`: the one place where a task's envelope is checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from . import trace_context
from .errors import InvalidTask
from .models import Task, TaskPriority
from .times import parse_time, to_ms

_ID: Final = re.compile(r"[\w.:@/+=-]{1,200}")
"""Ids become part of Redis keys and URLs: no spaces, no control characters, bounded."""
_TYPE_MAX: Final = 100
_DEDUP_MAX: Final = 500
BRAND_MAX: Final = 200
ALIASES: Final = {"cluster_mentions": "analyze_mentions"}


def parse_task(
    document: Any,
    *,
    fallback_id: str,
    received_ms: int,
    stream_priority: TaskPriority,
    attempt: int = 1,
    door: str | None = None,
    door_type: str | None = None,
    entry: str = "",
    replayed: bool = False,
) -> Task:
    """Check the envelope of a task.

    Fields of the type may stand at top level or in `payload`; where both have one, `payload` wins.

    Args:
        door_type: the type of a task that names none, where its door has only one.

    Raises:
        InvalidTask: its `field` names what is missing or of a wrong type.
    """
    if not isinstance(document, dict):
        raise InvalidTask("task", f"must be a JSON object, not {json_kind(document)}")
    fields = dict(document)
    pop = fields.pop
    kind = pop("type", door_type)
    if type(kind) is not str or not kind:
        raise InvalidTask("type", "is required" if kind is None else f"must be text, not {json_kind(kind)}")
    if len(kind) > _TYPE_MAX:
        raise InvalidTask("type", f"is longer than {_TYPE_MAX} characters")
    identity, brand, priority = pop("id", None), pop("brand", None), pop("priority", None)
    dedup_key, deadline, inner = pop("dedupKey", None), pop("deadline", None), pop("payload", None)
    pop("runAt", None)
    trace = trace_context.take(fields)
    if inner is not None:
        if not isinstance(inner, dict):
            raise InvalidTask("payload", f"must be an object, not {json_kind(inner)}")
        fields.update(inner)
        brand = fields.get("brand") if brand is None else brand
    return Task(
        fallback_id if identity is None else _identity(identity),
        ALIASES.get(kind, kind),
        fields,
        None if brand is None else brand_field(brand),
        stream_priority if priority is None else _priority(priority),
        attempt,
        received_ms,
        None if dedup_key is None else _short_text("dedupKey", dedup_key, _DEDUP_MAX),
        None if deadline is None else to_ms(_time("deadline", deadline)),
        door,
        entry,
        replayed,
        trace,
    )


def task_id(document: Mapping[str, Any], fallback: str) -> str:
    """The id a document gives itself, checked."""
    value = document.get("id")
    return fallback if value is None else _identity(value)


def run_at(document: Mapping[str, Any]) -> datetime | None:
    """The moment before which a task is not to run."""
    value = document.get("runAt")
    return None if value is None else _time("runAt", value)


def brand_field(value: Any) -> str | None:
    """The name of a brand as a task gives it, trimmed; None: not given. Raises `InvalidTask`."""
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


def _identity(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidTask("id", f"must be text, not {json_kind(value)}")
    if not _ID.fullmatch(value):
        raise InvalidTask("id", "must be 1 to 200 letters, digits or . _ : @ / + = -")
    return value


def _priority(value: Any) -> TaskPriority:
    try:
        return TaskPriority(value)
    except ValueError:
        raise InvalidTask("priority", f"must be one of {', '.join(TaskPriority)}") from None


def _time(name: str, value: Any) -> datetime:
    when = parse_time(value)
    if when is None:
        raise InvalidTask(name, "must be an ISO 8601 time or epoch milliseconds")
    return when


def _short_text(name: str, value: Any, limit: int) -> str:
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
