"""What to do after a failed call: pure. One table; the loop reads it, nobody else decides.

The queue above must not retry what the loop has retried: it goes by `LLMError.retryable` and `not_before_sec`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from .errors import Kind


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of failure calls for."""

    again: int = 0
    """Further tries with the same target."""
    onward: bool = True
    """May another target be asked instead?"""
    rest_sec: float = 0.0
    """How long the target is left alone by everybody when the provider names no time."""
    whole_provider: bool = False
    """The fault is the account's, not the model's: all models of the provider rest."""
    breaker: bool = False
    """Does it speak against the target's health?"""


# Rests: a key or an account is mended by people, in minutes at best; a model that is not there does not appear sooner.
# Without a Retry-After a rate limit is left for a second: providers count per second or per minute, and the limit of
# concurrent calls shrinks at the same time.
_MINUTES: Final = 300.0
RULES: Final = {
    Kind.RATE_LIMITED: Rule(again=4, rest_sec=1.0),
    Kind.SERVER: Rule(again=2, breaker=True),
    Kind.TIMEOUT: Rule(again=1, breaker=True),
    Kind.CONNECTION: Rule(again=2, breaker=True),
    Kind.AUTH: Rule(rest_sec=_MINUTES, whole_provider=True),
    Kind.QUOTA: Rule(rest_sec=_MINUTES, whole_provider=True),
    Kind.NOT_FOUND: Rule(rest_sec=_MINUTES),
    Kind.INVALID: Rule(onward=False),  # the same request is wrong everywhere
    Kind.CONTEXT_LENGTH: Rule(onward=False),
    Kind.REFUSED: Rule(onward=False),  # asking around until somebody agrees is the caller's decision
    Kind.TRUNCATED: Rule(),
    Kind.EMPTY: Rule(again=1),
    Kind.MALFORMED: Rule(again=1, breaker=True),
    Kind.NO_KEY: Rule(),
    Kind.UNSUPPORTED: Rule(),  # a package that is missing, settings that its adapter refuses: the others have theirs
    Kind.BUDGET: Rule(),  # a cheaper model may still fit
    Kind.RESTING: Rule(),
    Kind.UNKNOWN: Rule(breaker=True),
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before the next try with the same target.

    Full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): uniform between 0 and base * 2^tries, so that
    many that failed together do not come back together. What the provider asks for is a floor, spread upwards only.
    """

    base_sec: float = 0.5
    cap_sec: float = 30.0
    rate_limit_steps: tuple[float, ...] = ()
    """Fixed waits after rate limits, one per try; the tries end with them. Empty: as for everything else."""

    def tries(self, kind: Kind) -> int:
        if kind is Kind.RATE_LIMITED and self.rate_limit_steps:
            return len(self.rate_limit_steps)
        return RULES[kind].again

    def wait(self, kind: Kind, tries: int, retry_after_sec: float | None, rng: Random) -> float:
        """`tries` failures of this kind before this one (0 for the first)."""
        if retry_after_sec is not None:
            return retry_after_sec + rng.uniform(0.0, min(1.0, 0.1 * retry_after_sec + 0.05))
        if kind is Kind.RATE_LIMITED and self.rate_limit_steps:
            return self.rate_limit_steps[min(tries, len(self.rate_limit_steps) - 1)]
        return rng.uniform(0.0, min(self.cap_sec, self.base_sec * 2.0**tries))
