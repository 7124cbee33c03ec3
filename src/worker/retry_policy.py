"""When to try a task again. Pure: the random source is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter (Brooker 2015): failures of one moment do not come back as one wave.

    `base_sec` doubles with every attempt up to `max_sec`; the wait is uniform between nothing and that.
    """

    max_attempts: int
    base_sec: float
    max_sec: float

    def exhausted(self, attempt: int) -> bool:
        return attempt >= self.max_attempts

    def delay_sec(self, attempt: int, rng: Random) -> float:
        """Wait after attempt number `attempt` (from 1)."""
        ceiling = min(self.max_sec, self.base_sec * 2.0 ** min(attempt - 1, 32))
        return rng.uniform(0.0, ceiling)
