"""docs/benchmarks.md, written from what the benchmarks left under bench/out/: nothing on it is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench._report import OUT, said

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Written by `make bench`, which runs everything below, or by `python -m bench --page` from the last runs: do not edit.
[bench/README.md](../bench/README.md) says how each is measured and what the peers are. Speed and memory depend on the
machine: trust the ratios, which were measured side by side in one run, more than the figures.
"""

Document = Mapping[str, Any]


def write(names: Sequence[str]) -> Path:
    """Write the page from the reports of these benchmarks that are there; a missing one is named on it."""
    PAGE.write_text(page([(name, _read(name)) for name in names]), "utf-8")
    return PAGE


def page(reports: Sequence[tuple[str, Document | None]]) -> str:
    """The page's text for (name of a benchmark, its report or None)."""
    there = [(name, report) for name, report in reports if report is not None]
    missing = [name for name, report in reports if report is None]
    parts = [_HEAD, _machines([report for _, report in there])]
    if missing:
        parts.append(f"Not run: {', '.join(f'`{name}`' for name in missing)}.\n")
    parts.append("## What was promised\n" + _promised(there))
    parts.append("## Beside others\n" + _beside(there))
    parts += [_one(name, report) for name, report in there]
    return "\n".join(parts)


def _read(name: str) -> Document | None:
    path = OUT / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _machines(reports: Sequence[Document]) -> str:
    """Everything was usually measured on one machine; where it was not, each is named."""
    found: dict[str, None] = {}
    for report in reports:
        machine = report["machine"]
        found[f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}"] = None
    return f"Machine: {'; '.join(found)}.\n" if found else ""


def _promised(reports: Sequence[tuple[str, Document]]) -> str:
    rows = []
    for name, report in reports:
        for figure in report["figures"]:
            if figure["wanted"]:
                bound, _, verdict = figure["wanted"].partition(": ")
                rows.append((f"`{_short(name, figure)}`", name, _value(figure), bound, verdict or "", _remarks(figure)))
    return _table(("figure", "benchmark", "value", "wanted", "", "remarks"), rows)


def _beside(reports: Sequence[tuple[str, Document]]) -> str:
    """Tables that benchmarks made themselves (the queues), then every other figure that is set against something."""
    parts = []
    rows = []
    for name, report in reports:
        shown = report["details"].get("table")
        if shown:
            parts.append(f"### {name}\n" + _table(shown["head"], shown["rows"]))
            continue
        for figure in report["figures"]:
            rows += [
                (f"`{_short(name, figure)}`", name, _value(figure), f"{ratio:.2f}", what)
                for what, ratio in figure["ratios"].items()
            ]
    parts.append("### Everything else\n" + _table(("figure", "benchmark", "value", "ratio", "of what"), rows))
    return "\n".join(parts)


def _one(name: str, report: Document) -> str:
    quick = ", with `--quick` (one repetition, less work)" if report["quick"] else ""
    took = f"; it took {report['seconds']:,.0f} s" if report.get("seconds") else ""
    lines = [
        f"## {name}",
        f"`make bench ARGS={name}`, last run at {report['at']}{quick}{took}.",
        "",
        report["method"],
        "",
    ]
    noisy = report["details"].get("noisy")
    if noisy:
        lines.append(f"Noisy, other programs were at work: {', '.join(noisy)}.\n")
    lines += [f"Left out: {what}.\n" for what in report["left_out"]]
    rows = [
        (f"`{_short(name, figure)}`", _value(figure), figure["wanted"], _remarks(figure))
        for figure in report["figures"]
    ]
    lines.append(_table(("figure", "value", "wanted", "remarks"), rows))
    return "\n".join(lines)


def _short(name: str, figure: Mapping[str, Any]) -> str:
    return str(figure["name"]).removeprefix(f"{name}.")


def _value(figure: Mapping[str, Any]) -> str:
    return f"{said(figure['value'])} {figure['unit']}".strip()


def _remarks(figure: Mapping[str, Any]) -> str:
    words = [f"{ratio:.2f} {what}" for what, ratio in figure["ratios"].items()]
    return "; ".join([*words, *([figure["note"]] if figure["note"] else [])])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown. A bar inside a cell would end it."""
    if not rows:
        return "Nothing.\n"
    return "\n".join(_rows(head, rows)) + "\n"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
