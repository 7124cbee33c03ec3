"""Decisions told by the words of the prompt's own scale instead of its numbers. Pure.

A prompt that lists five lines `N - label`, or exactly five bullets from 5 down to 1, names what each code is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from .decision_text import Kind, Sentence, plain_words
from .decision_vocabulary import CONTRASTS, FOLLOWS, NEGATIONS

_NUMBERED: Final = re.compile(r"[ \t]*(?:[-*•][ \t]+)?\**\(?([1-5])\)?\**[ \t]*[-–—:.=)][ \t]*(\S.*)")
_BULLETED: Final = re.compile(r"[ \t]*[-*•][ \t]+(\S.*)")
_LONGEST: Final = 300
"""Characters of a label; a longer line is a paragraph."""
_LOOSE: Final = frozenset("a an the my your our their of to for in on that this i would".split())
_WRAPPERS: Final = frozenset(
    "final overall judgment judgement answer decision choice rating score is level support in short therefore so thus "
    "conclusion would be i my the choose select pick say am and but".split()
)
"""Words before a label that add nothing to it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Code → label. Empty where the prompt names no scale."""

    labels: dict[str, str] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    code: str | None
    """None: labels of different codes in one sentence."""
    label: str | None


def scale_of(prompt: str) -> Scale:
    lines = prompt.splitlines()[:2_000]
    numbered = {match[1]: match[2].strip() for line in lines if (match := _NUMBERED.fullmatch(line[:_LONGEST]))}
    if len(numbered) == 5:
        labels = numbered
    else:
        bullets = [match[1].strip() for line in lines if (match := _BULLETED.fullmatch(line[:_LONGEST]))]
        labels = dict(zip("54321", bullets, strict=True)) if len(bullets) == 5 else {}
    words = {code: tuple(plain_words(label)) for code, label in labels.items()}
    if len(set(words.values())) < 5 or not all(words.values()):
        return Scale()
    return Scale(labels, words)


def label_code(sentence: Sentence, scale: Scale) -> Match | None:
    """The code whose label a sentence states; None when it states none. A denied label is none."""
    if not scale.labels or sentence.question:
        return None
    said = [token.text for token in sentence.tokens if token.kind is not Kind.MARK]
    for loose in (False, True):
        codes = _stated(said, scale, loose=loose)
        if len(codes) == 1:
            return Match(codes[0], scale.labels[codes[0]])
        if codes:
            return Match(None, None)
    return None


def _stated(said: list[str], scale: Scale, *, loose: bool) -> list[str]:
    """Codes whose whole label stands in the sentence, not denied, and not as a part of a longer label that does."""
    words = [word for word in said if not (loose and word in _LOOSE)]
    spans: dict[str, tuple[int, int]] = {}
    for code, label in scale.words.items():
        wanted = [word for word in label if not (loose and word in _LOOSE)]
        at = _find(words, wanted) if wanted else -1
        if at >= 0 and not _denied(words, at) and (len(wanted) > 1 or _stands_alone(words, at)):
            spans[code] = (at, at + len(wanted))
    return [
        code
        for code, (start, end) in spans.items()
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in spans.values())
    ]


def _find(words: list[str], wanted: list[str]) -> int:
    size = len(wanted)
    first = wanted[0]
    for at in range(len(words) - size + 1):
        if words[at] == first and words[at : at + size] == wanted:
            return at
    return -1


def _denied(words: list[str], at: int) -> bool:
    for back in range(at - 1, max(-1, at - 8), -1):
        if words[back] in CONTRASTS:
            return False
        if words[back] in NEGATIONS or words[back].endswith("n't"):
            return True
    return False


def _stands_alone(words: list[str], at: int) -> bool:
    """A label of one word, such as `Neutral`, begins the sentence, wrappers aside, and is no noun's attribute."""
    ends = at + 1 == len(words) or words[at + 1] in FOLLOWS
    return ends and all(word in _WRAPPERS for word in words[:at])
