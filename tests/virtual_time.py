"""An event loop whose clock leaps to the next moment that anything waits for.

What the code under test waits for takes no time here, and what the machine takes is not counted: a test may say exactly
how long something waited, and a machine that stalls for seconds changes nothing of it. A module takes this loop with

    @pytest.fixture
    def anyio_backend() -> Backend:
        return VIRTUAL

and gives the code under test the clock of the loop. Not for tests with real connections: a time limit would run out
before any answer could come.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

Backend = tuple[str, dict[str, Any]]

_BEGIN = 1_000.0
"""Not nought, which is what a clock says that nobody has set."""


class _Leaping(selectors.DefaultSelector):
    """Instead of waiting until something is due, makes it that time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _BEGIN
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.in_threads:  # work that takes no virtual time: nothing comes due before it is done
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its `time()` is that of what is waited for, in seconds."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now

    def pass_by(self, seconds: float) -> None:
        """Something holds the loop up for so long."""
        self._leaping.now += seconds

    def run_in_executor(  # type: ignore[override]  # the stubs' form needs type variables that say nothing here
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._leaping.in_threads += 1
        future.add_done_callback(self._back)
        return future

    def _back(self, _: asyncio.Future[Any]) -> None:
        self._leaping.in_threads -= 1


VIRTUAL: Backend = ("asyncio", {"loop_factory": VirtualTimeLoop})


def pass_by(seconds: float) -> None:
    """The virtual loop that runs is held up for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.pass_by(seconds)


def clock() -> float:
    """The time of the loop that runs, virtual or not."""
    return asyncio.get_running_loop().time()
