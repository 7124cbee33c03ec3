"""The operator's commands, one module each: `add_arguments(parser)` and `run(arguments) -> exit code`.

A module imports at its top only what its arguments need; `--help` must not wait for Redis drivers.
"""

from __future__ import annotations

import sys
from typing import Final

from ..errors import WorkerError

EXIT_OK: Final = 0
EXIT_PROBLEM: Final = 1
EXIT_INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended: 128 + SIGINT."""


class CommandProblem(WorkerError):
    """A command cannot do its work. The message is one line that says what is wrong and how to mend it."""

    code = "COMMAND"


def note(text: str) -> None:
    """One line for the operator. Standard output is for results only."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text from a file or a server on one line: it must not be able to drive the terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
