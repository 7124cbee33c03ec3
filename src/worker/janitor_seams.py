"""Between the janitor and the kinds of work it does: what a step is, and what a run gives it.

A step knows neither Redis' lock nor a terminal: it is told whether it may destroy (`dry_run`), asks before every
destruction whether the lock is still its own (`fence`), and says how far it is (`progress`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from .errors import WorkerError


class LockLost(WorkerError):
    """The janitor's lock is not ours any more: somebody else may be at work, nothing more may be destroyed."""

    code = "LOCK_LOST"
    retryable = True


class Fence(Protocol):
    """The lock a run holds."""

    @property
    def token(self) -> int:
        """Number of this run: larger than that of every run before it."""
        ...

    async def hold(self) -> None:
        """Called before every destructive step. Raises `LockLost` when the lock is not ours any more."""
        ...


class Progress(Protocol):
    """How far the steps of a run are."""

    def total(self, name: str, count: int) -> None:
        """`count` items are to be done under this name; may be told again when more is known."""
        ...

    def advance(self, name: str, count: int = 1) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the janitor. `now` (UTC) is the one moment all ages of the run are measured from."""

    dry_run: bool
    now: datetime
    fence: Fence
    progress: Progress


class Step(Protocol):
    """One kind of work of a janitor's run."""

    @property
    def name(self) -> str: ...

    async def run(self, run: Run) -> dict[str, Any]:
        """Do it, and return its part of the report (JSON values only). Raises `WorkerError`."""
        ...
