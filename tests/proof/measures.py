"""What is measured here rather than in a test or a benchmark: whole processes, and what other proofs have left."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.test_app import Service

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "bench" / "out"
POSTS = ROOT.parent / "shared" / "data" / "airline_stream.csv.gz"
_COUNTS = ("read", "stored", "duplicates", "rejected", "synthetic")


class CannotBeMeasured(Exception):
    """What is missing on this machine."""


Measured = tuple[str, bool]
"""The figure in words, and whether it keeps the promise."""


def replay() -> Measured:
    """The development posts through a worker with embedded servers of its own, twice."""
    if not POSTS.exists():
        raise CannotBeMeasured("the development data is not beside this checkout")
    with tempfile.TemporaryDirectory(prefix="proof-") as directory:
        service = Service(DATA_DIR=directory).wait_until_ready(60)
        try:
            first, second = (_replayed(service, directory) for _ in range(2))
            found = re.search(r"^process_resident_memory_bytes (\S+)", service.http.get("/metrics").text, re.MULTILINE)
            if found is None:
                raise CannotBeMeasured("/metrics names no resident memory here")
            memory = float(found[1]) / 1e6
        finally:
            service.end()
    kept = first["accounted"] and second["accounted"] and first["sentiments"] == second["sentiments"] and memory <= 130
    counts = ", ".join(f"{first[name]} {name}" for name in _COUNTS)
    again = "the same totals again" if first["sentiments"] == second["sentiments"] else "other totals the second time"
    return f"{counts}; {again}; {memory:.0f} MB", bool(kept)


def _replayed(service: Service, directory: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "src.worker.cli", "replay", str(POSTS), "--json", "--quiet"]
    environment = {"PATH": "/usr/bin:/bin", "DATA_DIR": directory, "HTTP_PORT": service.port}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def import_time() -> Measured:
    """Median of seven fresh processes; the interpreter's own start is not in it."""
    code = "import time; t = time.perf_counter(); import src.worker.app; print(time.perf_counter() - t)"
    taken = [
        float(
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
        )
        for _ in range(7)
    ]
    return f"{median(taken):.2f} s (median of {len(taken)}, best {min(taken):.2f})", median(taken) <= 0.6


def soak() -> Measured:
    """What the last soak left: each of its checks."""
    reports = sorted((OUT / "soak").glob("*.json"))
    if not reports:
        raise CannotBeMeasured("not run here: make soak")
    document = json.loads(reports[-1].read_text("utf-8"))
    checks = document["checks"]
    lines = [f"{one['name']} {one['found']}{'' if one['passed'] else ' FAILED'}" for one in checks]
    return f"{document['minutes']:g} minutes from {document['began']}: {'; '.join(lines)}", all(
        one["passed"] for one in checks
    )


def coverage() -> Measured:
    path = OUT / "coverage.json"
    if not path.exists():
        raise CannotBeMeasured("not run here: make coverage")
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    share = float(document["totals"]["percent_covered"])
    counted = f"{share:.1f} % of {document['totals']['num_statements']:,} lines (90 wanted)"
    return f"{counted}, counted at {document['meta']['timestamp'][:16]}", share >= 90


def mutation() -> Measured:
    """Per family, from the page that `make mutate` writes."""
    page = (ROOT / "docs" / "mutation.md").read_text("utf-8")
    table = page.partition("| family |")[2].partition("\n\n")[0]
    shares = dict(re.findall(r"^\| (\w+) \|.*\| ([0-9.]+) % \|$", table, re.MULTILINE))
    if not shares:
        raise CannotBeMeasured("docs/mutation.md has no families: make mutate")
    figure = ", ".join(f"{family} {share} %" for family, share in shares.items())
    return f"{figure} (80 wanted)", all(float(share) >= 80 for share in shares.values())


def leftovers() -> Measured:
    words = ["git", "grep", "-nE", "TODO|FIXME|XXX|NotImplemented", "--", "src", "workers"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout.splitlines()
    return f"{len(found)} lines", not found


MEASURES: dict[str, Callable[[], Measured]] = {
    one.__name__: one for one in (replay, import_time, soak, coverage, mutation, leftovers)
}
