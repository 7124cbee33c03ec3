"""What both kinds of `detect` need: rows that were left out, and a file of results that is whole or not there."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from ..mention_files import BadRow
from ..tasks import slug_of
from . import CommandProblem, note

_SHOWN: Final = 5
PROGRESS_EVERY: Final = 1_000
"""Rows between two looks at the progress bar."""


class Left:
    """Counts rows that were left out, and says why of the first of them."""

    def __init__(self) -> None:
        self.read = 0
        self.bad = 0
        self.synthetic = 0
        """Placeholders that an aggregator makes up where a provider found nothing."""

    def add(self, row: BadRow) -> None:
        self.bad += 1
        if self.bad <= _SHOWN:
            note(f"row {row.number}: {row.reason}")

    def close(self, name: str) -> None:
        """Raises CommandProblem when nothing at all could be used."""
        if self.bad and self.bad == self.read:
            raise CommandProblem(f"{name}: none of its {self.read:,} rows can be used")
        if self.bad:
            more = f", {_SHOWN} of them are named above" if self.bad > _SHOWN else ""
            note(f"{self.bad:,} of {self.read:,} rows were left out{more}")
        if self.synthetic:
            note(f"{self.synthetic:,} rows are placeholders of an aggregator: not counted")


class Names:
    """Brands by slug, each shown as it was first written: "Acme Corp" and "acme-corp" are one."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def slug(self, brand: str) -> str:
        slug = slug_of(brand)
        self._shown.setdefault(slug, brand)
        return slug

    def shown(self, slug: str) -> str:
        return self._shown[slug]


@contextlib.contextmanager
def results(path: str) -> Iterator[TextIO]:
    """Where to write. A file takes its name when all is in it; what was there before stays until then."""
    if path == "-":
        yield sys.stdout
        return
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as error:
        raise CommandProblem(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes it private
        Path(temporary).replace(target)
    except OSError as error:
        raise CommandProblem(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
