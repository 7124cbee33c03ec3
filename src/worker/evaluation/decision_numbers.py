"""Numbers that belong together: the scale itself, shares of it, ranges, decimals. Pure; changes a sentence's tokens."""

from __future__ import annotations

from typing import Final

from .decision_text import Kind, Token
from .decision_vocabulary import CHANGING, LEGEND

TOP: Final = 5.0
"""Upper end of the scale of decision codes."""
_JOINS: Final = frozenset(
    ("-", "to", "or", "and", "bis", "oder", "und", "a", "ou", "et", "o", "u", "y", "e", "/", "through", "vs", "→", "~")
)
_FROM: Final = frozenset(("from", "von", "de", "du"))
_EITHER: Final = frozenset(("or", "oder", "ou", "o", "and", "/", "vs"))
_SHARES: Final = frozenset(("of", "von", "sur", "de", "su", "din", "na", "van", "em"))
_MAYBE: Final = frozenset(
    ("possibly", "maybe", "perhaps", "even", "a", "an", "vielleicht", "peut", "un", "eine", "quizas")
)
_DOUBTED: Final = frozenset(("or", "oder", "ou", "o", "and", "to"))
_ARTICLES: Final = frozenset(("a", "an", "un", "eine"))
_POINTS: Final = frozenset(("point", "points", "stufige", "stufigen", "punkte", "puntos"))


def compound(tokens: list[Token]) -> list[Token]:
    """The sentence with every group of numbers as one token."""
    return _legends(_ranges(_shares(_decimals(tokens))))


def _number(tokens: list[Token], index: int) -> Token | None:
    found = tokens[index] if 0 <= index < len(tokens) else None
    return found if found is not None and found.kind is Kind.NUMBER else None


def _text(tokens: list[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def _decimals(tokens: list[Token]) -> list[Token]:
    """`three and a half`, and the sign of `-2` where a sign it is."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        words = tuple(_text(tokens, at) for at in range(index + 1, index + 4))
        if token.kind is Kind.NUMBER and words == ("and", "a", "half"):
            token.value += 0.5
            index += 3
        elif token.kind is Kind.NUMBER and words[:2] in (("et", "demi"), ("y", "medio"), ("y", "media"), ("e", "meio")):
            token.value += 0.5
            index += 2
        elif token.kind is Kind.NUMBER and not token.spaced and out and out[-1].text == "-" and out[-1].spaced:
            before = out[-2].text if len(out) > 1 else ""
            if before in ("", ":", "=", "is", "of", "("):
                out.pop()
                token.value, token.off = -token.value, True
        out.append(token)
        index += 1
    return out


def _shares(tokens: list[Token]) -> list[Token]:
    """`4/5`, `4 out of 5`, `4 of 5`: one number, with the scale it is a share of."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind is Kind.NUMBER:
            step = _share_step(tokens, index)
            whole = _number(tokens, index + step) if step else None
            if whole is not None and (step == 3 or whole.value >= TOP or _text(tokens, index + 1) == "/"):
                if _text(tokens, index + step + 1) == "/" and _number(tokens, index + step + 2):
                    token.off, step = True, step + 2  # a date
                elif whole.value == TOP:
                    token.of_five = True
                elif whole.value < TOP and _text(tokens, index + 1) == "/":
                    token.kind = Kind.RANGE
                else:
                    token.off = True
                index += step
        out.append(token)
        index += 1
    return out


def _share_step(tokens: list[Token], index: int) -> int:
    """How many tokens on the whole stands; 0 when there is none."""
    following = _text(tokens, index + 1)
    if following == "out" and _text(tokens, index + 2) == "of":
        return 3
    return 2 if following == "/" or following in _SHARES else 0


def _ranges(tokens: list[Token]) -> list[Token]:
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = _range_end(tokens, index) if token.kind is Kind.NUMBER else 0
        if end:
            _join(token, tokens[end], tokens, index)
            index = end
            if token.kind is Kind.RANGE and _range_end(tokens, end):  # 2, 3 or 4
                index = _range_end(tokens, end)
        elif token.kind is Kind.NUMBER and _text(tokens, index + 1) in ("-", "point", "points", *_POINTS):
            named = index + 1 if _text(tokens, index + 1) != "-" else index + 2
            if _text(tokens, named) in _POINTS and _text(tokens, named + 1) in ("scale", "likert", "skala", "rating"):
                token.kind = Kind.SCALE
                index = named
        out.append(token)
        index += 1
    return out


def _range_end(tokens: list[Token], index: int) -> int:
    """Where the other end of a range stands that begins at `index`; 0: there is none."""
    join = _text(tokens, index + 1)
    if join not in _JOINS and join != ",":
        return 0
    at = index + 2
    doubted = _text(tokens, at) in _MAYBE and (join in _DOUBTED or (join == "," and _text(tokens, at) not in _ARTICLES))
    if doubted:
        at += 1
    other = _number(tokens, at)
    if other is None or (
        join == "," and not doubted and not (_text(tokens, at + 1) in _JOINS and _number(tokens, at + 2))
    ):
        return 0
    return at


def _join(first: Token, last: Token, tokens: list[Token], index: int) -> None:
    """What two numbers joined mean: the scale, a change, or a range."""
    low, high = sorted((first.value, last.value))
    join = _text(tokens, index + 1)
    before = {token.text for token in tokens[max(0, index - 8) : index]}
    whole = low in (0.0, 1.0) and high >= TOP
    framed = bool({"between", "zwischen", "entre"} & before)
    if whole and (framed or join not in _EITHER):
        first.kind, first.value = Kind.SCALE, high
    elif join == "→" or (join in ("to", "bis", "a") and before & CHANGING and before & _FROM):
        first.value, first.moved = last.value, True
    else:
        first.kind = Kind.RANGE


def _legends(tokens: list[Token]) -> list[Token]:
    """`1 = never, 5 = always`, `from 1 (A) to 5 (B)`, `1 (A) to 5 (B)`: parts of the scale, not decisions."""
    named = [
        index for index, token in enumerate(tokens) if token.kind is Kind.NUMBER and _text(tokens, index + 1) in LEGEND
    ]
    introduced = any(token.text in ("where", "with", "wobei", "avec", "donde") for token in tokens)
    if len(named) >= 2 or (named and introduced):
        for index in named:
            tokens[index].kind = Kind.SCALE
    for index, token in enumerate(tokens):
        if (
            token.kind is Kind.NUMBER
            and token.value in (0.0, 1.0)
            and (_text(tokens, index - 1) in ("from", "von", "de") or _text(tokens, index + 1) == "(")
        ):
            _far_end(tokens, index)
    return tokens


def _far_end(tokens: list[Token], index: int) -> None:
    for at in range(index + 2, min(index + 16, len(tokens))):
        other = tokens[at]
        if other.kind is Kind.NUMBER and other.value >= TOP and _text(tokens, at - 1) in ("to", "bis", "a"):
            tokens[index].kind = other.kind = Kind.SCALE
            tokens[index].value = other.value
            return
