"""The lines of a file of mentions, and the records in them: cells of a table, or JSON objects (`mention_files`).

A record that cannot be read comes out as the reason why, a text; the one after it is read all the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Self

from . import strictjson
from .errors import InvalidTask
from .tasks import json_kind

MAX_LINE: Final = 8 * 2**20
"""Longest line (bytes) and field (characters): twice what a task may hold. A quote that never closes ends here too."""

JsonLine = tuple[dict[str, Any], bytes]
"""An object, and the line that it stands in."""


class Bad(Exception):
    """Why a row is bad."""


class Lines:
    """Lines as bytes. A class and not a generator: it goes on after it has raised."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        self.ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """Raises Bad for a line that is too long; the next call reads the line after it."""
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        if len(line) <= MAX_LINE or line.endswith(b"\n"):
            return line
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(MAX_LINE + 1)
        raise Bad(f"line {self.number} is longer than {MAX_LINE:,} bytes")


class _Texts:
    """Lines as text for the CSV reader, beginning with one that was read already.

    Bytes that are no UTF-8 become lone surrogates: so the row they stand in is read to its end, and named then.
    """

    def __init__(self, first: bytes, lines: Lines) -> None:
        self._first: bytes | None = first
        self._lines = lines

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line, self._first = self._first, None
        return (next(self._lines) if line is None else line).decode("utf-8", "surrogateescape")


def table_reader(first: bytes, lines: Lines, delimiter: str) -> Iterator[list[str]]:
    """Cells of each row, the first of which begins with a line that was read already. Raises `csv.Error`, `Bad`."""
    csv.field_size_limit(MAX_LINE)
    return csv.reader(_Texts(first, lines), delimiter=delimiter)


def table_records(reader: Iterator[list[str]], lines: Lines, width: int) -> Iterator[list[str] | str]:
    """Rows of a table of `width` columns from a CSV reader over `lines`; blank ones are left out."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, Bad) as error:
            yield f"cannot be read ({error})"
            continue
        if lines.ended:  # the reader looked for more lines before it was done with this row
            yield "a quotation mark is never closed: the rest of the file would be one field"
        elif len(cells) == width:
            yield cells
        elif any(cell.strip() for cell in cells):
            yield f"has {len(cells)} column{'' if len(cells) == 1 else 's'}, the header has {width}"


def json_records(first: bytes, lines: Lines) -> Iterator[JsonLine | str]:
    """One object per line, from a line that was read already on; blank ones are left out."""
    line = first
    while True:
        if line.strip():
            yield _json_record(line)
        try:
            line = next(lines)
        except StopIteration:
            return
        except Bad as bad:
            line = b""
            yield str(bad)


def _json_record(line: bytes) -> JsonLine | str:
    try:
        document = strictjson.loads(line)
    except InvalidTask as error:
        return error.problem if error.field == strictjson.ROOT else error.message
    if not isinstance(document, dict):
        return f"must be a JSON object, not {json_kind(document)}"
    return document, line
