"""What people of the soak say: sentences by topic and mood, from lists of our own and a random source."""

from __future__ import annotations

from random import Random

TOPICS = {
    "pricing": "price cost invoice plan".split(),
    "support": "support agent help answer".split(),
    "app": "app update login screen".split(),
    "delivery": "delivery parcel courier return".split(),
    "quality": "battery material sound quality".split(),
}
"""Words that are said together: a brand has a dozen topics after a hundred posts and hardly more after a thousand."""
MOODS = {
    "good": ("is great", "is excellent", "made me happy", "is quick and helpful", "works brilliantly, I recommend it"),
    "bad": (
        "is terrible",
        "is broken again",
        "crashes all the time",
        "is awful and slow",
        "is useless, I want a refund",
    ),
    "plain": ("is discussed here", "came up at lunch", "was on the news", "has changed", "is what I asked about"),
}
CRISIS = (
    "is a scam, they stole my money",
    "is down for everybody, a total outage",
    "leaked our data, this is a breach",
    "is dangerous, somebody was hurt",
)
_OPENINGS = ("", "Honestly, ", "So, ", "Update: ", "My friend says ", "After two weeks ", "Fun fact: ", "Hm, ")
_CLOSINGS = (
    "",
    " today",
    " since Monday",
    " in our office",
    " for the third time",
    " at home",
    " as always",
    ", sadly",
)


def sentence(rng: Random, brand: str, mood: str | None = None) -> str:
    """One sentence about a brand. `mood`: good, bad, plain or crisis; None for the usual mixture."""
    mood = mood or rng.choices(("good", "bad", "plain"), (4, 3, 3))[0]
    one, other = rng.sample(TOPICS[rng.choice(list(TOPICS))], 2)
    said = rng.choice(CRISIS if mood == "crisis" else MOODS[mood])
    return f"{rng.choice(_OPENINGS)}the {one} and the {other} of {brand} {said}{rng.choice(_CLOSINGS)}."


def numbered(number: int) -> str:
    """Two numbers that tell a text from every other: texts whose numbers differ are never taken for repetitions.

    They are of two thousand, as words of real posts are of a vocabulary that hardly grows: a new word with every post
    would measure how memos of words fill up to their bounds, for half an hour.

    >>> numbered(1234)
    '1 and 1234'
    """
    high, low = divmod(number, 1000)
    return f"{high} and {1000 + low}"
