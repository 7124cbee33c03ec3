"""Words that crises are told with. They add weight to what many people say; alone they raise nothing.

The platform's list (contract 3.17) looked for letters anywhere: "hackathon" was a hack, "fully charged" a charge, "I
recall it fondly" a recall. Here whole words count, in negative mentions only, and words that mostly mean something else
("charged", "recall", "down", "security", "safety") stand in the phrases that do not.
"""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = (
    "arrested",
    "boycott(?:s|ed|ing)?",
    "class[ -]action",
    "crash(?:ed|es|ing)?",
    "data[ -](?:breach|leak)(?:es|s)?",
    "dead",
    "death(?:s)?",
    "died",
    "evacuat(?:ed|ion)",
    "exposed",
    "fraud(?:s|ulent)?",
    "hack(?:ed|ers?)",
    "injur(?:ed|y|ies)",
    "investigat(?:ion|ions|ed|ors?)",
    "lawsuits?",
    "lawyers?",
    "leak(?:ed|s)",
    "outages?",
    "product recall",
    "recalled",
    "regulators?",
    "safety (?:issue|issues|concern|concerns|risk|risks|hazard|hazards)",
    "scam(?:s|med|mers?)?",
    "scandals?",
    "security (?:breach|incident|hole|flaw)",
    "sued",
    "suing",
    "unsafe",
)
_FOUND: Final = re.compile(r"(?<![\w'])(?:" + "|".join(_WORDS) + r")(?![\w'])", re.IGNORECASE)
_READ: Final = 5_000
"""Characters of a text that are read, as the analysis does."""


def crisis_words(text: str) -> tuple[str, ...]:
    """The words of crises in a text, in lower case, each once, in order.

    >>> crisis_words("The outage again, and I recall the last OUTAGE fondly"), crisis_words("our hackathon crew")
    (('outage',), ())
    """
    return tuple(dict.fromkeys(match.group().lower() for match in _FOUND.finditer(text[:_READ])))
