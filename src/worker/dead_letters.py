"""Dead letters: look at them, put them back onto their streams, drop them.

They are entries of the stream `worker:dead`. A replay moves one in a single script, so that it is neither lost nor
replayed twice. What works on many goes through them in pages, oldest first, up to the newest there was at the start: a
letter that is replayed and dies again is a new letter behind that end, and is not replayed in a loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from . import keys as names
from .dead_letter_view import Letter, LetterFilter, checked_id, unwrap_failure
from .keys import PlatformKeys
from .logging import get_logger
from .models import TaskPriority, TaskStatus
from .redis_client import RedisClient, RedisRefused, Script
from .tasks import brand_field, slug_of
from .times import iso

log = get_logger(__name__)

SHOWN_TASK_BYTES: Final = 64 * 1024
"""Longer tasks are cut off in lists."""
SCAN_MAX: Final = 1_000
"""Letters looked at per call of `list`, matching or not."""
_PAGE_BYTES: Final = 8 * 2**20
"""Redis reads whole entries: about so many bytes per call, a few milliseconds of its time."""
_BATCH: Final = 100
_BATCH_BYTES: Final = 4 * 2**20
"""Tasks moved by one script: other clients wait meanwhile."""
_FAILED_PAGE: Final = 10
"""Failure records read at a time; each may wrap a task of megabytes."""
_OUTPUT_FAILED: Final = "OUTPUT_FAILED"
EVERYTHING: Final = LetterFilter()

Letters = list[Letter]
"""(`DeadLetters` has a method of the name `list`.)"""
Progress = Callable[[int, int, int], None]
"""Called with the numbers of letters done, looked at, and in the stream at the start."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor to go on from, None at the end. With a filter a page may be short, even empty, before it."""

    letters: list[Letter]
    next: str | None


class DeadLetters:
    """Methods raise `QueueUnavailable` when Redis cannot serve them; all of them may be called again then.

    Ids are those of stream entries (`1700000000000-0`); another form of id raises `InvalidTask`.
    """

    def __init__(
        self, client: RedisClient, keys: PlatformKeys, *, clock: Callable[[], datetime], result_ttl_sec: int
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._result_ttl = result_ttl_sec
        self._page = Script("page_dead")
        self._replay = Script("replay_dead")
        self._take_failed = Script("take_failed")

    # -- looking -----------------------------------------------------------------------------------------------

    async def list(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        brand: str | None = None,
        type: str | None = None,
        code: str | None = None,
    ) -> Page:
        """Newest first, their tasks cut to `SHOWN_TASK_BYTES`.

        One call looks at `SCAN_MAX` letters or 8 MB at most. What was not reached is behind `next`.
        """
        wanted = LetterFilter(brand, type, code)
        begin = f"({checked_id(cursor, 'cursor')}" if cursor else "+"
        if not wanted:
            page, more = await self._read("XREVRANGE", begin, "-", limit, SHOWN_TASK_BYTES)
            return Page(page, page[-1].entry_id if more and page else None)
        heads, more = await self._read("XREVRANGE", begin, "-", SCAN_MAX, 0)
        found: Letters = []
        for index, head in enumerate(heads):
            if not wanted.matches(head, self.brand_of(head)):
                continue
            letter = await self._one(head.entry_id, SHOWN_TASK_BYTES)
            found += [letter] if letter else []
            if len(found) == limit:
                rest = more or index + 1 < len(heads)
                return Page(found, head.entry_id if rest else None)
        return Page(found, heads[-1].entry_id if more and heads else None)

    async def get(self, entry_id: str) -> Letter | None:
        """The whole letter, None when there is none of this id."""
        reply = await self._client.call("XRANGE", names.DEAD, checked_id(entry_id), entry_id)
        if not reply:
            return None
        fields = _pairs(reply[0][1])
        return Letter(entry_id, fields, len(fields.get(b"task", b"")))

    async def count(self) -> int:
        """How many there are now."""
        return int(await self._client.call("XLEN", names.DEAD))

    def brand_of(self, letter: Letter) -> str:
        """The letter's brand; where it names none, that of the list it came from."""
        return letter.text("brand") or self._keys.slug_of(letter.text("door")) or ""

    async def _one(self, entry_id: str, cut: int) -> Letter | None:
        letters, _ = await self._read("XRANGE", entry_id, entry_id, 1, cut)
        return letters[0] if letters else None

    async def _read(self, command: str, begin: str, end: str, most: int, cut: int) -> tuple[Letters, bool]:
        """Letters from `begin` towards `end`, and whether there are more."""
        entries, more = await self._page(self._client, [names.DEAD], [command, begin, end, most, cut, _PAGE_BYTES])
        letters = [Letter(entry.decode(), _pairs(fields), size) for entry, size, fields in entries]
        return letters, bool(more)

    async def _matching(self, wanted: LetterFilter, progress: Progress | None) -> AsyncIterator[Letters]:
        """Pages of matching letters without their tasks, oldest first, as far as the stream goes now."""
        newest, _ = await self._read("XREVRANGE", "+", "-", 1, 0)
        if not newest:
            return
        total = await self.count()
        begin, end = "-", newest[0].entry_id
        done = seen = 0
        more = True
        while more:
            heads, more = await self._read("XRANGE", begin, end, SCAN_MAX, 0)
            page = [head for head in heads if wanted.matches(head, self.brand_of(head))]
            if page:
                yield page
            seen += len(heads)
            done += len(page)
            if progress is not None:
                progress(done, seen, max(total, seen))
            begin = f"({heads[-1].entry_id}" if heads else end

    # -- putting back ------------------------------------------------------------------------------------------

    async def replay(self, entry_id: str) -> str | None:
        """Put one letter back onto its stream.

        Returns:
            the id its task has from now on, None when there is no such letter (any more).
        """
        letter = await self._one(checked_id(entry_id), 0)
        if letter is None:
            return None
        return (await self._put_back([letter]))[0]

    async def replay_matching(
        self, wanted: LetterFilter = EVERYTHING, *, limit: int | None = None, progress: Progress | None = None
    ) -> int:
        """Put back those that match and were there when this began, `limit` of them at most, oldest first.

        Returns:
            how many; letters that somebody else replayed or dropped meanwhile are not among them.
        """
        replayed = 0
        async for page in self._matching(wanted, progress):
            for batch in _batches(page if limit is None else page[: limit - replayed]):
                replayed += sum(task_id is not None for task_id in await self._put_back(batch))
            if limit is not None and replayed >= limit:
                break
        return replayed

    async def retry_brand(self, brand: str) -> tuple[str, int]:
        """Everything of a brand that has failed, once more: its dead letters, and the failure records that workers of
        the platform left in `failed:brand:{slug}`. The orchestrator's records there and what cannot be read stay.

        Returns:
            the brand's slug, and how many tasks were put onto streams.

        Raises:
            InvalidTask: the brand is not the name of one.
        """
        name = brand_field(brand) or ""
        slug = slug_of(name)
        retried = await self.replay_matching(LetterFilter(brand=slug))
        for one in dict.fromkeys((slug, name)):  # an aggregator may have slugs of its own making
            retried += await self._retry_failed(one)
        return slug, retried

    async def _put_back(self, letters: Sequence[Letter]) -> Sequence[str | None]:
        keys, args = [names.DEAD], [str(self._result_ttl)]
        now = iso(self._clock())
        for letter in letters:
            record = b""
            if letter.task_id is not None:
                document = {"id": letter.task_id, "type": letter.text("type"), "status": TaskStatus.QUEUED}
                record = orjson.dumps({**document, "attempts": 0, "queuedAt": now})
            keys += [letter.stream, names.result(letter.task_id or "")]
            args += [letter.entry_id, record.decode(), "1" if letter.code == _OUTPUT_FAILED else ""]
        answers = await self._replay(self._client, keys, args)
        return [
            None if answer is None else _task_id(letter, answer[0], keeps_id=bool(answer[1]))
            for letter, answer in zip(letters, answers, strict=True)
        ]

    async def _retry_failed(self, slug: str) -> int:
        """The failure records of one list, as many as it has now."""
        source = self._keys.failed(slug)
        target = [source, names.STREAMS[TaskPriority.NORMAL]]
        try:
            left = int(await self._client.call("LLEN", source))
        except RedisRefused as error:
            if not error.reply.startswith("WRONGTYPE"):
                raise
            log.error("the key of failure records is not a list and is left alone", key=source)
            return 0
        taken = begin = 0
        while left > 0:
            records = await self._client.call("LRANGE", source, begin, begin + min(left, _FAILED_PAGE) - 1)
            if not records:
                break
            pairs = [(record, inner) for record in records if (inner := unwrap_failure(record)) is not None]
            if pairs:
                words = [word for pair in pairs for word in pair]
                taken += int(await self._take_failed(self._client, target, [self._keys.chunks(slug), *words]))
            begin += len(records) - len(pairs)
            left -= len(records)
        return taken

    # -- dropping ----------------------------------------------------------------------------------------------

    async def drop(self, entry_id: str) -> bool:
        """Delete one letter; False when there is none of this id."""
        return bool(await self._client.call("XDEL", names.DEAD, checked_id(entry_id)))

    async def drop_matching(self, wanted: LetterFilter = EVERYTHING, *, progress: Progress | None = None) -> int:
        """Delete those that match and were there when this began. Returns how many."""
        dropped = 0
        async for page in self._matching(wanted, progress):
            dropped += int(await self._client.call("XDEL", names.DEAD, *(letter.entry_id for letter in page)))
        return dropped


def _task_id(letter: Letter, entry: bytes, *, keeps_id: bool) -> str:
    """As the worker will name it: a task without an id is named after its entry."""
    if keeps_id and letter.task_id is not None:
        return letter.task_id
    return f"{letter.priority.value}-{entry.decode()}"


def _batches(letters: Sequence[Letter]) -> list[list[Letter]]:
    """Cut by number and by the bytes of their tasks; a single larger one is a batch of its own."""
    out: list[list[Letter]] = []
    size = 0
    for letter in letters:
        if not out or len(out[-1]) >= _BATCH or size + letter.task_bytes > _BATCH_BYTES:
            out.append([])
            size = 0
        out[-1].append(letter)
        size += letter.task_bytes
    return out


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
