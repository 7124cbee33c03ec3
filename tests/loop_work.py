"""What an event loop's own thread works, turn by turn: for tests of whether something holds the loop up."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Work:
    """Processor time of the loop's thread, in seconds: whatever else the machine does is not in it. To be compared with
    the time of other work on the same machine, never with a number."""

    longest: float = 0.0
    """In one turn of the loop."""
    whole: float = 0.0


@asynccontextmanager
async def turns() -> AsyncIterator[Work]:
    """Watches the running loop while the block lasts."""
    work = Work()

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.002)
            took = time.thread_time() - before
            work.longest = max(work.longest, took)
            work.whole += took

    gc.disable()  # a collection over all that other tests have left is not of this work
    watching = asyncio.create_task(watch())
    try:
        yield work
        await asyncio.sleep(0.004)  # the last turn, which may have been the longest, is over
    finally:
        watching.cancel()
        gc.enable()
