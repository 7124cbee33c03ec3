"""The operator's command line: `python -m src.worker.cli COMMAND …`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import __version__
from .commands import EXIT_INTERRUPTED, EXIT_PROBLEM, note
from .commands.examples import epilog
from .errors import WorkerError

_PROG: Final = "python -m src.worker.cli"
_EXITS: Final = """\
exit codes:
  0    done
  1    a problem: one line on standard error says which, and how to mend it
  2    wrong usage of the command line
  130  ended by Ctrl-C
"""


_HELP_WIDTH: Final = 78
"""Of descriptions: what argparse makes of a terminal of 80 columns."""


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
    Command("keys", "make a key for the HTTP service, or list the keys of its file", ".commands.keys"),
    Command("page", "read one page of the web as the worker reads it: title, date, text", ".commands.page"),
    Command("cluster", "what the posts of a file are about: clusters with labels, offline", ".commands.cluster"),
    Command("doctor", "check settings, servers, disk, port and models; say how to mend each fault", ".commands.doctor"),
    Command("brands", "how the brands are doing: mentions, health, crisis; one of them in detail", ".commands.brands"),
    Command("completion", "a script that teaches bash, zsh or fish these commands", ".commands.completion"),
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
    chosen = next((word for word in words if not word.startswith("-")), None)
    return _build(lambda command: command.name == chosen, _PROG)


def whole_parser(prog: str = _PROG) -> argparse.ArgumentParser:
    """All commands with all their arguments, for completion and reference; importing them takes a second."""
    return _build(lambda command: True, prog)


def _build(wanted: Callable[[Command], bool], prog: str) -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=prog, description="Operator's commands of the worker.", epilog=_EXITS, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[:1].upper()}{command.help[1:]}.",
            epilog=epilog(_PROG, command.name) + _EXITS,
            formatter_class=form,
        )
        if wanted(command):
            module = importlib.import_module(command.module, __package__)
            module.add_arguments(one)
            one.set_defaults(run=module.run)
            if one.description and "\n" not in one.description:  # the formatter leaves descriptions as they are
                one.description = textwrap.fill(one.description, _HELP_WIDTH)
    return parser


if __name__ == "__main__":
    sys.exit(main())
