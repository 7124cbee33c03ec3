"""Questions about who competes with a brand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from ..answers import Answer
from ..operation import Operation
from ..texts import NAME_MAX, PAGE_MAX, many, one
from .parts import Confidence, Name, Paragraph, Phrase, Phrases, Sentence

_NO_INVENTION: Final = "Name only companies you know to exist. A short list, or an empty one, is better than a guess."


@dataclass(frozen=True, slots=True)
class BrandProfile:
    brand: str
    description: str | None = None
    keywords: tuple[str, ...] = ()


class SuggestedCompetitor(Answer):
    name: Name
    keywords: Annotated[tuple[Name, ...], Field(min_length=1, max_length=5, description="3 to 5 words to find it by")]
    products: Annotated[tuple[Name, ...], Field(max_length=4, description="2 to 4 of its products")]
    confidence: Annotated[Confidence, Field(description="how sure you are; leave out what is below 0.7")]
    reason: Sentence
    website: Annotated[Name | None, Field(description="null when you are not sure of it")]


class SuggestedCompetitors(Answer):
    competitors: Annotated[
        tuple[SuggestedCompetitor, ...], Field(max_length=10, description="5 to 10 if that many exist")
    ]


COMPETITOR_DETECTION: Final[Operation[BrandProfile]] = Operation(
    name="competitor_detection",
    version="1",
    purpose="Who competes with a brand, from its name, description and keywords.",
    system=f"You are a competitive analyst. Name the direct competitors of a brand. {_NO_INVENTION}",
    template="Brand:\n$brand\nDescription:\n$description\nKeywords:\n$keywords",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "description": "(none)" if inputs.description is None else one("description", inputs.description),
        "keywords": many("keyword", inputs.keywords, limit=NAME_MAX),
    },
    answer=SuggestedCompetitors,
    max_tokens=1500,
    temperature=0.0,
)


@dataclass(frozen=True, slots=True)
class NamedInMentions:
    brand: str
    texts: tuple[str, ...]
    known: tuple[str, ...] = ()
    """Names that were found already: they are confirmed or not, like any other."""
    left_out: int = 0


class MentionedCompetitor(Answer):
    name: Name
    industry: Name | None
    is_competitor: bool
    relationship: Annotated[Phrase, Field(description="to the brand: competitor, partner, customer, owner, …")]
    mentioned_context: Annotated[Phrase, Field(description="what the mentions say of it")]
    confidence: Confidence


class MentionedCompetitors(Answer):
    competitors: Annotated[tuple[MentionedCompetitor, ...], Field(max_length=20)]


COMPETITOR_MENTIONS: Final[Operation[NamedInMentions]] = Operation(
    name="competitor_mentions",
    version="1",
    purpose="Which companies the mentions of a brand name, and whether they compete with it.",
    system="You are a competitive analyst. Find the companies that the mentions name, and tell how each stands to the "
    "brand. A word that happens to be a company's name as well is no company. Name nothing that is not in them.",
    template="Brand:\n$brand\nFound already:\n$known\n\nMentions:\n$texts",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "known": many("competitor", inputs.known, limit=NAME_MAX),
        "texts": many("mention", inputs.texts, left_out=inputs.left_out),
    },
    answer=MentionedCompetitors,
    max_tokens=1500,
    temperature=0.0,
)


@dataclass(frozen=True, slots=True)
class Pages:
    brand: str
    pages: tuple[str, ...]
    """Text of web pages."""
    left_out: int = 0


class WebCompetitor(Answer):
    name: Name
    industry: Name | None
    website: Annotated[Name | None, Field(description="only if a page gives it")]
    is_direct_competitor: bool
    strengths: Phrases
    weaknesses: Phrases
    confidence: Confidence


class WebCompetitors(Answer):
    summary: Paragraph
    competitors: Annotated[tuple[WebCompetitor, ...], Field(max_length=20)]


COMPETITOR_WEB_ANALYSIS: Final[Operation[Pages]] = Operation(
    name="competitor_web_analysis",
    version="1",
    purpose="Who competes with a brand, from web pages about it.",
    system="You are a competitive analyst. Tell from the pages alone who competes with the brand, and what the pages "
    "say for and against each. Name nothing that is not in the pages.",
    template="Brand:\n$brand\n\nPages:\n$pages",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "pages": many("page", inputs.pages, left_out=inputs.left_out, limit=PAGE_MAX),
    },
    answer=WebCompetitors,
    max_tokens=2000,
    temperature=0.0,
)
