"""Producers and readers in a thread with an event loop of their own, beside the main thread that drives the servers."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx

from tests.soak.generator import Generator
from tests.soak.producers import Producers, new_redis
from tests.soak.readers import Readers, Seen
from tests.soak.settings import Settings

_START_SEC = 120.0
"""The week before the run is handed over meanwhile."""
_JOIN_SEC = 60.0
_HTTP_SEC = 30.0
"""As patient as a browser: a page of history reads every mention of a week. How long answers took is in the report."""


class Crowd:
    """`start`, then `stop`. `ledger` and `seen` are read when it has ended."""

    def __init__(self, settings: Settings, *, redis_url: str, http_url: str) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._http_url = http_url
        self._loop = asyncio.new_event_loop()
        self._began = 0.0
        self._ready = threading.Event()
        self._over = threading.Event()
        self._stop: asyncio.Event | None = None
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self.made = Generator(settings.seed, settings.seconds)
        self._producers: Producers | None = None
        self.seen = Seen()

    @property
    def producers(self) -> Producers:
        assert self._producers is not None, "not started"
        return self._producers

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def producing(self) -> bool:
        self.check()
        return not self._over.is_set()

    def start(self) -> None:
        self._began = time.monotonic()  # the clock of what is sent before the run
        self._thread.start()
        assert self._ready.wait(_START_SEC), "the crowd does not start"
        self._began = time.monotonic()

    def hold(self) -> None:
        """Nobody sends anything new, and nobody again, until `go_on`."""
        self._loop.call_soon_threadsafe(self.producers.gate.clear)

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self.producers.gate.set)

    def stop(self) -> None:
        if self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_JOIN_SEC)
        assert not self._thread.is_alive(), "the crowd does not end"
        self.check()

    def check(self) -> None:
        """Raises what has ended the crowd early."""
        if self._problem is not None:
            raise AssertionError("a producer or reader has failed") from self._problem

    def _run(self) -> None:
        try:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._work())
        except BaseException as error:
            self._problem = error
        finally:
            self._over.set()
            self._loop.close()

    async def _work(self) -> None:
        self._stop = asyncio.Event()
        async with (
            httpx.AsyncClient(base_url=self._http_url, timeout=_HTTP_SEC) as http,
            new_redis(self._redis_url) as sending,
            new_redis(self._redis_url) as listening,
        ):
            self._producers = Producers(sending, http, self.made, self._settings.rate, lambda: self.elapsed)
            readers = Readers(http, listening)
            self.seen = readers.seen
            await self._producers.tell_history()
            self._ready.set()
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(readers.run())
                group.create_task(self._produce())
                await self._stop.wait()
                reading.cancel()

    async def _produce(self) -> None:
        await self.producers.run(self._settings.seconds)
        self._over.set()
