"""`python -m tests.mutation [modules]`: changes the pure modules and sees whether their tests notice.

Without names: every module whose result is not up to date, then docs/mutation.md. Exit code 1: a family is below
the goal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from . import report, runner
from .mutants import mutants
from .runner import Clean, Fate
from .targets import TARGETS, Target

MOST: Final = 30
"""Mutants per module. A family has 150 to 400 of them then: its percentage is right within six points (95 %)."""
SEED: Final = "2"


def _check(target: Target, most: int, seed: str, clean: Clean, before: dict[str, Any] | None) -> dict[str, Any]:
    """One module's result. With `before`, what was noticed then is taken as noticed."""
    begun = time.monotonic()
    key, source_key = report.key_of(target, f"{most} {seed}"), report.source_key_of(target, f"{most} {seed}")
    source = target.path.read_text()
    # The same way as a mutant: a fork that fails on the module as it is would count all of them as killed.
    if runner.fate(target.module, source, target.tests, list(clean.seconds), clean) is not Fate.SURVIVED:
        raise RuntimeError(f"the tests of {target.name} do not pass in a fork")
    possible, chosen = mutants(source, most=most, seed=f"{seed} {target.name}")
    noticed: Counter[str] = Counter(before["noticed"] if before else {})
    again = {(one["line"], one["before"], one["after"]) for one in before["unnoticed"]} if before else None
    unnoticed = []
    for one in chosen:
        if again is not None and (one.line, one.before, one.after) not in again:
            continue
        fate = runner.fate(target.module, one.text, target.tests, clean.concerned(source, one.line), clean)
        if fate in (Fate.KILLED, Fate.TIMED_OUT):
            noticed[fate] += 1
        else:
            unnoticed.append({"line": one.line, "fate": fate, "before": one.before, "after": one.after})
    seconds = round(time.monotonic() - begun, 1)
    return {
        "key": key,
        "source_key": source_key,
        "possible": possible,
        "tried": sum(noticed.values()) + len(unnoticed),
        "noticed": dict(noticed),
        "unnoticed": unnoticed,
        "slow": list(clean.slow),
        "seconds": seconds,
    }


def _cleans(tests: tuple[str, ...], known: dict[tuple[str, ...], dict[Path, Clean]]) -> dict[Path, Clean]:
    """One clean run for all modules that the same tests concern."""
    if tests not in known:
        known[tests] = runner.clean_run(tests, [target.path for target in TARGETS if target.tests == tests])
    return known[tests]


def _say(target: Target, result: dict[str, Any], *, listed: bool) -> None:
    counts = report.tally(result, target)
    figures = ", ".join(f"{number} {name}" for name, number in counts.items())
    print(f"{target.name}: {report.percent(counts):.1f} % noticed ({figures}), {result['seconds']} s", flush=True)
    if listed:
        same = report.equivalents(target)
        for one in result["unnoticed"]:
            if (one["before"], one["after"]) not in same:
                print(f"  {one['line']} {one['fate']}\n    - {one['before']}\n    + {one['after']}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="names as in docs/mutation.md, e.g. llm.policy; checked anew")
    parser.add_argument("--most", type=int, default=MOST, help="mutants per module (%(default)s)")
    parser.add_argument(
        "--added",
        action="store_true",
        help="tests were only added since the last run: try again only what was not noticed then",
    )
    parser.add_argument("--seed", default=SEED, help="another sample (%(default)s)")
    given = parser.parse_args(arguments)
    sample = f"{given.most} {given.seed}"
    known = {target.name for target in TARGETS}
    if unknown := set(given.modules) - known:
        parser.error(f"not checked here: {', '.join(sorted(unknown))}")
    runner.prepare()
    cleans: dict[tuple[str, ...], dict[Path, Clean]] = {}
    for target in TARGETS:
        if target.name in given.modules or (not given.modules and not report.kept(target, sample)):
            before = report.kept(target, sample, source_only=True) if given.added else None
            result = _check(target, given.most, given.seed, _cleans(target.tests, cleans)[target.path], before)
            report.keep(target, result)
            _say(target, result, listed=bool(given.modules))
    results = [(target, result) for target in TARGETS if (result := report.kept(target, sample))]
    if len(results) < len(TARGETS) or (given.most, given.seed) != (MOST, SEED):
        return 0
    report.PAGE.write_text(report.page(results, most=MOST, seed=SEED))
    sums = report.families(results)
    for name, counts in sums.items():
        print(f"{name}: {report.percent(counts):.1f} %")
    return int(any(report.percent(counts) < report.GOAL for counts in sums.values()))


if __name__ == "__main__":
    sys.exit(main())
