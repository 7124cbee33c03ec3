"""`dead list|show|replay|drop`: what could not be processed, to be looked at, sent again or deleted."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from ..config import load_settings
from ..dead_letter_view import Letter, LetterFilter, checked_id
from ..dead_letters import DeadLetters, Progress
from ..errors import InvalidTask
from ..logging import configure
from . import EXIT_OK, EXIT_PROBLEM, CommandProblem, note, printable
from .connection import QueueLink
from .counting import Counting
from .operator_audit import record_action
from .tables import show

_PAGE: Final = 100
_REASON_SHOWN: Final = 200
_HEADER: Final = ("id", "at", "type", "brand", "code", "attempts", "reason")
_MEND: Final = """\
to mend a task: dead show ID --task > task.jsonl; correct it (one line; another id if it has one; "type":
"analyze_mentions" if it came from a chunk list); enqueue task.jsonl; dead drop ID
"""


@dataclass(frozen=True, slots=True)
class Action:
    """`run` gets the arguments and the letters, and returns the exit code."""

    name: str
    help: str
    run: Callable[[argparse.Namespace, DeadLetters], Awaitable[int]]
    arguments: Callable[[argparse.ArgumentParser], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in _ACTIONS:
        one = actions.add_parser(action.name, help=action.help, description=action.help, epilog=_MEND)
        action.arguments(one)
        one.add_argument("--json", action="store_true", help="one JSON object on standard output")
        one.set_defaults(action=action.run, usage_error=one.error)


def run(arguments: argparse.Namespace) -> int:
    if hasattr(arguments, "ids"):
        _check_choice(arguments)
    settings = load_settings()
    configure("warning", "text")
    arguments.audit = partial(record_action, settings)

    async def connected(work: Callable[[DeadLetters], Awaitable[int]]) -> int:
        async with QueueLink(settings) as link:
            letters = DeadLetters(
                link.client,
                settings.platform_keys,
                clock=lambda: datetime.now(UTC),
                result_ttl_sec=settings.task_result_ttl_sec,
            )
            return await work(letters)

    if getattr(arguments, "yes", True) is False and arguments.all:
        total = asyncio.run(connected(lambda letters: letters.count()))
        # Asked outside of the event loop, which would keep Ctrl-C from ending the question.
        if not _confirmed(total):
            note("nothing was deleted")
            return EXIT_PROBLEM
    return asyncio.run(connected(lambda letters: arguments.action(arguments, letters)))


# -- arguments -------------------------------------------------------------------------------------------------------


def _filter_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--brand", metavar="NAME", help="letters of this brand only (name or slug)")
    add("--type", metavar="TYPE", help="letters of this task type only")
    add("--code", metavar="CODE", help="letters with this error code only, e.g. VALIDATION_ERROR")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    _filter_arguments(parser)
    parser.add_argument("--limit", type=_count, default=20, metavar="N", help="at most N (default 20)")
    parser.add_argument("--cursor", type=_letter_id, metavar="ID", help="those older than this letter")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=_letter_id, metavar="ID")
    parser.add_argument("--task", action="store_true", help="the task alone, byte for byte as it came")


def _many_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", type=_letter_id, nargs="*", metavar="ID")
    _filter_arguments(parser)
    parser.add_argument("--all", action="store_true", help="instead of ids and filters: every letter there is now")
    parser.add_argument("--quiet", action="store_true", help="no progress, problems only")


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    _many_arguments(parser)
    parser.add_argument("--limit", type=_count, metavar="N", help="the N oldest that match")


def _drop_arguments(parser: argparse.ArgumentParser) -> None:
    _many_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="with --all: do not ask")


def _check_choice(arguments: argparse.Namespace) -> None:
    """Ids, or filters, or all: nothing is a slip, and so is more than one of them."""
    chosen = [bool(arguments.ids), bool(_filter(arguments)), arguments.all]
    if sum(chosen) != 1:
        arguments.usage_error("name ids, or --brand, --type and --code, or --all")
    if arguments.ids and getattr(arguments, "limit", None) is not None:
        arguments.usage_error("--limit goes with --brand, --type, --code or --all")


def _filter(arguments: argparse.Namespace) -> LetterFilter:
    return LetterFilter(arguments.brand, arguments.type, arguments.code)


def _letter_id(text: str) -> str:
    try:
        return checked_id(text)
    except InvalidTask as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error.problem}") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


# -- looking ---------------------------------------------------------------------------------------------------------


async def _list(arguments: argparse.Namespace, letters: DeadLetters) -> int:
    wanted = {"brand": arguments.brand, "type": arguments.type, "code": arguments.code}
    found: list[Letter] = []
    cursor = arguments.cursor
    while len(found) < arguments.limit:
        page = await letters.list(min(_PAGE, arguments.limit - len(found)), cursor, **wanted)
        found += page.letters
        cursor = page.next
        if cursor is None:
            break
    if arguments.json:
        items = [{**one.shown(letters.brand_of(one)), **one.shown_task()} for one in found]
        print(json.dumps({"items": items, "next": cursor}))
        return EXIT_OK
    rows = [_row(one, letters.brand_of(one)) for one in found]
    show(rows, header=_HEADER, numbers=(5,))
    if not rows:
        note("no dead letters" if not any(wanted.values()) else "no dead letter matches")
    if cursor is not None:
        note(f"more: --cursor {cursor}")
    return EXIT_OK


def _row(letter: Letter, brand: str) -> tuple[str, ...]:
    shown = letter.shown(brand)
    attempts = "" if shown["attempts"] is None else str(shown["attempts"])
    reason = shown["reason"] if len(shown["reason"]) <= _REASON_SHOWN else shown["reason"][: _REASON_SHOWN - 1] + "…"
    return (letter.entry_id, shown["at"], shown["type"], brand, letter.code, attempts, reason)


async def _show(arguments: argparse.Namespace, letters: DeadLetters) -> int:
    letter = await letters.get(arguments.id)
    if letter is None:
        raise CommandProblem(f"there is no dead letter {arguments.id} (any more)")
    if arguments.task:
        sys.stdout.buffer.write(letter.fields.get(b"task", b""))
        return EXIT_OK
    shown = {**letter.shown(letters.brand_of(letter)), **letter.shown_task(exact=True)}
    if arguments.json:
        print(json.dumps(shown))
        return EXIT_OK
    task = shown.pop("task")
    history = shown.pop("history")
    rows = [(name, _text(value)) for name, value in shown.items() if value not in (None, "")]
    show([*rows, *(("history", _text(past)) for past in history)])
    for line in json.dumps(task, indent=2, ensure_ascii=False).split("\n"):
        print(printable(line))
    return EXIT_OK


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# -- replaying and dropping ------------------------------------------------------------------------------------------


async def _replay(arguments: argparse.Namespace, letters: DeadLetters) -> int:
    async def one(entry_id: str) -> bool:
        return await letters.replay(entry_id) is not None

    async def many(progress: Progress) -> int:
        return await letters.replay_matching(_filter(arguments), limit=arguments.limit, progress=progress)

    return await _audited("dead.replay", arguments, "replayed", one, many)


async def _drop(arguments: argparse.Namespace, letters: DeadLetters) -> int:
    async def many(progress: Progress) -> int:
        return await letters.drop_matching(_filter(arguments), progress=progress)

    return await _audited("dead.drop", arguments, "dropped", letters.drop, many)


async def _audited(
    action: str,
    arguments: argparse.Namespace,
    done_word: str,
    one: Callable[[str], Awaitable[bool]],
    many: Callable[[Progress], Awaitable[int]],
) -> int:
    """Exit code 1 when a letter that was named is not there. However it ends, also by Ctrl-C, the audit log has it."""
    ids = list(dict.fromkeys(arguments.ids))
    details: dict[str, Any] = {"ids": ids} if ids else {**asdict(_filter(arguments)), "all": arguments.all}
    if getattr(arguments, "limit", None) is not None:
        details["limit"] = arguments.limit
    outcome = "failed"
    try:
        done, missing = await _work(arguments, ids, done_word, one, many)
        details |= {done_word: done, "missing": missing}
        outcome = "done" if done or not missing else "failed"
    finally:
        await arguments.audit(action, outcome, details)
    if arguments.json:
        print(json.dumps({done_word: done, "missing": missing}))
    else:
        print(f"{done:,} {done_word}")
    for entry_id in missing:
        note(f"there is no dead letter {entry_id} (any more)")
    return EXIT_PROBLEM if missing else EXIT_OK


async def _work(
    arguments: argparse.Namespace,
    ids: list[str],
    done_word: str,
    one: Callable[[str], Awaitable[bool]],
    many: Callable[[Progress], Awaitable[int]],
) -> tuple[int, list[str]]:
    """How many were replayed or dropped, and which of those named are not there."""
    missing: list[str] = []
    with Counting(done_word, quiet=arguments.quiet) as counting:
        for index, entry_id in enumerate(ids, 1):
            if not await one(entry_id):
                missing.append(entry_id)
            counting.update(index - len(missing), index, len(ids))
        done = len(ids) - len(missing) if ids else await many(counting.update)
    return done, missing


def _confirmed(total: int) -> bool:
    if not sys.stdin.isatty():
        raise CommandProblem(f"--all would delete {total:,} dead letters: confirm with --yes")
    print(f"Delete {total:,} dead letters? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


_ACTIONS: Final = (
    Action("list", "dead letters, newest first", _list, _list_arguments),
    Action("show", "one dead letter with its task and its history", _show, _show_arguments),
    Action("replay", "put dead letters back into the queue", _replay, _replay_arguments),
    Action("drop", "delete dead letters", _drop, _drop_arguments),
)
