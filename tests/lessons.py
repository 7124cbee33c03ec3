"""Made-up labelled texts for the tests of the students: small, of many words, with a pattern that can be learned."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from src.worker.models import Mention, TimeSource
from src.worker.students.school import Labelled, text_key

_OPENINGS = ("today", "so", "hey @acme", "well", "again", "this morning", "at the gate", "for my order", "on monday")
_SAID = {
    # Words that VADER does not know, so that the cold start is blind to them.
    "negative": (
        "flight got delayed twice",
        "bag is on hold since noon",
        "rebooked without asking",
        "gate changed late",
    ),
    "neutral": ("what time does the desk open", "is there a plan for june", "which form is it", "boarding at nine"),
    "positive": ("crew went above and beyond", "smooth as it gets", "on time once more", "five stars from us"),
}
_ENDINGS = ("", "!", " folks", " in berlin", " with kids", " as usual", " near row 12", " and that is it")


def texts(count: int, *, seed: int = 1, wrong: float = 0.0) -> list[Labelled]:
    """`count` different texts with their labels, a share of them `wrong`."""
    rng = random.Random(seed)
    labels = list(_SAID)
    found: dict[str, Labelled] = {}
    while len(found) < count:
        label = rng.choice(labels)
        text = f"{rng.choice(_OPENINGS)} {rng.choice(_SAID[label])}{rng.choice(_ENDINGS)} {rng.randrange(10_000)}"
        if rng.random() < wrong:
            label = rng.choice([other for other in labels if other != label])
        found.setdefault(text, Labelled(text_key(text), text, "acme", label))
    return list(found.values())


def mention(text: str, key: str | None = None, competitor: str | None = None) -> Mention:
    return Mention(
        id="m1",
        brand="acme",
        text=text,
        canonical=text.lower(),
        content_hash=key or text_key(text),
        source="x",
        created_at=datetime(2026, 5, 4, 12, tzinfo=UTC),
        time_source=TimeSource.EVENT,
        competitor=competitor,
    )
