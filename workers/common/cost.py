"""Cost estimates."""

from src.worker.evaluation.compat.cost import (
    CostSnapshot,
    ModelCost,
    calculate_cost,
    create_cost_snapshot,
    estimate_tokens,
)

__all__ = [
    "CostSnapshot",
    "ModelCost",
    "calculate_cost",
    "create_cost_snapshot",
    "estimate_tokens",
]
