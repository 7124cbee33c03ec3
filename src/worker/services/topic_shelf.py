"""Topics of the brands at work, in memory, and their way to MongoDB and back.

Each brand's state is written every few seconds, by compare-and-set on its version. Who finds another worker's state
there brings its own mentions into that one and goes on with it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ..cpu import Cpu
from ..errors import WorkerError
from ..logging import get_logger
from ..storage import Document
from ..topic_records import from_record, to_record
from ..topics import Assigned, Joined, TopicState, TopicStateError, rejoin
from .topic_metrics import TopicMetrics
from .topic_store import TopicStore

log = get_logger(__name__)

BRANDS_MAX: Final = 64
"""A state and what comes with it take some 400 kB; 64 are 25 MB. Others come back from MongoDB in milliseconds."""
BLOCK: Final = 100
"""Numbers reserved at a time, three chunks of nothing but new topics. So many are left unused by a dying worker."""
UNFLUSHED_MAX: Final = 5_000
"""Mentions that can be brought into another worker's state, 10 MB: two seconds of a whole machine's work. When MongoDB
is away for longer, the oldest are left out; work rests then anyway."""
_REMEMBERED: Final = 150
"""Mentions per brand that get the same topic again when their chunk is tried again: five chunks, 45 kB."""
_TRIES: Final = 5


@dataclass(slots=True, eq=False)
class Entry:
    """One brand. Changed under `lock` only."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    state: TopicState | None = None
    """None: not read yet."""
    version: int | None = None
    """The stored version that is known; None: nothing is stored."""
    numbers: list[int] = field(default_factory=list)
    """Reserved and not given out, rising."""
    joined: list[Joined] = field(default_factory=list)
    """Since the last version was stored."""
    placed: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """Mention (content hash) → topic, of the last ones."""
    merged: dict[str, str] = field(default_factory=dict)
    """Mergers that no chunk's contribution is known to carry yet."""
    users: int = 0
    changes: int = 0
    stored: int = 0
    """`changes` at the last write."""
    attempt: tuple[str, int, int] = ("", 0, 0)
    """The write under way: its mark, and how many of `joined` and `changes` are in it."""

    @property
    def known(self) -> TopicState:
        if self.state is None:
            raise RuntimeError("topics are used before they were read")
        return self.state

    def move(self, done: Assigned, joined: list[Joined]) -> None:
        """Take over what became of a chunk."""
        self.state = done.state
        self.joined += joined
        self.merged.update(done.merged)
        self.changes += 1
        if len(self.joined) > UNFLUSHED_MAX:
            del self.joined[: len(self.joined) - UNFLUSHED_MAX]
            self.attempt = (self.attempt[0], 0, self.attempt[2])

    def remember(self, mentions: Mapping[str, str]) -> None:
        self.placed.update(mentions)
        while len(self.placed) > _REMEMBERED:
            self.placed.popitem(last=False)


class Shelf:
    """Built once per process."""

    def __init__(self, store: TopicStore, cpu: Cpu, metrics: TopicMetrics, *, space: str) -> None:
        self._store = store
        self._cpu = cpu
        self._metrics = metrics
        self._space = space
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    @asynccontextmanager
    async def held(self, brand: str) -> AsyncIterator[Entry]:
        """The brand's entry, read and locked. Raises `StorageUnavailable`."""
        entry = self._entries.get(brand)
        if entry is None:
            entry = self._entries[brand] = Entry()
        self._entries.move_to_end(brand)
        entry.users += 1
        try:
            async with entry.lock:
                if entry.state is None:
                    await self._read(brand, entry)
                yield entry
        finally:
            entry.users -= 1

    async def reserve(self, brand: str, entry: Entry, count: int) -> None:
        """See to it that so many numbers are at hand. Raises `StorageUnavailable`."""
        missing = count - len(entry.numbers)
        if missing > 0:
            entry.numbers += await self._store.reserve(brand, max(BLOCK, missing))

    def carried(self, brand: str, merged: Mapping[str, str]) -> None:
        """A stored contribution carries these mergers."""
        entry = self._entries.get(brand)
        if entry is not None:
            for topic in merged:
                entry.merged.pop(topic, None)

    def states(self) -> list[tuple[str, TopicState]]:
        """Brands whose state is in memory."""
        return [(brand, entry.state) for brand, entry in self._entries.items() if entry.state is not None]

    # -- to MongoDB --------------------------------------------------------------------------------------------

    async def flush(self) -> bool:
        """Store all that has changed, and make room; False when something could not be stored now."""
        fine = True
        for brand, entry in list(self._entries.items()):
            if entry.stored != entry.changes:
                try:
                    fine = await self._flush(brand, entry) and fine
                except WorkerError as error:
                    self._metrics.flushes.labels("failed").inc()
                    log.warning("topics are stored later", brand=brand, problem=error.message)
                    fine = False
        self._make_room()
        return fine

    async def _flush(self, brand: str, entry: Entry) -> bool:
        if entry.attempt[0]:  # nobody knows whether the last write was done
            document = await self._store.read(brand)
            if document is not None and document.get("write") == entry.attempt[0]:
                self._settle(entry, int(document["version"]))
        for _ in range(_TRIES):
            state, mark = entry.known, uuid.uuid4().hex
            entry.attempt = (mark, len(entry.joined), entry.changes)
            record = await self._cpu.run(to_record, state)
            if await self._store.replace(brand, {**record, "write": mark}, read=entry.version):
                self._settle(entry, (entry.version or 0) + 1)
                return True
            self._metrics.flushes.labels("conflict").inc()
            async with entry.lock:
                if await self._rebase(brand, entry):
                    return True
        return False

    def _settle(self, entry: Entry, version: int) -> None:
        _, joined, changes = entry.attempt
        entry.version, entry.stored = version, changes
        del entry.joined[:joined]
        entry.attempt = ("", 0, 0)
        self._metrics.flushes.labels("stored").inc()

    async def _rebase(self, brand: str, entry: Entry) -> bool:
        """Go on with the state that is stored. True: it is our own: the driver has sent the write twice."""
        document = await self._store.read(brand)
        if document is None:  # deleted by an operator: ours is stored anew
            entry.version = None
            return False
        version = int(document["version"])
        if document.get("write") == entry.attempt[0]:
            self._settle(entry, version)
            return True
        newer = await self._loaded(brand, document)
        entry.version = version
        if newer is not None:
            done = await self._cpu.run(rejoin, newer, entry.known, entry.joined)
            entry.state = done.state
            entry.merged.update(done.merged)
            entry.changes += 1
        return False

    # -- from MongoDB ------------------------------------------------------------------------------------------

    async def _read(self, brand: str, entry: Entry) -> None:
        document = await self._store.read(brand)
        found = None if document is None else await self._loaded(brand, document)
        entry.version = None if document is None else int(document["version"])
        entry.state = found if found is not None else TopicState(self._space)
        # Whether chunks have carried them is not known; once more does no harm.
        entry.merged = dict(entry.state.merged)

    async def _loaded(self, brand: str, document: Document) -> TopicState | None:
        """None: it cannot be used, and the brand's topics begin anew, under numbers that are new too."""
        try:
            return await self._cpu.run(from_record, document, self._space)
        except TopicStateError as error:
            self._metrics.discarded.inc()
            log.warning("topics of a brand begin anew", brand=brand, problem=error.message)
            return None

    def _make_room(self) -> None:
        """Those go that are stored and longest unused. Mergers nobody has carried are carried after the next read."""
        for brand, entry in list(self._entries.items()):
            if len(self._entries) <= BRANDS_MAX:
                break
            if not entry.users and entry.stored == entry.changes:
                del self._entries[brand]
        self._metrics.brands.set(len(self._entries))
        self._metrics.unflushed.set(sum(len(entry.joined) for entry in self._entries.values()))
