"""What happens now, for all who watch: one look per second for all of them together, none while nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..logging import get_logger
from ..supervision import keep_running
from .finished_tasks import Finished

log = get_logger(__name__)

LISTENERS_MAX: Final = 50
"""Per process. Each costs a message of two kilobytes per second; a proxy serves a larger audience."""
_TICK_SEC: Final = 1.0
_BEHIND_MAX: Final = 20
"""Messages (two kinds per tick, so ten seconds) that may wait for a listener; who is further behind is let go."""
_CLOSE_SEC: Final = 2.0


class Figures(Protocol):
    async def figures(self) -> dict[str, Any]:
        """The present figures, strict JSON."""
        ...


class Events(Protocol):
    """As `FinishedTasks`."""

    async def run(self) -> None: ...
    def take(self) -> Finished: ...
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    """`overview` or `tasks`."""
    data: Mapping[str, Any]


class Listener:
    """One who watches. `next()` until it is None."""

    __slots__ = ("_messages", "over")

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.over = False

    async def next(self) -> Message | None:
        """The next message, None when there will be no more."""
        return await self._messages.get()

    def tell(self, message: Message) -> bool:
        """False: too far behind, it has been let go."""
        if self._messages.qsize() >= _BEHIND_MAX:
            self.end()
            return False
        self._messages.put_nowait(message)
        return True

    def end(self) -> None:
        """Nothing that waits is delivered any more."""
        if not self.over:
            self.over = True
            while not self._messages.empty():
                self._messages.get_nowait()
            self._messages.put_nowait(None)


class LiveFeed:
    """`join` and `leave` by the route, `stop` at the end of the process. Built without an event loop."""

    def __init__(
        self,
        figures: Figures,
        events: Callable[[], Events],
        *,
        listeners_max: int = LISTENERS_MAX,
        tick_sec: float = _TICK_SEC,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`events` makes a new subscription, for each time in which anybody watches."""
        self._figures = figures
        self._events = events
        self._max = listeners_max
        self._tick_sec = tick_sec
        self._sleep = sleep
        self._listeners: set[Listener] = set()
        self._loop: asyncio.Task[None] | None = None
        self._stopped = False

    def join(self) -> Listener | None:
        """None: there is no room, or the process is about to end."""
        if self._stopped or len(self._listeners) >= self._max:
            return None
        listener = Listener()
        self._listeners.add(listener)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._run(), name="live-feed")
        return listener

    def leave(self, listener: Listener) -> None:
        listener.end()
        self._listeners.discard(listener)
        if not self._listeners:
            self._end_loop()

    def stop(self) -> None:
        """End all streams; nobody joins any more. The HTTP server could not end while they are open."""
        self._stopped = True
        for listener in self._listeners:
            listener.end()
        self._end_loop()

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()

    async def _run(self) -> None:
        events = self._events()
        reading = asyncio.create_task(keep_running("live-feed-events", events.run), name="live-feed-events")
        try:
            while True:
                await self._look(events)
                await self._sleep(self._tick_sec)
        except Exception as error:  # noqa: BLE001 - listeners must be told to come again, whatever it was
            log.error("the live feed has ended by itself", exc=error)
            for listener in self._listeners:
                listener.end()
        finally:
            events.end()
            reading.cancel()
            await asyncio.wait({reading}, timeout=_CLOSE_SEC)

    async def _look(self, events: Events) -> None:
        figures = await self._figures.figures()
        heard = events.take()
        rate = None if heard.per_sec is None else round(heard.per_sec, 1)
        finished = {"perSec": rate, "atLeast": heard.at_least, "reason": heard.problem}
        messages = [Message("overview", {**figures, "finished": finished})]
        if heard.newest:
            messages.append(Message("tasks", {"items": list(heard.newest), "unseen": heard.unseen}))
        for message in messages:
            for listener in list(self._listeners):
                if not listener.tell(message):
                    self._listeners.discard(listener)
                    log.info("a listener of the live feed was too slow and has been let go")
