"""Names of classes as data sets write them -> the worker's own. An unknown name is an error that names the allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..errors import WorkerError
from ..models import Intent, SentimentLabel
from .student import StudentTask


class UnknownLabel(WorkerError):
    """A label that means nothing to the worker. The message names those that do."""

    code = "UNKNOWN_LABEL"


RATING: Final = "rating"
"""A bare rating: praise where it is a good one, else nothing in particular. The row's stars, or its mood, say which."""
GOOD_RATING: Final = 4.0
"""Of five stars."""

_SENTIMENTS: Final[Mapping[str, SentimentLabel]] = {
    name: label
    for label, names in (
        (SentimentLabel.NEGATIVE, "negative neg -1"),
        (SentimentLabel.NEUTRAL, "neutral neu 0"),
        (SentimentLabel.POSITIVE, "positive pos 1"),
    )
    for name in names.split()
}
_INTENTS: Final[Mapping[str, str]] = {
    name: label
    for label, names in (
        (Intent.BUG_REPORT.value, "bug_report bug pd problem problem_discovery issue complaint complaints complains"),
        (Intent.FEATURE_REQUEST.value, "feature_request feature fr request suggestion suggestions wish"),
        (Intent.PRAISE.value, "praise compliment"),
        (Intent.HOT_LEAD.value, "hot_lead lead purchase purchase_intent buying_intent buy"),
        (Intent.CHURN_RISK.value, "churn_risk churn churner churny leaving"),
        (Intent.GENERAL.value, "general other none ue user_experience information"),
        (RATING, "rating rt"),
    )
    for name in names.split()
}
_YES: Final = frozenset({"1", "true", "yes", "y"})
_NO: Final = frozenset({"0", "false", "no", "n"})
_NOT: Final = re.compile(r"(?:not?|non)_(?=\w)")
ALLOWED: Final = {
    StudentTask.SENTIMENT: "negative, neutral, positive (also neg, neu, pos; -1, 0, 1)",
    StudentTask.INTENT: f"{', '.join(Intent)} (also bug report, complaint, feature request, suggestion, purchase, "
    "churn, rating, user experience, other; 1 and 0 for one intent or not)",
}


def label_of(task: StudentTask, name: str, *, positive: Intent) -> str:
    """The worker's name of a class, or RATING.

    `positive` is what 1 (true, yes) means to the task intent; 0 and "not …" are GENERAL.

    Raises:
        UnknownLabel: the name is not known.
    """
    plain = re.sub(r"[\s_]+|(?<=\w)-", "_", name.strip().lower())
    if plain.endswith(".0"):  # a column of numbers that went through a table program
        plain = plain.removesuffix(".0")
    if task is StudentTask.SENTIMENT:
        found: str | None = _SENTIMENTS.get(plain)
    elif plain in _YES:
        found = positive.value
    elif plain in _NO or ((rest := _NOT.sub("", plain, count=1)) != plain and rest in _INTENTS):
        found = Intent.GENERAL.value
    else:
        found = _INTENTS.get(plain)
    if found is None:
        raise UnknownLabel(f"label {name[:40]!r} is not known: allowed are {ALLOWED[task]}")
    return str(found)
