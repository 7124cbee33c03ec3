"""Statistics of a run. Importing this package imports NumPy: import it where a task needs it, not at the top of a door.

Public names by module: `basic_stats` (one model), `confidence` (intervals), `model_comparison` (models beside each
other), `dimension_impact` (what the scenarios have to do with it). They take rows (`..rows.Row`) or raw transcripts.
"""

from .basic_stats import (
    aggregate_transcripts_by_model,
    compute_model_summary,
    compute_value_stats,
    compute_visualization_data,
    compute_win_rate,
)
from .confidence import bootstrap_ci, wilson_score_ci
from .dimension_impact import (
    analyze_dimension,
    compute_dimension_analysis,
    compute_dimension_effects,
    compute_eta_squared,
    compute_variance_explained,
)
from .model_comparison import (
    apply_holm_bonferroni,
    compute_effect_size,
    compute_model_agreement,
    compute_pairwise_agreement,
    detect_outlier_models,
    interpret_effect_size,
)

__all__ = [
    "aggregate_transcripts_by_model",
    "analyze_dimension",
    "apply_holm_bonferroni",
    "bootstrap_ci",
    "compute_dimension_analysis",
    "compute_dimension_effects",
    "compute_effect_size",
    "compute_eta_squared",
    "compute_model_agreement",
    "compute_model_summary",
    "compute_pairwise_agreement",
    "compute_value_stats",
    "compute_variance_explained",
    "compute_visualization_data",
    "compute_win_rate",
    "detect_outlier_models",
    "interpret_effect_size",
    "wilson_score_ci",
]
