"""docs/architecture.md is true: every module stands on a floor and imports from its own and those below,
every dependency has its reason; and what the specifications name is there under that name."""

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


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = re.search(r"## Dependencies.*?\n## ", text, re.DOTALL)
    assert table is not None
    said = set(
        re.findall(r"[\w-]+", " ".join(row.split("|")[1] for row in table[0].splitlines() if row.startswith("|")))
    )
    said |= {f"opentelemetry{name}" for name in said if name.startswith("-")}
    lists = [(ROOT / name).read_text("utf-8") for name in ("requirements.in", "requirements-embedded.in")]
    needed = {found[0] for line in "\n".join(lists).splitlines() if (found := re.match(r"[A-Za-z][\w-]*", line))}
    assert {name for name in needed if not name.startswith("langchain-")} - said == set()
    adapters = {name for name in needed if name.startswith("langchain-")} - {"langchain-core"}
    assert len(adapters) == 9, "the table speaks of nine"


SPECIFIED = (
    "app.py config.py processor.py analyzer.py llm_adapter.py llm_executor.py embeddings.py clustering.py storage.py "
    "redis_client.py queue_worker.py queue_consumer.py batch_processor.py crisis_detector.py spike_detector.py "
    "health_score.py competitor_discovery.py fallback_analysis.py janitor.py web_scraper.py bluesky_scraper.py "
    "handlers llm pipeline services"
).split()
"""Of the brand worker's specification: its directory structure."""
SCRIPTS = (
    "probe.py summarize.py analyze_basic.py health_check.py common/llm_adapters.py common/errors.py common/config.py "
    "common/logging.py common/cost.py stats/basic_stats.py stats/confidence.py stats/model_comparison.py "
    "stats/dimension_impact.py tests/test_probe.py tests/test_summarize.py tests/test_analyze_basic.py "
    "tests/test_health_check.py common/tests/test_llm_adapters.py common/tests/test_errors.py "
    "stats/tests/test_basic_stats.py"
).split()
"""Of the evaluation's: its source files and its tests, which run by `cd workers && PYTHONPATH=. pytest tests/`."""


def test_what_the_specifications_name_is_there_under_that_name() -> None:
    assert [name for name in SPECIFIED if not (PACKAGE / name).exists()] == []
    assert [name for name in SCRIPTS if not (ROOT / "workers" / name).exists()] == []
