"""The parameters of the crisis detector, each with its reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CrisisRules:
    """The shipped parameters. The starting point is a rule that separated mass cancellations from give-aways, praise
    and single angry authors in a week of six airlines; what is chosen here beyond it is the more careful side."""

    window: int = 3
    """Hours judged together: shorter ones are noise for brands of ten mentions an hour."""
    around: int = 2
    """Hours before and after the same time of earlier days."""
    days: int = 7
    """Of history, so that each day of the week is in it."""
    history: int = 24
    """Hours without which nothing is judged: no time of day would have been seen before."""
    active: int = 6
    """Hours of the history in which somebody must have written: one old article makes no history."""
    least: int = 10
    """Angry people in the window; fewer are no crisis, whatever the statistic says."""
    watch: float = 3.5
    """Deviations above the usual number of angry people. A week has 168 chances: a normal distribution passes 3 once a
    month, 3.5 once in half a year and 4 once in four years; counts of people do so more often."""
    warning: float = 4.0
    critical: float = 6.0
    """One and a half times a warning; that is about three times as many angry people as usual, or more."""
    critical_with_words: float = 5.0
    """Enough where `least_alarmed` people use words of crises: such words add weight, alone they raise nothing."""
    least_alarmed: int = 5
    least_critical: int = 20
    spread: float = 0.3
    """Smallest relative deviation taken for true. Ordinary days of brands differ by 0.2 to 0.5 in the development
    data, and a week of history often looks calmer than that by chance."""
    share_deviations: float = 1.5
    """How far the share of angry people must be above the brand's own, in binomial deviations ..."""
    share_margin: float = 0.03
    """... and in absolute terms: among ten thousand people any difference is significant. Both are low on purpose: most
    who write to an airline complain on any day, and a lexicon sees half of it, so a real crisis moves the share by
    little. They hold what moves it down, praise and give-aways, and so does the mood, which must be below the usual."""
    calm: float = 2.0
    """Below it an hour counts towards recovery: half a warning, so that a crisis does not flicker."""
    recovery: int = 3
    """Calm hours in a row that end a crisis: one whole window after it."""
    cool_down: int = 12
    """Hours after a recovery in which a new rise is the same crisis again, and a mere watch is nothing."""
    learn_after: int = 72
    """Hours of a crisis say nothing of a brand's own share and mood; what lasts longer than this has become its own."""
