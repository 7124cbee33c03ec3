"""The operator's command line: `python -m src.worker.cli COMMAND …`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Final

from . import __version__
from .commands import EXIT_INTERRUPTED, EXIT_PROBLEM, note
from .errors import WorkerError

_PROG: Final = "python -m src.worker.cli"
_EXITS: Final = """\
exit codes:
  0    done
  1    a problem: one line on standard error says which, and how to mend it
  2    wrong usage of the command line
  130  ended by Ctrl-C
"""


@dataclass(frozen=True, slots=True)
class Command:
    """`module` is loaded when the command is used: it has `add_arguments(parser)` and `run(arguments) -> exit code`."""

    name: str
    help: str
    module: str


COMMANDS: Final = (
    Command(
        "replay", "send a file of mentions through the queue and count what became of each row", ".commands.replay"
    ),
    Command(
        "enqueue",
        "put the tasks of a JSONL file into the queue, after all of them have been checked",
        ".commands.enqueue",
    ),
    Command("analyze", "one verdict per row of a file, offline", ".commands.analyze"),
    Command("learn", "teach tier 2 from a file of labelled texts", ".commands.learn"),
    Command("queue", "sizes and ages of the queue, and the workers that are alive", ".commands.queue_state"),
    Command("detect", "spikes and crises in a file, offline", ".commands.detect"),
    Command("llm", "which language models are used, what calls have cost, whether they answer", ".commands.llm"),
    Command("dead", "list, show, replay or drop what could not be processed", ".commands.dead"),
    Command("dedup", "which posts of a file repeat an earlier one, word for word or nearly so", ".commands.dedup"),
    Command("cluster", "what the posts of a file are about: clusters with labels, offline", ".commands.cluster"),
)


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except WorkerError as error:
        note(error.message)
        return EXIT_PROBLEM
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone (`… | head`); Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PROBLEM
    return code


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """All commands by name, but only the one that is asked for with its arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=_PROG, description="Operator's commands of the worker.", epilog=_EXITS, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for command in COMMANDS:
        one = commands.add_parser(
            command.name, help=command.help, description=command.help, epilog=_EXITS, formatter_class=form
        )
        if command.name == chosen:
            module = importlib.import_module(command.module, __package__)
            module.add_arguments(one)
            one.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
