"""Bringing an archived day back, while no janitor is at work: it would put the day away again."""

from __future__ import annotations

from typing import Any

from ..errors import WorkerError
from .archive_restore import Restorer
from .janitor_lock import JanitorLock


class JanitorAtWork(WorkerError):
    """Nothing can be brought back at this moment."""

    code = "JANITOR_AT_WORK"
    retryable = True


async def restore(lock: JanitorLock, restorer: Restorer, brand: str, day: str) -> dict[str, Any]:
    """The report: `brand`, `day`, `success`, `restored` (figures; null when it failed) and `error` (null, or what)."""
    try:
        busy = await lock.acquire()
        if busy is not None:
            raise JanitorAtWork(f"a janitor is at work ({busy.holder}): try again when it has ended")
        done = await restorer.restore(brand, day)
    except WorkerError as error:
        return not_restored(brand, day, error)
    finally:
        await lock.release()
    return {"brand": brand, "day": day, "success": True, "restored": done.as_dict(), "error": None}


def not_restored(brand: str, day: str, error: WorkerError) -> dict[str, Any]:
    return {"brand": brand, "day": day, "success": False, "restored": None, "error": error.as_dict()}
