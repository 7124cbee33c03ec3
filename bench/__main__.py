"""`python -m bench [names...] [--quick] [--page]`: run benchmarks, print a line per figure, keep JSON under bench/out/.

A run of all of them also writes docs/benchmarks.md; `--page` alone writes it from the last runs, whenever they were.

A benchmark is a module or package `bench/<name>` with `main(quick: bool) -> Report`; names that begin with `_` and
`setup_peers` are helpers. Exit code 0: all ran. 1: one failed. 2: no benchmark of that name.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
import time
import traceback

import bench
from bench import _page

_HELPERS = {"setup_peers"}


def names() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if not module.name.startswith("_") and module.name not in _HELPERS
    )


def run(name: str, quick: bool) -> bool:
    """Run one benchmark; whatever goes wrong in it does not keep the others from running."""
    print(f"== {name}{' (quick)' if quick else ''}", flush=True)
    began = time.monotonic()
    try:
        report = importlib.import_module(f"bench.{name}").main(quick=quick)
        report.seconds = time.monotonic() - began
        path = report.write()
    except Exception:  # noqa: BLE001 - said in full, and the exit code tells
        traceback.print_exc()
        print(f"failed: {name}", flush=True)
        return False
    print(f"written: {path.relative_to(path.parent.parent.parent)}", flush=True)
    return True


def main() -> int:
    known = names()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(known)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="one repetition and less work: to see that it runs")
    parser.add_argument("--page", action="store_true", help="run nothing, write docs/benchmarks.md from the last runs")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    if options.page:
        print(f"written: {_page.write(known)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds: servers and workers of the benchmark end too
    results = [run(name, options.quick) for name in options.names or known]
    if not options.names and not options.quick:
        print(f"written: {_page.write(known)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
