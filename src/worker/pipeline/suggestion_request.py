"""The comment that is to be answered, from the fields of a task or of a REST body. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidTask
from ..models import Mention, SentimentLabel
from ..tasks import slug_of
from ..times import EPOCH
from .suggestions import Tone
from .task_fields import Fields, mention_of

TEXT_MAX: Final = 10_000
"""Characters of a comment: twice the longest post of a network watched. A model is shown the first 1,500."""
VOICE_MAX: Final = 500
"""As many as the prompt shows of it."""
_MOODS: Final = tuple(label.value for label in SentimentLabel)


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody has written of a brand, and how it is to be answered."""

    brand: str
    """As people write it."""
    text: str
    sentiment: SentimentLabel | None
    """None: not given."""
    voice: str | None = None
    """How the brand wishes to sound."""
    tone: Tone | None = None
    """Only this one is wanted; None: all three."""

    def mention(self) -> Mention | None:
        """For the local analysis, which does not ask for its time; None where an aggregator made it up."""
        brand = slug_of(self.brand)
        return mention_of({"text": self.text}, brand=brand, received_at=EPOCH, max_chars=TEXT_MAX)


def read_comment(brand: str | None, payload: Mapping[str, Any]) -> Comment:
    """
    Args:
        brand: checked already, as the envelope of every task is.

    Raises:
        InvalidTask: names the field.
    """
    if not brand:
        raise InvalidTask("brand", "is required")
    fields = Fields(payload)
    mood = fields.choice("sentiment", allowed=_MOODS)
    voice = fields.optional("voice", "brandVoice", "brand_voice", limit=VOICE_MAX)
    wish = fields.optional("tone", limit=VOICE_MAX)
    tone = next((one for one in Tone if wish is not None and wish.lower() == one.value), None)
    comment = Comment(
        brand=brand,
        text=fields.text("text", limit=TEXT_MAX),
        sentiment=None if mood is None else SentimentLabel(mood),
        voice=voice if voice is not None or tone is not None else wish,
        tone=tone,
    )
    comment.mention()  # says what is wrong with the text, if anything is
    return comment
