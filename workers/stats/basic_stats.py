"""Win rates, means, per-model aggregation."""

from src.worker.evaluation.stats.basic_stats import (
    aggregate_transcripts_by_model,
    compute_model_summary,
    compute_value_stats,
    compute_visualization_data,
    compute_win_rate,
)

__all__ = [
    "aggregate_transcripts_by_model",
    "compute_model_summary",
    "compute_value_stats",
    "compute_visualization_data",
    "compute_win_rate",
]
