"""`completion SHELL`: a script that teaches a shell the commands, their options and what these take."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from typing import Final

from . import EXIT_OK, CommandProblem

_NAME: Final = "worker"
_FILES: Final = re.compile(r"FILE|OUT(\.\w+)?|STUDENT")
"""Metavars of arguments that are names of files."""
_LOADING: Final = (
    'bash, zsh or fish; load it with eval "$(… completion bash)", the same with zsh, or … completion fish | source'
)
_SAFE: Final = re.compile(r"[A-Za-z_][\w-]{0,63}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help=_LOADING)
    add("--name", type=_name, default=_NAME, metavar="NAME", help=f"the short command it defines (default {_NAME})")


def run(arguments: argparse.Namespace) -> int:
    print(script(arguments.shell, arguments.name))
    return EXIT_OK


def script(shell: str, name: str) -> str:
    """A function `name` that calls this command line, and the completion of it.

    Shells complete the words behind a program's name; `python -m …` is python's, so the short name is needed.

    Raises:
        CommandProblem: the package that writes the scripts is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise CommandProblem("the package shtab is not installed: pip install shtab") from None
    from ..cli import whole_parser

    parser = whole_parser(prog=name)
    for action in _actions(parser):
        if isinstance(action.metavar, str) and _FILES.fullmatch(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    completion = shtab.complete(parser, shell=shell)
    module = whole_parser.__module__  # src.worker.cli in the repository, worker.cli where the wheel is installed
    call = f"{shlex.quote(sys.executable)} -m {module}"
    if shell == "fish":
        return f"function {name}\n    {call} $argv\nend\n{completion}"
    function = f'{name}() {{ {call} "$@"; }}\n'
    # zsh reads `#compdef` from the first line only where the script lies in a directory of its fpath.
    return f"{function}{completion}" if shell == "bash" else f"{completion}\n{function}"


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)


def _name(text: str) -> str:
    if not _SAFE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a shell function")
    return text
