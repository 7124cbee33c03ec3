"""What an operator does at the command line, in the same audit log as what is done over REST."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import CommandProblem, note
from .brands import mongodb_uri

if TYPE_CHECKING:
    from ..config import Settings
    from ..services.audit import AuditRecord


async def record_action(settings: Settings, action: str, outcome: str, details: Mapping[str, Any]) -> None:
    """Write one record (`action`: `dead.replay`; `outcome`: `done` or `failed`); three seconds at most.

    The action is not undone for a MongoDB that is away (operators mend outages with it): its record is then a line on
    standard error, which says why.
    """
    from ..services.audit import AuditRecord  # MongoDB's driver; of no use to commands that only look

    record = AuditRecord(action, outcome, actor=_actor(), details=details)
    try:
        problem = await _written(mongodb_uri(settings), record)
    except CommandProblem as unknown:
        problem = unknown.message
    if problem is not None:
        note(f"audit {json.dumps(record.fields())} is not in the audit log: {problem}")


async def _written(uri: str, record: AuditRecord) -> str | None:
    """What was in the way, None for nothing."""
    from prometheus_client import CollectorRegistry

    from ..services.audit import AuditLog
    from ..storage import Storage

    storage = Storage(uri)
    try:
        audit = AuditLog(
            storage, CollectorRegistry(), worker_id=f"cli@{socket.gethostname()}", clock=lambda: datetime.now(UTC)
        )
        audit.record(record)
        await audit.close()
        return "MongoDB did not take it" if audit.lost else None
    finally:
        storage.close()


def _actor() -> str:
    """The colon sets it apart from names of keys, which have none."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:{os.getuid()}"
