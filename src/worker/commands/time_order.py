"""Rows of a file in the order of time, whatever order they were written in and however many there are.

Detectors go forward in time; exports are often newest first. Up to `in_memory` rows are sorted in memory, more in runs
on disk that are merged while they are read: a merge sort, so memory stays the same for any file.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Final, Self

import orjson

_IN_MEMORY: Final = 200_000
"""Rows of a few fields: some 100 MB at most. A run is a file that stays open: 1,000 of them are 200 million rows."""

Entry = tuple[int, int, list[Any]]


class TimeOrder:
    """A context manager. `add` all rows, then iterate once."""

    def __init__(self, *, in_memory: int = _IN_MEMORY) -> None:
        self._limit = in_memory
        self._rows: list[Entry] = []
        self._runs: list[IO[bytes]] = []
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for run in self._runs:
            run.close()

    def add(self, at_ms: int, row: list[Any]) -> None:
        """`row` is anything JSON can hold. Rows of one moment keep their order."""
        self._rows.append((at_ms, self.count, row))
        self.count += 1
        if len(self._rows) >= self._limit:
            self._spill()

    def __iter__(self) -> Iterator[tuple[int, list[Any]]]:
        self._rows.sort()
        parts: list[Iterator[Entry]] = [_read(run) for run in self._runs]
        for at_ms, _, row in heapq.merge(*parts, iter(self._rows)):
            yield at_ms, row

    def _spill(self) -> None:
        self._rows.sort()
        run = tempfile.TemporaryFile()  # noqa: SIM115 - closed, and gone, with the context
        self._runs.append(run)
        run.writelines(orjson.dumps(entry) + b"\n" for entry in self._rows)
        self._rows = []


def _read(run: IO[bytes]) -> Iterator[Entry]:
    run.seek(0)
    for line in run:
        at_ms, number, row = orjson.loads(line)
        yield at_ms, number, row
