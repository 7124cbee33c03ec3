"""Students on disk, `DATA_DIR/students/{task}.student`: what the offline commands learn and use."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import WorkerError
from .students.panel import Students
from .students.student import BadStudent, Student, StudentTask, from_bytes


class StudentFileProblem(WorkerError):
    """A student cannot be read or written. The message names the file."""

    code = "STUDENT_FILE"


def path_of(data_dir: Path, task: StudentTask) -> Path:
    return data_dir / "students" / f"{task.value}.student"


def write(path: Path, data: bytes) -> None:
    """Replace the file as a whole: whoever reads meanwhile has the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StudentFileProblem(f"{path}: cannot be written ({error.strerror})") from None


def read_bytes(path: Path) -> bytes | None:
    """None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StudentFileProblem(f"{path}: cannot be read ({error.strerror})") from None


def load(path: Path) -> Student | None:
    """None when there is no such file.

    Raises:
        StudentFileProblem: there is one, but it cannot be used.
    """
    data = read_bytes(path)
    try:
        return None if data is None else from_bytes(data)
    except BadStudent as error:
        raise StudentFileProblem(f"{path}: {error.message}") from None


def load_all(data_dir: Path) -> Students:
    return Students(*(load(path_of(data_dir, task)) for task in (StudentTask.SENTIMENT, StudentTask.INTENT)))
