"""Errors with fields. What went wrong, whose fault it is, and whether another try can help, without parsing a text.

Every error of the worker says in its own class whether the queue may try again (`retryable`) and whether that try
counts against the task (`counts_attempt`): a task is not to blame for a database that is down.
"""

from __future__ import annotations

from typing import Any

from .secrecy import without_known


class WorkerError(Exception):
    """Base of the worker's own errors."""

    code: str = "INTERNAL"
    retryable: bool = False
    counts_attempt: bool = True

    def __init__(self, message: str, *, not_before_sec: float | None = None) -> None:
        # Drivers' and servers' own words stand in messages, and messages go into logs, records, answers and letters.
        message = without_known(message)
        super().__init__(message)
        self.message = message
        self.not_before_sec = not_before_sec
        """Seconds before which another try is of no use, where whoever refused has said so."""

    def as_dict(self) -> dict[str, Any]:
        """The form that goes into dead letters, result records and problem documents."""
        return {"code": self.code, "message": self.message, "retryable": self.retryable}


class InvalidTask(WorkerError):
    """Input that can never be processed as it is. `field` is a path such as `mentions[3].text`."""

    code = "VALIDATION_ERROR"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "field": self.field}


class StorageUnavailable(WorkerError):
    """MongoDB cannot be reached or does not answer in time."""

    code = "STORAGE_UNAVAILABLE"
    retryable = True
    counts_attempt = False


class QueueUnavailable(WorkerError):
    """Redis cannot be reached or does not answer in time."""

    code = "QUEUE_UNAVAILABLE"
    retryable = True
    counts_attempt = False


class TaskTimeout(WorkerError):
    """A task ran longer than it may."""

    code = "TIMEOUT"
    retryable = True


class DeadlinePassed(WorkerError):
    """The producer's own deadline for the task is over; the work would be of no use to it."""

    code = "DEADLINE_PASSED"


class WorkerLost(WorkerError):
    """The worker that held the task died or lost its lease, more often than a task may be tried."""

    code = "WORKER_LOST"


class ConfigError(WorkerError):
    """A setting that cannot be used. The message is one line that names the variable and what is allowed."""

    code = "CONFIG"
