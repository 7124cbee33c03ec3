"""`analyze FILE`: one verdict per row of a file, in its order, by the code of the service; no server needed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import strictjson
from ..config import Settings, load_settings
from ..mention_files import FLAGS, NAMES, BadRow, MentionFile, Row
from . import EXIT_OK, note
from .detect_files import Left, results
from .replay_progress import progress

if TYPE_CHECKING:
    from ..analyzer import Analyzer
    from ..brand_terms import BrandTerms
    from ..students.panel import Students

_BATCH: Final = 300
"""Rows in memory; the students decide about those of one brand at once."""
_NO_BRAND: Final = "none"
"""Stands in where neither the file nor the command line names a brand; verdicts then have none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Judge every row of FILE with tiers 1 and 2, as the service does without a language model. One JSON object per "
        "row, in order: the verdict, or `error` for a row that cannot be used. Students that `learn` has left in "
        "DATA_DIR/students are used."
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, TSV or JSONL, also .gz; - for standard input")
    add("--out", required=True, metavar="OUT.jsonl", help="one verdict per row; - for standard output")
    add("--brand", metavar="NAME", help="brand of rows that name none")
    add("--alias", action="append", default=[], metavar="NAME", help="another name of the brand (may be repeated)")
    add("--keyword", action="append", default=[], metavar="WORD", help="a word that makes a post relevant (repeatable)")
    add("--source", metavar="NAME", help="source of rows that name none")
    for field, flag in FLAGS.items():
        add(flag, metavar="C", dest=f"column_{field}", help=f"found by itself when named {', '.join(NAMES[field])}")
    add("--student", action="append", metavar="STUDENT", help="use this student instead of those in DATA_DIR/students "
        "(may be repeated, one per task)")  # fmt: skip
    add("--no-students", action="store_true", help="cold start: use no student")
    add("--quiet", action="store_true", help="no progress, problems only")


def run(arguments: argparse.Namespace) -> int:
    from ..analyzer import Analyzer
    from ..vader import Vader

    settings = load_settings()
    columns = {field: name for field in FLAGS if (name := getattr(arguments, f"column_{field}")) is not None}
    students = _students(settings, arguments)
    judge = _Judge(Analyzer(Vader.load()), students, settings.mention_max_chars, arguments)
    left = Left()
    file = MentionFile(arguments.file, columns=columns, brand=arguments.brand or _NO_BRAND, source=arguments.source)
    with file as rows, results(arguments.out) as out:
        display = progress(Path(file.name).name, quiet=arguments.quiet)
        try:
            for batch in _batches(rows):
                for document in judge.documents(batch):
                    left.read += 1
                    out.write(strictjson.dumps(document).decode() + "\n")
                    if "error" in document:
                        left.add(BadRow(document["row"], document["error"]))
                display.update(left.read, left.read, file.fraction())
        finally:
            display.close()
    left.close(file.name)
    if not arguments.quiet:
        names = [one.name for one in (students.sentiment, students.intent) if one is not None]
        used = ", ".join(names) or "none (cold start)"
        note(f"{left.read - left.bad:,} of {left.read:,} rows judged; students: {used}")
    return EXIT_OK


def _students(settings: Settings, arguments: argparse.Namespace) -> Students:
    from .. import student_files
    from ..students.panel import UNTAUGHT, Students
    from ..students.student import StudentTask

    if arguments.no_students:
        return UNTAUGHT
    if not arguments.student:
        return student_files.load_all(settings.data_dir)
    found = {}
    for name in arguments.student:
        student = student_files.load(Path(name))
        if student is None:
            raise student_files.StudentFileProblem(f"{name}: there is no such file")
        found[student.task] = student
    return Students(found.get(StudentTask.SENTIMENT), found.get(StudentTask.INTENT))


class _Judge:
    """Rows to documents, many at once."""

    def __init__(self, analyzer: Analyzer, students: Students, max_chars: int, arguments: argparse.Namespace) -> None:
        self._analyzer = analyzer
        self._students = students
        self._max_chars = max_chars
        self._names = (tuple(arguments.alias), tuple(arguments.keyword))
        self._now = datetime.now(UTC)

    def documents(self, batch: Sequence[Row | BadRow]) -> Iterator[dict[str, Any]]:
        for brand, group in groupby(batch, lambda row: row.brand if isinstance(row, Row) else None):
            rows = list(group)
            if brand is None:
                yield from ({"row": row.number, "error": row.reason} for row in rows if isinstance(row, BadRow))
            else:
                yield from self._judged(brand, [row for row in rows if isinstance(row, Row)])

    def _judged(self, brand: str, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
        from ..models import Analysed, Chunk
        from ..pipeline.documents import public_analysed
        from ..pipeline.normalize import normalise

        items = tuple(row.mention for row in rows)
        normal = normalise(Chunk(brand, "file", items), received_at=self._now, max_chars=self._max_chars)
        mentions = [mention for _, mention in normal.mentions]
        verdicts = self._analyzer.analyse_batch(mentions, _terms(brand, *self._names), self._students)
        judged = {
            index: public_analysed(Analysed(mention, verdict))
            for (index, mention), verdict in zip(normal.mentions, verdicts, strict=True)
        }
        refused = {bad.index: bad.reason.partition("]")[2].lstrip(".: ") for bad in normal.rejected}
        for index, row in enumerate(rows):
            if index in judged:
                document = judged[index]
                yield {**document, "brand": None} if brand == _NO_BRAND else document
            else:
                problem = refused.get(index, "is a placeholder of an aggregator, not a post")
                yield {"id": row.mention.get("id"), "row": row.number, "error": problem}


def _batches(rows: Iterable[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        yield batch


@lru_cache(maxsize=1_000)
def _terms(brand: str, aliases: tuple[str, ...], keywords: tuple[str, ...]) -> BrandTerms:
    from ..brand_terms import BrandTerms

    return BrandTerms.build("" if brand == _NO_BRAND else brand, aliases, keywords)
