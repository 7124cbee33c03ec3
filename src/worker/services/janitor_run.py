"""One run of the janitor: the lock, the steps in order, the report. Knows neither a terminal nor a schedule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from ..errors import QueueUnavailable, WorkerError
from ..janitor_seams import LockLost, Progress, Run, Step
from ..logging import get_logger
from ..queue_outputs import failure
from ..redis_client import RedisClient
from ..storage import Storage
from ..times import iso
from . import janitor_report
from .janitor_lock import Busy, JanitorLock
from .janitor_report import Report
from .janitor_stats import stats

log = get_logger(__name__)


class Outcome(StrEnum):
    DONE = "done"
    BUSY = "busy"
    """Another janitor was at work: nothing was done, and nothing is wrong."""
    STOPPED = "stopped"
    """Somebody asked for the end: what was begun is whole, the next run goes on."""
    FAILED = "failed"


class StopAsked(WorkerError):
    """Somebody asked the janitor to end."""

    code = "STOPPED"
    retryable = True


_ENDS_THE_RUN: Final = (LockLost, StopAsked)
"""After these no other step begins; any other failure is one step's own."""


class _Guard:
    """The fence that steps see: the lock, and the wish to end. What they do between two looks at it is whole."""

    def __init__(self, lock: JanitorLock, stop: asyncio.Event) -> None:
        self._lock = lock
        self._stop = stop

    @property
    def token(self) -> int:
        return self._lock.token

    async def hold(self) -> None:
        if self._stop.is_set():
            raise StopAsked("the janitor was asked to end")
        await self._lock.hold()


class _Unlocked:
    """For a run that changes nothing, not even the lock. A step that asks before it destroys has a fault there."""

    token: Final = 0

    async def hold(self) -> None:
        raise LockLost("a dry run may not change anything")


class Janitor:
    """`run()` never raises for what went wrong in it: that is in the report."""

    def __init__(
        self,
        client: RedisClient,
        storage: Storage,
        steps: Sequence[Step],
        *,
        clock: Callable[[], datetime],
        lock: Callable[[], JanitorLock],
    ) -> None:
        self._client = client
        self._storage = storage
        self._steps = steps
        self._clock = clock
        self._lock = lock

    async def run(self, *, dry_run: bool, progress: Progress, stop: asyncio.Event) -> Report:
        """Do all steps, or say that another janitor is at work. The report is kept in Redis, unless nothing was done.

        The report: `started_at`, `completed_at` (ISO 8601), `dry_run`, `token`, `outcome`, `success` (nothing failed),
        `error` (null, or code and message of what failed first), `steps`, one part under the name of each step that
        was done, `stats` before and after; `holder` when busy.
        """
        report = _begun(self._clock(), dry_run=dry_run)
        try:
            await (self._dry if dry_run else self._locked)(report, progress, stop)
        except WorkerError as error:
            _blame(report, error)
        except Exception as error:  # noqa: BLE001 - a fault of the code: said in the report, and in the log in full
            log.error("the janitor failed", exc=error)
            _blame(report, error)
        report["completed_at"] = iso(self._clock())
        if not dry_run and report["outcome"] != Outcome.BUSY:
            await self._save(report)
        return report

    async def _locked(self, report: Report, progress: Progress, stop: asyncio.Event) -> None:
        lock = self._lock()
        try:
            busy = await lock.acquire()
            if isinstance(busy, Busy):
                report["outcome"], report["holder"] = Outcome.BUSY.value, busy.holder
                return
            report["token"] = lock.token
            await self._all(report, Run(False, self._clock(), _Guard(lock, stop), progress))
        finally:
            await lock.release()

    async def _dry(self, report: Report, progress: Progress, stop: asyncio.Event) -> None:
        """Nothing is changed, so it can end anywhere."""
        work = asyncio.create_task(self._all(report, Run(True, self._clock(), _Unlocked(), progress)))
        asked = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
            await asyncio.wait({work, asked})
        if work.cancelled():
            raise StopAsked("the janitor was asked to end")
        work.result()

    async def _all(self, report: Report, run: Run) -> None:
        report["stats"]["before"] = await stats(self._client, self._storage)
        for step in self._steps:
            await self._one(report, step, run)
        report["stats"]["after"] = await stats(self._client, self._storage)

    async def _one(self, report: Report, step: Step, run: Run) -> None:
        began = time.perf_counter()
        entry: dict[str, Any] = {"name": step.name, "success": True}
        report["steps"].append(entry)
        try:
            report[step.name] = await step.run(run)
        except _ENDS_THE_RUN as error:
            entry |= {"success": False, "error": error.as_dict()}
            raise
        except WorkerError as error:
            log.error("a step of the janitor failed", step=step.name, problem=error.message)
            entry |= {"success": False, "error": error.as_dict()}
            _blame(report, error)
        except Exception as error:  # noqa: BLE001 - the other steps are still worth doing; the report says it
            log.error("a step of the janitor failed", exc=error, step=step.name)
            entry |= {"success": False, "error": failure(error)}
            _blame(report, error)
        finally:
            entry["seconds"] = round(time.perf_counter() - began, 3)

    async def _save(self, report: Report) -> None:
        try:
            await janitor_report.save(self._client, report)
        except QueueUnavailable as error:
            log.error("the janitor's report could not be kept", problem=error.message)
            _blame(report, error)


def _blame(report: Report, error: Exception) -> None:
    if isinstance(error, StopAsked):
        report["outcome"] = Outcome.STOPPED.value
        return
    report["outcome"], report["success"] = Outcome.FAILED.value, False
    report["error"] = report["error"] or failure(error)


def failed(error: WorkerError, *, began: datetime, ended: datetime, dry_run: bool) -> Report:
    """The report of a run that could not begin."""
    report = _begun(began, dry_run=dry_run)
    _blame(report, error)
    return report | {"completed_at": iso(ended)}


def _begun(at: datetime, *, dry_run: bool) -> Report:
    return {
        "started_at": iso(at),
        "dry_run": dry_run,
        "token": None,
        "outcome": Outcome.DONE.value,
        "success": True,
        "error": None,
        "steps": [],
        "stats": {"before": None, "after": None},
    }
