"""What is happening to brands, kept up to date in the background: each chunk leaves what it adds, a loop folds it in.

The loop is woken by every chunk of its own process and looks every few seconds for what others have left behind; how a
brand's state changes is `insight_folds`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final

from ..cpu import Cpu
from ..errors import QueueUnavailable, StorageUnavailable
from ..logging import get_logger
from ..models import Mention
from ..pipeline.brand_state import DAY_MS, BrandState
from ..pipeline.topic_sums import TopicNews
from ..storage import Document
from ..supervision import keep_running
from ..times import to_ms
from ..trace_context import TraceContext, current
from ..tracing import OFF, Tracing
from .insight_folds import HOLD_MS, BrandFolds, Fold, QueueView
from .insight_metrics import InsightMetrics
from .insight_publisher import InsightPublisher
from .insight_store import InsightStore, waiting_fields
from .posts import Moods, PostCounter, Repeated

log = get_logger(__name__)

_GATHER_SEC: Final = 0.25
"""Pause between two folds of a brand: many chunks, one write of the state."""
_SCAN_SEC: Final = 2.0
"""How often contributions are looked for that nobody here knows of: left behind by a worker that is gone."""
_LEFT_MS: Final = 3_000
"""Those of other workers that are younger are about to be folded there."""
_AT_ONCE: Final = 4
_TRIES: Final = 8
"""Versions of one brand in a row before it is another one's turn."""
_CONFLICT_SEC: Final = 0.05
_HELD_SEC: Final = 0.5
"""Between two looks at a backlog that is held: each reads which chunks wait."""
_REST_SEC: Final = 30.0
"""Before a brand is tried again whose state or data cannot be used."""
_OUTAGE_SEC: Final = 1.0
_STEADY_SEC: Final = 5.0
"""Without a failure before an outage is called over: with Redis away, steps that need MongoDB alone go well between."""
_CLOSE_SEC: Final = 5.0
_REMEMBERED: Final = 10_000
"""Brands of which this process remembers whether they spike."""
_SPIKE_SEC: Final = 5.0
_SILENT_AT_ONCE: Final = 50
_LINKS_MAX: Final = 32
"""Chunks that a fold's span links to; of those of other workers it knows no span."""
_ALL: Final = "*"
"""Stands for no brand in particular; slugs have no asterisk."""


@dataclass(frozen=True, slots=True)
class _Spike:
    """Whether a brand spikes, as of `at` (the loop's clock)."""

    at: float
    on: bool
    topics: frozenset[str]


class InsightService:
    """`start` once, `signal` after each chunk, `close` after the last. Parameters with defaults exist for tests."""

    def __init__(
        self,
        store: InsightStore,
        publisher: InsightPublisher,
        cpu: Cpu,
        metrics: InsightMetrics,
        *,
        clock: Callable[[], datetime],
        queue: QueueView,
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        hold_ms: int = HOLD_MS,
        tracing: Tracing = OFF,
    ) -> None:
        """`queue` and `hold_ms`: as for `BrandFolds`."""
        self._tracing = tracing
        self._traces: dict[str, list[TraceContext]] = {}
        self._store = store
        self._metrics = metrics
        self._posts = PostCounter(store, cpu, clock=clock)
        self._folds = BrandFolds(
            store,
            publisher,
            cpu,
            metrics,
            clock=clock,
            queue=queue,
            on_state=self._note_spikes,
            hold_ms=hold_ms,
        )
        self._clock = clock
        self._rng = rng or Random()
        self._sleep = sleep
        self._due: set[str] = set()
        self._some = asyncio.Event()
        self._spikes: OrderedDict[str, _Spike] = OrderedDict()
        self._resting: dict[str, float] = {}
        self._failed_at: float | None = None
        """In an outage: when a database failed last, by the loop's clock."""
        self._loop: asyncio.Task[None] | None = None

    # -- for the chunks ----------------------------------------------------------------------------------------

    async def contribution(
        self,
        owned: Sequence[tuple[Mention, Document]],
        repeated: Sequence[Repeated],
        moods: Moods,
        *,
        brand: str,
        owner: str,
        received_at: datetime,
        news: TopicNews | None = None,
    ) -> Document:
        """The field `insight` of the chunk's document, with what the chunk adds: it waits there for being folded."""
        sums = await self._posts.count(owned, repeated, moods, owner=owner, received_at=received_at, news=news)
        return {"insight": waiting_fields(brand, sums)}

    def signal(self, brand: str) -> None:
        """A contribution of this brand has been stored."""
        scope = current()
        if scope.opener is not None and scope.trace is not None:
            linked = self._traces.setdefault(brand, [])
            if len(linked) < _LINKS_MAX:
                linked.append(scope.trace)
        self._due.add(brand)
        self._some.set()

    async def spike_detected(self, brand: str) -> bool:
        """Whether the brand had a spike within the last 24 hours of its own time; a few seconds old at most."""
        return (await self._known_spike(brand)).on

    async def spiking_topics(self, brand: str) -> frozenset[str]:
        """Topics that take part in that spike; as old."""
        return (await self._known_spike(brand)).topics

    async def _known_spike(self, brand: str) -> _Spike:
        known = self._spikes.get(brand)
        if known is None or asyncio.get_running_loop().time() - known.at > _SPIKE_SEC:
            found = await self._store.spike_state(brand)
            topics = () if found is None else (found.get("stream_topics") or {}).get("spiking", ())
            known = self._remember(brand, found is not None and _spiking(found), topics)
        return known

    def _note_spikes(self, state: BrandState) -> None:
        self._remember(state.brand, state.spiking, state.clusters.spiking)

    def _remember(self, brand: str, spiking: bool, topics: Iterable[str]) -> _Spike:
        known = self._spikes[brand] = _Spike(asyncio.get_running_loop().time(), spiking, frozenset(topics))
        self._spikes.move_to_end(brand)
        while len(self._spikes) > _REMEMBERED:
            self._spikes.popitem(last=False)
        return known

    # -- the loop ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to fold in the background. Needs a running event loop."""
        if self._loop is None:
            self._loop = asyncio.create_task(keep_running("insight", self._run), name="insight")

    async def close(self) -> None:
        """Fold what this process still knows of, for a few seconds; the rest is found by the next worker."""
        if self._loop is None:
            return
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        self._loop = None
        self._resting.clear()
        try:
            async with asyncio.timeout(_CLOSE_SEC):
                await self._round()
        except TimeoutError:
            log.info("some chunks are left to be folded at the next start", brands=len(self._due))

    async def _run(self) -> None:
        scan_at = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            if clock() >= scan_at:
                scan_at = clock() + _SCAN_SEC
                await self._guard(_ALL, self._scan)
            await self._round()
            await self._sleep(_GATHER_SEC if self._failed_at is None else _OUTAGE_SEC * self._rng.uniform(0.5, 1.5))
            if not self._due:
                self._some.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, scan_at - clock())):
                        await self._some.wait()

    async def _round(self) -> None:
        """Each brand that is due once, a few at the same time."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(brand: str) -> None:
            async with gate:
                self._due.discard(brand)  # whoever signals from now on brings something new
                self._resting.pop(brand, None)
                await self._guard(brand, lambda: self._fold_through(brand))

        await asyncio.gather(*(one(brand) for brand in self._ready()))

    def _ready(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [brand for brand in self._due if self._resting.get(brand, 0.0) <= now]

    async def _fold_through(self, brand: str) -> None:
        with self._tracing.begin("fold", links=self._traces.pop(brand, ())) as here:
            here.set("worker.brand", brand)
            await self._fold(brand)

    async def _fold(self, brand: str) -> None:
        for attempt in range(_TRIES):
            found = await self._folds.fold(brand)
            if found is Fold.DONE:
                return
            if found is Fold.HELD:
                self._again(brand, _HELD_SEC)
                return
            if found is Fold.CONFLICT:
                await self._sleep(self._rng.uniform(0, _CONFLICT_SEC * (attempt + 1)))
        self._due.add(brand)

    async def _scan(self) -> None:
        """Look for what others left behind, for silent brands, and measure what waits."""
        now = self._clock()
        waiting = await self._store.waiting()
        self._metrics.waiting.set(sum(one.chunks for one in waiting))
        self._metrics.lag.set(max(0.0, (now - waiting[0].oldest).total_seconds()) if waiting else 0.0)
        self._due |= {one.brand for one in waiting if to_ms(now) - to_ms(one.oldest) >= _LEFT_MS}
        for brand in await self._store.silent(to_ms(now), _SILENT_AT_ONCE):
            if brand not in self._due:
                await self._guard(brand, lambda brand=brand: self._folds.advance(brand))  # type: ignore[misc]

    async def _guard(self, brand: str, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step; whatever goes wrong, the loop goes on and the brand is tried again."""
        try:
            await step()
        except asyncio.CancelledError:
            self._again(brand, 0.0)
            raise
        except (StorageUnavailable, QueueUnavailable) as error:
            self._metrics.folds.labels("failed").inc()
            self._again(brand, 0.0)
            if self._failed_at is None:
                log.warning("insight waits for a database", problem=error.message)
            self._failed_at = asyncio.get_running_loop().time()
        except Exception as error:  # noqa: BLE001 - a brand whose data nobody foresaw must not stop all the others
            self._metrics.folds.labels("failed").inc()
            self._again(brand, _REST_SEC)
            log.error("insight of a brand cannot go on for now", brand=brand, exc=error)
        else:
            if self._failed_at is not None and asyncio.get_running_loop().time() - self._failed_at > _STEADY_SEC:
                self._failed_at = None
                log.info("insight goes on")

    def _again(self, brand: str, seconds: float) -> None:
        if brand != _ALL:
            self._due.add(brand)
            self._resting[brand] = asyncio.get_running_loop().time() + seconds


def _spiking(document: Mapping[str, Any]) -> bool:
    """`BrandState.spiking` of the fields that say it."""
    found = [document.get("spiked_ms"), *(one["bucketMs"] for one in document["provisional"]["spikes"])]
    return any(when is not None and when > document["as_of_ms"] - DAY_MS for when in found)
