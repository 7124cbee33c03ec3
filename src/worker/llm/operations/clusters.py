"""Questions about several mentions as a whole: a cluster, a topic, a stretch of history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from ...models import SentimentLabel, Urgency
from ..answers import Answer
from ..operation import Operation
from ..texts import NAME_MAX, many, one
from .parts import (
    URGENCIES,
    Confidence,
    Emotions,
    Name,
    Paragraph,
    Percent,
    Phrases,
    Score,
    Sentence,
    Share,
    Topics,
    meanings,
)


@dataclass(frozen=True, slots=True)
class Texts:
    brand: str
    texts: tuple[str, ...]
    left_out: int = 0
    """How many more there are than are shown; the model is told."""


def _fields(inputs: Texts) -> dict[str, str]:
    return {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "texts": many("mention", inputs.texts, left_out=inputs.left_out),
    }


_TEMPLATE: Final = "Brand:\n$brand\n\nMentions:\n$texts"

SUMMARY: Final[Operation[Texts]] = Operation(
    name="summary",
    version="1",
    purpose="One sentence on what the mentions of a cluster say.",
    system="You are a brand analyst. Say in one sentence of at most 30 words what the mentions have in common. Name "
    "nothing that is not in them.",
    template=_TEMPLATE,
    fields=_fields,
    answer=None,
    max_tokens=120,
    temperature=0.2,
)

_SUM_TOLERANCE: Final = 0.02
"""Three shares rounded to two decimals can be off by that much."""


class Distribution(Answer):
    positive: Annotated[Share, Field(description="the three shares sum to 1")]
    negative: Share
    neutral: Share

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.positive + self.negative + self.neutral
        if abs(total - 1) > _SUM_TOLERANCE:
            raise ValueError("positive, negative and neutral must sum to 1")
        return self


SENTIMENT: Final[Operation[Texts]] = Operation(
    name="sentiment",
    version="1",
    purpose="How the sentiment towards the brand is spread over the mentions of a cluster.",
    system="You measure sentiment. Judge each mention's sentiment towards the brand by its meaning, irony included, "
    "and give the share of mentions that are positive, negative and neutral.",
    template=_TEMPLATE,
    fields=_fields,
    answer=Distribution,
    max_tokens=100,
    temperature=0.0,
)


class Person(Answer):
    name: Name
    role: Name | None
    company: Name | None
    confidence: Confidence


class Company(Answer):
    name: Name
    industry: Name | None
    is_competitor: bool
    confidence: Confidence


class Product(Answer):
    name: Name
    owner: Name | None
    category: Name | None
    confidence: Confidence


class Entities(Answer):
    people: Annotated[tuple[Person, ...], Field(max_length=10)]
    companies: Annotated[tuple[Company, ...], Field(max_length=10)]
    products: Annotated[tuple[Product, ...], Field(max_length=10)]


class Enhanced(Answer):
    sentiment_score: Score
    sentiment_label: SentimentLabel
    emotions: Emotions
    is_sarcastic: bool
    urgency: Urgency
    topics: Topics
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$", description="ISO 639-1 code of most mentions")]
    entities: Annotated[Entities, Field(description="only what the mentions name; null for what they do not say")]
    feature_requests: Phrases
    pain_points: Phrases
    churn_risks: Phrases
    recommended_actions: Phrases
    lead_score: Annotated[Percent, Field(description="how ready the authors are to buy; 0 for most")]


ENHANCED_ANALYSIS: Final[Operation[Texts]] = Operation(
    name="enhanced_analysis",
    version="1",
    purpose="Everything the platform shows of a cluster, from examples of it.",
    system="You are a brand analyst. Analyse the mentions as a whole, by their own words alone. Lists are empty unless "
    "the mentions themselves give a reason.\n\n" + meanings("Urgency", URGENCIES),
    template=_TEMPLATE,
    fields=_fields,
    answer=Enhanced,
    max_tokens=1500,
    temperature=0.0,
)


class TopicLabel(Answer):
    label: Annotated[Name, Field(description="2 to 5 words that tell this topic from others")]
    summary: Annotated[Sentence, Field(description="one sentence of at most 30 words on what is said")]


CLUSTER_LABEL: Final[Operation[Texts]] = Operation(
    name="cluster_label",
    version="1",
    purpose="A name and a sentence for a topic, from examples of it.",
    system="You name topics. The mentions are examples of one topic that an algorithm found. Name what they have in "
    "common, in English, without the brand's name. Name nothing that is not in them.",
    template=_TEMPLATE,
    fields=_fields,
    answer=TopicLabel,
    max_tokens=200,
    temperature=0.0,
)


class History(Answer):
    summary: Annotated[Paragraph, Field(description="at most 120 words on what happened, in order of time")]
    key_events: Phrases
    themes: Phrases
    sentiment_score: Annotated[Score, Field(description="mean over the records")]


@dataclass(frozen=True, slots=True)
class Records:
    brand: str
    records: tuple[str, ...]
    """Oldest first, each with its time where it is known."""
    left_out: int = 0


HISTORY_SUMMARY: Final[Operation[Records]] = Operation(
    name="history_summary",
    version="1",
    purpose="Old records of a brand in a few lines, before they are archived.",
    system="You write the short history of a brand from old records, so that the records themselves can be put away. "
    "Keep what somebody would look for a year later: events, numbers, names, dates. Add nothing.",
    template="Brand:\n$brand\n\nRecords, oldest first:\n$records",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "records": many("record", inputs.records, left_out=inputs.left_out),
    },
    answer=History,
    max_tokens=900,
    temperature=0.0,
)
