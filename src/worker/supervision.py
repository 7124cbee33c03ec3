"""Background work that has to go on: a loop that breaks is said at once, and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .logging import get_logger

log = get_logger(__name__)

AGAIN_SEC: Final = 15.0
"""A fault of the code comes back: four lines a minute are seen, and flood nothing."""


async def keep_running(
    name: str,
    loop: Callable[[], Awaitable[None]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Run a loop until it returns or is cancelled; whatever else ends it is logged with its cause.

    For loops that know the outages they expect, and meet what nobody foresaw: without this it would be said only when
    the process ends, if ever.
    """
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - supervision: said loudly, and the loop begins again
            log.error("background work has broken and begins again", exc=error, part=name, in_sec=AGAIN_SEC)
            await sleep(AGAIN_SEC)
        else:
            return
