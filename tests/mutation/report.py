"""Results of a run: one JSON per module, and docs/mutation.md, which is made of them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from .runner import SLOW_SEC
from .targets import ROOT, Target

OUT: Final = ROOT / "bench" / "out" / "mutation"
PAGE: Final = ROOT / "docs" / "mutation.md"
GOAL: Final = 80.0
"""Percent of a family's mutants that tests have to notice."""
_EQUIVALENTS: Final = ROOT / "tests" / "mutation" / "equivalents.json"
_COLUMNS: Final = ("killed", "timed out", "survived", "unreached", "equivalent")
_HEAD: Final = """# Mutation check

Written by `make mutate`, not by hand. Each module is changed in one place at a time (by the operators of mutmut
{version}: numbers, strings, comparisons, arithmetic, arguments, assignments, defaults), and the tests that concern it
are run on the changed module. What they fail on is *killed*; what does not end is *timed out* and counts as noticed;
*unreached* means that none of these tests runs the line, and counts against them like *survived*. An *equivalent* is a
change that no test could notice, with its reason in `tests/mutation/equivalents.json`; it is left out of the
percentage. Modules with more than {most} possible changes are sampled (seed "{seed}" and the module's name); a sample
whose survivors tests were written for says too much of the rest, so the seed is a new one after that. Texts of
exceptions and of log lines, annotations, imports and docstrings are not changed. Tests that need a server or take more
than {slow:g} s are left out.
"""


def key_of(target: Target, sample: str) -> str:
    """Changes when the module does, its tests, or the way it is changed."""
    digest = hashlib.sha256(source_key_of(target, sample).encode())
    for test in target.tests:
        digest.update((ROOT / test).read_bytes())
    return digest.hexdigest()


def source_key_of(target: Target, sample: str) -> str:
    """The same without the tests."""
    digest = hashlib.sha256(f"{target.name} {sample}".encode())
    for path in (target.path, ROOT / "tests" / "mutation" / "mutants.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def equivalents(target: Target) -> dict[tuple[str, str], str]:
    """(before, after) → why no test could notice."""
    entries = json.loads(_EQUIVALENTS.read_text())
    return {(one["before"], one["after"]): one["reason"] for one in entries if one["module"] == target.name}


def kept(target: Target, sample: str, *, source_only: bool = False) -> dict[str, Any] | None:
    """The last result, if nothing it depends on has changed since (`source_only`: but the tests)."""
    path = OUT / f"{target.name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    same = found.get("source_key") == source_key_of(target, sample)
    return found if same and (source_only or found.get("key") == key_of(target, sample)) else None


def keep(target: Target, result: dict[str, Any]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{target.name}.json").write_text(json.dumps(result, indent=1) + "\n")


def tally(result: dict[str, Any], target: Target) -> Counter[str]:
    """Fates; a survivor that is known to be equivalent is counted as that."""
    same = equivalents(target)
    counts: Counter[str] = Counter(result["noticed"])
    for one in result["unnoticed"]:
        counts["equivalent" if (one["before"], one["after"]) in same else one["fate"]] += 1
    return counts


def percent(counts: Counter[str]) -> float:
    noticed = counts["killed"] + counts["timed out"]
    unnoticed = counts["survived"] + counts["unreached"]
    return 100.0 * noticed / max(1, noticed + unnoticed)


def families(results: Sequence[tuple[Target, dict[str, Any]]]) -> dict[str, Counter[str]]:
    """Family → fates of all its modules."""
    sums: dict[str, Counter[str]] = {}
    for target, result in results:
        sums.setdefault(target.family, Counter()).update(tally(result, target))
    return sums


def page(results: Sequence[tuple[Target, dict[str, Any]]], *, most: int, seed: str) -> str:
    """The whole document."""
    version = importlib.metadata.version("mutmut")
    text = [_HEAD.format(version=version, most=most, seed=seed, slow=SLOW_SEC)]
    text += [*_table("family", ((name, "", counts) for name, counts in families(results).items())), ""]
    text += ["## Modules", ""]
    rows = ((f"`{t.name}`", f"{r['tried']} of {r['possible']}", tally(r, t)) for t, r in results)
    text += [*_table("module", rows, "mutants"), "", "## What no test has noticed", ""]
    for target, result in results:
        same = equivalents(target)
        left = [one for one in result["unnoticed"] if (one["before"], one["after"]) not in same]
        if left:
            text += [f"### `{target.name}`", "", "```diff", *(line for one in left for line in _change(one)), "```", ""]
    left_out = sorted({test for _, result in results for test in result["slow"]})
    if left_out:
        text += ["## Left out as too slow", "", *(f"- `{test}`" for test in left_out), ""]
    return "\n".join(text)


def _table(first: str, rows: Iterable[tuple[str, str, Counter[str]]], second: str = "") -> list[str]:
    more = [second] if second else []
    head = [first, *more, *_COLUMNS, "noticed"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, amount, counts in rows:
        figures = [str(counts[column]) for column in _COLUMNS]
        cells = [name, *([amount] if second else []), *figures, f"{percent(counts):.1f} %"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _change(one: dict[str, Any]) -> list[str]:
    fate = " (unreached)" if one["fate"] == "unreached" else ""
    return [f"@@ line {one['line']}{fate}", f"- {one['before']}", f"+ {one['after']}"]
