"""`cluster FILE`: what the posts of a file are about, by the code of the service; no server needed."""

from __future__ import annotations

import argparse
import asyncio
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..cluster_labels import NOISE_LABEL, labels_of
from ..clustering import NOISE, Clustering, cluster
from ..config import load_settings
from ..cpu import Cpu
from ..embeddings import Embedder, embedder_of
from ..mention_files import FLAGS, NAMES, BadRow, MentionFile, Row
from ..pipeline.canonical import unescaped
from . import EXIT_OK, CommandProblem, note
from .detect_files import results
from .replay_progress import Progress, progress

_BATCH: Final = 1_000
"""Rows per look at the progress bar: a tenth of a second with local embeddings."""
_FIELDS: Final = ("id", "text", "brand")
_BAD_SHOWN: Final = 5
_BRANDS_MAX: Final = 50
"""Names left out of labels: those of the first brands of a file."""
_NO_BRAND: Final = "none"
"""Stands in where neither the file nor the command line names a brand; it is not written anywhere."""


@dataclass(slots=True)
class Posts:
    """The rows of a file. `places` are those rows that have a text, in order; `texts` and `parts` go with them."""

    ids: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    """Matrices of vectors, batch after batch."""
    brands: dict[str, None] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        return len(self.ids) - len(self.places)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, TSV or JSONL, also .gz; - for standard input")
    add("--out", required=True, metavar="OUT.csv", help="id,cluster,label per row, in order; - for standard output")
    add("--k", type=_count, metavar="N", help="so many clusters and no noise (default: chosen; -1 is noise)")
    add("--brand", metavar="NAME", help="brand of rows that name none; labels leave its name out")
    add("--text", metavar="C", dest="column_text", help=f"column of the texts; found when named {_names('text')}")
    for name in _FIELDS:
        add(FLAGS[name], metavar="C", dest=f"column_{name}", help=f"found by itself when named {_names(name)}")
    add("--quiet", action="store_true", help="no progress, problems only")


def run(arguments: argparse.Namespace) -> int:
    columns = {name: value for name in _FIELDS if (value := getattr(arguments, f"column_{name}")) is not None}
    _refuse_same_file(arguments.out, arguments.file)
    began = time.monotonic()
    with (
        MentionFile(arguments.file, columns=columns, brand=arguments.brand or _NO_BRAND) as file,
        results(arguments.out) as out,
    ):
        display = progress(Path(file.name).name, quiet=arguments.quiet)
        try:
            posts = asyncio.run(_read(file, display))
        finally:
            display.close()
        found = _clusters(posts, arguments.k)
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(("id", "cluster", "label"))
        lines.writerows(_answers(posts, found))
    if not arguments.quiet:
        noise = found.labels.count(NOISE)
        bad = f", {posts.bad:,} that cannot be read" if posts.bad else ""
        note(
            f"{len(posts.ids):,} rows: {found.k:,} cluster{'' if found.k == 1 else 's'}, {noise:,} noise{bad}; "
            f"{time.monotonic() - began:.1f} s"
        )
    return EXIT_OK


async def _read(file: MentionFile, display: Progress) -> Posts:
    """All rows with their vectors; K-Means needs them together: 2 kB per row with local embeddings."""
    cpu = Cpu()
    embedder = embedder_of(load_settings(), cpu)
    posts, waiting = Posts(), list[str]()
    try:
        for row in file:
            if (text := _take(row, posts)) is not None:
                waiting.append(text)
            if len(waiting) == _BATCH:
                await _embed(embedder, posts, waiting)
                display.update(len(posts.ids), len(posts.ids), file.fraction())
        await _embed(embedder, posts, waiting)
        display.update(len(posts.ids), len(posts.ids), file.fraction())
    finally:
        await embedder.close()
        cpu.close()
    return posts


def _take(row: Row | BadRow, posts: Posts) -> str | None:
    """The row's text, where it has one; a row that has none is told and will be noise."""
    place = len(posts.ids)
    posts.ids.append(_identity(row))
    problem = row.reason if isinstance(row, BadRow) else _problem(row)
    if isinstance(row, BadRow) or problem is not None:
        if posts.bad <= _BAD_SHOWN:
            note(f"row {row.number}: {problem}")
        return None
    posts.places.append(place)
    if row.brand != _NO_BRAND and len(posts.brands) < _BRANDS_MAX:
        posts.brands[row.brand] = None
    return unescaped(row.mention["text"])


async def _embed(embedder: Embedder, posts: Posts, waiting: list[str]) -> None:
    if waiting:
        posts.parts.append(await embedder.embed(waiting))
        posts.texts += waiting
        waiting.clear()


def _clusters(posts: Posts, k: int | None) -> Clustering:
    import numpy as np

    vectors = np.concatenate(posts.parts) if posts.parts else np.zeros((0, 1), dtype=np.float32)
    posts.parts.clear()  # the parts and the whole at once would be twice the memory
    return cluster(vectors, k)


def _answers(posts: Posts, found: Clustering) -> Iterator[tuple[str, int, str]]:
    """A line per row in the rows' order."""
    groups = [[posts.texts[row] for row in found.members(number)] for number in range(found.k)]
    names = labels_of(groups, tuple(posts.brands))
    numbers = dict(zip(posts.places, found.labels, strict=True))
    for place, identity in enumerate(posts.ids):
        number = numbers.get(place, NOISE)
        yield identity, number, NOISE_LABEL if number == NOISE else names[number]


def _problem(row: Row) -> str | None:
    text = row.mention.get("text")
    if not isinstance(text, str):
        return "text: is required"
    return None if unescaped(text).strip() else "text: is empty"


def _identity(row: Row | BadRow) -> str:
    """The row's own id, else its number: an output line can always be told to its row."""
    value = None if isinstance(row, BadRow) else row.mention.get("id")
    return str(row.number) if value is None else str(value)


def _names(name: str) -> str:
    return ", ".join(NAMES[name])


def _refuse_same_file(out: str, source: str) -> None:
    if "-" not in (out, source) and Path(out).exists() and Path(source).exists() and Path(out).samefile(source):
        raise CommandProblem(f"{out}: is the file that is read; name another one with --out")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 10000")
    return int(text)
