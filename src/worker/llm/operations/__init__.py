"""Every kind of question the worker asks a model, by name (contract, section 8). One declaration each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..operation import Operation
from .clusters import CLUSTER_LABEL, ENHANCED_ANALYSIS, HISTORY_SUMMARY, SENTIMENT, SUMMARY
from .competitors import COMPETITOR_DETECTION, COMPETITOR_MENTIONS, COMPETITOR_WEB_ANALYSIS
from .judge import JUDGE_MENTIONS
from .mentions import (
    COMMERCIAL_INTENT,
    COMPETITOR_COMPLAINT,
    COMPETITOR_COMPLAINTS,
    LAUNCH_DETECTION,
    STRATEGIC_ANALYSIS,
)
from .replies import DECISION_EXPLANATION, RESPONSE_SUGGESTION
from .web import WEB_CONTENT, WEB_INSIGHTS

_ALL: Final[tuple[Operation[Any], ...]] = (
    SUMMARY,
    SENTIMENT,
    ENHANCED_ANALYSIS,
    STRATEGIC_ANALYSIS,
    COMMERCIAL_INTENT,
    COMPETITOR_COMPLAINT,
    COMPETITOR_COMPLAINTS,
    LAUNCH_DETECTION,
    COMPETITOR_DETECTION,
    WEB_INSIGHTS,
    RESPONSE_SUGGESTION,
    COMPETITOR_MENTIONS,
    COMPETITOR_WEB_ANALYSIS,
    WEB_CONTENT,
    HISTORY_SUMMARY,
    JUDGE_MENTIONS,
    CLUSTER_LABEL,
    DECISION_EXPLANATION,
)
OPERATIONS: Final[Mapping[str, Operation[Any]]] = MappingProxyType({one.name: one for one in _ALL})
