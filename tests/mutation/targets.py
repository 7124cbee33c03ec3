"""What is mutated, and the tests that concern it: the pure modules whose mistakes nobody would see at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Target:
    """One module under `src/worker` (with dots, relative to it)."""

    family: str
    name: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT.joinpath("src", "worker", *self.name.split(".")).with_suffix(".py")

    @property
    def module(self) -> str:
        return f"src.worker.{self.name}"


# Family → modules → test files that concern them.
_TABLE: Final = {
    "policy": {
        "llm.policy": "test_llm_policy test_llm_limits",
        "llm.health": "test_llm_health",
        "llm.classify llm.evidence llm.retry_after": "test_llm_failures test_llm_classify",
        "retry_policy": "test_policies",
        "admission": "test_policies",
    },
    "detectors": {
        "spike_detector": "test_spike_detector",
        "crisis_events crisis_rules crisis_state crisis_usual crisis_words voices": "test_crisis_parts",
        "crisis_detector": "test_crisis_parts test_crisis_detector",
        "health_score": "test_health_score",
    },
    "statistics": {
        "evaluation.stats.basic_stats evaluation.stats.cells": "test_stats_basic test_stats_dimensions",
        "evaluation.stats.confidence": "test_stats_confidence",
        "evaluation.stats.agreement evaluation.stats.model_comparison": "test_stats_agreement",
        "evaluation.stats.ranks": "test_stats_ranks",
        "evaluation.stats.contested evaluation.stats.dimension_effect evaluation.stats.dimension_impact "
        "evaluation.stats.dimension_levels evaluation.stats.scenario_scores": "test_stats_dimensions",
    },
    "extraction": {
        "evaluation.decision evaluation.decision_context evaluation.decision_labels evaluation.decision_numbers "
        "evaluation.decision_rules evaluation.decision_text": "test_eval_decision_parts",
        "strictjson": "test_strictjson",
        "llm.answers": "test_llm_answers",
        "web.main_text": "test_web_main_text",
        "web.facts": "test_web_facts",
        "web.charset web.extraction web.markup web.outline": "test_web_markup",
    },
}
TARGETS: Final = tuple(
    Target(family, name, tuple(f"tests/{test}.py" for test in tests.split()))
    for family, rows in _TABLE.items()
    for names, tests in rows.items()
    for name in names.split()
)
