"""One run of the archive in a process of its own, as the janitor makes it: `python -m bench._janitor_run URI DIR NOW`.

Prints one JSON object: the step's report, seconds, and the most memory the process has used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import datetime
from pathlib import Path

from src.worker.config import load_settings
from src.worker.janitor_seams import Run
from src.worker.services.archive_open import Archive
from src.worker.storage import Storage


class _Open:
    """A lock that nobody contests."""

    token = 1

    async def hold(self) -> None:
        return None


class _Quiet:
    def total(self, name: str, count: int) -> None:
        return None

    def advance(self, name: str, count: int = 1) -> None:
        return None


async def _run(uri: str, directory: str, now: datetime) -> dict[str, object]:
    settings = load_settings(_env_file=None, archive_url=f"file://{directory}")
    storage = Storage(uri)
    archive = Archive(settings, storage, None, clock=lambda: now)
    began = time.perf_counter()
    report = await archive.step().run(Run(False, now, _Open(), _Quiet()))
    seconds = time.perf_counter() - began
    archive.close()
    storage.close()
    return {**report, "seconds": seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory this process has held. Not `ru_maxrss`: across an exec that keeps the peak of the parent, which
    holds the documents that are to be compared."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3])))))
