"""Parts that several answers share: numbers with their range, closed vocabularies, and what their words mean."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from ...models import Intent, StrategicTag, Urgency
from ..answers import Answer


def _whole(value: Any) -> Any:
    """85.0 is how some models write 85; 85.5 stays what it is and is refused."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=-1, le=1, description="-1 worst, 0 neutral, 1 best")]
Confidence = Annotated[float, Field(ge=0, le=1, description="how sure you are; 0.5 is a coin toss")]
Percent = Annotated[int, Field(ge=0, le=100), BeforeValidator(_whole)]
Index = Annotated[int, Field(ge=0, description="number of the mention"), BeforeValidator(_whole)]
Pain = Annotated[int, Field(ge=1, le=10, description="1 a nuisance, 10 unbearable"), BeforeValidator(_whole)]

# Longest texts, in characters: a name, a phrase, a sentence or two, a paragraph. Wide of what is asked for in words.
Name = Annotated[str, Field(min_length=1, max_length=200)]
Phrase = Annotated[str, Field(min_length=1, max_length=300)]
Sentence = Annotated[str, Field(min_length=1, max_length=600)]
Paragraph = Annotated[str, Field(min_length=1, max_length=2000)]
Phrases = Annotated[tuple[Phrase, ...], Field(max_length=10)]
"""The contract keeps ten of each kind (3.14)."""


class Topic(StrEnum):
    """What a mention is about: the closed list that the local tier knows too (contract 3.7)."""

    PRICING = "pricing"
    CUSTOMER_SUPPORT = "customer_support"
    BUGS = "bugs"
    FEATURES = "features"
    PERFORMANCE = "performance"
    UI_UX = "ui_ux"
    ONBOARDING = "onboarding"
    INTEGRATION = "integration"
    MOBILE = "mobile"
    SECURITY = "security"


class CommercialIntent(StrEnum):
    """Contract 3.7."""

    ALTERNATIVE_SEEKING = "alternative_seeking"
    PRICE_SENSITIVE = "price_sensitive"
    FEATURE_REQUEST = "feature_request"
    COMPLAINT = "complaint"
    COMPARISON_SHOPPING = "comparison_shopping"
    NONE = "none"


class ComplaintCategory(StrEnum):
    """Contract 3.7."""

    PRICING = "pricing"
    MISSING_FEATURES = "missing_features"
    SUPPORT_ISSUES = "support_issues"
    PERFORMANCE = "performance"
    USABILITY = "usability"
    RELIABILITY = "reliability"
    OTHER = "other"


class Emotions(Answer):
    joy: Share
    anger: Share
    fear: Share
    sadness: Share
    surprise: Share
    disgust: Share


Topics = Annotated[tuple[Topic, ...], Field(max_length=5, description="only what the text is about, else empty")]

# Ordinary chatter was called HOT_LEAD in 40 % of captured verdicts: the meanings say what is not enough.
INTENTS: Final[Mapping[Intent, str]] = {
    Intent.HOT_LEAD: "the author says that they themselves want to buy, try or switch to something of this kind now, "
    "or ask for a price or a recommendation to act on; liking, mentioning or joking about it is not enough",
    Intent.CHURN_RISK: "a customer of the brand says that they are leaving, cancelling or looking for another one",
    Intent.BUG_REPORT: "the author reports that something is broken or does not work",
    Intent.FEATURE_REQUEST: "the author asks for something that is missing",
    Intent.PRAISE: "the author recommends or is pleased, in earnest",
    Intent.GENERAL: "everything else: news, jokes, questions in passing, complaints without one of the above",
}
TAGS: Final[Mapping[StrategicTag, str]] = {
    StrategicTag.OPPORTUNITY_TO_STEAL: "a customer of a competitor is unhappy with it or looks for another one",
    StrategicTag.CRITICAL_ALERT: "a danger for the brand's name: legal, safety, security, fraud, an outage for many",
    StrategicTag.NONE: "everything else",
}
URGENCIES: Final[Mapping[Urgency, str]] = {
    Urgency.HIGH: "somebody should act within the hour",
    Urgency.MEDIUM: "within days",
    Urgency.LOW: "nobody has to act",
}


def meanings(title: str, words: Mapping[Any, str]) -> str:
    """A closed vocabulary as lines of a prompt."""
    return "\n".join([f"{title}:", *(f"- {word.value}: {meaning}" for word, meaning in words.items())])
