"""Agreement of models: kappa, Spearman, effect sizes."""

from src.worker.evaluation.stats.model_comparison import (
    apply_holm_bonferroni,
    compute_effect_size,
    compute_model_agreement,
    compute_pairwise_agreement,
    detect_outlier_models,
    interpret_effect_size,
)

__all__ = [
    "apply_holm_bonferroni",
    "compute_effect_size",
    "compute_model_agreement",
    "compute_pairwise_agreement",
    "detect_outlier_models",
    "interpret_effect_size",
]
