"""What a run is: how long, how much, which seed, and where the worker's own limits are set. From SOAK_* variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MINUTES = 30.0
"""Issue 11's run. Shorter ones are trials: their memory slope is said and not judged."""
RATE = 12.0
"""Mentions per second. What bounds it is SecantusDB, which answers one question at a time: with 20 a second, and with
readers who ask for a week's history of all of them, it is a whole core, and some answers take longer than readers wait.
The worker takes a fifth of a core for them."""
LLM_FAULTS = 0.10
SLOPE_MINUTES = 10.0
"""From here on the slope of memory is judged: within less, the noise of a garbage collection is 5 MB per hour."""
WORKER = {
    "LLM_PROVIDER": "openai,groq",  # two targets, so that the loop has somewhere to go on when one fails
    "OPENAI_API_KEY": "soak-openai-0123456789abcdef",
    "GROQ_API_KEY": "soak-groq-0123456789abcdef",
    "OPENAI_MODEL": "gpt-4o-mini",
    "GROQ_MODEL": "llama-3.1-8b-instant",
    "LLM_TIMEOUT_SEC": "5",  # slow answers take up to six: some are to run into it
    "LLM_DEADLINE_SEC": "30",
    "LLM_DAILY_BUDGET_USD": "1000",  # never spent here; with one, every call is reserved and settled in Redis
    "CHUNK_RESULTS_MAX": "1000000",  # results are counted at the end, so none may be cut off
    "DEAD_LETTERS_MAX": "100000",
    "WORKER_ID": "soak",
}


@dataclass(frozen=True, slots=True)
class Settings:
    minutes: float
    rate: float
    seed: int
    report: Path | None
    """Where the page for people goes (SOAK_REPORT); None: only JSON is written."""
    out: Path

    @property
    def seconds(self) -> float:
        return self.minutes * 60

    @property
    def warm_up_sec(self) -> float:
        """What comes before it is left out of slopes: imports, pools, caches that fill up."""
        return min(self.seconds / 3, 600.0)


def read(root: Path) -> Settings:
    """Raises ValueError for a number that is none."""
    report = os.environ.get("SOAK_REPORT")
    return Settings(
        minutes=float(os.environ.get("SOAK_MINUTES", MINUTES)),
        rate=float(os.environ.get("SOAK_RATE", RATE)),
        seed=int(os.environ.get("SOAK_SEED", "11")),
        report=(root / report) if report else None,
        out=root / "bench" / "out" / "soak",
    )
