"""The floors of docs/architecture.md: every module stands on one, and imports from its own and those below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "worker"


def _floors() -> dict[str, int]:
    """Top-level name of the package (a module, or a folder with a slash) -> floor, as patterns of the table."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = re.search(r"## Floors.*?```\n(.*?)```", text, re.DOTALL)
    assert table is not None
    floors: dict[str, int] = {}
    floor = -1
    for line in table[1].splitlines():
        number = re.match(r" (\d) ", line)
        floor = int(number[1]) if number else floor
        for name in re.findall(r"(?<![\w./])([\w*]+(?:\.py|/))", line):
            floors[name] = floor
    return floors


FLOORS = _floors()


def _floor(top: str) -> int | None:
    name = f"{top}/" if (PACKAGE / top).is_dir() else f"{top}.py"
    if name in FLOORS:
        return FLOORS[name]
    return next((floor for pattern, floor in FLOORS.items() if fnmatch(name, pattern)), None)


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if top != "__init__":
            yield top, path


def _imported(path: Path) -> Iterator[str]:
    """Top-level names of the package that a module imports, wherever in its code."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - (node.level - 1)]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((*base, *name.split("."))[0] for name in names)


def test_every_module_stands_on_a_floor() -> None:
    homeless = {top for top, _ in _modules() if _floor(top) is None}
    assert not homeless, f"docs/architecture.md names no floor of {sorted(homeless)}"


def test_nobody_imports_from_a_floor_above() -> None:
    known = {top for top, _ in _modules()}
    wrong = [
        f"{path.relative_to(PACKAGE)} ({_floor(top)}) imports {name} ({_floor(name)})"
        for top, path in _modules()
        for name in _imported(path)
        if name in known and (_floor(name) or 0) > (_floor(top) or 0)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_names_what_is_there() -> None:
    there = {f"{top}/" if (PACKAGE / top).is_dir() else f"{top}.py" for top, _ in _modules()} | {"dashboard/"}
    unknown = [pattern for pattern in FLOORS if pattern != "workers/" and not any(fnmatch(n, pattern) for n in there)]
    assert not unknown, f"docs/architecture.md names {unknown}, which are not there"
