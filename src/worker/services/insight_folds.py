"""From waiting contributions to the state of a brand: once, whatever crashes.

A fold is four steps: read the state and what waits; store the next version if nobody else has; write what follows from
it (volume, spikes, crises, Redis); mark the chunks. Only the second decides. The version that is stored names the
chunks in it and holds what is to be written, so that whoever reads it next finishes the steps that are missing, and
each of them changes nothing when it is done twice. Any worker may fold any brand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from ..cpu import Cpu
from ..logging import get_logger
from ..pipeline.brand_state import BrandState, Folder, Gathered, Pending
from ..pipeline.contribution import Contribution
from ..pipeline.fold_order import Waits, in_order
from ..storage import Document
from ..times import to_ms
from .insight_metrics import InsightMetrics
from .insight_publisher import InsightPublisher
from .insight_store import InsightStore

log = get_logger(__name__)

CHUNKS_PER_FOLD: Final = 256
"""A hundred chunks per second are two versions in five seconds; the names of so many take 20 KB of the state."""
HOLD_MS: Final = 10_000
"""How long a backlog's chunks wait for older ones (`fold_order`) while anything is under way. Chunks of a
replay with fifty tasks in flight were seen to change places over two seconds; retries and lanes take longer."""
_HOLD_MAX_MS: Final = 600_000
"""Whoever sets leases of an hour does not wait two of them for figures."""
WAITING_SEEN: Final = 6_000
"""Waiting chunks that are looked at to find the next ones: as many as five workers process while they are held."""
_SLICE: Final = 16
"""Contributions read in one go: some milliseconds of the thread that analyses mentions, too. Each takes some 90 KB
meanwhile, and Python's allocator keeps the most that there ever was: 35 at once were seen to leave 10 MB behind."""
_REMEMBERED: Final = 10_000
"""Brands of which this process remembers which version it has settled; of others it settles the last one again."""


def hold_of(lease_sec: float) -> int:
    """How long a backlog is held where a dead worker's tasks are taken over after `lease_sec` seconds.

    Two leases: one passes before the others may have what it had in hand, and they take that over a few tasks at a
    time. Held for less, a backlog that outlives its worker would be judged without what that one was working on.
    """
    return min(_HOLD_MAX_MS, max(HOLD_MS, round(2_000 * lease_sec)))


class Fold(StrEnum):
    """What became of an attempt to fold."""

    DONE = "done"
    MORE = "more"
    """More waits than fits into one version."""
    HELD = "held"
    """What waits is held for older chunks."""
    CONFLICT = "conflict"
    """Another worker was faster."""


class QueueView(Protocol):
    """What folding needs to know of the queue."""

    async def idle(self) -> bool:
        """Nothing waits and nothing is executed: no older chunk can come."""
        ...

    async def caught_up(self) -> bool:
        """Nothing old waits: the silence of a brand is silence."""
        ...


class BrandFolds:
    """Changes states. Parameters with defaults exist for tests."""

    def __init__(
        self,
        store: InsightStore,
        publisher: InsightPublisher,
        cpu: Cpu,
        metrics: InsightMetrics,
        *,
        clock: Callable[[], datetime],
        queue: QueueView,
        on_state: Callable[[BrandState], None] = lambda _: None,
        folder: Folder | None = None,
        hold_ms: int = HOLD_MS,
    ) -> None:
        """`on_state` is told of every version that has been settled here."""
        self._store = store
        self._publisher = publisher
        self._cpu = cpu
        self._metrics = metrics
        self._clock = clock
        self._queue = queue
        self._on_state = on_state
        self._folder = folder or Folder()
        self._hold_ms = hold_ms
        self._settled: OrderedDict[str, int] = OrderedDict()

    async def fold(self, brand: str) -> Fold:
        """Fold what waits of a brand into one new version of its state.

        Raises:
            StorageUnavailable, QueueUnavailable: try again; nothing is lost and nothing counted twice.
        """
        state, read = await self._read(brand)
        ready, held = await self._ready(brand, state.newest_ms if state is not None else 0)
        gathered = await self._gathered(ready[:CHUNKS_PER_FOLD])
        if not gathered.keys:
            return Fold.MORE if ready else Fold.HELD if held else Fold.DONE
        now = to_ms(self._clock())
        state = state or BrandState.new(brand, now)
        late = state.crisis.late
        await self._cpu.run(self._folder.fold, state, gathered, now)
        if not await self._save(state, read):
            return Fold.CONFLICT
        self._metrics.folds.labels("folded").inc()
        self._metrics.chunks.inc(len(gathered.keys))
        self._metrics.late.inc(state.crisis.late - late)
        await self._settle(state)
        if len(ready) > CHUNKS_PER_FOLD:
            return Fold.MORE
        return Fold.HELD if held else Fold.DONE

    async def advance(self, brand: str) -> None:
        """Judge the silence of a brand of which nothing waits. Raises like `fold`."""
        state, read = await self._read(brand)
        now = to_ms(self._clock())
        if state is None or state.advance_ms is None or state.advance_ms > now:
            return
        if await self._store.waiting_chunks(brand, 1) or not await self._queue.caught_up():
            return
        await self._cpu.run(self._folder.advance, state, now)
        if await self._save(state, read):
            self._metrics.folds.labels("advanced").inc()
            await self._settle(state)

    async def _read(self, brand: str) -> tuple[BrandState | None, int | None]:
        """The stored state and its version, everything that follows from it written."""
        document = await self._store.state(brand)
        if document is None:
            return None, None
        state = await self._cpu.run(BrandState.from_dict, document)
        if self._settled.get(brand) != state.version:
            await self._settle(state)
        return state, state.version

    async def _ready(self, brand: str, newest_ms: int) -> tuple[list[Waits], int]:
        """The chunks that may be folded, and how many others wait."""
        waiting = await self._store.waiting_chunks(brand, WAITING_SEEN)
        ready = in_order(waiting, newest_ms, to_ms(self._clock()), self._hold_ms)
        if len(ready) < len(waiting) and await self._queue.idle():
            # Whatever was under way has left its contribution before the queue was idle.
            waiting = await self._store.waiting_chunks(brand, WAITING_SEEN)
            ready = in_order(waiting, newest_ms, to_ms(self._clock()), 0)
        return ready, len(waiting) - len(ready)

    async def _gathered(self, chunks: Sequence[Waits]) -> Gathered:
        """What those chunks add that can be read."""
        keys, gathered = sorted(one.key for one in chunks), Gathered()
        for start in range(0, len(keys), _SLICE):
            documents = await self._store.contributions(keys[start : start + _SLICE])
            for key, problem in await self._cpu.run(_take_all, gathered, documents):
                await self._leave_out(key, problem)
        return gathered

    async def _leave_out(self, key: str, problem: str) -> None:
        """It would stop its brand for good; the mentions themselves are stored, and the chunk says what is missing."""
        log.error("a chunk's contribution cannot be read and is left out", chunk=key, problem=problem)
        self._metrics.refused.labels("contribution").inc()
        await self._store.mark_folded([key], problem=problem)

    async def _save(self, state: BrandState, read: int | None) -> bool:
        if await self._store.replace(await self._cpu.run(state.to_dict), read=read):
            return True
        self._metrics.folds.labels("conflict").inc()
        return False

    async def _settle(self, state: BrandState) -> None:
        """Write what follows from a stored version. Idempotent; the next version is stored only after it."""
        await self._store.settle(state, self._clock())
        if await self._publisher.publish(state):
            self._metrics.spikes.inc(len(state.outbox.spikes))
            for crisis in state.outbox.crises:
                self._metrics.crises.labels(crisis["severity"]).inc()
        await self._store.mark_folded(state.applied)
        self._settled[state.brand] = state.version
        self._settled.move_to_end(state.brand)
        while len(self._settled) > _REMEMBERED:
            self._settled.popitem(last=False)
        self._on_state(state)


def _take_all(gathered: Gathered, documents: Sequence[Document]) -> list[tuple[str, str]]:
    """Returns the keys of those that cannot be read, and why."""
    refused = []
    for document in documents:
        try:
            chunk = _pending(document)
        except (KeyError, TypeError, ValueError) as error:
            refused.append((document["_id"], f"{type(error).__name__}: {error}"[:300]))
        else:
            gathered.take(chunk)
    return refused


def _pending(document: Document) -> Pending:
    """Raises KeyError, TypeError or ValueError for a chunk that cannot be read."""
    result: Mapping[str, Any] = document.get("result") or {}
    return Pending(
        key=document["_id"],
        chunk_id=document["chunk_id"],
        first_seen_ms=to_ms(document["first_seen"]),
        contribution=Contribution.from_dict(document["insight"]["sums"]),
        summary=result.get("summary"),
        clusters=len(result.get("clusters", ())),
    )
