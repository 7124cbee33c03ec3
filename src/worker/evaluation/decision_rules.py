"""What one number of a sentence says about the decision, from the words around it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .decision_context import (
    AFTER,
    WINDOW,
    Clause,
    is_denied,
    is_first_person,
    is_no_rating,
    is_unreal,
    led_by,
    text_at,
    token_at,
    verb_before,
)
from .decision_text import Kind, Token, is_rating_noun
from .decision_vocabulary import (
    CHOOSING,
    CONCLUDES,
    CONTRASTS,
    CORRECTS,
    FIRST_PERSON,
    FORCED,
    IFS,
    LABEL_WORDS,
    LEADS_IN,
    OTHER_MEASURES,
    OTHER_VOICES,
    OWN,
)

_POINTING: Final = frozenset("it this that it's that's".split())


@dataclass(frozen=True, slots=True)
class Reading:
    clear: bool
    code: str | None
    """None: not one code of the scale."""
    at: int
    """Where in the sentence."""
    clause: int
    counts: bool = True
    """False: the number has nothing to do with the decision."""


def read_number(clause: Clause, index: int, top: float) -> Reading:
    """One number of a clause. `top`: the upper end of the scale the answer speaks of."""
    token, at = clause.tokens[index], clause.start + index
    if is_no_rating(clause, index) or is_denied(clause, index) or is_unreal(clause, index):
        return Reading(False, None, at, clause.number, counts=False)
    code = None
    if token.kind is Kind.NUMBER and not token.off and (top == 5 or token.of_five) and token.value in (1, 2, 3, 4, 5):
        code = str(int(token.value))
    if _is_clear(clause, index):
        return Reading(True, code, at, clause.number)
    weak = _may_be_meant(clause, index)
    return Reading(False, code, at, clause.number, counts=weak)


# -- what is meant -------------------------------------------------------------------------------------------------


def _is_clear(clause: Clause, index: int) -> bool:
    tokens = clause.tokens
    token = tokens[index]
    if token.moved:
        return True
    if token.is_word and token.value == 1 and not _plain_one(tokens, index):
        return False
    return (
        _alone(clause, index)
        or _after_noun(tokens, index)
        or _after_verb(clause, index)
        or _before_noun(tokens, index)
        or _with_scale(clause, index)
        or _concluded(clause, index)
        or _begins(clause, index)
    )


def _plain_one(tokens: list[Token], index: int) -> bool:
    """The word `one` is mostly no number: only right after `rating:`, `is`, `a` and at the end of what is said."""
    after = token_at(tokens, index + 1)
    return tokens[index].of_five or (
        led_by(tokens, index) in (":", "=", "is", "a", "of", "uno", "say", "")
        and (after is None or after.kind is Kind.MARK)
    )


def _alone(clause: Clause, index: int) -> bool:
    """Nothing but the number, in a sentence or after `not 3 but`."""
    concludes = clause.tokens[0].text in ("so", "therefore", "thus", "donc")
    if clause.number and not (clause.follows_number or concludes):
        return False
    allowed = {
        "a",
        "an",
        "option",
        "number",
        "answer",
        "final",
        "just",
        "definitely",
        "clearly",
        "firmly",
        "die",
        "un",
        "eine",
    }
    return all(
        token.kind is Kind.MARK or at == index or token.text in allowed or (at == 0 and token.text in CONTRASTS)
        for at, token in enumerate(clause.tokens)
    )


def _after_noun(tokens: list[Token], index: int) -> bool:
    """`My rating for the dilemma above is 4`, `Score: 4`."""
    led = led_by(tokens, index)
    if not (led in LEADS_IN or led in (":", "=", "-", ",", "，", "→") or is_rating_noun(led)):
        return False
    for at in range(index - 1, max(-1, index - 1 - WINDOW), -1):
        token = tokens[at]
        if token.kind in (Kind.NUMBER, Kind.RANGE) or token.text in OTHER_MEASURES:
            return False
        if is_rating_noun(token.text):
            return not {tokens[back].text for back in range(max(0, at - 3), at)} & (OTHER_VOICES - {"one"})
    return False


def _after_verb(clause: Clause, index: int) -> bool:
    """`I would give this a 4`; `Ich würde 4 wählen`."""
    tokens = clause.tokens
    after = token_at(tokens, index + 1)
    if after is not None and after.text.endswith("en") and after.text in CHOOSING:
        return any(token.text in FIRST_PERSON for token in tokens[:index])
    verb = verb_before(tokens, index)
    if verb is None or not is_first_person(clause, verb):
        return False
    between = tokens[verb + 1 : index]
    if any(token.text in OTHER_MEASURES or token.kind in (Kind.NUMBER, Kind.RANGE) for token in between):
        return False
    led = led_by(tokens, index)
    if tokens[verb].text in ("am", "i'm", "we're") and led not in ("at", "a", "toward", "towards", "solid", "firm"):
        return False
    return (
        led in LEADS_IN
        or led in (":", ",", "-", "=")
        or led == tokens[verb].text
        or is_rating_noun(led)
        or led in PARTICLES
    )


PARTICLES: Final = frozenset("my him her them up down in us ich je me moi".split())


def _before_noun(tokens: list[Token], index: int) -> bool:
    """`4 is my answer`, `4 - somewhat support`, `4 out of 5`, `a 4 from me`."""
    if tokens[index].of_five:
        return True
    following = tokens[index + 1 : index + 1 + AFTER]
    words = [token.text for token in following]
    if words[:2] in (["from", "me"], ["it", "is"]):
        return True
    before = [token.text for token in tokens[max(0, index - AFTER) : index]]
    if before[-1:] in (["("], [":"]) and set(before if before[-1] == "(" else before[-2:]) & LABEL_WORDS:
        return True  # strongly prefer B (5); neutral: 3
    if words and words[0] in ("is", "was", "would", "ist", "est", "es", "as", "for"):
        return any(word in OWN and is_rating_noun(text_at(following, at + 1)) for at, word in enumerate(words)) or any(
            word in OWN and is_rating_noun(text_at(following, at + 2)) for at, word in enumerate(words)
        )
    if words and words[0] in ("-", ":", "(", "=", ","):
        return bool(set(words[1:3]) & LABEL_WORDS)
    return False


def _with_scale(clause: Clause, index: int) -> bool:
    """The scale is named in the same sentence: `On a 1-5 scale: 2`."""
    if not any(token.kind is Kind.SCALE for token in clause.sentence.tokens):
        return False
    led = led_by(clause.tokens, index)
    return led in LEADS_IN or led in (":", ",", "", "-", "=") or is_rating_noun(led)


def _concluded(clause: Clause, index: int) -> bool:
    """`Therefore: 4`, `No, 3`, `make that a 3`, `if forced, 4`."""
    tokens = clause.tokens
    led = led_by(tokens, index)
    left = [token.text for token in tokens[max(0, index - 6) : index]]
    words = set(left)
    if {"make", "that"} <= words or {"make", "it"} <= words or "scratch" in words:
        return True
    if led in (":", ",") and (words & CONCLUDES or {token.text for token in tokens[:index]} & (FORCED | IFS)):
        return True
    if led == "," and "no" in left[-3:]:  # 2, no, 3
        return True
    if led == ":" and clause.number and all(one.kind is Kind.MARK for one in tokens[index + 1 :]):
        return True
    if left[-2:] == ["me", "to"]:  # what pushes or brings me to 4
        return True
    if led in CORRECTS and led not in ("no", "rather"):
        return True
    return led == "then" and bool({token.text for token in tokens[:index]} & IFS)


def _begins(clause: Clause, index: int) -> bool:
    """The answer begins with it: `4, because …`, `4 - I believe …`."""
    if clause.number or any(token.kind is not Kind.MARK for token in clause.tokens[:index]):
        return False
    after = token_at(clause.tokens, index + 1)
    return (clause.sentence.first or text_at(clause.tokens, index + 1) in ("-", ":")) and after is not None


def _may_be_meant(clause: Clause, index: int) -> bool:
    """A lone number that is not said to be anything else: "I think 2 makes the most sense"."""
    tokens = clause.tokens
    if tokens[index].is_word and tokens[index].value == 1:
        return False
    whole = clause.sentence.tokens
    if any(one.text in OTHER_VOICES and text_at(whole, at - 1) != "the" for at, one in enumerate(whole)):
        return False
    led = led_by(tokens, index)
    if led in ("is", "was"):
        return any(token.text in _POINTING for token in tokens[:index])
    return led in LEADS_IN or led in (
        "",
        "-",
        ",",
        "think",
        "believe",
        "reckon",
        "find",
        "guess",
        "like",
        "feel",
        "it's",
        "that's",
        "between",
        "zwischen",
        "entre",
    )
