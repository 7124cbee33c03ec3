"""Files of mentions as streams of rows: CSV, TSV and JSONL, plain or gzip, `-` for standard input; larger than memory.

    with MentionFile("mentions.csv.gz", brand="acme") as rows:
        for row in rows:        # Row(number, brand, mention) or BadRow(number, reason)
            ...

No row is dropped in silence: what cannot be read comes out as a `BadRow`. Blank lines are not rows. Numbers count rows
from 1, the header not included. What a mention must look like is the worker's to judge, not this module's.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeVar, cast

from .errors import InvalidTask, WorkerError
from .mention_lines import Bad, JsonLine, Lines, json_records, table_reader, table_records
from .tasks import brand_field

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "tweet_id", "mention_id"),
    "text": ("text", "content", "message", "body", "review"),
    "created_at": ("created_at", "timestamp", "ts_utc", "date", "published_at"),
    "author": ("author", "user", "username"),
    "brand": ("brand",),
    "source": ("source", "platform"),
    "url": ("url", "link"),
}
"""Common names of columns per field of a mention; of several in one file the one listed first here is taken."""
FLAGS: Final = {name: f"--{'time' if name == 'created_at' else name}-column" for name in NAMES}
"""How the command line names the column of a field."""
_EXTRAS: Final = ("metadata", "author_followers", "influence_score")
"""Further fields of a mention that JSON lines can carry as they are."""
_LOOK_AHEAD: Final = 100
"""JSON lines that may be without a text before the file is refused as one of another kind."""
_DELIMITERS: Final = ",\t;"
_BAD_GZIP: Final = (EOFError, gzip.BadGzipFile, zlib.error)

T = TypeVar("T")


class FileProblem(WorkerError):
    """The file as a whole cannot be used, or not to its end. The message is one line that says how to mend it."""

    code = "FILE"


@dataclass(frozen=True, slots=True)
class Row:
    """A row in the shape the worker takes; `mention` has only those fields that the row has."""

    number: int
    brand: str
    mention: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    number: int
    reason: str


class MentionFile:
    """One file, read once from beginning to end; a context manager.

    Args:
        columns: field of a mention (a key of `NAMES`) → the column that holds it, where the common names do not fit.
        brand, source: for rows that name none themselves.

    Raises FileProblem when opened, or from the iteration.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        brand: str | None = None,
        source: str | None = None,
    ) -> None:
        self._stdin = str(path) == "-"
        self.name = "standard input" if self._stdin else str(path)
        self._path = path
        self._columns = tuple((columns or {}).items())
        self._brand = brand
        self._source = source
        self._raw: io.FileIO | None = None
        self._buffered: io.BufferedReader | None = None
        self._size = 0

    def __enter__(self) -> Self:
        try:
            # Standard input through a reader of our own: a thread that waits in Python's shared one blocks the exit.
            self._raw = io.FileIO(0, closefd=False) if self._stdin else io.FileIO(self._path)
            status = os.fstat(self._raw.fileno())
        except FileNotFoundError:
            raise FileProblem(f"{self.name}: there is no such file") from None
        except OSError as error:
            raise FileProblem(f"{self.name}: cannot be opened ({error.strerror})") from None
        self._buffered = io.BufferedReader(self._raw)
        self._size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        return self

    def __exit__(self, *_: object) -> None:
        if self._raw is not None:
            self._raw.close()  # not the buffer: its lock may be held by a thread that waits for a pipe

    def fraction(self) -> float | None:
        """How much of the file has been read, 0..1; None where that is not known. Any thread may ask."""
        if not self._size or self._raw is None:
            return None
        try:
            return min(1.0, self._raw.tell() / self._size)
        except ValueError:  # closed
            return None

    def __iter__(self) -> Iterator[Row | BadRow]:
        buffered = self._buffered
        if buffered is None:
            raise RuntimeError("open the file first: `with MentionFile(...) as rows`")
        lines = Lines(buffered)
        try:
            if buffered.peek(2)[:2] == b"\x1f\x8b":
                lines = Lines(cast(BinaryIO, gzip.GzipFile(fileobj=buffered)))
            yield from self._rows(lines)
        except _BAD_GZIP as error:
            raise FileProblem(f"{self.name}: gzip damaged or cut off after line {lines.number} ({error})") from None
        except OSError as error:
            raise FileProblem(f"{self.name}: reading failed after line {lines.number} ({error.strerror})") from None

    # -- formats -----------------------------------------------------------------------------------------------

    def _rows(self, lines: Lines) -> Iterator[Row | BadRow]:
        first = self._first_line(lines)
        suffix = Path(self.name.removesuffix(".gz")).suffix.lower()
        table = suffix in (".csv", ".tsv")
        if not table and first.lstrip()[:1] == b"[":
            raise FileProblem(f"{self.name}: is a JSON array, one object per line is needed: jq -c '.[]' does that")
        if suffix in (".jsonl", ".ndjson") or (not table and first.lstrip()[:1] == b"{"):
            return self._json_rows(first, lines)
        return self._table_rows(first, lines, "\t" if suffix == ".tsv" else None)

    def _first_line(self, lines: Lines) -> bytes:
        try:
            first = next((line for line in lines if line.strip()), None)
        except Bad as bad:
            raise FileProblem(f"{self.name}: {bad}: is it a CSV, TSV or JSONL file?") from None
        if first is None:
            raise FileProblem(f"{self.name}: is empty")
        if first.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise FileProblem(f"{self.name}: is UTF-16, UTF-8 is needed: iconv -f UTF-16 -t UTF-8 does that")
        if b"\r" in first.rstrip(b"\r\n") and not first.endswith(b"\n"):
            raise FileProblem(f"{self.name}: its lines end with CR only, LF is needed: tr '\\r' '\\n' does that")
        return first.removeprefix(b"\xef\xbb\xbf")

    def _table_rows(self, first: bytes, lines: Lines, delimiter: str | None) -> Iterator[Row | BadRow]:
        mark = delimiter or max(_DELIMITERS, key=lambda one: first.count(one.encode()))
        reader = table_reader(first, lines, mark)
        try:
            header = [name.strip().replace("\x00", "") for name in next(reader)]
        except (csv.Error, Bad) as error:
            raise FileProblem(f"{self.name}: the header cannot be read ({error})") from None
        chosen = _choose(tuple(header), self._columns)
        self._check_columns(header, chosen)
        places = {field: header.index(name) for field, name in chosen.items()}
        return self._numbered(table_records(reader, lines, len(header)), lambda cells: self._cells(cells, places))

    def _json_rows(self, first: bytes, lines: Lines) -> Iterator[Row | BadRow]:
        records = json_records(first, lines)
        ahead: list[JsonLine | str] = []
        seen: dict[str, None] = {}
        for record in records:
            ahead.append(record)
            if not isinstance(record, str):
                seen |= dict.fromkeys(record[0])
                if "text" in _choose(tuple(record[0]), self._columns):
                    break
            if len(ahead) == _LOOK_AHEAD:
                break
        if seen:
            self._check_columns(list(seen), _choose(tuple(seen), self._columns))
        return self._numbered(chain(ahead, records), self._json)

    def _numbered(self, records: Iterable[T | str], convert: Callable[[T], dict[str, Any]]) -> Iterator[Row | BadRow]:
        """Rows from records; a record that is text is the reason why there is none."""
        for number, record in enumerate(records, 1):
            try:
                if isinstance(record, str):
                    raise Bad(record)
                mention = convert(record)
                yield Row(number, self._brand_of(mention), self._with_source(mention))
            except Bad as bad:
                yield BadRow(number, str(bad))

    # -- columns -----------------------------------------------------------------------------------------------

    def _check_columns(self, names: Sequence[str], chosen: Mapping[str, str]) -> None:
        there = ", ".join(repr(name[:40]) for name in names[:20]) + (", …" if len(names) > 20 else "")
        for field, wanted in self._columns:
            if field not in chosen:
                raise FileProblem(f"{self.name}: no column {wanted!r} ({FLAGS[field]}): the columns are {there}")
        if "text" not in chosen:
            raise FileProblem(
                f"{self.name}: no column of texts found: the columns are {there}; name one with {FLAGS['text']}"
            )

    # -- rows --------------------------------------------------------------------------------------------------

    def _cells(self, cells: Sequence[str], places: Mapping[str, int]) -> dict[str, Any]:
        mention: dict[str, Any] = {}
        for field, place in places.items():
            value = cells[place]
            if not value.isascii():
                _check_utf8(value, field)
            if field == "text" or (value := value.strip()):
                mention[field] = value
        return mention

    def _json(self, record: JsonLine) -> dict[str, Any]:
        document, line = record
        names = tuple(name for name, value in document.items() if value is not None)
        chosen = _choose(names, self._columns)
        mention = {field: document[name] for field, name in chosen.items()}
        if isinstance(mention.get("id"), float):  # more digits than a double holds: the number as it is written
            mention["id"] = json.loads(line, parse_int=str, parse_float=str)[chosen["id"]]
        elif isinstance(mention.get("id"), int) and not isinstance(mention["id"], bool):
            mention["id"] = str(mention["id"])
        mention |= {name: document[name] for name in _EXTRAS if document.get(name) is not None}
        return mention

    def _brand_of(self, mention: dict[str, Any]) -> str:
        value = mention.pop("brand", None)
        if isinstance(value, str) and not value.strip():
            value = None
        try:
            brand = brand_field(self._brand if value is None else value)
        except InvalidTask as error:
            raise Bad(error.message) from None
        if brand is None:
            raise Bad(f"brand: is missing (--brand or {FLAGS['brand']} names it)")
        return brand

    def _with_source(self, mention: dict[str, Any]) -> dict[str, Any]:
        if self._source is not None:
            mention.setdefault("source", self._source)
        return mention


def _check_utf8(value: str, field: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Bad(f"{field}: is not UTF-8 (byte 0x{ord(value[error.start]) & 0xFF:02x})") from None


@lru_cache(maxsize=1_000)
def _choose(names: tuple[str, ...], columns: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Field of a mention → the one of `names` that holds it: the one given in `columns`, else by the common names."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    common = {field: plain[_plain(name)] for field in NAMES for name in reversed(NAMES[field]) if _plain(name) in plain}
    given = {field: name if name in names else plain.get(_plain(name)) for field, name in columns}
    return {field: name for field, name in (common | given).items() if name is not None}


def _plain(name: str) -> str:
    """Names are compared without case and marks: `Created At` and `createdAt` are `created_at`."""
    return re.sub(r"[\W_]+", "", name).lower()
