"""How a scenario's dimensions bear on decisions."""

from src.worker.evaluation.stats.dimension_impact import (
    analyze_dimension,
    compute_dimension_analysis,
    compute_dimension_effects,
    compute_eta_squared,
    compute_variance_explained,
)

__all__ = [
    "analyze_dimension",
    "compute_dimension_analysis",
    "compute_dimension_effects",
    "compute_eta_squared",
    "compute_variance_explained",
]
