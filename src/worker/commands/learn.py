"""`learn FILE`: labelled texts teach tier 2's student; it is used when it is not worse than what was used before."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..config import Settings, load_settings
from ..mention_files import FLAGS, BadRow, FileProblem, MentionFile, Row
from ..models import Intent
from . import EXIT_OK, EXIT_PROBLEM, CommandProblem, note

if TYPE_CHECKING:
    from ..students.school import Labelled, Taught
    from ..students.student import StudentTask

_LABELS: Final = ("label", "sentiment", "intent", "task", "class", "category")
_NO_BRAND: Final = "none"
_LONGEST: Final = 5_000
_BAD_SHOWN: Final = 5
_WHERE: Final = "DATA_DIR/students/TASK.student"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"Teach tier 2's student from the labels of FILE. It is kept in {_WHERE}, where `analyze` finds it, and is "
        "adopted only when it is not worse than the student there (without one: than the cold start) on a tenth of "
        "the texts that is held back. A file teaches anew, from itself alone. With --store, or when MONGODB_URI is "
        "set, its labels are also added to those of the service in MongoDB."
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, TSV or JSONL with texts and labels, also .gz; - for standard input")
    add("--task", required=True, choices=("sentiment", "intent"), help="what the labels say of the texts")
    add("--out", metavar="STUDENT", help=f"keep the student here instead of in {_WHERE}")
    add("--store", action="store_true", help="add the labels to MongoDB; done by itself when MONGODB_URI is set")
    default = Intent.FEATURE_REQUEST.value
    intents = [one.value for one in Intent]
    add("--positive", choices=intents, default=default, help=f"what 1, true, yes mean for --task intent ({default})")
    add("--label-column", metavar="C", help=f"found by itself when named {', '.join(_LABELS)}")
    add("--rating-column", metavar="C", help="stars that tell praise among rows labelled as a bare rating")
    add(FLAGS["text"], metavar="C", help="found by itself when named text, content, message, body, review")
    add("--brand", metavar="NAME", help="brand of rows that name none; its names are masked")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else there")


def run(arguments: argparse.Namespace) -> int:
    from .. import student_files
    from ..students.school import hold_lesson
    from ..students.student import StudentTask

    settings = load_settings()
    task = StudentTask(arguments.task)
    texts = list(_labelled(arguments, task))
    path = Path(arguments.out) if arguments.out else student_files.path_of(settings.data_dir, task)
    taught = hold_lesson(task, texts, _previous(path))
    if taught.student is not None and taught.lesson.adopted:
        student_files.write(path, taught.student)
    stored = None
    if arguments.store or settings.mongodb_uri:
        uri = _mongodb(settings)
        if uri is None:
            raise CommandProblem("--store needs a worker that runs here, or MONGODB_URI")
        stored = asyncio.run(_store(uri, task, texts))
    _show(arguments, task, taught, path, stored)
    return EXIT_OK if taught.student is not None else EXIT_PROBLEM


def _previous(path: Path) -> bytes | None:
    """The student there, to compare with; one that nobody can use any more is compared with nothing."""
    from .. import student_files

    try:
        student_files.load(path)
    except student_files.StudentFileProblem as problem:
        note(f"{problem.message}; the cold start is compared with instead")
        return None
    return student_files.read_bytes(path)


def _labelled(arguments: argparse.Namespace, task: StudentTask) -> Iterator[Labelled]:
    """The usable rows; those that are not are named and counted."""
    from ..pipeline.canonical import unescaped
    from ..students.labels import UnknownLabel, label_of
    from ..students.school import Labelled, text_key

    positive = Intent(arguments.positive)
    bad = read = 0
    for row in _rows(arguments):
        read += 1
        reason = row.reason if isinstance(row, BadRow) else ""
        if isinstance(row, Row):
            text = row.mention.get("text")
            label = row.mention.get("url")
            if not isinstance(text, str) or not text.strip():
                reason = "text: is empty"
            elif label is None:
                reason = "label: is empty"
            else:
                text = unescaped(text)[:_LONGEST]
                brand = "" if row.brand == _NO_BRAND else row.brand
                try:
                    named = label_of(task, str(label), positive=positive)
                except UnknownLabel as error:
                    raise CommandProblem(f"{arguments.file}: row {row.number}: {error.message}") from None
                yield Labelled(text_key(text), text, brand, named, _number(row.mention.get("author")))
                continue
        bad += 1
        if bad <= _BAD_SHOWN:
            note(f"row {row.number}: {reason}")
    if bad:
        note(f"{bad:,} of {read:,} rows were left out")


def _rows(arguments: argparse.Namespace) -> Iterator[Row | BadRow]:
    """The rows with the label as `url` and the rating as `author`: of a labelled text these fields are not needed."""
    given = {"text": arguments.text_column} if arguments.text_column else {}
    wanted = (arguments.label_column,) if arguments.label_column else _LABELS
    ratings = (arguments.rating_column,) if arguments.rating_column else ("rating", None)
    missing: FileProblem | None = None
    if arguments.file == "-" and not (arguments.label_column and arguments.text_column):
        wanted, ratings = wanted[:1], (arguments.rating_column,)  # standard input can be read once only
    for label in wanted:
        for rating in ratings:
            columns = {**given, "url": label, **({"author": rating} if rating else {})}
            file = MentionFile(arguments.file, columns=columns, brand=arguments.brand or _NO_BRAND)
            with file as opened:
                rows = iter(opened)
                try:
                    first = next(rows, None)
                except FileProblem as problem:
                    if "no column" not in problem.message or (rating and "no column of texts" in problem.message):
                        raise
                    missing = problem
                    continue
                if first is not None:
                    yield first
                    yield from rows
                return
    hint = "" if arguments.label_column else f"; a label is looked for in {', '.join(_LABELS)}: --label-column names it"
    raise CommandProblem(f"{missing.message if missing else arguments.file}{hint}")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _mongodb(settings: Settings) -> str | None:
    """MongoDB as the settings name it, else that of the worker that runs under DATA_DIR."""
    if settings.mongodb_uri:
        return settings.mongodb_uri
    from ..embedded import read_state

    endpoints = read_state(settings.data_dir)
    return endpoints.mongodb_uri if endpoints is not None else None


async def _store(uri: str, task: StudentTask, texts: list[Labelled]) -> str:
    from ..services.students import StudentStore
    from ..storage import Storage

    storage = Storage(uri)
    try:
        store = StudentStore(storage)
        await store.ensure_indexes()
        news = await store.add_labels(task, texts, at=datetime.now(UTC))
        return f"MongoDB: {news:,} new labels, from which the workers learn"
    finally:
        storage.close()


def _show(arguments: argparse.Namespace, task: StudentTask, taught: Taught, path: Path, stored: str | None) -> None:
    lesson = taught.lesson
    if arguments.json:
        names = ("examples", "counts", "held_back", "before", "after", "adopted", "reason", "left_out")
        document = {"task": task.value, **{name: getattr(lesson, name) for name in names}, "student": str(path)}
        print(json.dumps(document))
        return
    print(f"{task.value}: {lesson.examples:,} different texts")
    for label, count in sorted(lesson.counts.items()):
        few = " (too few to learn)" if label in lesson.left_out else ""
        print(f"  {label}: {count:,}{few}")
    if task.value == "intent":
        print(f"  labels 1, true and yes are read as {arguments.positive} (--positive)")
    if lesson.before is not None and lesson.after is not None:
        print(f"macro F1 on {lesson.held_back:,} held-back texts: {lesson.before:.3f} before, {lesson.after:.3f} after")
    print(f"{'adopted' if lesson.adopted else 'not adopted'}: {lesson.reason}")
    if lesson.adopted:
        print(f"student kept in {path}: `analyze` reads it")
    if stored is not None:
        print(stored)
