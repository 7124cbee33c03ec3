"""How long do the evaluation scripts take as processes, and how often do runs without an effect show one?

Processes are started as the orchestrator does it: the interpreter with the script's path, JSON on standard input, an
environment of its own. The best of several counts, because other programs can only make a process slower. A probe's
own overhead is its time against a double on loopback that answers at once, less the time in which a bare interpreter
imports the provider's adapter; both are taken in turns.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench._report import Figure, Report, at_most
from src.worker.evaluation.analysis import analyse

ROOT = Path(__file__).resolve().parents[1]
LEVELS = 5
MODELS = 6
REPEATS = 5
"""Models and repeats of the runs without an effect (the issue's promise: at most 7 % show one)."""
SCENARIOS = (6, 10, 16, 25)
_ADAPTER = "import langchain_openai; langchain_openai.ChatOpenAI"


def main(quick: bool) -> Report:
    report = Report("evaluation", quick, __doc__ or "")
    tries = 3 if quick else 9
    _processes(report, tries)
    _probe(report, tries)
    _null(report, 100 if quick else 1000)
    return report


def _processes(report: Report, tries: int) -> None:
    for name, script, payload, wanted, times in (
        ("health_check", "health_check", {}, 0.2, tries),
        ("analyze_basic, 1,000 transcripts", "analyze_basic", run_of(1_000), 1.5, tries),
        ("analyze_basic, 100,000 transcripts", "analyze_basic", run_of(100_000), 8.0, max(2, tries // 3)),
    ):
        raw = json.dumps(payload).encode()
        taken = [timed(_script(script), raw) for _ in range(times)]
        report.details[name] = taken
        report.add(Figure(name, min(taken), "s", wanted=at_most(min(taken), wanted), note=_spread(taken)))


def _probe(report: Report, tries: int) -> None:
    from tests.llm_doubles.scripted import scripted_server

    payload = {
        "runId": "bench",
        "scenarioId": "bench",
        "modelId": "openai:gpt-4o-mini",
        "scenario": {"prompt": "Choose."},
        "config": {},
    }
    raw = json.dumps(payload).encode()
    whole, imports = [], []
    with scripted_server() as server:
        environ = {"OPENAI_API_KEY": "sk-bench-0123456789abcdef", "OPENAI_BASE_URL": server.url}
        for _ in range(tries):
            imports.append(timed([sys.executable, "-c", _ADAPTER], b""))
            whole.append(timed(_script("probe"), raw, environ))
    report.details["probe"] = {"whole": whole, "import": imports}
    report.add(Figure("probe, one turn", min(whole), "s", note=_spread(whole)))
    report.add(Figure("import of the provider's adapter", min(imports), "s", note=_spread(imports)))
    report.add(
        Figure(
            "probe beside the import", min(whole) - min(imports), "s", wanted=at_most(min(whole) - min(imports), 0.3)
        )
    )


def _null(report: Report, runs: int) -> None:
    rng = random.Random(2026)
    now = datetime.now(UTC)
    alarms = 0
    for index in range(runs):
        found = analyse(null_run(rng, SCENARIOS[index % len(SCENARIOS)]), now=lambda: now)["dimensionAnalysis"]
        alarms += any(entry["significant"] for entry in found.values())
    report.details["null"] = {"runs": runs, "alarms": alarms}
    report.add(
        Figure("runs without an effect that show one", 100 * alarms / runs, "%", wanted=at_most(100 * alarms / runs, 7))
    )


def run_of(count: int) -> dict[str, Any]:
    """A run of ten models; every scenario is answered by all of them, up to five times."""
    rng = random.Random(count)
    models = 10
    scenarios = max(1, count // (models * 5))
    rows = []
    for index in range(count):
        scenario = index // models % scenarios
        rows.append(_row(index, index % models, scenario, rng.randint(1, LEVELS), _dimensions(scenario)))
    return {"runId": "bench", "transcripts": rows}


def null_run(rng: random.Random, scenarios: int) -> dict[str, Any]:
    """Scenarios and models differ, answers scatter; five dimensions have nothing to do with any of it."""
    lean = [rng.gauss(0, 0.5) for _ in range(MODELS)]
    rows: list[dict[str, Any]] = []
    for scenario in range(scenarios):
        base = rng.gauss(3, 1)
        dimensions = {
            "severity": rng.randint(1, 5),
            "people": rng.randint(1, 100),
            "reversible": rng.random() < 0.5,
            "domain": rng.choice(["health", "law", "work"]),
            "distance": rng.choice(["near", "far"]),
        }
        for model in range(MODELS):
            for _ in range(REPEATS):
                score = min(LEVELS, max(1, round(base + lean[model] + rng.gauss(0, 0.8))))
                rows.append(_row(len(rows), model, scenario, score, dimensions))
    return {"runId": "null", "transcripts": rows}


def _row(index: int, model: int, scenario: int, score: int, dimensions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"t{index}",
        "modelId": f"provider:model-{model}",
        "scenarioId": f"s{scenario}",
        "summary": {"score": score},
        "scenario": {"name": f"Scenario {scenario}", "dimensions": dimensions},
    }


def _dimensions(scenario: int) -> dict[str, Any]:
    return {"severity": scenario % 5 + 1, "reversibility": scenario % 3, "domain": "abcd"[scenario % 4]}


def _script(name: str) -> list[str]:
    return [sys.executable, str(ROOT / "workers" / f"{name}.py")]


def timed(command: list[str], raw: bytes, environ: Mapping[str, str] | None = None) -> float:
    """Seconds from the start of a process to its end.

    Raises:
        RuntimeError: it failed, or its document says so.
    """
    began = time.perf_counter()
    done = subprocess.run(
        command,
        check=False,
        input=raw,
        capture_output=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], **(environ or {})},
    )
    taken = time.perf_counter() - began
    if done.returncode or (done.stdout and not json.loads(done.stdout)["success"]):
        raise RuntimeError(f"{command[-1]} failed: {done.stdout[:500]!r} {done.stderr[-500:]!r}")
    return taken


def _spread(taken: list[float]) -> str:
    return f"best of {len(taken)}, median {statistics.median(taken):.3f}"
