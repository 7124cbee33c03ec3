"""From an answer to sentences of tokens, for `decision.py`. Pure, and linear in the length of the text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .decision_vocabulary import CJK_NOUNS, CJK_NUMBERS, NUMBER_WORDS, RATING_NOUNS, ROMAN

LONGEST_ANSWER: Final = 200_000
"""Characters of one answer that are read: twice the longest the orchestrator sends. Of longer ones both ends are."""
_LONGEST_SENTENCE: Final = 120
"""Tokens. Longer ones are cut: nobody writes them, and what is far away says nothing about a number."""
_STRUCK: Final = re.compile(r"~~[^~\n]{0,2000}~~")
_TOKEN: Final = re.compile(r"\d+:\d+|\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]")
_LIST_ITEM: Final = re.compile(r"[ \t]*(?:[-+][ \t]+)?\(?(\d{1,2})[ \t]*([.):=]|-(?=[ \t]))[ \t]*(?=\S)")
_BULLET: Final = re.compile(r"[ \t]*(?:[-+•·>#]+[ \t]+)*")
_MARKS: Final = str.maketrans({"*": "", "_": " ", "`": "", "\ufe0f": "", "\u20e3": "", "’": "'", "‘": "'", "“": '"'})
_ARROWS: Final = re.compile(r"(?<![-=])[-=]+>")  # from its beginning only: rows of thousands are seen
_DOTS: Final = re.compile(r"(?<=\d)(?:\.{2,3}|…)(?=\d)")
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_ENDS: Final = frozenset(".!?;。！？")


class Kind(StrEnum):
    WORD = "word"
    NUMBER = "number"
    RANGE = "range"
    """Several codes at once: `3-4`, `3 or 4`."""
    SCALE = "scale"
    """The scale itself, `1-5`, or a part of its legend: says nothing about the decision."""
    MARK = "mark"


@dataclass(slots=True)
class Token:
    kind: Kind
    text: str
    """Lower case, without accents."""
    spaced: bool
    """White space stands before it."""
    value: float = 0.0
    """Of a number; the upper end of a scale."""
    of_five: bool = False
    """Said as a share of the scale: `4/5`, `4 out of 5`."""
    off: bool = False
    """A share of another scale, such as `4/10`, or a date: no code whatever its value."""
    moved: bool = False
    """The new value of a change: `from 2 to 5`."""
    is_word: bool = False
    """Written as a word."""


@dataclass(slots=True)
class Sentence:
    tokens: list[Token]
    question: bool
    first: bool
    """The answer begins with it."""
    text: str


def sentences(answer: str) -> list[Sentence]:
    """The sentences of an answer in order; list markers and restated legends of the scale are taken out."""
    if len(answer) > LONGEST_ANSWER:
        half = LONGEST_ANSWER // 2
        answer = f"{answer[:half]}\n{answer[-half:]}"
    lines = _without_lists(_plain(answer).splitlines())
    found: list[Sentence] = []
    for line in lines:
        for tokens in _split(_tokens(line[_BULLET.match(line).end() :])):  # type: ignore[union-attr]  # matches nothing too
            question = any(token.text in "?？" for token in tokens[-2:])
            text = "".join(f" {token.text}" if token.spaced else token.text for token in tokens).strip()
            found.append(Sentence(tokens, question, not found, text))
    return found


def plain_words(text: str) -> list[str]:
    """The words of a text as `sentences` writes them, marks dropped."""
    return [token.text for line in _plain(text).splitlines() for token in _tokens(line) if token.kind is not Kind.MARK]


def _plain(text: str) -> str:
    """One form for all digits, dashes, quotes and emphasis; no accents, no struck-out text."""
    text = _DOTS.sub("-", _ARROWS.sub(" → ", _STRUCK.sub(" ", text)))
    if text.isascii():
        return text.translate(_MARKS)
    out: list[str] = []
    for char in text.translate(_DASHES).translate(_MARKS):
        if char.isascii():
            out.append(char)
            continue
        decomposition = unicodedata.decomposition(char)
        if decomposition.startswith("<super>"):  # the mark of a footnote
            continue
        if decomposition.startswith("<fraction>"):
            out.append(f"{unicodedata.numeric(char):g}"[1:4] if out and out[-1].isdigit() else "0.5")
            continue
        digit = unicodedata.decimal(char, None)
        out.append(char if digit is None else str(digit))
    folded = unicodedata.normalize("NFKD", "".join(out)).translate(_MARKS)
    return "".join(char for char in folded if not unicodedata.combining(char))


def _without_lists(lines: list[str]) -> list[str]:
    """Lines `1. …`, `2. …` lose their markers; three and more `1 - …` lines are the scale once more and go."""
    found = [(index, match) for index, line in enumerate(lines) if (match := _LIST_ITEM.match(line))]
    items = [(index, match) for index, match in found if match[2] in ".)"]
    legend = [(index, match) for index, match in found if match[2] not in ".)"]
    if len({match[1] for _, match in items}) >= 2:
        for index, match in items:
            lines[index] = lines[index][match.end() :]
    if len({match[1] for _, match in legend}) >= 3:
        for index, _ in legend:
            lines[index] = ""
    return lines


def _tokens(line: str) -> list[Token]:
    found: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(line):
        raw = match[0]
        token = Token(Kind.WORD, raw.lower(), match.start() > end or not found)
        end = match.end()
        if raw[0].isdigit():
            _as_number(token, raw)
        elif raw in CJK_NUMBERS or token.text in NUMBER_WORDS:
            token.kind, token.is_word = Kind.NUMBER, True
            token.value = CJK_NUMBERS[raw] if raw in CJK_NUMBERS else NUMBER_WORDS[token.text]
        elif raw in ROMAN and _after_noun(found):
            token.kind, token.value = Kind.NUMBER, ROMAN[raw]
        elif not raw[0].isalpha():
            token.kind = Kind.MARK
        found.append(token)
    return found


def _as_number(token: Token, raw: str) -> None:
    """`4`, `4.0`, `3,5`; what is a time or has too many parts is no number to rate with."""
    if ":" in raw:
        return  # stays a word: a time of day
    token.kind = Kind.NUMBER
    parts = raw.replace(",", ".").split(".")
    token.value = float(".".join(parts[:2])) if len(parts) <= 2 and len(raw) < 20 else float("inf")


def _after_noun(tokens: list[Token]) -> bool:
    """Does a word such as `rating` stand right before, marks aside? Then `IV` is a number."""
    for token in reversed(tokens[-4:]):
        if is_rating_noun(token.text):
            return True
        if token.kind is not Kind.MARK and token.text not in ("is", "of", "a"):
            return False
    return False


def is_rating_noun(word: str) -> bool:
    return word in RATING_NOUNS or (not word.isascii() and any(noun in word for noun in CJK_NOUNS))


def _split(tokens: list[Token]) -> list[list[Token]]:
    out: list[list[Token]] = []
    start = 0
    for index, token in enumerate(tokens):
        last = index + 1 in (len(tokens), start + _LONGEST_SENTENCE)
        if last or (token.text in _ENDS and (tokens[index + 1].spaced or not token.text.isascii())):
            out.append(tokens[start : index + 1])
            start = index + 1
    return [part for part in out if part]
