"""Work for the processor, off the event loop: one thread, because the interpreter runs one at a time anyway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Cpu:
    """Runs functions one after the other in a thread of its own."""

    def __init__(self) -> None:
        # NumPy's linear algebra reads this when it is loaded, which nobody does before. Its own threads spin while they
        # wait for the next small product: with them a mention took twice the processor's time (bench/analysis_load.py).
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cpu")

    async def run(self, function: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
