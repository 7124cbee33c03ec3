"""Questions about what the web says of a brand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ..answers import Answer
from ..operation import Operation
from ..texts import NAME_MAX, PAGE_MAX, many, one
from .competitors import Pages
from .parts import Name, Paragraph, Phrases, Sentence


class WebSentiment(StrEnum):
    """Contract 2.5."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"
    MIXED = "mixed"


class NotableMention(Answer):
    source: Annotated[Name, Field(description="who said it, as the pages name it")]
    highlight: Sentence
    sentiment: WebSentiment


class WebInsights(Answer):
    """The report of contract 2.5, and whether anything is known at all."""

    known: Annotated[bool, Field(description="false: nothing is known of this brand, and all lists are empty")]
    summary: Paragraph
    sentiment: Annotated[WebSentiment, Field(description="neutral when nothing is known")]
    key_themes: Phrases
    notable_mentions: Annotated[tuple[NotableMention, ...], Field(max_length=10)]
    opportunities: Phrases
    risks: Phrases
    recommended_actions: Phrases


@dataclass(frozen=True, slots=True)
class WebScan:
    brand: str
    pages: tuple[str, ...] = ()
    """Text of web pages, where some were fetched; without them the model has its memory only."""
    left_out: int = 0


WEB_INSIGHTS: Final[Operation[WebScan]] = Operation(
    name="web_insights",
    version="1",
    purpose="What the web says of a brand.",
    system="You are a web analyst. Report what is said about a brand. Where pages are given, they are your only "
    "source. Without pages, report what you know for certain, and leave notable_mentions empty: a quotation from "
    "memory is an invention. Where you know nothing, say so in the summary and leave every list empty.",
    template="Brand:\n$brand\n\nPages:\n$pages",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "pages": many("page", inputs.pages, left_out=inputs.left_out, limit=PAGE_MAX),
    },
    answer=WebInsights,
    max_tokens=1500,
    temperature=0.0,
)


class WebContent(Answer):
    insights: Phrases
    competitors: Annotated[tuple[Name, ...], Field(max_length=20)]
    opportunities: Phrases


_ITEM_MAX: Final = 500
"""Characters of one item (contract, section 8)."""

WEB_CONTENT: Final[Operation[Pages]] = Operation(
    name="web_content",
    version="1",
    purpose="What a handful of short web texts tells a brand.",
    system="You are a web analyst. Tell from the texts alone what is new for the brand, which competitors they name, "
    "and where they show an opportunity. Name nothing that is not in them.",
    template="Brand:\n$brand\n\nTexts:\n$pages",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "pages": many("page", inputs.pages, left_out=inputs.left_out, limit=_ITEM_MAX),
    },
    answer=WebContent,
    max_tokens=800,
    temperature=0.0,
)
