"""Files of counts as streams of rows: `brand,timestamp,value`, CSV or TSV, plain or gzip, `-` for standard input."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from ..errors import InvalidTask
from ..mention_files import BadRow, FileProblem
from ..mention_lines import MAX_LINE
from ..tasks import brand_field
from ..times import parse_time, to_ms

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "brand": ("brand",),
    "time": ("timestamp", "ts_utc", "created_at", "date", "time"),
    "value": ("value", "count", "mentions", "volume"),
}
"""Common names of columns; of several in one file the one listed first here is taken."""
_DELIMITERS: Final = ",\t;"
_MOST: Final = 10**9
"""Mentions of a brand in five minutes: more is a column that holds something else."""


@dataclass(frozen=True, slots=True)
class CountRow:
    number: int
    brand: str
    at_ms: int
    stamp: str
    """The time as it is written in the file."""
    value: int


class CountFile:
    """One file, read once; a context manager. Numbers count rows from 1, the header and blank lines not included.

    Args:
        columns: key of `NAMES` → column, where the common names do not fit.
        brand: for rows that name none.

    Raises FileProblem when opened, or from the iteration.
    """

    def __init__(self, path: str, *, columns: Mapping[str, str], brand: str | None) -> None:
        self._stdin = path == "-"
        self.name = "standard input" if self._stdin else path
        self._path = path
        self._columns = columns
        self._brand = brand
        self._raw: BinaryIO | None = None
        self._size = 0

    def __enter__(self) -> Self:
        try:
            self._raw = open(0 if self._stdin else self._path, "rb", closefd=not self._stdin)
            self._size = 0 if self._stdin else Path(self._path).stat().st_size
        except OSError as error:
            raise FileProblem(f"{self.name}: cannot be opened ({error.strerror})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._raw is not None:
            self._raw.close()

    def fraction(self) -> float | None:
        """How much of the file has been read, 0..1; None where that is not known."""
        if self._raw is None or self._raw.closed or not self._size:
            return None
        return min(1.0, self._raw.tell() / self._size)

    def __iter__(self) -> Iterator[CountRow | BadRow]:
        if self._raw is None:
            raise RuntimeError("open the file first: `with CountFile(...) as rows`")
        try:
            yield from self._rows(self._raw)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileProblem(f"{self.name}: gzip damaged or cut off ({error})") from None
        except OSError as error:
            raise FileProblem(f"{self.name}: reading failed ({error.strerror})") from None
        except UnicodeDecodeError as error:
            raise FileProblem(f"{self.name}: is not UTF-8 ({error.reason})") from None
        except csv.Error as error:
            raise FileProblem(f"{self.name}: cannot be read as CSV ({error})") from None

    def _rows(self, raw: BinaryIO) -> Iterator[CountRow | BadRow]:
        csv.field_size_limit(MAX_LINE)
        buffered = cast(io.BufferedReader, raw)
        packed = buffered.peek(2)[:2] == b"\x1f\x8b"
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        with io.TextIOWrapper(cast(io.BufferedReader, stream), "utf-8-sig", newline="") as text:
            head = text.readline(MAX_LINE)
            if not head.strip():
                raise FileProblem(f"{self.name}: is empty")
            mark = max(_DELIMITERS, key=head.count)
            header = next(csv.reader([head], delimiter=mark))
            places = self._places([name.strip() for name in header])
            rows = (cells for cells in csv.reader(text, delimiter=mark) if any(cell.strip() for cell in cells))
            for number, cells in enumerate(rows, 1):
                try:
                    yield self._row(number, cells, len(header), places)
                except InvalidTask as bad:
                    yield BadRow(number, bad.message)

    def _places(self, header: Sequence[str]) -> dict[str, int]:
        plain = [_plain(name) for name in header]
        places = {}
        for field, names in NAMES.items():
            given = self._columns.get(field)
            wanted = [_plain(given)] if given is not None else [_plain(name) for name in names]
            found = next((plain.index(name) for name in wanted if name in plain), None)
            if found is not None:
                places[field] = found
            elif given is not None or field != "brand" or self._brand is None:
                there = ", ".join(repr(name[:40]) for name in header[:20])
                hint = f"no column {given!r}" if given is not None else f"no column of a {field} found"
                other = " or --brand" if field == "brand" else ""
                raise FileProblem(f"{self.name}: {hint}: the columns are {there}; --{field}-column{other} names it")
        return places

    def _row(self, number: int, cells: Sequence[str], width: int, places: Mapping[str, int]) -> CountRow:
        """Raises InvalidTask: why the row is bad."""
        if len(cells) != width:
            raise InvalidTask("row", f"has {len(cells)} columns, the header has {width}")
        stamp = cells[places["time"]].strip()
        when = parse_time(stamp)
        if when is None:
            raise InvalidTask("timestamp", f"{stamp[:50]!r} is no ISO 8601 time and no epoch time")
        named = cells[places["brand"]] if "brand" in places else ""
        brand = brand_field(named if named.strip() else self._brand)
        if brand is None:
            raise InvalidTask("brand", "is missing")
        return CountRow(number, brand, to_ms(when), stamp, _whole(cells[places["value"]]))


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise InvalidTask("value", f"{text[:50]!r} is no number") from None
    if not 0 <= number <= _MOST or number != int(number):
        raise InvalidTask("value", f"{text[:50]!r} is no count of mentions")
    return int(number)


def _plain(name: str) -> str:
    """Names are compared without case and marks: `Time Stamp` is `timestamp`."""
    return re.sub(r"[\W_]+", "", name).lower()
