"""How much text goes into a prompt: each one cut at a word, and as many as the budget of tokens allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .fence import clean, fence, neutral

TEXT_MAX: Final = 1500
"""Characters of one text in a prompt (contract 3.6)."""
PAGE_MAX: Final = 3000
"""Characters of one web page in a prompt (contract 3.19)."""
NAME_MAX: Final = 200
"""Characters of a name or keyword in a prompt."""
CUT_MARK: Final = " […]"
FENCE_TOKENS: Final = 40
"""Tokens of a fence around a text: two tags of sixteen letters that no tokenizer knows as a word."""

_WORD_MAX: Final = 80
"""Whatever is longer is no word (a URL, a language without spaces) and is cut where it is."""


class Fitted(NamedTuple):
    """The texts that fit, in their order, and how many did not."""

    texts: tuple[str, ...]
    left_out: int


def cut(text: str, limit: int = TEXT_MAX) -> str:
    """At most `limit` characters of a text, mark included, ended at a word where one ends nearby."""
    text = clean(text)
    if len(text) <= limit:
        return text
    room = limit - len(CUT_MARK)
    if room < 1:
        raise ValueError(f"limit must be over {len(CUT_MARK)}, not {limit}")
    head = text[:room]
    if not text[room].isspace():
        parts = head[-_WORD_MAX:].rsplit(maxsplit=1)
        if len(parts) == 2:
            head = head[: -len(parts[1])]
    return head.rstrip() + CUT_MARK


def fit(
    texts: Sequence[str],
    budget_tokens: int,
    count: Callable[[str], int],
    *,
    limit: int = TEXT_MAX,
    overhead_tokens: int = FENCE_TOKENS,
) -> Fitted:
    """The first texts that fit the budget together, each cut to `limit` characters.

    A text that does not fit ends the selection: what is shown is always the head of the list, so that its order
    (newest first, closest to the middle of a cluster first) keeps its meaning.
    """
    chosen: list[str] = []
    room = budget_tokens
    for text in texts:
        short = cut(text, limit)
        room -= count(short) + overhead_tokens
        if room < 0:
            break
        chosen.append(short)
    return Fitted(tuple(chosen), len(texts) - len(chosen))


def one(kind: str, text: str, limit: int = TEXT_MAX) -> str:
    """One text, cut and fenced."""
    return fence(kind, cut(neutral(clean(text)), limit))  # a look-alike is made plain before it is cut in two


def many(kind: str, texts: Sequence[str], *, left_out: int = 0, limit: int = TEXT_MAX, numbered: bool = False) -> str:
    """Texts one after the other, each cut and in a fence of its own; numbered from 0 where answers refer to them."""
    parts = [f"{f'{index}: ' if numbered else ''}{one(kind, text, limit)}" for index, text in enumerate(texts)]
    if left_out:
        parts.append(f"({left_out} more not shown)")
    return "\n".join(parts) if parts else "(none)"
