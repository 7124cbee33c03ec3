"""Runs without any effect: how often the analysis reports one. The older workers did in 60 to 73 % of such runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from src.worker.evaluation.analysis import analyse

MODELS, REPEATS = 6, 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def null_run(rng: np.random.Generator, scenarios: int) -> dict[str, Any]:
    """Scenarios differ, models lean, answers scatter; no dimension has anything to do with it."""
    dimensions = [
        {
            "severity": int(rng.integers(1, 6)),
            "stakeholders": int(rng.integers(1, 200)),
            "reversible": bool(rng.integers(0, 2)),
            "domain": str(rng.choice(["health", "law", "war", "work"])),
            "urgency": str(rng.choice(["low", "high", "high"])),
        }
        for _ in range(scenarios)
    ]
    base, lean = rng.normal(3, 0.9, scenarios), rng.normal(0, 0.4, MODELS)
    noise = rng.normal(0, 0.7, (scenarios, MODELS, REPEATS))
    scores = np.clip(np.rint(base[:, None, None] + lean[None, :, None] + noise), 1, 5)
    return {
        "runId": "null",
        "transcripts": [
            {
                "modelId": f"m{model}",
                "scenarioId": f"s{scenario}",
                "summary": {"score": float(scores[scenario, model, repeat])},
                "scenario": {"dimensions": dimensions[scenario]},
            }
            for scenario in range(scenarios)
            for model in range(MODELS)
            for repeat in range(REPEATS)
        ],
    }


def share_of_false_alarms(runs: int, seed: int, scenario_counts: tuple[int, ...] = (6, 8, 12, 18, 30)) -> float:
    rng = np.random.default_rng(seed)
    alarms = 0
    for index in range(runs):
        analysis = analyse(null_run(rng, scenario_counts[index % len(scenario_counts)]), now=lambda: NOW)
        assert len(analysis["dimensionAnalysis"]) == 5
        alarms += any(entry["significant"] for entry in analysis["dimensionAnalysis"].values())
    share = alarms / runs
    print(f"null runs with a significant dimension: {alarms} of {runs} ({share:.1%})")
    return share


def test_d2_d3_runs_without_an_effect_seldom_show_one() -> None:
    assert share_of_false_alarms(300, seed=1) <= 0.07


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_d2_d3_two_thousand_runs_without_an_effect_seldom_show_one(
    record_property: Callable[[str, object], None],
) -> None:
    share = share_of_false_alarms(2000, seed=2)
    record_property("figure", f"{share:.1%} of 2,000 runs")
    assert share <= 0.07


def test_a_real_effect_is_found() -> None:
    """The other half of a test that stays silent without an effect."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(20):
        run = null_run(rng, 30)
        for row in run["transcripts"]:
            row["summary"]["score"] = min(
                5.0, max(1.0, row["summary"]["score"] + row["scenario"]["dimensions"]["severity"] - 3)
            )
        found += bool(analyse(run, now=lambda: NOW)["dimensionAnalysis"]["severity"]["significant"])
    assert found >= 16
