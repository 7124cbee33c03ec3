"""docs/reference/settings.md: names, defaults and words from .env.example, bounds from the code that checks them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from src.worker.config import Settings

from .page import code, page, table

_SECTION: Final = re.compile(r"^# --- (.+?) -*$")
_SETTING: Final = re.compile(r"^#([A-Z][A-Z0-9_]*)=(.*)$")
_INTRO: Final = (
    "Environment variables, or lines of `.env`; the environment wins. One file per setting under `/run/secrets`, "
    "named as "
    "it is in lower case, comes last. A value that cannot be used stops the start with one line that names it; "
    "`python -m src.worker.cli doctor` names all of them at once. Empty is the same as not set."
)


@dataclass(slots=True)
class Group:
    """Settings that one comment describes."""

    words: list[str] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Section:
    title: str
    groups: list[Group] = field(default_factory=list)


def render(root: Path) -> str:
    blocks = [_INTRO]
    for section in read((root / ".env.example").read_text("utf-8")):
        blocks += [f"## {section.title}", table(("setting", "default", "allowed", "what"), _rows(section))]
    return page("Settings", *blocks)


def read(text: str) -> list[Section]:
    """The sections of .env.example. A comment belongs to the settings that follow it without another comment."""
    sections: list[Section] = []
    group = Group()
    for line in text.splitlines():
        heading, setting = _SECTION.match(line), _SETTING.match(line)
        if heading:
            sections.append(Section(heading[1]))
            group = Group()
        elif setting and sections:
            if not group.names:
                sections[-1].groups.append(group)
            group.names.append((setting[1], setting[2]))
        elif line.startswith("#") and sections:
            group = Group() if group.names else group
            group.words.append(line[1:].strip())
        elif group.names:
            group = Group()
    return sections


def _rows(section: Section) -> Iterator[tuple[str, str, str, str]]:
    for group in section.groups:
        for index, (name, written) in enumerate(group.names):
            info = Settings.model_fields[name.lower()]
            words = " ".join(group.words) if not index else ("as above" if group.words else "")
            if info.default is None and written:  # without a default, what is written there is an example
                yield code(name), "", allowed(info), f"{words} E.g. {code(written)}"
            else:
                yield code(name), code(written), allowed(info), words


def allowed(info: FieldInfo) -> str:
    """What a setting takes, in words."""
    kind = _kind(info.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(code(str(one)) for one in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    least, most = _bounds(info)
    name = {int: "whole number", float: "number", SecretStr: "secret", Path: "path", str: "text"}.get(kind, "number")
    if least or most:
        return " ".join(part for part in (name, least, most) if part)
    return name


def _kind(annotation: Any) -> Any:
    """The type behind `X | None` and `Annotated[X, …]`."""
    args = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal or not args:
        return annotation
    return _kind(args[0])


def _bounds(info: FieldInfo) -> tuple[str, str]:
    found: dict[str, Any] = {}
    for rule in (*info.metadata, *(one for part in _metadata(info.annotation) for one in part)):
        for name in ("ge", "gt", "le", "max_length"):
            value = getattr(rule, name, None)
            if value is not None:
                found[name] = value
        found |= {
            name: getattr(one, name)
            for one in getattr(rule, "metadata", ())
            for name in ("ge", "gt", "le", "max_length")
            if hasattr(one, name)
        }
    least = f"from {found['ge']:,}" if "ge" in found else f"above {found['gt']:,}" if "gt" in found else ""
    most = f"to {found['le']:,}" if "le" in found else ""
    if "max_length" in found:
        most = f"of at most {found['max_length']:,} characters"
    return least, most


def _metadata(annotation: Any) -> Iterator[tuple[Any, ...]]:
    """Rules inside a union: `Annotated[int | None, Field(ge=1)]` and `Annotated[int, …] | None`."""
    for one in get_args(annotation):
        yield getattr(one, "__metadata__", ())
