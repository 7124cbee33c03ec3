"""Replies to a comment: three tones, no promises that the brand did not make, canned ones for want of a model. Pure.

A reply is published in the brand's name. So whatever a model writes is searched for what must not be in one
(`promises`); a reply that holds it is dropped, and the result says which and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ..models import SentimentLabel
from .promises import Promise, promises


class Tone(StrEnum):
    """In the order in which the platform lists them (contract 8)."""

    SAFE = "safe"
    ENGAGING = "engaging"
    BOLD = "bold"


CANNED_LANGUAGE: Final = "en"
_BRAND_SHOWN: Final = 80
"""Characters of a brand's name in a canned reply."""

_CANNED: Final[Mapping[SentimentLabel, Mapping[Tone, str]]] = {
    SentimentLabel.POSITIVE: {
        Tone.SAFE: "Thank you for the kind words about {brand}. It means a lot to the whole team.",
        Tone.ENGAGING: "That made our day, thank you! What do you like most about {brand}?",
        Tone.BOLD: "Careful, we might frame this and hang it up at {brand}. Thank you!",
    },
    SentimentLabel.NEUTRAL: {
        Tone.SAFE: "Thank you for mentioning {brand}. We are listening if there is anything you would like to tell us.",
        Tone.ENGAGING: "Thanks for talking about {brand}! We would love to hear more: what is on your mind?",
        Tone.BOLD: "You said {brand}, so here we are. Ask us anything.",
    },
    SentimentLabel.NEGATIVE: {
        Tone.SAFE: "We are sorry to read this, and thank you for telling us. Please send {brand} a direct message so "
        "that we can look into it.",
        Tone.ENGAGING: "This is not what we want anybody to go through with {brand}. Would you tell us in a direct "
        "message what happened?",
        Tone.BOLD: "That stings, and we would rather hear it than not. Tell {brand} the whole story in a direct "
        "message?",
    },
}


@dataclass(frozen=True, slots=True)
class Suggested:
    """One reply."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A reply that was not passed on. Its text is not told: somebody would copy it."""

    tone: Tone
    promises: tuple[Promise, ...]


def screened(replies: Sequence[Suggested], brand: str) -> tuple[list[Suggested], list[Dropped]]:
    """Those that may be passed on, each text once, and those that may not."""
    kept: list[Suggested] = []
    dropped: list[Dropped] = []
    for one in replies:
        text = " ".join(one.text.split())
        found = promises(text, brand)
        if found:
            dropped.append(Dropped(one.tone, found))
        elif all(text.casefold() != other.text.casefold() for other in kept):
            kept.append(Suggested(one.tone, text))
    return kept, dropped


def canned(brand: str, sentiment: SentimentLabel) -> list[Suggested]:
    """Three replies in English that fit any comment of this mood."""
    name = " ".join(brand.split())[:_BRAND_SHOWN]
    return [Suggested(tone, text.replace("{brand}", name)) for tone, text in _CANNED[sentiment].items()]


def suggestion_document(
    kept: Sequence[Suggested],
    dropped: Sequence[Dropped],
    *,
    brand: str,
    sentiment: SentimentLabel,
    sentiment_source: str,
    marks: Mapping[str, Any],
) -> dict[str, Any]:
    """`suggestions` are the contract's; `language` is that of canned replies, null where a model chose it."""
    return {
        "suggestions": [one.text for one in kept],
        "tones": [one.tone.value for one in kept],
        "brand": brand,
        "sentiment": sentiment.value,
        "sentimentSource": sentiment_source,
        "language": CANNED_LANGUAGE if marks["degraded"] else None,
        "dropped": [{"tone": one.tone.value, "promises": [str(kind) for kind in one.promises]} for one in dropped],
        **marks,
    }
