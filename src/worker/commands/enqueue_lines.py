"""Reading a file of tasks twice: to check every line, then to send them. Never more than one line in memory."""

from __future__ import annotations

import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from . import CommandProblem

_BOM: Final = b"\xef\xbb\xbf"
_SKIP_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """`raw` is None when it is longer than a task may be; `made_up_id` is for a task that names none."""

    number: int
    raw: bytes | None
    size: int
    made_up_id: str


class TaskFile:
    """A file, or what comes through a pipe: that is kept in a temporary file, because it comes only once."""

    def __init__(self, name: str, *, most_bytes: int) -> None:
        """Raises CommandProblem: there is no such file, or it cannot be read."""
        self._name = name
        self._most = most_bytes
        try:
            self._file = self._open()
        except OSError as error:
            raise CommandProblem(f"{name}: {error.strerror or error}") from error
        self.size = self._file.seek(0, 2)
        self.position = 0
        """Bytes read by the current pass."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def lines(self) -> Iterator[Line]:
        """From the first on; empty lines have numbers and are left out.

        Raises:
            CommandProblem: the file cannot be read any further.
        """
        try:
            yield from self._lines()
        except OSError as error:
            raise CommandProblem(f"{self._name}: {error.strerror or error}") from error

    def _lines(self) -> Iterator[Line]:
        self._file.seek(0)
        self.position = number = 0
        while raw := self._file.readline(self._most + 2):
            number += 1
            size = len(raw)
            if size > self._most and not raw.endswith(b"\n"):
                size += self._skip()
            self.position += size
            text = (raw.removeprefix(_BOM) if number == 1 else raw).strip()
            if size - len(raw) or len(text) > self._most:
                yield Line(number, None, size, "")
            elif text:
                yield Line(number, text, size, uuid.uuid4().hex)

    def _skip(self) -> int:
        """To the end of a line that is too long."""
        skipped = 0
        while part := self._file.readline(_SKIP_BYTES):
            skipped += len(part)
            if part.endswith(b"\n"):
                break
        return skipped

    def _open(self) -> IO[bytes]:
        if self._name != "-":
            path = Path(self._name)
            if path.is_file():
                return path.open("rb")
            with path.open("rb") as pipe:
                return _kept(pipe)
        return _kept(sys.stdin.buffer)


def _kept(source: IO[bytes]) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `TaskFile`
    shutil.copyfileobj(source, copy)
    return copy
