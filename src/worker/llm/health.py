"""Which targets may be asked now: rests (a provider's own word, a key that does not work) and breakers. No I/O.

A breaker opens when calls keep failing, and lets one trial through when its time is over; the trial decides.
Times are seconds of the clock given, which only goes forward.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from .errors import Kind
from .exchange import Target

CONSECUTIVE: Final = 5
"""Failures in a row that open a breaker: fewer would let one short outage of a second do it."""
SHARE: Final = 0.5
MINIMUM: Final = 10
"""Of the last WINDOW calls, at least MINIMUM, half have failed: it opens too. For faults that come and go."""
WINDOW: Final = 20
OPEN_SEC: Final = 10.0
"""First time a breaker stays open; doubles while trials fail, up to OPEN_MAX_SEC."""
OPEN_MAX_SEC: Final = 300.0
REST_MAX_SEC: Final = 86_400.0
"""A provider that asks for more (days have been seen) is asked again after a day."""


BreakerState = Literal["closed", "open", "half_open"]


@dataclass(slots=True)
class _Breaker:
    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    in_a_row: int = 0
    open_until: float | None = None
    opened: int = 0
    trial: bool = False

    def opens(self) -> bool:
        failed = self.outcomes.count(False)
        return self.in_a_row >= CONSECUTIVE or (len(self.outcomes) >= MINIMUM and failed >= SHARE * len(self.outcomes))


@dataclass(frozen=True, slots=True)
class Rest:
    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How a target is doing, for people."""

    available: bool
    resting_sec: float
    why: str | None
    breaker: BreakerState


class Health:
    """Rests and breakers of all targets of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rests: dict[Target | str, Rest] = {}
        self._breakers: dict[Target, _Breaker] = {}

    def available_at(self, target: Target) -> tuple[float, str | None]:
        """When the target may be asked (minus infinity: at once), and why not before."""
        now = self._clock()
        rests = [rest for key in (target, target.provider) if (rest := self._rests.get(key)) and rest.until > now]
        breaker = self._breakers.get(target)
        if breaker is not None and breaker.open_until is not None:
            if breaker.open_until > now:
                rests.append(Rest(breaker.open_until, "breaker open"))
            elif breaker.trial:  # the one trial is on its way: look again shortly
                rests.append(Rest(now + 0.25, "breaker half open"))
        if not rests:
            return float("-inf"), None
        longest = max(rests, key=lambda rest: rest.until)
        return longest.until, longest.why

    def begin(self, target: Target) -> bool:
        """A call starts; when the breaker's time is over, it is the trial. Returns whether it is."""
        breaker = self._breakers.get(target)
        if breaker is None or breaker.open_until is None or breaker.open_until > self._clock():
            return False
        breaker.trial = True
        return True

    def abandoned(self, target: Target, *, trial: bool = True) -> None:
        """A call ended without telling anything (cancelled, not sent): another may be the trial.

        `trial`: what `begin` said of the call. Calls from before the breaker opened decide nothing about the trial.
        """
        if trial and (breaker := self._breakers.get(target)) is not None:
            breaker.trial = False

    def succeeded(self, target: Target) -> None:
        if (breaker := self._breakers.get(target)) is None:
            return
        if breaker.open_until is not None:
            del self._breakers[target]
            return
        breaker.in_a_row = 0
        breaker.outcomes.append(True)

    def failed(self, target: Target, *, trial: bool = True) -> None:
        """A failure that speaks against the target's health. `trial`: as for `abandoned`."""
        breaker = self._breakers.setdefault(target, _Breaker())
        breaker.outcomes.append(False)
        breaker.in_a_row += 1
        decides = trial and breaker.trial
        if decides or (breaker.open_until is None and breaker.opens()):
            breaker.open_until = self._clock() + min(OPEN_MAX_SEC, OPEN_SEC * 2.0**breaker.opened)
            breaker.opened += 1
        if decides:
            breaker.trial = False

    def rest(self, key: Target | str, seconds: float, why: str) -> None:
        """Leave a target, or a whole provider, alone. A longer rest replaces a shorter one, never the other way."""
        until = self._clock() + min(seconds, REST_MAX_SEC)
        known = self._rests.get(key)
        if known is None or until > known.until:
            self._rests[key] = Rest(until, why)

    def state(self, target: Target) -> Condition:
        now = self._clock()
        at, reason = self.available_at(target)
        breaker = self._breakers.get(target)
        shown: BreakerState = "closed"
        if breaker is not None and breaker.open_until is not None:
            shown = "open" if breaker.open_until > now else "half_open"
        return Condition(at <= now, round(max(0.0, at - now), 1), reason, shown)


def why(kind: Kind) -> str:
    """Why a target rests, in words."""
    return {
        Kind.RATE_LIMITED: "rate limit",
        Kind.AUTH: "the key is not accepted",
        Kind.QUOTA: "no quota or credit left",
        Kind.NOT_FOUND: "no such model",
    }.get(kind, kind.value)
