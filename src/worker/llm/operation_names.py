"""Names of all operations, for those that must know them without loading them (metrics)."""

from __future__ import annotations

from typing import Final

OPERATION_NAMES: Final = (
    "summary",
    "sentiment",
    "enhanced_analysis",
    "strategic_analysis",
    "commercial_intent",
    "competitor_complaint",
    "competitor_complaints",
    "launch_detection",
    "competitor_detection",
    "web_insights",
    "response_suggestion",
    "competitor_mentions",
    "competitor_web_analysis",
    "web_content",
    "history_summary",
    "judge_mentions",
    "cluster_label",
    "decision_explanation",
    "probe",
    "embedding",
)
"""The last two are no operations: the evaluation's own conversations, whose prompts are its users', and embeddings,
which have no prompt."""
