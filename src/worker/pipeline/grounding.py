"""Does what a model wrote rest on what it was shown? For texts of its own, which no quotation check covers. Pure.

A model that is led astray by a text, or that invents, shows it in two ways that can be seen without understanding: it
gives a link that stands nowhere, and where it was asked for the author's own words, none of them are the author's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from ..common_words import STOP_WORDS
from ..llm.fence import clean

_ENDS: Final = (
    "com|net|org|info|biz|io|app|dev|ai|co|me|ly|gl|xyz|shop|store|site|online|top|club|link|click|live|ru|cn|de|uk"
)
_LINK: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'()\[\]{}|\\^`]+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"
    rf"|(?<![\w.@-])(?:[a-z0-9-]{{1,63}}\.){{1,4}}(?:{_ENDS})(?![\w-])(?:/[^\s<>\"'()\[\]{{}}|\\^`]*)?",
    re.IGNORECASE,
)
"""URLs, addresses, and host names with the endings that links in posts have. "Node.js" is none, "well.It" neither."""
_AROUND: Final = ".,;:!?…*_~"
"""Marks that a sentence puts after a link, and slashes that make no difference."""
_WORD: Final = re.compile(r"[^\W\d_]{3,}|\d+")
_SPACELESS: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts that are written without spaces: a character counts as a word."""
_READ_MAX: Final = 5_000
"""Characters of a mention that are looked at: a model is shown the first 1,500 (`llm.texts.TEXT_MAX`)."""
_STEM: Final = 4
"""Letters that two forms of one word share: "crash" and "crashes", "pricing" and "prices" (pric)."""


def foreign_links(written: str, shown: Sequence[str]) -> tuple[str, ...]:
    """Links in a model's text that stand in none of the texts it was shown.

    >>> foreign_links("see https://evil.example.com/pay, or acme.com", ["Acme.com is slow"])
    ('https://evil.example.com/pay',)
    """
    found = [link[0].rstrip(_AROUND) for link in _LINK.finditer(clean(written))]
    if not found:
        return ()
    known = "\n".join(shown).casefold()
    return tuple(link for link in found if _bare(link) not in known)


def linkless(written: str | None, shown: Sequence[str]) -> str | None:
    """The text, or None where it holds a link that it was not shown."""
    return None if written is None or foreign_links(written, shown) else written


def echoes(phrase: str, text: str) -> bool:
    """Whether a phrase that should be in the text's own words shares one of them, small words aside.

    One is little, and on purpose: people's words are shortened and put in another order. None at all is another text.
    A phrase of small words alone cannot be told either way, and passes.

    >>> echoes("crashes all the time", "It crashed again"), echoes("bribes ministers", "It crashed again")
    (True, False)
    """
    said = _stems(phrase)
    return not said or not said.isdisjoint(_stems(text[:_READ_MAX]))


def _bare(link: str) -> str:
    """Without what makes no difference: scheme, `www.`, a slash at the end, case."""
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", link.casefold()).rstrip("/")


def _stems(text: str) -> set[str]:
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    words = {word[:_STEM] for word in _WORD.findall(folded) if word not in STOP_WORDS}
    return words | set(_SPACELESS.findall(folded))
