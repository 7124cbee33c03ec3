"""`dedup FILE`: which posts of a file repeat an earlier one, by the code of the service; no server needed."""

from __future__ import annotations

import argparse
import csv
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from ..mention_files import FLAGS, NAMES, BadRow, MentionFile, Row
from ..near_duplicates import NearDuplicates, Post
from ..pipeline.canonical import canonical, cut_short, unescaped
from ..tasks import slug_of
from ..times import parse_time
from . import EXIT_OK, CommandProblem, note
from .replay_progress import progress

_BATCH: Final = 2_000
"""Rows per look at the progress bar: a tenth of a second."""
_FIELDS: Final = ("id", "text", "created_at", "brand", "source")
_BAD_SHOWN: Final = 5
_NO_BRAND: Final = "none"
"""Stands in where neither the file nor the command line names a brand; it is not written anywhere."""


@dataclass(slots=True)
class Found:
    """What became of the rows of a file: rows = first + duplicates + bad."""

    rows: int = 0
    duplicates: int = 0
    bad: int = 0


class Answer(NamedTuple):
    """One line of the output; `duplicate_of` is None for the first of its kind."""

    id: str
    duplicate_of: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, TSV or JSONL, also .gz; - for standard input")
    add("--out", required=True, metavar="OUT.csv", help="id,duplicate_of per row, in order; - for standard output")
    add("--brand", metavar="NAME", help="brand of rows that name none; posts of two brands are never linked")
    add("--source", metavar="NAME", help="source of rows that name none; posts of two sources are never linked")
    add("--window-hours", type=_hours, metavar="H", help="link alike posts at most so far apart (default: no limit)")
    for field in _FIELDS:
        names = ", ".join(NAMES[field])
        add(FLAGS[field], metavar="C", dest=f"column_{field}", help=f"found by itself when named {names}")
    add("--quiet", action="store_true", help="no progress, problems only")


def run(arguments: argparse.Namespace) -> int:
    columns = {name: value for name in _FIELDS if (value := getattr(arguments, f"column_{name}")) is not None}
    window = timedelta(hours=arguments.window_hours) if arguments.window_hours is not None else None
    brand = arguments.brand or _NO_BRAND
    began = time.monotonic()
    found = Found()
    with (
        MentionFile(arguments.file, columns=columns, brand=brand, source=arguments.source) as file,
        _output(arguments.out, arguments.file) as out,
    ):
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(("id", "duplicate_of"))
        display = progress(Path(file.name).name, quiet=arguments.quiet)
        try:
            for answers in in_batches(Deduplication(window).links(file, found)):
                lines.writerows((answer.id, answer.duplicate_of or "") for answer in answers)
                # What is remembered stays to the end; looking through it for cycles takes a quarter of the time.
                gc.freeze()
                display.update(found.rows, found.rows, file.fraction())
        finally:
            display.close()
    if not arguments.quiet:
        seconds = time.monotonic() - began
        first = found.rows - found.duplicates - found.bad
        bad = f", {found.bad:,} that cannot be read" if found.bad else ""
        note(
            f"{found.rows:,} rows: {first:,} first of their kind, {found.duplicates:,} duplicates{bad}; "
            f"{seconds:.1f} s, {found.rows / max(seconds, 1e-3):,.0f}/s"
        )
    return EXIT_OK


class Deduplication:
    """The core of the command: rows of a file to links, as a stream; one index per brand and source."""

    def __init__(self, window: timedelta | None) -> None:
        self._window = window
        self._indexes: dict[tuple[str, str], NearDuplicates] = {}

    def links(self, rows: Iterator[Row | BadRow] | MentionFile, found: Found) -> Iterator[Answer]:
        """An answer per row in the rows' order; a row that cannot be read is told and stands there without a link."""
        for batch in in_batches(iter(rows)):
            yield from self._batch(batch, found)

    def _batch(self, rows: list[Row | BadRow], found: Found) -> list[Answer]:
        answers: list[Answer | None] = [None] * len(rows)
        places: dict[tuple[str, str], list[tuple[int, Post]]] = {}
        for place, row in enumerate(rows):
            found.rows += 1
            problem = row.reason if isinstance(row, BadRow) else _problem(row)
            if problem is not None or isinstance(row, BadRow):
                found.bad += 1
                if found.bad <= _BAD_SHOWN:
                    note(f"row {row.number}: {problem}")
                answers[place] = Answer(_identity(row), None)
            else:
                key = _stream(row.brand, str(row.mention.get("source", "")))
                places.setdefault(key, []).append((place, self._post(row)))
        for key, posts in places.items():
            links = self._index(key).add_all([post for _, post in posts])
            for (place, post), link in zip(posts, links, strict=True):
                found.duplicates += link is not None
                answers[place] = Answer(post.id, link)
        return [answer for answer in answers if answer is not None]

    def _post(self, row: Row) -> Post:
        text = unescaped(row.mention["text"])
        at = None if self._window is None else _time(row)
        return Post(_identity(row), canonical(text), at, cut_short(text))

    def _index(self, key: tuple[str, str]) -> NearDuplicates:
        if key not in self._indexes:
            self._indexes[key] = NearDuplicates(window=self._window)
        return self._indexes[key]


def in_batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _problem(row: Row) -> str | None:
    text = row.mention.get("text")
    if not isinstance(text, str):
        return "text: is required"
    return None if text.strip() else "text: is empty"


@lru_cache(maxsize=10_000)
def _stream(brand: str, source: str) -> tuple[str, str]:
    """Brand and source as the service tells them apart: "Acme Corp." is acme-corp."""
    return slug_of(brand), source.strip().lower()


def _identity(row: Row | BadRow) -> str:
    """The row's own id, else its number: an output line can always be told to its row."""
    value = None if isinstance(row, BadRow) else row.mention.get("id")
    return str(row.number) if value is None else str(value)


def _time(row: Row) -> datetime | None:
    value = row.mention.get("created_at")
    return parse_time(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


@contextmanager
def _output(path: str, source: str) -> Iterator[TextIO]:
    """The file appears when it is complete: another program never reads half of it."""
    if path == "-":
        yield sys.stdout
        return
    target = Path(path)
    if source != "-" and target.exists() and Path(source).exists() and target.samefile(source):
        raise CommandProblem(f"{path}: is the file that is read; name another one with --out")
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as out:
            yield out
        partial.replace(target)
    except OSError as error:
        raise CommandProblem(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _hours(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value <= 24 * 365 * 10:
        raise argparse.ArgumentTypeError("must be more than 0 and at most ten years")
    return value
