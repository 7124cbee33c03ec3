"""`python -m tests.proof [--part WORD ...] [--page] [--measure NAME]`: prove the promises, write docs/proof.md.

Tests and measurements are run anew, benchmarks' figures are read from their last run (`make bench`). What was found is
kept under bench/out/proof.json, so that parts can be proved one after the other; `--page` only writes the page again.
Exit code 1: a promise is not kept, or could not be proved here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench._report import said

from .measures import MEASURES, OUT, ROOT, CannotBeMeasured
from .rows import ROWS, Row

PAGE = ROOT / "docs" / "proof.md"
KEPT = OUT / "proof.json"
_LONGEST_SEC = 3_600
_HEAD = """\
# What is promised, and what shows it

Written by `make proof`: do not edit. Every row is a promise, the figure that was found when it was last tried, and the
command that shows it. A promise that is not kept is said so. Benchmarks' figures are explained in
[benchmarks.md](benchmarks.md).
"""

Found = dict[str, Any]
"""`figure` in words, `kept` (None: could not be proved here), `at`."""


def tried(words: tuple[str, ...]) -> tuple[str, bool]:
    """Run these tests: how many passed, with the figures they recorded; kept when something ran and nothing failed."""
    with tempfile.TemporaryDirectory(prefix="proof-") as directory:
        report = Path(directory) / "junit.xml"
        command = [sys.executable, "-m", "pytest", *words, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command += ["-o", "junit_family=xunit1"]  # the only one with the figures that tests record
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=_LONGEST_SEC, check=False)
        seconds = time.monotonic() - began
        if not report.exists():
            return "pytest did not run", False
        root = ET.parse(report).getroot()
    cases = list(root.iter("testcase"))
    failed = [
        case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failed) - skipped
    recorded = [one.get("value", "") for case in cases for one in case.iter("property") if one.get("name") == "figure"]
    parts = [f"{passed} passed", *([f"{skipped} skipped"] if skipped else []), f"{seconds:.0f} s"]
    parts += [f"FAILED: {', '.join(failed[:5])}"] if failed else []
    return "; ".join([", ".join(parts), *recorded]), passed > 0 and not failed


def read(pattern: str) -> tuple[list[str], bool, str]:
    """The last figures of a benchmark whose names match, and when it ran; kept unless one says MISSED."""
    benchmark, _, wanted = pattern.partition(":")
    path = OUT / f"{benchmark}.json"
    if not path.exists():
        raise CannotBeMeasured(f"not run here: make bench ARGS={benchmark}")
    report = json.loads(path.read_text("utf-8"))
    names = {one["name"].removeprefix(f"{benchmark}."): one for one in report["figures"]}
    lines = [_said(name, one) for name, one in names.items() if fnmatchcase(name, wanted)]
    if not lines:
        raise CannotBeMeasured(f"{benchmark} reported nothing named {wanted}")
    said_of_it = [f"{line} (quick run)" if report["quick"] else line for line in lines]
    return said_of_it, not any("MISSED" in line for line in lines), _moment(datetime.fromisoformat(report["at"]))


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _said(name: str, figure: Mapping[str, Any]) -> str:
    words = [f"{ratio:.2f} {what}" for what, ratio in figure["ratios"].items()]
    words += [figure["wanted"]] if figure["wanted"] else []
    remarks = f" ({'; '.join(words)})" if words else ""
    return f"{name} {said(figure['value'])} {figure['unit']}".strip() + remarks


def prove(row: Row) -> Found:
    """Try everything that a row names. What cannot be tried here leaves it unproved. `at`: its oldest part's."""
    figures: list[str] = []
    at = _moment(datetime.now(UTC))
    kept: bool | None = True
    try:
        if row.tests:
            figure, ok = tried(row.tests)
            figures, kept = [*figures, figure], kept and ok
        for pattern in row.figures:
            lines, ok, ran_at = read(pattern)
            figures, kept, at = [*figures, *lines], kept and ok, min(at, ran_at)
        if row.measure:
            figure, ok = MEASURES[row.measure]()
            figures, kept = [*figures, figure], kept and ok
    except CannotBeMeasured as why:
        figures, kept = [*figures, str(why)], None
    return {"figure": "; ".join(figures), "kept": kept, "at": at}


def page(found: Mapping[str, Found]) -> str:
    """The page for what has been found so far; a row that was never tried says so."""
    return _HEAD + "\n" + "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Found]) -> Iterator[str]:
    part = ""
    for row in ROWS:
        if row.part != part:
            part = row.part
            yield from (f"\n## {part}", "| promise | kept | figure | command | at (UTC) |", "|---|---|---|---|---|")
        one = found.get(row.name, {"figure": "never tried here", "kept": None, "at": ""})
        kept = {True: "yes", False: "**no**", None: "not shown"}[one["kept"]]
        figure = one["figure"] + (f" ({row.short})" if row.short else "")
        commands = "; ".join(f"`{command}`" for command in row.commands())
        yield (
            "| "
            + " | ".join(cell.replace("|", "\\|") for cell in (row.promise, kept, figure, commands, one["at"]))
            + " |"
        )


def main() -> int:
    parts = list(dict.fromkeys(row.part for row in ROWS))
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=(__doc__ or "").partition(".")[0])
    parser.add_argument("--part", action="append", choices=parts, help="prove only this part (again and again allowed)")
    parser.add_argument("--page", action="store_true", help="prove nothing, write docs/proof.md from what was found")
    parser.add_argument("--measure", choices=sorted(MEASURES), help="only measure this, and print it")
    options = parser.parse_args()
    if options.measure:
        figure, kept = MEASURES[options.measure]()
        print(figure)
        return 0 if kept else 1
    found: dict[str, Found] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    tried_now = [] if options.page else [row for row in ROWS if not options.part or row.part in options.part]
    for number, row in enumerate(tried_now, 1):
        print(f"[{number}/{len(tried_now)}] {row.name}", flush=True)
        found[row.name] = prove(row)
        print(f"    {found[row.name]['kept']}: {found[row.name]['figure']}", flush=True)
        OUT.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(found), "utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0 if all(found.get(row.name, {}).get("kept") for row in ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
