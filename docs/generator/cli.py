"""docs/reference/cli.md: every command with its arguments, from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Final

from src.worker.cli import COMMANDS
from src.worker.commands.examples import EXAMPLES

from .page import cell, code, fenced, page, table

_PROG: Final = "python -m src.worker.cli"
_INTRO: Final = f"""\
`{_PROG} COMMAND …`, from the root of the repository with `.venv/bin/python`. Results go to standard output, \
everything else to standard error; on a terminal results are tables and long work has a progress bar, in a pipe they \
are plain \
lines. `--json` gives one JSON document. Exit codes: 0 done; 1 a problem, one line on standard error says which and \
how to \
mend it; 2 wrong usage; 130 ended by Ctrl-C. The settings are the service's."""


def render(parser: argparse.ArgumentParser, janitor: argparse.ArgumentParser) -> str:
    known = dict(_subcommands(parser))
    blocks = [_INTRO, table(("command", "does"), ((f"[{one.name}](#{one.name})", one.help) for one in COMMANDS))]
    for command in COMMANDS:
        blocks += [
            f"## {command.name}",
            _sentence(known[command.name].description or command.help),
            *_arguments(command.name, known[command.name]),
        ]
        lines = [f"# {what}\n{_PROG} {command.name} {words}".rstrip() for words, what in EXAMPLES.get(command.name, ())]
        blocks.append(fenced("\n".join(lines), "bash") if lines else "")
    blocks += ["## The janitor", "`python -m src.worker.janitor`: " + _sentence(janitor.description or "")]
    return page("Command line", *blocks, *_arguments("janitor", janitor))


def _arguments(path: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [row for action in parser._actions if (row := _row(action)) is not None]
    if rows:
        yield table(("argument", "what"), rows)
    for name, one in _subcommands(parser):
        yield f"### {path} {name}"
        if one.description:
            yield _sentence(one.description)
        yield from _arguments(f"{path} {name}", one)


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            choices: Mapping[str, argparse.ArgumentParser] = action.choices
            yield from choices.items()


def _row(action: argparse.Action) -> tuple[str, str] | None:
    if isinstance(action, argparse._SubParsersAction | argparse._HelpAction | argparse._VersionAction):
        return None
    words = (action.help or "") % {**vars(action), "prog": _PROG}
    if action.choices is not None:
        words = "; ".join(
            part for part in (words, "one of " + ", ".join(code(str(one)) for one in action.choices)) if part
        )
    if action.required and action.option_strings:
        words += " (required)"
    return code(_shown(action)), words


def _shown(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"[{metavar}]" if action.nargs in ("?", "*") else metavar
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    return f"{name} [{metavar}]" if action.nargs == "?" else f"{name} {metavar}"


def _sentence(text: str) -> str:
    text = cell(text).replace("\\|", "|")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
