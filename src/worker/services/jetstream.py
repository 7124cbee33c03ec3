"""Listens to the live stream of Bluesky (Jetstream) for the brands that are watched.

One worker listens, under a lease; the others stand by. Every few seconds what was matched is handed on as chunk tasks
together with the cursor, so a reconnect, a restart or another worker goes on where the last batch ended. Nothing is
buffered beyond a batch: while Redis or the analysis is slow, the stream waits in its connection, and what the server
then gives up sending is read again from the cursor.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry

from ..bluesky.posts import COLLECTION, Author
from ..bluesky_scraper import BlueskyClient
from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..errors import WorkerError
from ..keys import PlatformKeys
from ..logging import get_logger
from ..redis_client import RedisClient
from ..retry_policy import RetryPolicy
from ..secrecy import masked_url
from ..tasks import BRAND_MAX, slug_of
from ..times import to_ms
from .bluesky_chunks import chunk_tasks
from .brands import BrandDirectory, BrandMeta
from .jetstream_events import Events, Hit, Watched, read_frames
from .jetstream_metrics import StreamMetrics
from .jetstream_socket import CLOSE_SEC, FRAME_MAX, frames_until, open_stream
from .jetstream_state import REWIND_US, Cursor, LeaseLost, StreamState

log = get_logger(__name__)

BATCH_SEC: Final = 5.0
"""A mention may be that old when its analysis begins; a chunk per second and brand would cost more than it brings."""
_BATCH_HITS: Final = 200
_SLICE_SEC: Final = 0.25
_BRANDS_SEC: Final = 60.0
_BRANDS_MAX: Final = 2_000
_IDLE_SEC: Final = 10.0
"""Between two looks whether there is something to do: a third of the lease."""
_AGAIN: Final = RetryPolicy(max_attempts=1, base_sec=1.0, max_sec=60.0)
"""The public servers ask for no more than a polite backoff; only the wait is used, tries never end."""
_AUTHORS_SEC: Final = 10.0
_AUTHORS_KEPT: Final = 10_000

Connect = Callable[[str], Awaitable[AbstractAsyncContextManager[Any]]]
"""Opens a connection: something with `recv()` that raises `ConnectionClosed` of websockets."""


class JetstreamListener:
    """Built once per process. `start()` needs a running event loop; nothing that goes wrong ends it but `close()`."""

    def __init__(
        self,
        url: str,
        state: StreamState,
        brands: BrandDirectory,
        slugs: Callable[[], Awaitable[list[str]]],
        client: BlueskyClient,
        cpu: Cpu,
        metrics: StreamMetrics,
        *,
        clock: Callable[[], datetime],
        max_task_bytes: int,
        active: Callable[[], bool] = lambda: True,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        connect: Connect | None = None,
        batch_sec: float = BATCH_SEC,
        idle_sec: float = _IDLE_SEC,
    ) -> None:
        """`slugs` lists the brands to watch; `active`: whether this worker may work at all (a standby may not)."""
        self._url = url
        self._shown = masked_url(url)
        self._state = state
        self._brands = brands
        self._slugs = slugs
        self._client = client
        self._cpu = cpu
        self._metrics = metrics
        self._clock = clock
        self._max_bytes = max_task_bytes
        self._active = active
        self._rng = rng or Random()
        self._sleep = sleep
        self._connect = connect or open_stream
        self._batch_sec = batch_sec
        self._idle_sec = idle_sec
        self._cursor = Cursor()
        self._hits: dict[str, Hit] = {}
        self._newest_us = 0
        self._failures = 0
        self._nameless = False
        self._mine = False
        """This worker is the one that is to listen, connected or not."""
        self._terms: dict[str, tuple[BrandMeta, BrandTerms]] = {}
        self._authors: OrderedDict[str, Author] = OrderedDict()
        self._loop: asyncio.Task[None] | None = None
        metrics.lag.set_function(self._lag)

    @classmethod
    def of(
        cls,
        url: str,
        redis: RedisClient,
        keys: PlatformKeys,
        brands: BrandDirectory,
        client: BlueskyClient,
        cpu: Cpu,
        registry: CollectorRegistry,
        *,
        worker_id: str,
        **more: Any,
    ) -> JetstreamListener:
        """With its state in Redis, for the brands in the platform's set; `more` as for the constructor."""

        async def slugs() -> list[str]:
            found = {slug_of(raw.decode("utf-8", "replace")) for raw in await redis.call("SMEMBERS", keys.brands)}
            return sorted(slug for slug in found if 0 < len(slug) <= BRAND_MAX)

        return cls(url, StreamState(redis, worker_id), brands, slugs, client, cpu, StreamMetrics(registry), **more)

    def start(self) -> None:
        """Begin in the background."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="bluesky stream")

    async def close(self) -> None:
        """End within a second or two and let another worker listen. What was not handed on is read again there."""
        if self._loop is None:
            return
        self._loop.cancel()
        await asyncio.wait({self._loop})
        if not self._loop.cancelled() and (fault := self._loop.exception()) is not None:
            log.error("listening to Bluesky had stopped", problem=f"{type(fault).__name__}: {fault}")
        self._loop = None
        self._mine = False
        try:
            async with asyncio.timeout(CLOSE_SEC):
                await self._state.leave()
        except (WorkerError, TimeoutError) as error:
            log.info("the lease of the live stream is left to run out", problem=str(error) or type(error).__name__)

    # -- supervision -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            wait = self._idle_sec
            try:
                self._mine = self._active() and await self._state.take()
                if self._mine:
                    await self._listen()
            except LeaseLost:
                self._mine = False
                log.info("another worker listens to the live stream of Bluesky now")
            except Exception as error:  # noqa: BLE001 - whatever the network sends, listening goes on after a while
                wait = self._failed(error)
            finally:
                self._metrics.listening.set(0)
                self._hits.clear()
            await self._sleep(wait)

    def _failed(self, error: Exception) -> float:
        """Count and say it, the first time of a row; returns how long to wait."""
        self._failures += 1
        self._metrics.failures.inc()
        if self._failures == 1 or not _passing(error):
            say = log.warning if _passing(error) else log.error
            problem = f"{type(error).__name__}: {error}"[:300]
            say("the live stream of Bluesky was interrupted", url=self._shown, problem=problem)
        return _AGAIN.delay_sec(self._failures, self._rng) + _AGAIN.base_sec / 2

    def _lag(self) -> float:
        if not self._mine or not self._cursor.time_us:
            return 0.0
        return max(0.0, to_ms(self._clock()) / 1000 - self._cursor.time_us / 1_000_000)

    # -- listening ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Follow the stream until there is nobody to listen for. Raises when the connection ends."""
        watched = await self._watched()
        if not watched:
            return
        self._cursor = await self._state.cursor()
        self._newest_us = self._cursor.time_us
        async with await self._connect(self._address()) as stream:
            self._metrics.listening.set(1)
            clock = asyncio.get_running_loop().time
            looked = clock()
            while watched and self._active():
                ended = await self._gather(stream, watched)
                await self._hand_on()
                if ended is not None:
                    raise ended
                self._failures = 0
                if clock() - looked >= _BRANDS_SEC:
                    watched, looked = await self._watched(), clock()

    async def _watched(self) -> Watched:
        slugs = await self._slugs()
        if len(slugs) > _BRANDS_MAX:
            log.warning("too many brands for the live stream, the first ones are watched", most=_BRANDS_MAX)
        metas = {slug: await self._brands.meta(slug) for slug in slugs[:_BRANDS_MAX]}
        self._terms = {slug: known for slug, known in self._terms.items() if known[0] == metas.get(slug)}
        for slug, meta in metas.items():
            if slug not in self._terms:
                self._terms[slug] = (meta, await self._cpu.run(meta.terms, slug))
        return [(slug, terms) for slug, (_, terms) in self._terms.items()]

    def _address(self) -> str:
        query = {"wantedCollections": COLLECTION, "maxMessageSizeBytes": str(FRAME_MAX)}
        if self._cursor.time_us:
            query["cursor"] = str(max(1, self._cursor.time_us - REWIND_US))
        return f"{self._url}{'&' if '?' in self._url else '?'}{urlencode(query)}"

    async def _gather(self, stream: Any, watched: Watched) -> Exception | None:
        """Read a batch into `self._hits`. Returns why the connection has ended, None while it is open."""
        until = asyncio.get_running_loop().time() + self._batch_sec
        ended: Exception | None = None
        while ended is None and len(self._hits) < _BATCH_HITS and asyncio.get_running_loop().time() < until:
            frames, ended = await frames_until(stream, min(until, asyncio.get_running_loop().time() + _SLICE_SEC))
            if frames:
                self._note(await self._cpu.run(read_frames, frames, watched, self._clock()))
        return ended

    def _note(self, events: Events) -> None:
        count = self._metrics.events
        count.labels("read").inc(events.read)
        count.labels("odd").inc(events.odd)
        count.labels("left_out").inc(events.left_out)
        self._newest_us = max(self._newest_us, events.time_us)
        for hit in events.hits:
            if self._cursor.knows(hit.uri) or hit.uri in self._hits:
                count.labels("repeated").inc()
            else:
                self._hits[hit.uri] = hit
        for uri in events.deleted:  # written and taken back within seconds
            self._hits.pop(uri, None)

    async def _hand_on(self) -> None:
        """Enqueue what was matched and move the cursor; also without any match, which renews the lease."""
        authors = await self._named({hit.did for hit in self._hits.values()})
        hits = [hit for hit in self._hits.values() if not self._private(authors, hit.did)]
        count = self._metrics.events
        count.labels("matched").inc(len(hits))
        count.labels("private").inc(len(self._hits) - len(hits))
        tasks, too_large = await self._cpu.run(_tasks, hits, authors, self._max_bytes)
        count.labels("left_out").inc(too_large)
        moved = self._cursor.moved(self._newest_us, ((hit.uri, hit.time_us) for hit in self._hits.values()))
        await self._state.commit(moved, tasks)
        self._cursor = moved
        self._hits.clear()

    def _private(self, authors: Mapping[str, Author], did: str) -> bool:
        return self._client.anonymous and did in authors and authors[did].private

    async def _named(self, dids: set[str]) -> dict[str, Author]:
        """Handles and followers; an author who cannot be asked for is known by the DID, as posts name him."""
        known = {did: self._authors[did] for did in dids if did in self._authors}
        asked = sorted(dids - set(known))
        if not asked:
            return known
        try:
            async with asyncio.timeout(_AUTHORS_SEC), self._client.line() as line:
                found = await self._client.profiles(line, asked)
        except (WorkerError, TimeoutError) as error:
            if not self._nameless:
                self._nameless = True
                log.warning("authors of Bluesky posts stay without names", problem=str(error) or type(error).__name__)
            return known
        self._nameless = False
        self._authors |= found
        while len(self._authors) > _AUTHORS_KEPT:
            self._authors.popitem(last=False)
        return known | found


def _tasks(hits: Sequence[Hit], authors: Mapping[str, Author], max_bytes: int) -> tuple[list[bytes], int]:
    """Chunk tasks per brand, and how many mentions are larger than a task may be."""
    by_brand: dict[str, list[dict[str, Any]]] = {}
    for hit in hits:
        mention = hit.by(authors.get(hit.did) or Author(hit.did))
        for brand in hit.brands:
            by_brand.setdefault(brand, []).append(mention)
    chunks = [chunk_tasks(brand, mentions, max_bytes=max_bytes) for brand, mentions in by_brand.items()]
    return [document for one in chunks for _, document in one.tasks], sum(one.too_large for one in chunks)


def _passing(error: Exception) -> bool:
    """Whether it is what networks and databases do, not a fault of the code."""
    ours = isinstance(error, WorkerError | OSError | TimeoutError)
    return ours or type(error).__module__.partition(".")[0] == "websockets"
