"""Crises: when far more people than usual at this time of day are angry with a brand. Pure, in event time.

Mentions are gathered in hours (`voices.Hour`). An hour is judged together with the two before it, once the brand's
newest mention is an hour past its end, so that order within an hour, batches and restarts change nothing. Judged are
people, not posts, against the same time of day (two hours either way) of the last seven days, and their share and mood
against the brand's own: an airline's mentions are mostly complaints on any day.

States: calm → watch → warning → critical → recovering → calm. A crisis is one event: it is raised once, may escalate,
and ends with a recovery (`crisis_events` makes the documents). Before a day of history there is one notice,
`insufficient_history`, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Final

from .crisis_events import (
    HOUR_MS,
    RANK,
    Crisis,
    Finding,
    Ongoing,
    Severity,
    State,
    current_risk,
    no_risk_known,
)
from .crisis_rules import CrisisRules
from .crisis_state import CrisisState, Judged, gather
from .crisis_usual import Usual, usual_mood, usual_people
from .voices import Hour

__all__ = ["CrisisDetector", "CrisisRules", "CrisisState", "gather"]

_ANGRY: Final = attrgetter("angry")
_SIGNED: Final = attrgetter("signed")
LATENESS_HOURS: Final = 1
"""A mention may come so much later than the newest of its brand and is still judged; as for spikes."""


class CrisisDetector:
    """The rules applied to states. Holds nothing but its parameters."""

    def __init__(self, rules: CrisisRules | None = None) -> None:
        self.rules = rules or CrisisRules()

    def apply(self, state: CrisisState, hours: Mapping[int, Hour], *, not_after_ms: int | None = None) -> list[Crisis]:
        """Take a batch in and judge what has become final: events raised, escalated, ended, in order.

        Args:
            not_after_ms: the present, where it is known; what is dated more than an hour after it is left out.
        """
        limit = None if not_after_ms is None else not_after_ms // HOUR_MS + LATENESS_HOURS
        for hour, said in hours.items():
            if limit is not None and hour > limit:
                state.future += said.mentions
            elif state.next is not None and hour < state.next:
                state.late += said.mentions
            else:
                state.open.setdefault(hour, Hour()).merge(said)
                state.newest = max(state.newest, hour)
        return self._judge_until(state, state.newest - LATENESS_HOURS)

    def flush(self, state: CrisisState) -> list[Crisis]:
        """Judge all that is open: the stream has ended, nothing comes late any more."""
        return self._judge_until(state, max(state.open) + 1) if state.open else []

    def advance(self, state: CrisisState, until_ms: int) -> list[Crisis]:
        """Judge the hours before a moment although nobody wrote: for a brand that has fallen silent, so that its crisis
        ends. Only when nothing older is on its way (the queue is empty)."""
        return self._judge_until(state, until_ms // HOUR_MS)

    def preview(self, state: CrisisState) -> list[Crisis]:
        """The events that would come if nothing more were said, as `provisional`; the state stays as it is."""
        return [replace(event, provisional=True) for event in self.flush(state.copy())]

    # -- one hour after the other ------------------------------------------------------------------------------

    def _judge_until(self, state: CrisisState, end: int) -> list[Crisis]:
        events: list[Crisis] = []
        if state.next is None:
            if not state.open or min(state.open) >= end:
                return events
            state.since = state.next = min(state.open)
        while state.next < end:
            if state.window or state.state is not State.CALM:
                events += self._judge(state, state.next)
                state.next += 1
                continue
            # Hours of silence: nothing to be found in them, however many they are.
            following = min(state.open, default=end)
            if following > state.next:
                state.next = min(following, end)
            else:
                events += self._judge(state, state.next)
                state.next += 1
        return events

    def _judge(self, state: CrisisState, hour: int) -> list[Crisis]:
        rules = self.rules
        said = state.open.pop(hour, None)
        self._forget(state, hour)
        if said is not None:
            state.window[hour] = said
        window = Hour()
        for one in state.window.values():
            window.merge(one)
        angry, signed = window.negative_people, window.negative_named.count
        lacking = self._lacking(state, hour)
        if lacking is not None and state.state is State.CALM:
            events = self._say_insufficient(state, hour, lacking)
            state.risk = no_risk_known(hour, lacking)
        else:
            usual = usual_people(state, hour, rules, _ANGRY)
            usual_signed = usual_people(state, hour, rules, _SIGNED)
            finding = self._find(state, hour, window, usual, usual_signed)
            events = self._step(state, finding)
            state.risk = current_risk(finding, state.state)
            angry, signed = usual.just_unusual(angry, rules), usual_signed.just_unusual(signed, rules)
        if window.mentions:
            said = said or Hour()
            state.past[hour] = Judged(
                angry,
                signed,
                said.negative_people,
                said.people,
                said.mentions,
                said.milli,
                self._is_usual(state, hour),
            )
        for old in [one for one in state.window if one < hour + 2 - rules.window]:
            del state.window[old]
        return events

    def _forget(self, state: CrisisState, hour: int) -> None:
        first = hour - self.rules.days * 24 - self.rules.around
        for old in [one for one in state.past if one < first]:
            del state.past[old]
        silent = not state.past and not state.window
        if silent and state.since is not None and hour - state.since > self.rules.days * 24:
            # A week of silence: whether nobody wrote or nobody watched, it says nothing of what is usual today.
            state.since, state.told, state.current = hour, False, None

    def _lacking(self, state: CrisisState, hour: int) -> str | None:
        """Why the history does not suffice, or None."""
        rules = self.rules
        hours = hour - (hour if state.since is None else state.since)
        if hours < rules.history:
            return f"{hours} hours of history, {rules.history} are needed"
        active = sum(one.mentions > 0 for at, one in state.past.items() if at <= hour - rules.window)
        if active < rules.active:
            return f"mentions in {active} hours of the history, {rules.active} are needed"
        return None

    def _say_insufficient(self, state: CrisisState, hour: int, lacking: str) -> list[Crisis]:
        if state.told:
            return []
        state.told = True
        at = (hour + 1) * HOUR_MS
        identity = f"{state.brand}:{hour}:history"
        return [Crisis(identity, state.brand, Severity.INSUFFICIENT_HISTORY, at, at, (lacking,), None)]

    # -- what an hour shows ------------------------------------------------------------------------------------

    def _find(self, state: CrisisState, hour: int, window: Hour, usual: Usual, usual_signed: Usual) -> Finding:
        angry, people = window.negative_people, window.people
        usual_share, mood = usual_mood(state, hour, self.rules)
        share = angry / people if people else 0.0
        binomial = math.sqrt(usual_share * (1 - usual_share) / max(people, 1))
        words = sorted(window.words, key=lambda word: (-window.words[word], word))
        finding = Finding(
            hour=hour,
            window_hours=self.rules.window,
            mentions=window.mentions,
            angry=angry,
            people=people,
            usual_angry=usual.mean,
            deviation=usual.deviation,
            share=share,
            usual_share=usual_share,
            share_deviations=(share - usual_share) / binomial if people else 0.0,
            mood=window.milli / 1000 / window.mentions if window.mentions else 0.0,
            usual_mood=mood,
            alarmed=window.alarmed.count,
            words=tuple(words),
            evidence=tuple(window.evidence),
            level=None,
            calm=False,
        )
        # Unsigned texts make what named people say worse, but what they say must be unusual by itself; and unusual
        # also for numbers as small as these, where a normal distribution promises too much.
        signed = usual_signed.z(window.negative_named.count)
        unusual = min(signed, usual.poisson_z(angry)) >= self.rules.watch
        return replace(finding, level=self._level(finding) if unusual else None, calm=self._is_calm(finding))

    def _level(self, found: Finding) -> Severity | None:
        rules = self.rules
        margin = min(rules.share_margin, (1 - found.usual_share) / 2)  # attainable for whom all are always angry with
        gloomier = (
            found.share_deviations >= rules.share_deviations
            and found.share >= found.usual_share + margin
            and found.mood < found.usual_mood
        )
        if found.angry < rules.least or not gloomier or found.z < rules.watch:
            return None
        needed = rules.critical_with_words if found.alarmed >= rules.least_alarmed else rules.critical
        if found.z >= needed and found.angry >= rules.least_critical:
            return Severity.CRITICAL
        return Severity.WARNING if found.z >= rules.warning else Severity.WATCH

    def _is_calm(self, found: Finding) -> bool:
        rules = self.rules
        return found.angry < rules.least or found.z < rules.calm or found.share_deviations < 0

    def _is_usual(self, state: CrisisState, hour: int) -> bool:
        if state.state in (State.CALM, State.WATCH) or state.current is None:
            return True
        return hour - state.current.opened >= self.rules.learn_after

    # -- states ------------------------------------------------------------------------------------------------

    def _step(self, state: CrisisState, found: Finding) -> list[Crisis]:
        current = state.current
        if state.state is State.CALM:
            return self._rise(state, found)
        if current is None:
            raise ValueError(f"state of {state.brand}: {state.state} without an event")
        current.most = max(current.most, found.angry)
        if found.calm:
            state.calm_hours += 1
            state.state = State.RECOVERING
            return self._recover(state, found, current) if state.calm_hours >= self.rules.recovery else []
        state.calm_hours = 0
        if RANK[found.level] > RANK[current.peak] and found.level is not None:
            current.peak = found.level
            state.state = State(found.level)
            return [_event(state, current, found.level, found, found.reasons())]
        if found.level is not None:
            state.state = State(current.peak)  # it was recovering, or is as bad as before: nothing new to be told
        return []

    def _rise(self, state: CrisisState, found: Finding) -> list[Crisis]:
        level = found.level
        if level is None:
            return []
        reasons = found.reasons()
        cooling = state.ended is not None and found.hour - state.ended <= self.rules.cool_down
        if cooling and state.current is not None:
            if level is Severity.WATCH:
                return []
            state.current.most = max(state.current.most, found.angry)
            if RANK[level] > RANK[state.current.peak]:
                state.current.peak = level
            reasons = ("it has flared up again", *reasons)
        else:
            state.current = Ongoing(f"{state.brand}:{found.hour}", found.hour, level, found.angry)
        state.state = State(state.current.peak)
        state.calm_hours = 0
        return [_event(state, state.current, level, found, reasons)]

    def _recover(self, state: CrisisState, found: Finding, current: Ongoing) -> list[Crisis]:
        state.state, state.calm_hours, state.ended = State.CALM, 0, found.hour
        reasons = (
            f"calm for {self.rules.recovery} hours: {found.angry:,} people negative, {found.usual_angry:.1f} usually",
            f"it lasted {found.hour - current.opened:,} hours, at worst {current.peak} with {current.most:,} people",
        )
        return [_event(state, current, Severity.RECOVERED, found, reasons)]


def _event(
    state: CrisisState, current: Ongoing, severity: Severity, found: Finding, reasons: tuple[str, ...]
) -> Crisis:
    return Crisis(
        current.id,
        state.brand,
        severity,
        (found.hour + 1) * HOUR_MS,
        (current.opened + 1) * HOUR_MS,
        reasons,
        found,
    )
