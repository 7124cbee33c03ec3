"""Wilson score and bootstrap intervals."""

from src.worker.evaluation.stats.confidence import (
    bootstrap_ci,
    wilson_score_ci,
)

__all__ = [
    "bootstrap_ci",
    "wilson_score_ci",
]
