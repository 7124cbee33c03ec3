"""The decision code of a conversation, read as a person would: the last clear statement of a number from 1 to 5.

Every number of an answer is looked at with the words around it. It may be a clear statement ("I would choose 4"), a
clear statement that is no code (6, 3.5, "3-4"), a lone number that may be meant, or none of these: a count ("5
people"), a denial ("not 4"), somebody else's view, what was thought before, the scale itself. Linear in the text: each
number is judged within a window of fixed size. The rules are ours; the families they have to read are those of the
evaluation contract, 3.3 to 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from .decision_context import clauses_of
from .decision_labels import Scale, label_code, scale_of
from .decision_numbers import TOP, compound
from .decision_rules import Reading, read_number
from .decision_text import Kind, Sentence, sentences
from .decision_vocabulary import CORRECTS, REFUSING

OTHER: Final = "other"
_EXCERPT: Final = 160
"""Characters of the deciding sentence kept as evidence."""


class Path(StrEnum):
    """How a decision was found."""

    STATEMENT = "statement"
    LABEL = "label"
    LONE_NUMBER = "lone_number"
    UNCLEAR = "unclear"
    """The last statement names no single code of the scale."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Decision:
    """`code` is "1" to "5" or "other"."""

    code: str
    path: Path
    turn: int | None = None
    """Index of the answer that decided."""
    evidence: str | None = None
    """The sentence that decided, in lower case and shortened."""
    label: str | None = None
    """The label of the prompt's scale that was matched."""
    refusal: bool = False
    """No code, and the answer refuses to give one."""


@dataclass(frozen=True, slots=True)
class _Found:
    clear: bool
    code: str | None
    turn: int
    sentence: Sentence
    label: str | None = None


def decide(answers: Sequence[str], prompt: str | None = None) -> Decision:
    """The decision of a conversation.

    Args:
        answers: the model's answers in order.
        prompt: the first question; a scale of five labels in it lets an answer be told by its words.
    """
    scale = scale_of(prompt or "")
    found: list[_Found] = []
    refusal = False
    for turn, answer in enumerate(answers):
        read = sentences(answer)
        found += _read_answer(read, turn, scale)
        refusal = refusal or any(_refuses(sentence) for sentence in read)
    clear = [one for one in found if one.clear]
    if clear:
        last = clear[-1]
        if last.code is not None:
            return _decision(last, Path.LABEL if last.label else Path.STATEMENT)
        return Decision(OTHER, Path.UNCLEAR, last.turn, last.sentence.text[:_EXCERPT], refusal=refusal)
    if found:
        lone = [one for one in found if one.turn == found[-1].turn]
        if len({one.code for one in lone}) == 1 and lone[-1].code is not None:
            return _decision(lone[-1], Path.LONE_NUMBER)
    return Decision(OTHER, Path.NONE, refusal=refusal)


def _decision(found: _Found, path: Path) -> Decision:
    return Decision(found.code or OTHER, path, found.turn, found.sentence.text[:_EXCERPT], found.label)


def _read_answer(read: list[Sentence], turn: int, scale: Scale) -> list[_Found]:
    found: list[_Found] = []
    top = TOP  # of the scale the answer speaks of: on a scale to ten, 4 is no code of ours
    for sentence in read:
        sentence.tokens = compound(sentence.tokens)
        tops = [token.value for token in sentence.tokens if token.kind is Kind.SCALE and token.value >= TOP]
        top = tops[-1] if tops else top
        here = _in_sentence(sentence, top)
        found += [_Found(one.clear, one.code, turn, sentence) for one in here]
        if not any(one.clear for one in here):
            match = label_code(sentence, scale)
            if match is not None:
                found.append(_Found(True, match.code, turn, sentence, match.label))
    return found


def _in_sentence(sentence: Sentence, top: float) -> list[Reading]:
    """The readings of a sentence's numbers; two clear ones side by side that differ make one that is unclear."""
    if sentence.question:
        return []
    readings: list[Reading] = []
    for clause in clauses_of(sentence):
        readings += [
            read_number(clause, index, top)
            for index, token in enumerate(clause.tokens)
            if token.kind in (Kind.NUMBER, Kind.RANGE)
        ]
    clear = [one for one in readings if one.clear]
    if len(clear) > 1 and len({one.code for one in clear}) > 1:
        words = {token.text for token in sentence.tokens[clear[-2].at + 1 : clear[-1].at]}
        if clear[-1].clause == clear[-2].clause and not words & CORRECTS and "-" not in words:
            return [Reading(True, None, clear[-1].at, clear[-1].clause)]
    return [one for one in readings if one.counts]


def _refuses(sentence: Sentence) -> bool:
    words = [token.text for token in sentence.tokens if token.kind is Kind.WORD]
    return any(pair in REFUSING for pair in pairwise(words))
