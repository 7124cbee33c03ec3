"""Where a worker's event loop is when it does not come round: for whoever looks for the cause of a lag. Off unless
SOAK_STALLS is set.

A thread looks every few milliseconds. What it writes tells a loop that computes (it has used the processor meanwhile)
from one that others keep waiting: another thread that holds the interpreter, or another process that has the core.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

_TURN_SEC = 0.005
_LATE_SEC = 0.03
_WRITE_SEC = 30.0
_FRAMES = 7
_SHOWN = 30


class _Watch:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._main = threading.get_ident()
        self._turned = time.monotonic()
        self._used = 0.0
        self._stalls: Counter[str] = Counter()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        def turn() -> None:
            self._turned, self._used = time.monotonic(), time.thread_time()
            loop.call_later(_TURN_SEC, turn)

        turn()
        threading.Thread(target=self._look, name="stalls", daemon=True).start()

    def _look(self) -> None:
        clock = time.pthread_getcpuclockid(self._main)
        written, told = time.monotonic(), 0.0
        while True:
            time.sleep(_TURN_SEC)
            now, turned = time.monotonic(), self._turned
            late = now - turned - _TURN_SEC
            if late > _LATE_SEC and turned != told:
                told = turned
                self._note(late, time.clock_gettime(clock) - self._used)
            if now - written > _WRITE_SEC:
                written = now
                lines = [f"{count:5d}  {what}" for what, count in self._stalls.most_common(_SHOWN)]
                self._path.write_text("\n".join(lines) + "\n")

    def _note(self, late: float, used: float) -> None:
        frames = sys._current_frames()
        kind = "computes" if used > late / 2 else "is kept waiting"
        main = _where(frames.pop(self._main, None))
        others = [_where(frame) for ident, frame in frames.items() if ident != threading.get_ident()]
        busy = [one for one in others if "wait" not in one.rpartition(" > ")[2] and "threading.py" not in one]
        self._stalls[f"loop {kind}: {main}\n           beside: {' || '.join(busy[:2])}"] += 1


def _where(frame: Any) -> str:
    found = traceback.extract_stack(frame)[-_FRAMES:] if frame is not None else []
    return " > ".join(f"{Path(one.filename).name}:{one.name}:{one.lineno}" for one in found)


def watch(path: Path) -> None:
    """Attach to the event loop of this thread as soon as there is one."""
    made = asyncio.new_event_loop

    def attached() -> asyncio.AbstractEventLoop:
        loop = made()
        loop.call_soon(_Watch(path).attach, loop)
        return loop

    asyncio.set_event_loop_policy(_Policy(attached))


class _Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        asyncio.set_event_loop_policy(None)  # only the first loop is watched
        loop: asyncio.AbstractEventLoop = self._make()
        return loop
