"""Where every attempt goes: metrics, ledger, log. Implements `seams.Recorder`."""

from __future__ import annotations

from ..logging import get_logger
from .budget import usd_text
from .exchange import Attempt
from .ledger import Ledger
from .llm_metrics import LLMMetrics

log = get_logger(__name__)


class Recorder:
    """Takes attempts from the event loop; waits for nothing and raises nothing."""

    def __init__(self, metrics: LLMMetrics, ledger: Ledger) -> None:
        self._metrics = metrics
        self._ledger = ledger

    def record(self, attempt: Attempt) -> None:
        """Count it, put it into the book and say it in one line: no prompt, no answer."""
        self._metrics.observe(attempt)
        self._ledger.add(attempt)
        usage = attempt.usage
        fields = {
            "call": attempt.call_id,
            "attempt": attempt.number,
            "target": str(attempt.target),
            "operation": attempt.purpose.operation,
            "brand": attempt.purpose.brand,
            "task": attempt.purpose.task_id,
            "outcome": attempt.outcome,
            "status": attempt.status,
            "seconds": attempt.seconds,
            "input_tokens": usage.input_tokens if usage else None,
            "output_tokens": usage.output_tokens if usage else None,
            "cost_usd": None if attempt.cost_usd is None else usd_text(attempt.cost_usd),
            "problem": attempt.problem,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        if attempt.outcome == "ok":
            log.info("model call", **known)
        else:
            log.warning("model call failed", **known)
