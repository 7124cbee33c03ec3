"""How a process is asked to end: by SIGINT or SIGTERM, the first time in order, the second time at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys


def stop_on_signals(stop: asyncio.Event, *, finishing: str) -> None:
    """The first signal sets `stop`, the second ends the process with 128 + its number. For the loop that runs.

    Ending at once loses nothing: what was under way is taken up again by whoever comes next.

    Args:
        finishing: what an orderly end still does, for the line on standard error.
    """

    def handle(signum: int) -> None:
        if stop.is_set():
            os._exit(128 + signum)
        print(f"stopping: finishing {finishing} (again to stop at once)", file=sys.stderr, flush=True)
        stop.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, handle, signum)
