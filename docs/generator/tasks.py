"""docs/reference/tasks.md: every task type as its handler describes it, with an example that the worker accepts."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from src.worker.errors import InvalidTask
from src.worker.handlers import Registry, TaskType
from src.worker.models import TaskPriority
from src.worker.tasks import parse_task

from .page import cell, code, fenced, page, table
from .task_examples import ENVELOPE, EXAMPLES, WHAT

_INTRO: Final = """\
A task is one JSON object. Three doors take it: `XADD worker:tasks:<priority> * task '<json>'`, `POST /v1/tasks`, \
and, for \
the shapes of existing producers, the lists of the platform. The fields of a type stand at top level or in `payload`. \
What cannot be a task is dead-lettered at once with the name of the field; nothing else is affected."""
_RECEIVED_MS: Final = 1_767_225_600_000
"""2026-01-01: examples are checked as of then."""


def render(types: Registry) -> str:
    blocks = [_INTRO, "## Fields of every task", table(("field", "what"), ((code(n), w) for n, w in ENVELOPE))]
    for name in sorted(types):
        blocks += [f"## {name}", *_type(name, types[name])]
    return page("Tasks", *blocks)


def _type(name: str, kind: TaskType) -> list[str]:
    example = {"type": name, **EXAMPLES[name]}
    needed = required(kind, example)
    blocks = [_described(name, kind), fenced(json.dumps(example, ensure_ascii=False), "json")]
    if needed:
        blocks.append(
            "Refused without:\n\n"
            + "\n".join(f"- `{field}`: {cell(why.removeprefix(f'{field}: '))}" for field, why in needed.items())
        )
    return blocks


def required(kind: TaskType, example: Mapping[str, Any]) -> dict[str, str]:
    """Fields of the example without which the check of the type refuses it, and what it then says.

    Raises:
        InvalidTask: the example itself is refused.
    """
    check(kind, example)
    out = {}
    for field in example:
        if field == "type":
            continue
        try:
            check(kind, {name: value for name, value in example.items() if name != field})
        except InvalidTask as error:
            out[field] = error.message
    return out


def check(kind: TaskType, document: Mapping[str, Any]) -> None:
    """As `POST /v1/tasks` does. Raises InvalidTask."""
    task = parse_task(
        dict(document), fallback_id="example", received_ms=_RECEIVED_MS, stream_priority=TaskPriority.NORMAL
    )
    kind.check(task)


def _described(name: str, kind: TaskType) -> str:
    """Our words, and what comes in and goes out where the module of the handler says it."""
    module = sys.modules[inspect.unwrap(kind.handle).__module__]
    _, found, rest = (inspect.getdoc(module) or "").partition("\nIn: ")
    return WHAT[name] + (f"\n\nIn: {rest}".replace("\nOut: ", "\n\nOut: ") if found else "")
