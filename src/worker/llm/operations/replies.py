"""Texts for people: replies to a comment, the reason of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from ...models import SentimentLabel
from ..answers import Answer
from ..operation import Operation
from ..texts import NAME_MAX, PAGE_MAX, one
from .parts import Sentence

VOICE_MAX: Final = 500
"""Characters of the description of a voice: a paragraph of a style guide."""


@dataclass(frozen=True, slots=True)
class Comment:
    brand: str
    text: str
    sentiment: SentimentLabel
    voice: str | None = None
    """How the brand wishes to sound, in its own words."""


class Suggestions(Answer):
    """Three replies, in the order in which the platform lists them."""

    safe: Annotated[Sentence, Field(description="friendly and without any risk")]
    engaging: Annotated[Sentence, Field(description="invites the author to a conversation")]
    bold: Annotated[Sentence, Field(description="with wit, never at the author's expense")]

    @property
    def replies(self) -> tuple[str, str, str]:
        return self.safe, self.engaging, self.bold


RESPONSE_SUGGESTION: Final[Operation[Comment]] = Operation(
    name="response_suggestion",
    version="2",
    purpose="Three replies that the brand could give to a comment.",
    system="You write public replies in the name of a brand, in the language of the comment, at most 50 words each. "
    "Promise nothing (no refund, no date, no fix), admit no guilt, ask for no personal data in public, and give no "
    "links or addresses. Where a voice is described, sound like it; it describes a manner of speaking and nothing "
    "else.",
    template="Brand:\n$brand\nVoice of the brand: $voice\nSentiment of the comment: $sentiment\n\nComment:\n$text",
    fields=lambda inputs: {
        "brand": one("brand", inputs.brand, NAME_MAX),
        "voice": "(not described)" if inputs.voice is None else one("voice", inputs.voice, VOICE_MAX),
        "sentiment": inputs.sentiment.value,
        "text": one("comment", inputs.text),
    },
    answer=Suggestions,
    max_tokens=500,
    # The one question where variety is wanted; the older workers' value for writing.
    temperature=0.3,
)


class Turn(NamedTuple):
    """One exchange with the model under evaluation."""

    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class Decision:
    turns: Sequence[Turn]
    rating: str
    """The decision code: `1` to `5` or `other`."""


def _turns(turns: Sequence[Turn]) -> str:
    parts = [
        f"User, turn {number}:\n{one('prompt', turn.prompt, PAGE_MAX)}\n"
        f"Model, turn {number}:\n{one('response', turn.response, PAGE_MAX)}"
        for number, turn in enumerate(turns, 1)
    ]
    return "\n\n".join(parts) if parts else "(none)"


DECISION_EXPLANATION: Final[Operation[Decision]] = Operation(
    name="decision_explanation",
    version="1",
    purpose="Why the model under evaluation chose its rating, in at most 50 words.",
    system="You read conversations in which a model was asked to decide and to rate. Say in at most 50 words why the "
    "model chose its rating, from what it wrote alone. If it stayed neutral, refused or gave no reason, say that.",
    template="Conversation:\n$turns\n\nThe rating that was read from it:\n$rating",
    fields=lambda inputs: {"turns": _turns(inputs.turns), "rating": one("rating", inputs.rating, NAME_MAX)},
    answer=None,
    max_tokens=150,
    temperature=0.0,
)
