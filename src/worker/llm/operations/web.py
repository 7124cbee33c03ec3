"""Questions about what the web says of a brand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ..answers import Answer, BadAnswer
from ..operation import Operation
from ..texts import NAME_MAX, PAGE_MAX, many, one
from .competitors import Pages
from .parts import Index, Name, Paragraph, Phrase, Phrases, Sentence


class WebSentiment(StrEnum):
    """Contract 2.5."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"
    MIXED = "mixed"


PageNumber = Annotated[Index, Field(description="number of the page")]


class NotableMention(Answer):
    source: Annotated[Name, Field(description="who said it, as the page names it")]
    highlight: Annotated[Sentence, Field(description="one sentence of the page, copied word for word")]
    sentiment: WebSentiment
    page: PageNumber


class Insight(Answer):
    text: Phrase
    pages: Annotated[tuple[PageNumber, ...], Field(min_length=1, max_length=10, description="where it stands")]


Insights = Annotated[tuple[Insight, ...], Field(max_length=10)]
"""The contract keeps ten of each kind (3.14)."""


class WebInsights(Answer):
    """The report of contract 2.5 with the pages that each part of it rests on, and whether they say anything at all."""

    known: Annotated[bool, Field(description="false: the pages say nothing of this brand, and all lists are empty")]
    summary: Paragraph
    sentiment: Annotated[WebSentiment, Field(description="neutral when nothing is known")]
    key_themes: Insights
    notable_mentions: Annotated[tuple[NotableMention, ...], Field(max_length=10)]
    opportunities: Insights
    risks: Insights
    recommended_actions: Insights


LISTS: Final = ("key_themes", "opportunities", "risks", "recommended_actions")
"""Fields of `WebInsights` that are lists of `Insight`."""


@dataclass(frozen=True, slots=True)
class WebScan:
    brand: str
    pages: tuple[str, ...]
    """What was read, each page the part of it that speaks of the brand. Never empty: without a page nothing is asked,
    because what a model remembers of a brand is no finding."""
    left_out: int = 0


WEB_INSIGHTS: Final[Operation[WebScan]] = Operation(
    name="web_insights",
    version="2",
    purpose="What web pages that were read say of a brand.",
    system="You are a web analyst. Report what the numbered pages say about a brand. They are your only source: add "
    "nothing you remember, and give with every part of the report the numbers of the pages it rests on. Another "
    "company or thing of the same name is not the brand. A highlight is copied from its page word for word, in one "
    "piece and in the page's language; a sentence that is put together or translated is refused. Opportunities, risks "
    "and actions follow from what the pages say. Leave a list empty rather than fill it.",
    template="Brand:\n$brand\n\nPages:\n$pages",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "pages": many("page", inputs.pages, left_out=inputs.left_out, limit=PAGE_MAX, numbered=True),
    },
    answer=WebInsights,
    max_tokens=2500,
    temperature=0.0,
)


def grounded(answer: WebInsights, count: int) -> WebInsights:
    """The answer, if it names only pages that there are.

    Raises:
        BadAnswer: it names a page beyond the `count` that were shown, or tells something of a brand it does not know.
    """
    filled = [field for field in (*LISTS, "notable_mentions") if getattr(answer, field)]
    if not answer.known and filled:
        raise BadAnswer([f"known: is false, but {filled[0]} is not empty"])
    named = [
        (f"{field}[{index}]", number)
        for field in LISTS
        for index, insight in enumerate(getattr(answer, field))
        for number in insight.pages
    ]
    named += [(f"notable_mentions[{index}]", mention.page) for index, mention in enumerate(answer.notable_mentions)]
    wrong = [
        f"{path}: there is no page {number}, they are 0 to {count - 1}" for path, number in named if number >= count
    ]
    if wrong:
        raise BadAnswer(wrong)
    return answer


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
