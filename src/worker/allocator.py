"""The C library's allocator, told to give memory back: there are some twenty threads, and single tasks of megabytes.

glibc gives every thread that finds the others busy an arena of its own, up to eight for each core. What is freed in an
arena stays there, so that each has to grow to the most that its threads ever needed at once. Python's threads hardly
ever allocate at the same time, as they hold the interpreter for it: two arenas serve them as well.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Names of mallopt(3); numbers of glibc's malloc.h."""
_ARENAS: Final = 2
_OWN_MAPPING_BYTES: Final = 256 * 1024
"""From this size on a block is mapped alone and leaves the process when it is freed. Twice glibc's beginning; glibc
itself raises it to the largest block that was ever freed (to 32 MB), after which such blocks leave holes in arenas."""
_TRIM_SEC: Final = 2.0
"""Giving back takes 0.2 to 1.5 ms of a thread, without the interpreter's lock: nothing beside a task's bursts."""
_PURGE_TURNS: Final = 30
"""A minute. `re` remembers the last 512 patterns, also those made for one brand and one question, of some 10 kB each;
who uses one again and again holds it anyway."""


def bound_arenas() -> bool:
    """Before any thread is started. False: another C library (musl, macOS), which has no arenas to bound.

    MALLOC_ARENA_MAX and its like, which glibc reads before any code of ours runs, are overruled.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    gnu = getattr(ctypes.CDLL(None), "gnu_get_libc_version", None)
    if mallopt is None or gnu is None:  # musl has a mallopt that takes nothing
        return False
    wanted = ((_M_ARENA_MAX, _ARENAS), (_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES))
    return all(mallopt(name, value) == 1 for name, value in wanted)


def trim() -> bool:
    """Return whole pages of freed blocks to the system, from the middle of arenas, too. False: another C library.

    By itself glibc returns only what is free at an arena's end, where one small block that stays keeps megabytes.
    """
    if sys.platform != "linux":
        return False
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True


async def keep_trimming(*, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Every few seconds, in a thread, as far as the C library can; now and then patterns that only `re` remembers."""
    can, turns = True, 0
    while True:
        can = can and await asyncio.to_thread(trim)
        await sleep(_TRIM_SEC)
        turns += 1
        if turns % _PURGE_TURNS == 0:
            re.purge()
