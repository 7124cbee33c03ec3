"""Doors to `src.worker.evaluation.stats`. Importing one puts the repository's root on the path."""

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from .basic_stats import compute_model_summary, compute_value_stats, compute_win_rate  # noqa: E402 - after the path
from .confidence import bootstrap_ci, wilson_score_ci  # noqa: E402
from .dimension_impact import compute_dimension_effects, compute_variance_explained  # noqa: E402
from .model_comparison import (  # noqa: E402
    apply_holm_bonferroni,
    compute_effect_size,
    compute_pairwise_agreement,
    detect_outlier_models,
)

__all__ = [
    "apply_holm_bonferroni",
    "bootstrap_ci",
    "compute_dimension_effects",
    "compute_effect_size",
    "compute_model_summary",
    "compute_pairwise_agreement",
    "compute_value_stats",
    "compute_variance_explained",
    "compute_win_rate",
    "detect_outlier_models",
    "wilson_score_ci",
]
