"""Tier 3: several mentions in one question, one verdict for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from ...models import Intent, SentimentLabel, StrategicTag, Urgency
from ..answers import Answer, BadAnswer
from ..operation import Operation
from ..texts import NAME_MAX, many, one
from .parts import INTENTS, TAGS, URGENCIES, Confidence, Emotions, Index, Percent, Phrase, Score, Topics, meanings

BATCH_MAX: Final = 20
"""Mentions in one question: indexes get lost in longer lists, and one bad answer costs the whole batch."""


class Judged(Answer):
    label: SentimentLabel
    score: Score

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.label is SentimentLabel.POSITIVE and self.score < 0) or (
            self.label is SentimentLabel.NEGATIVE and self.score > 0
        ):
            raise ValueError("label and score contradict each other")
        return self


class Judgement(Answer):
    """The verdict on one mention. Priority and tier are the worker's own."""

    index: Index
    relevant: Annotated[
        bool, Field(description="about this brand or competitor, not about another meaning of its name")
    ]
    sentiment: Annotated[Judged, Field(description="towards the brand or competitor")]
    intent: Intent
    intent_confidence: Confidence
    strategic_tag: StrategicTag
    emotions: Emotions
    urgency: Urgency
    is_sarcastic: bool
    topics: Topics
    lead_score: Annotated[Percent, Field(description="how ready the author is to buy; 0 for most")]
    summary: Annotated[Phrase | None, Field(description="at most 15 words; null when the text is shorter than that")]


class Judgements(Answer):
    verdicts: Annotated[
        tuple[Judgement, ...], Field(max_length=BATCH_MAX, description="one for each mention, in order")
    ]


@dataclass(frozen=True, slots=True)
class Judging:
    """What is to be judged. `texts` are at most `BATCH_MAX`; their position is their index."""

    brand: str
    texts: tuple[str, ...]
    competitor: str | None = None
    """Set when the mentions are about this competitor of the brand."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.texts) <= BATCH_MAX:
            raise ValueError(f"1 to {BATCH_MAX} mentions are judged at once, not {len(self.texts)}")


def _fields(inputs: Judging) -> dict[str, str]:
    return {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "about": "the brand itself" if inputs.competitor is None else one("competitor", inputs.competitor, NAME_MAX),
        "count": str(len(inputs.texts)),
        "mentions": many("mention", inputs.texts, numbered=True),
    }


JUDGE_MENTIONS: Final[Operation[Judging]] = Operation(
    name="judge_mentions",
    version="1",
    purpose="Judge several mentions of a brand at once: relevance, sentiment, intent, what to do.",
    system="\n\n".join(
        [
            "You judge public mentions of a brand for the people who look after it. Judge each mention by its own "
            "words alone, in whatever language it is. Be sober: most mentions are ordinary talk. Where words and "
            "meaning differ (irony, sarcasm), judge the meaning.",
            meanings("Intent", INTENTS),
            meanings("Strategic tag", TAGS),
            meanings("Urgency", URGENCIES),
        ]
    ),
    template="Brand:\n$brand\nThe mentions are about: $about\n\n$count mentions:\n$mentions\n\n"
    "Give one verdict for each of the $count mentions, with its number as index.",
    fields=_fields,
    answer=Judgements,
    max_tokens=100,
    temperature=0.0,
    size=lambda inputs: len(inputs.texts),
    # A verdict with all fields filled is about 200 tokens by our own count (tests hold it there); half as much again
    # for tokenizers that are less good at JSON.
    tokens_per_item=300,
)


def complete(answer: Judgements, count: int) -> tuple[Judgement, ...]:
    """The verdicts in the order of the mentions, exactly one for each.

    Raises:
        BadAnswer: one is missing, given twice, or speaks of a mention that was not asked for.
    """
    given = Counter(verdict.index for verdict in answer.verdicts)
    problems = [f"verdicts: no verdict for mention {index}" for index in range(count) if index not in given]
    problems += [f"verdicts: {times} verdicts for mention {index}" for index, times in given.items() if times > 1]
    problems += [f"verdicts: there is no mention {index}" for index in given if index >= count]
    if problems:
        raise BadAnswer(problems)
    return tuple(sorted(answer.verdicts, key=lambda verdict: verdict.index))
