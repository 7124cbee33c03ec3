"""From a file's rows to chunks for the queue, read by a thread of its own."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import orjson

from ..mention_files import BadRow, MentionFile, Row
from ..tasks import slug_of

_OPEN_BYTES: Final = 16 * 2**20
"""Most bytes of mentions in chunks that are not full yet: a file with very many brands must not fill the memory."""
_AHEAD: Final = 8
"""Chunks read before they can be sent: enough to be never waited for."""
_LOOK_SEC: Final = 0.2
REASONS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row was rejected."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileChunk:
    """Mentions of one brand, in the file's order. The same file gives the same chunks with the same ids each time."""

    brand: str
    chunk_id: str
    rows: tuple[int, ...]
    mentions: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class _Filling:
    """The chunk of one brand that is not full yet."""

    digest: Any = field(default_factory=hashlib.sha256)
    rows: list[int] = field(default_factory=list)
    mentions: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0


class Chunker:
    """Groups rows by brand. What comes out depends on the rows, their order and the two limits only."""

    def __init__(self, *, rows: int, size: int) -> None:
        """Limits of one chunk: number of rows, bytes of their JSON (a single larger row is a chunk of its own)."""
        self._rows = rows
        self._size = size
        self._filling: OrderedDict[str, _Filling] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._open_bytes = 0

    def add(self, row: Row) -> Iterator[FileChunk]:
        """The chunks that this row completes, none as a rule.

        Raises:
            ValueError: the row cannot be written as JSON.
        """
        try:
            document = orjson.dumps(row.mention)
        except TypeError as error:
            raise ValueError(str(error)) from None
        brand = slug_of(row.brand)  # what the worker makes of it: `Acme` and `acme` are one brand
        filling = self._filling.get(brand)
        if filling is not None and filling.size + len(document) > self._size:
            yield self._close(brand)
            filling = None
        if filling is None:
            filling = self._filling[brand] = _Filling()
        filling.rows.append(row.number)
        filling.mentions.append(row.mention)
        filling.digest.update(document + b"\n")
        filling.size += len(document)
        self._open_bytes += len(document)
        if len(filling.rows) >= self._rows:
            yield self._close(brand)
        while self._open_bytes > _OPEN_BYTES:
            yield self._close(next(iter(self._filling)))

    def rest(self) -> Iterator[FileChunk]:
        while self._filling:
            yield self._close(next(iter(self._filling)))

    def _close(self, brand: str) -> FileChunk:
        filling = self._filling.pop(brand)
        self._open_bytes -= filling.size
        number = self._numbers[brand] = self._numbers.get(brand, 0) + 1
        # With the number, because thirty rows that come twice are two chunks, of which the second only repeats.
        filling.digest.update(f"{brand}\x00{number}".encode())
        chunk_id = f"replay-{filling.digest.hexdigest()[:32]}"
        return FileChunk(brand, chunk_id, tuple(filling.rows), tuple(filling.mentions))


class ChunkSource:
    """Reads ahead in a thread: a pipe that brings nothing for an hour holds up neither the queue nor Ctrl-C.

    The counts are written by the thread only; to read them at any moment is safe, they are final when `done`.
    """

    def __init__(self, file: MentionFile, chunker: Chunker, *, limit: int | None, wake: Callable[[], None]) -> None:
        """`wake` is called, in the thread, when there is something to take."""
        self.read = 0
        self.bad = 0
        self.reasons: list[Reason] = []
        self._file = file
        self._chunker = chunker
        self._limit = limit
        self._wake = wake
        self._ready: queue.Queue[FileChunk | None] = queue.Queue(_AHEAD)
        self._stopping = threading.Event()
        self._done = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; one that waits for a pipe ends with the process."""
        self._stopping.set()

    @property
    def done(self) -> bool:
        """Has everything been taken?"""
        return self._done

    def fraction(self) -> float | None:
        return 1.0 if self._done else self._file.fraction()

    def take(self) -> FileChunk | None:
        """The next chunk, None when there is none (yet).

        Raises:
            FileProblem: instead of the end; the chunks before it have all been taken.
        """
        if self._done:
            return None
        try:
            chunk = self._ready.get_nowait()
        except queue.Empty:
            return None
        if chunk is None:
            self._done = True
            if self._failure is not None:
                raise self._failure
        return chunk

    def _run(self) -> None:
        try:
            for row in islice(self._file, self._limit):
                self.read += 1
                self._add(row)
                if self._stopping.is_set():
                    return
            self._put_all(self._chunker.rest())
        except Exception as error:  # noqa: BLE001 - a thread has no caller: `take` raises it where there is one
            self._failure = error
            self._put_all(self._chunker.rest())
        finally:
            self._put(None)

    def _add(self, row: Row | BadRow) -> None:
        if isinstance(row, Row):
            try:
                self._put_all(self._chunker.add(row))
            except ValueError as error:
                row = BadRow(row.number, str(error))
        if isinstance(row, BadRow):
            self.bad += 1
            if len(self.reasons) < REASONS_MAX:
                self.reasons.append(Reason(row.number, row.reason))

    def _put_all(self, chunks: Iterator[FileChunk]) -> None:
        for chunk in chunks:
            self._put(chunk)

    def _put(self, chunk: FileChunk | None) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Full):
                self._ready.put(chunk, timeout=_LOOK_SEC)
                break
        with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
            self._wake()
