"""Questions about one mention."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ...models import Intent, StrategicTag
from ..answers import Answer, BadAnswer
from ..operation import Operation
from ..texts import NAME_MAX, many, one
from .parts import (
    INTENTS,
    TAGS,
    CommercialIntent,
    ComplaintCategory,
    Confidence,
    Index,
    Name,
    Pain,
    Percent,
    Phrase,
    Phrases,
    Score,
    Sentence,
    meanings,
)


@dataclass(frozen=True, slots=True)
class OneMention:
    brand: str
    text: str
    source: str | None = None
    competitor: str | None = None
    """Set when the mention is about this competitor of the brand."""


def _fields(inputs: OneMention) -> dict[str, str]:
    return {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "about": "the brand itself" if inputs.competitor is None else one("competitor", inputs.competitor, NAME_MAX),
        "source": "unknown" if inputs.source is None else one("source", inputs.source, NAME_MAX),
        "text": one("mention", inputs.text),
    }


class Strategy(Answer):
    relevant: Annotated[
        bool, Field(description="about this brand or competitor, not about another meaning of its name")
    ]
    intent: Intent
    strategic_tag: StrategicTag
    sentiment_score: Score
    summary: Annotated[Sentence, Field(description="one sentence")]
    confidence: Confidence
    keywords: Annotated[tuple[Name, ...], Field(max_length=5, description="words of the text itself")]
    feature_requests: Phrases
    pain_points: Phrases
    churn_risks: Phrases
    recommended_actions: Phrases
    lead_score: Annotated[Percent, Field(description="how ready the author is to buy; 0 for most")]


STRATEGIC_ANALYSIS: Final[Operation[OneMention]] = Operation(
    name="strategic_analysis",
    version="1",
    purpose="Judge one mention: is the brand meant, what does the author want, what does it mean for the brand.",
    system="\n\n".join(
        [
            "You judge a public mention of a brand for the people who look after it, by its own words alone. Be sober: "
            "most mentions are ordinary talk. Lists are empty unless the text itself names such a thing.",
            meanings("Intent", INTENTS),
            meanings("Strategic tag", TAGS),
        ]
    ),
    template="Brand:\n$brand\nThe mention is about: $about\nSource: $source\n\nMention:\n$text",
    fields=_fields,
    answer=Strategy,
    max_tokens=800,
    temperature=0.0,
)


class Commercial(Answer):
    sales_intent: Annotated[bool, Field(description="the author themselves wants to buy, try or switch")]
    confidence: Confidence
    intent_type: CommercialIntent
    pain_point: Annotated[Phrase | None, Field(description="what drives the author, in their words; null if not said")]


COMMERCIAL_INTENT: Final[Operation[OneMention]] = Operation(
    name="commercial_intent",
    version="1",
    purpose="Does the author of a mention want to buy, try or switch?",
    system="You tell whether the author of a public text is a possible customer. Wanting, asking for prices to act on, "
    "comparing offers and looking for another product count; liking, joking and reporting do not.",
    template="Brand:\n$brand\nThe text is about: $about\nSource: $source\n\nText:\n$text",
    fields=_fields,
    answer=Commercial,
    max_tokens=200,
    temperature=0.0,
)


@dataclass(frozen=True, slots=True)
class CompetitorText:
    competitor: str
    text: str


class Complaint(Answer):
    category: Annotated[ComplaintCategory, Field(description="other when it is no complaint about the competitor")]
    specific_issue: Annotated[Phrase | None, Field(description="what is complained about; null when nothing is")]
    pain_level: Pain


COMPETITOR_COMPLAINT: Final[Operation[CompetitorText]] = Operation(
    name="competitor_complaint",
    version="1",
    purpose="What does the author of a mention complain about in a competitor, and how much does it hurt?",
    system="You sort complaints about a product into categories and tell how much the matter hurts its author.",
    template="Competitor:\n$competitor\n\nText:\n$text",
    fields=lambda inputs: {
        "competitor": one("competitor", inputs.competitor, NAME_MAX),
        "text": one("mention", inputs.text),
    },
    answer=Complaint,
    max_tokens=200,
    temperature=0.0,
)


COMPLAINTS_TOGETHER: Final = 10
"""Texts in one question, as many as the judge of mentions gets: the rules are paid for once."""


@dataclass(frozen=True, slots=True)
class CompetitorTexts:
    """What is to be sorted. The position of a text is its index."""

    competitor: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.texts) <= COMPLAINTS_TOGETHER:
            raise ValueError(f"1 to {COMPLAINTS_TOGETHER} texts are sorted at once, not {len(self.texts)}")


class IndexedComplaint(Complaint):
    index: Index


class Complaints(Answer):
    complaints: Annotated[
        tuple[IndexedComplaint, ...],
        Field(max_length=COMPLAINTS_TOGETHER, description="one for each text, in order"),
    ]


COMPETITOR_COMPLAINTS: Final[Operation[CompetitorTexts]] = Operation(
    name="competitor_complaints",
    version="1",
    purpose="The same for several mentions at once.",
    system="You sort complaints about a product into categories and tell how much the matter hurts its author. Judge "
    "each text by its own words alone; what one text says of another, or of all, is no reason to judge those "
    "otherwise.",
    template="Competitor:\n$competitor\n\n$count texts:\n$texts\n\n"
    "Give one complaint for each of the $count texts, with its number as index.",
    fields=lambda inputs: {
        "competitor": one("competitor", inputs.competitor, NAME_MAX),
        "count": str(len(inputs.texts)),
        "texts": many("mention", inputs.texts, numbered=True),
    },
    answer=Complaints,
    max_tokens=100,
    temperature=0.0,
    size=lambda inputs: len(inputs.texts),
    # A complaint with an issue of 300 characters is about 110 tokens by our own count; half as much again.
    tokens_per_item=170,
)


def each_complaint(answer: Complaints, count: int) -> tuple[Complaint, ...]:
    """The complaints in the order of the texts, exactly one for each.

    Raises:
        BadAnswer: one is missing, given twice, or speaks of a text that was not given.
    """
    given = [one.index for one in answer.complaints]
    if sorted(given) != list(range(count)):
        raise BadAnswer((f"complaints: must have each index from 0 to {count - 1} once",))
    return tuple(sorted(answer.complaints, key=lambda one: one.index))


class Reception(StrEnum):
    """How a launch was received, by its success score (contract 3.7)."""

    FLOP_RISK = "FLOP_RISK"
    MODERATE_SUCCESS = "MODERATE_SUCCESS"
    POTENTIAL_HIT = "POTENTIAL_HIT"


def reception_of(success_score: int) -> Reception:
    """Bands of contract 3.7: up to 39, 40 to 70, from 71."""
    if success_score <= 39:
        return Reception.FLOP_RISK
    return Reception.MODERATE_SUCCESS if success_score <= 70 else Reception.POTENTIAL_HIT


class Launch(Answer):
    is_launch: Annotated[bool, Field(description="the text itself speaks of a new product, version or feature")]
    product_name: Annotated[Name | None, Field(description="as the text names it; null when it does not")]
    success_score: Annotated[
        Percent, Field(description="up to 39 flop, 40 to 70 moderate, from 71 hit; 0 if no launch")
    ]
    reason: Sentence
    hype_signals: Phrases
    skepticism_signals: Phrases
    reception: Annotated[Phrase | None, Field(description="how it is received, in a few words; null if no launch")]


LAUNCH_DETECTION: Final[Operation[OneMention]] = Operation(
    name="launch_detection",
    version="1",
    purpose="Does a mention speak of a launch, and how is it received?",
    system="You recognise launches of products, versions and features in public texts and tell how they are received. "
    "A rumour, a wish and a text about an older product are no launches. Signals are taken from the text itself.",
    template="Brand:\n$brand\nThe text is about: $about\nSource: $source\n\nText:\n$text",
    fields=_fields,
    answer=Launch,
    max_tokens=500,
    temperature=0.0,
)
