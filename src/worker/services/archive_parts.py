"""The life of one part of the archive: packed, written, read back, counted once, and only then out of MongoDB.

Order is all there is to it. The part is planned; its block is written and verified; then the part is recorded; then
each mention is taken for it by a stone, which only one part can get; then the part is sealed with the sums of what it
got; then those mentions are deleted that are still byte for byte what the block holds; then it is done. Each step can
be done again, by anybody: a process killed between two of them leaves a part the next run finishes, or a block it
sweeps, and two processes at once count alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ..cpu import Cpu
from ..janitor_seams import Fence
from ..logging import get_logger
from ..pipeline.archive_block import ArchiveDamaged, Block, digest_of, matches, pack, unpack
from ..pipeline.archive_sums import Sums, sums_of
from ..raw_storage import Raw, decoded, id_bytes, id_of
from .archive_books import ArchiveBooks
from .archive_records import Part, PartState
from .archive_store import ArchiveStore, archive_name

log = get_logger(__name__)

_SWEPT_AT_ONCE: Final = 100
_DELETED_AT_ONCE: Final = 200
"""Mentions between two looks at the fence: MongoDB compares and deletes them in some 10 ms, the embedded server in
100."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A part with what its block holds."""

    part: Part
    documents: tuple[Raw, ...]


class ArchiveParts:
    """Raises `ArchiveDamaged`, `ArchiveMissing`, `ArchiveUnavailable`, `StorageUnavailable`, and what the fence raises;
    nothing has been lost then."""

    def __init__(self, books: ArchiveBooks, store: ArchiveStore, cpu: Cpu, *, clock: Callable[[], datetime]) -> None:
        self._books = books
        self._store = store
        self._cpu = cpu
        self._clock = clock

    async def put_away(self, brand: str, day: str, documents: Sequence[Raw], fence: Fence) -> Part:
        """Archive mentions of a day, and delete them."""
        block = Block(brand, day, tuple(one.bson for one in documents))
        data = await self._cpu.run(pack, block)
        sha256 = await self._cpu.run(digest_of, data)
        part = Part(
            name=archive_name(brand, day, sha256),
            brand=brand,
            day=day,
            count=len(documents),
            bytes=len(data),
            raw_bytes=sum(len(one.bson) for one in documents),
            sha256=sha256,
            first_id=str(documents[0].id),
            last_id=str(documents[-1].id),
        )
        await self._books.plan(part, self._clock())
        await self._store.write(part.name, data)
        del data, block
        loaded = await self.load(part)
        if not matches(_block(loaded), [one.bson for one in documents]):
            raise ArchiveDamaged(f"archive block {part.name}: it holds other mentions than were written")
        await fence.hold()  # who was suspended for a day finds the block swept
        await self._books.record(part)
        known = await self._books.part(part.name)  # the same block may have been put away before
        if known is not None and known.state is PartState.EXPIRED:
            known = await self._books.revive(known)
        await self.finish(replace(loaded, part=known or part), fence)
        return part

    async def finish(self, loaded: Loaded, fence: Fence) -> int:
        """Do what is left to be done of a part. Returns how many mentions were deleted."""
        part, documents = loaded.part, loaded.documents
        if part.state is PartState.WRITTEN:
            own = await self._books.take(part, documents)
            await self._books.seal(part, await self._cpu.run(_counted, documents, own))
        removed = await self.clear(documents, fence)
        await self._books.finish(part)
        return removed

    async def clear(self, documents: Sequence[Raw], fence: Fence) -> int:
        """Delete mentions that are at hand just as the archive has them. One that was changed meanwhile stays.

        Nothing of this worker changes a stored mention. What others change within the some ten milliseconds between the
        comparison and the deletion is deleted: MongoDB could compare again, value by value, but the embedded server
        would read all mentions for each.
        """
        removed = 0
        for start in range(0, len(documents), _DELETED_AT_ONCE):
            await fence.hold()
            same = await self._books.unchanged(documents[start : start + _DELETED_AT_ONCE])
            if same:
                removed += await self._books.remove_mentions(same)
        return removed

    async def load(self, part: Part) -> Loaded:
        """Read a part's block and check all of it."""
        data = await self._store.read(part.name)
        try:
            block = await self._cpu.run(_checked, data, part)
        except ArchiveDamaged as error:
            log.error("a block of the archive is damaged; nothing that depends on it is deleted", block=part.name)
            raise ArchiveDamaged(f"archive block {part.name}: {error.message}") from error
        return Loaded(part, await self._cpu.run(_raws, block))

    async def sweep(self, before: datetime, fence: Fence) -> int:
        """Delete blocks that janitors have left behind which were killed before a part was recorded."""
        swept = 0
        while found := await self._books.abandoned(before, _SWEPT_AT_ONCE):
            for part in found:
                await fence.hold()
                await self._store.delete(part.name)
                await self._books.give_up(part)
                swept += 1
        await self._store.tidy(before)
        return swept

    async def expire(self, part: Part, fence: Fence) -> None:
        """Delete a part's block for good; what was counted of it stays. Its stones go first, while it says which."""
        loaded = await self.load(part)
        await fence.hold()
        await self._books.forget(part, loaded.documents)
        await fence.hold()
        await self.expire_missing(part)

    async def expire_missing(self, part: Part) -> None:
        """The end of `expire`, also for a block that it has deleted before it was killed."""
        await self._store.delete(part.name)
        await self._books.expire(part)


def _checked(data: bytes, part: Part) -> Block:
    block = unpack(data, sha256=part.sha256)
    if (block.brand, block.day, len(block.documents)) != (part.brand, part.day, part.count):
        raise ArchiveDamaged("it is of another brand, day or number of mentions than was recorded")
    return block


def _raws(block: Block) -> tuple[Raw, ...]:
    return tuple(Raw(id_of(document), document) for document in block.documents)


def _block(loaded: Loaded) -> Block:
    return Block(loaded.part.brand, loaded.part.day, tuple(one.bson for one in loaded.documents))


def _counted(documents: Sequence[Raw], own: set[bytes]) -> Sums:
    return sums_of(decoded(one.bson) for one in documents if id_bytes(one.id) in own)
