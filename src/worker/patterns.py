"""Text to words, words to hits: what every vocabulary finds in a text, in one pass.

A hit is a run of whole words. Nothing here looks inside a word, so "hackathon" is no hack and "rainbow" no rain. The
text is split once (links vanish, a handle becomes one opaque word, "don't" becomes "do not") and matched against one
automaton, compiled at first use. The work is bounded by the number of words times the longest phrase: linear, however
hostile the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from .context_vocabulary import SETTING
from .intent_vocabulary import INTENTS
from .phrases import PUNCTUATION, Automaton, Rule, compile_phrases, follow
from .report_vocabulary import REPORTS
from .vocabulary import (
    CLASSES,
    COMPLAINTS,
    CONTRACTIONS,
    CRISIS,
    EMOJI,
    EMOTIONS,
    GATEKEEPER,
    LEAD_SCORE,
    NEGATORS,
    NO_NEGATION,
    SCOPE_BREAKERS,
    TOPICS,
    TRANSPARENT,
)

BRAND: Final = "\ue000"
"""Stands for the name of what the text is about (see `BrandTerms.mask`). A private-use character: no text means it."""
RIVAL: Final = "\ue001"
"""Stands for the name of the brand on whose behalf a competitor is watched."""
HANDLE: Final = "@"
"""Any other handle."""

FLAGS: Final = ("LEAD", "PAIN", "PURCHASE", "LAUNCH", "CRISIS")
"""The gatekeeper's vocabularies (contract 3.5) and the crisis words (3.17), as families of rules."""

ADVERSATIVES: Final = frozenset({"but"})
"""Words that begin a sentence without a mark before them."""
NEGATION_REACH: Final = 4
"""Words a negator reaches forward: "never had any problems" needs 3, as in VADER; 5 reach the next statement."""

# Alternatives in order: links, of which nothing is captured; handles; the mark of sarcasm that ends a post; a word
# with at most one apostrophe part, which swallows the rest of an e-mail address or a host name, so that "pricing" in
# acme.com/pricing is no word; one clause mark; an emoji that the vocabularies know.
_TOKEN: Final = re.compile(
    r"https?://\S+|www\.\S+|(@\w+|(?<!\S)/s(?=\s*\Z)|#sarcas(?:m|tic)\b"
    r"|[^\W_]+(?:'[^\W_]{1,9})?(?:@[\w.]+|\.(?:com|net|org|io|co|app|dev|ai)\b(?:/\S*)?)?"
    r"|[.!?,;:()…\n]|[" + BRAND + RIVAL + EMOJI + "])"
)


class Hit(NamedTuple):
    """`rule` matched the words `start`..`end` (end exclusive). `negated`: a negator reaches it."""

    rule: Rule
    start: int
    end: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as words and what was found in them, by family in order of appearance."""

    tokens: tuple[str, ...]
    hits: Mapping[str, Sequence[Hit]]

    def affirmed(self, family: str) -> list[Hit]:
        """The hits of a family that no negator reaches."""
        return [hit for hit in self.hits.get(family, ()) if not hit.negated]


def tokenise(text: str) -> list[str]:
    """Lower-case words, clause marks and known emoji of a text, in order; contractions opened, links left out."""
    lowered = text.lower()
    if not lowered.isascii():
        lowered = lowered.replace("\u2019", "'").replace("\u2018", "'")
    return list(_opened(_TOKEN.findall(lowered)))


def _opened(tokens: Iterable[str]) -> Iterator[str]:
    for token in tokens:
        opened = CONTRACTIONS.get(token)
        if opened is not None:
            yield from opened
        elif token:
            yield token if token[0] != "@" else HANDLE


def read(text: str) -> Reading:
    """Everything the vocabularies find in a text."""
    tokens = tokenise(text)
    hits: dict[str, list[Hit]] = {}
    negation = not NEGATORS.isdisjoint(tokens)
    for (rule, start), end in _matches(tokens).items():
        hits.setdefault(rule.family, []).append(Hit(rule, start, end, negation and _negated(tokens, start)))
    return Reading(tuple(tokens), hits)


def flags(text: str) -> frozenset[str]:
    """The `FLAGS` that a text raises. A flag is a hint of where to look, never a verdict."""
    reading = read(text)
    return frozenset(flag for flag in FLAGS if reading.affirmed(flag))


@cache
def _automaton() -> Automaton:
    vocabulary = (GATEKEEPER, CRISIS, TOPICS, COMPLAINTS, EMOTIONS, LEAD_SCORE, INTENTS, REPORTS, SETTING)
    return compile_phrases("\n".join(vocabulary), CLASSES)


def _matches(tokens: Sequence[str]) -> dict[tuple[Rule, int], int]:
    """(rule, start) -> end, the longest match of each rule at each word."""
    automaton = _automaton()
    anywhere, at_start = automaton.anywhere, automaton.at_start
    found: dict[tuple[Rule, int], int] = {}
    fresh = True
    for start, token in enumerate(tokens):
        state = anywhere.get(token)
        if state is not None:
            follow(tokens, start, state, found)
        if fresh:
            state = at_start.get(token)
            if state is not None:
                follow(tokens, start, state, found)
        if token not in TRANSPARENT:
            fresh = token in PUNCTUATION or token in ADVERSATIVES
    return found


def _negated(tokens: Sequence[str], start: int) -> bool:
    """Whether a negator stands up to NEGATION_REACH words before `start` in the same statement."""
    for position in range(start - 1, max(-1, start - 1 - NEGATION_REACH), -1):
        word = tokens[position]
        if word in NEGATORS:
            return tokens[position + 1] not in NO_NEGATION
        if word in SCOPE_BREAKERS or word in PUNCTUATION:
            return False
    return False
