"""What stands around a number: whether it can be a rating at all, is denied, or is not the speaker's own view. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .decision_text import Kind, Sentence, Token, is_rating_noun
from .decision_vocabulary import (
    CHOOSING,
    CONTRASTS,
    DOUBTING,
    FIRST_PERSON,
    FIRST_PERSON_FORMS,
    FOLLOWS,
    FORCED,
    IFS,
    JUDGED_BY,
    LABEL_WORDS,
    LEGEND,
    LIMITS,
    NEGATIONS,
    NOT_NEGATING,
    OTHER_VOICES,
    PAST,
    REJECTS,
    SET_AGAINST,
    THOUGHT,
    UNREAL,
)

WINDOW: Final = 14
"""Words to the left in which a noun or a verb may govern a number: "My rating for the dilemma described above is 4"."""
AFTER: Final = 7
"""Words to the right that may say what a number is: "4 is, all in all, my rating"."""
_DOERS: Final = frozenset("i i'd i'll i'm am would will to ich je yo you they others people could might".split())
"""Before `rating`, `answer` and the like: it is the verb."""
_SKIPPED: Final = frozenset("\"'([{<>|\\~≈")
_MONEY: Final = frozenset("$€£¥%°")


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence between words such as `but`; `start` is where it stands in the sentence."""

    tokens: list[Token]
    start: int
    number: int
    sentence: Sentence
    follows_number: bool
    """A number stands in the clause before."""


def _cuts(tokens: list[Token], at: int) -> bool:
    word, following = tokens[at].text, text_at(tokens, at + 1)
    return word in CONTRASTS or word == ";" or (word == "(" and (following in CHOOSING or following in FIRST_PERSON))


def clauses_of(sentence: Sentence) -> list[Clause]:
    tokens = sentence.tokens
    cuts = [0, *(i for i in range(1, len(tokens)) if _cuts(tokens, i))]
    out: list[Clause] = []
    before = False
    for number, start in enumerate(cuts):
        end = cuts[number + 1] if number + 1 < len(cuts) else len(tokens)
        part = tokens[start:end]
        out.append(Clause(part, start, number, sentence, before))
        before = any(token.kind in (Kind.NUMBER, Kind.RANGE) for token in part)
    return out


# -- what no rating can be -------------------------------------------------------------------------------------------


def is_no_rating(clause: Clause, index: int) -> bool:
    tokens = clause.tokens
    token, after = tokens[index], token_at(tokens, index + 1)
    before = token_at(tokens, index - 1)
    if before and not token.spaced and (before.text in _MONEY or before.text == "#" or _is_latin(before)):
        return True
    if before and before.text in _MONEY - {"%", "°"}:
        return True
    if (
        before
        and before.text == "-"
        and not before.spaced
        and not token.spaced
        and _is_latin(token_at(tokens, index - 2))
    ):
        noun = token_at(tokens, index - 2)
        return noun is None or not is_rating_noun(noun.text)  # GPT-4, COVID-19
    if before and before.text in LIMITS and before.text != "over":
        return True
    return after is not None and _is_counted(tokens, index, after)


def _is_counted(tokens: list[Token], index: int, after: Token) -> bool:
    """Does what follows make it a number of things?"""
    if after.text in _MONEY or (after.kind is Kind.WORD and not after.spaced and after.text.isascii()):
        return True
    if after.text == "-" and not after.spaced:
        word = token_at(tokens, index + 2)
        return (
            word is not None and not word.spaced and word.kind is Kind.WORD and word.text not in (*LABEL_WORDS, "ish")
        )
    if after.kind is Kind.NUMBER:
        return True
    if after.text in ("in", "and", "or"):
        word = token_at(tokens, index + 2)
        if after.text == "in":
            return word is not None and word.kind is Kind.NUMBER
        return word is not None and word.text in ("above", "below", "higher", "lower", "more", "less", "up")
    return (
        after.kind is Kind.WORD and after.text.isascii() and after.text not in FOLLOWS and after.text not in CONTRASTS
    )


def _is_latin(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.WORD and token.text[-1:].isascii()


# -- what is denied, or not meant --------------------------------------------------------------------------------------


def is_denied(clause: Clause, index: int) -> bool:
    tokens = clause.tokens
    holds = False
    for at in range(max(0, index - WINDOW), index):
        word, following = tokens[at].text, text_at(tokens, at + 1)
        if word in SET_AGAINST and (index - at <= 3 or at == 0) and not _own_statement(tokens, at + 1, index):
            if word != "rather" or following == "than":
                holds = True
        elif _negates(word) and following not in NOT_NEGATING and following != "," and not _named(tokens, at):
            holds = word != "no" or tokens[at + 1].text != ","
        elif holds and word in FIRST_PERSON and not _doubted(tokens, at):
            holds = False  # a new statement begins: "Rather than 4, my rating is 3"
        elif tokens[at].kind in (Kind.NUMBER, Kind.RANGE) and tokens[at + 1].text in (",", ":") and index - at > 1:
            holds = False
    return holds or _rejected_after(tokens, index)


def _named(tokens: list[Token], at: int) -> bool:
    """Is the word the name of an end of the scale: `1 = never`, `1 being not at all`?"""
    return text_at(tokens, at - 1) in LEGEND


def _doubted(tokens: list[Token], at: int) -> bool:
    """Does `I do not think`, `no way` stand right before the new subject?"""
    before = [text_at(tokens, back) for back in (at - 1, at - 2)]
    return before[0] != "," and any(word in DOUBTING for word in before)


def _own_statement(tokens: list[Token], start: int, end: int) -> bool:
    return any(token.text in FIRST_PERSON for token in tokens[start:end])


def _rejected_after(tokens: list[Token], index: int) -> bool:
    """`4 would be too strong`, `5 is not what I mean`."""
    following = [token.text for token in tokens[index + 1 : index + 1 + AFTER]]
    if not following or following[0] not in JUDGED_BY:
        return False
    if (
        following[0] in ("would", "might")
        and text_at(tokens, index - 1) == "of"
        and not {"my", "i", "me"} & {*following}
    ):
        return text_at(tokens, index - 3) in ("a", "any")  # a rating of 5 would ignore the harm
    return _negates(following[0]) or any(word in REJECTS or _negates(word) for word in following[1:5])


def is_unreal(clause: Clause, index: int) -> bool:
    """Somebody else's view, what was thought before, what would be so in another case."""
    tokens = clause.tokens
    words = {token.text for token in tokens}
    now = _since_now(tokens, index)
    left = {token.text for token in tokens[now:index]}
    thought = any(_was_thought(tokens, at) for at in range(now, index))
    if (thought or left & PAST) and not tokens[index].moved:
        return True
    if (
        (words & IFS or tokens[0].text in ("were", "had"))
        and words & UNREAL
        and not words & FORCED
        and not _asked_to(words)
        and "even" not in words
    ):
        return True
    verb = verb_before(tokens, index)
    return verb is not None and not is_first_person(clause, verb)


def _since_now(tokens: list[Token], index: int) -> int:
    """Where the present begins: after `now`, unless it ends the past (`until now`)."""
    return max(
        (at for at in range(index) if tokens[at].text == "now" and text_at(tokens, at - 1) not in ("until", "till")),
        default=0,
    )


def _was_thought(tokens: list[Token], at: int) -> bool:
    """`I thought`, `I used to think`; but `on second thought` is now."""
    if tokens[at].text == "used":
        return text_at(tokens, at + 1) == "to"
    return tokens[at].text in THOUGHT and text_at(tokens, at - 1) in FIRST_PERSON


def _asked_to(words: set[str]) -> bool:
    """`if I had to choose`, `if I were to rate it`: the speaker does choose."""
    return "to" in words and bool(words & {"had", "were"})


def _negates(word: str) -> bool:
    return word in NEGATIONS or word.endswith("n't")


def verb_before(tokens: list[Token], index: int) -> int | None:
    for at in range(index - 1, max(-1, index - 1 - WINDOW), -1):
        if tokens[at].kind in (Kind.NUMBER, Kind.RANGE):
            return None
        if tokens[at].text in CHOOSING and not (
            is_rating_noun(tokens[at].text) and text_at(tokens, at - 1) not in _DOERS
        ):
            return at
    return None


def is_first_person(clause: Clause, verb: int) -> bool:
    """Whose choice is it? The nearest subject before the verb; none at all is the speaker's ("Going with 4")."""
    tokens = clause.tokens
    word = tokens[verb].text
    if word in FIRST_PERSON_FORMS or word in ("i'm", "am"):
        return True
    if text_at(tokens, verb + 1) in ("i", "ich", "je", "yo"):
        return True
    for at in range(verb - 1, max(-1, verb - 9), -1):
        if tokens[at].text in FIRST_PERSON:
            return True
        if tokens[at].text in OTHER_VOICES:
            return False
    starts = sum(token.kind is not Kind.MARK and token.text not in CONTRASTS for token in tokens[:verb])
    return starts <= 2 and not {token.text for token in tokens[:verb]} & {"a", "an", "the", "would", "might", "may"}


# -- small helpers -----------------------------------------------------------------------------------------------


def led_by(tokens: list[Token], index: int) -> str:
    """The word or mark right before, quotes and brackets aside; empty at the start."""
    for at in range(index - 1, max(-1, index - 6), -1):
        if tokens[at].text not in _SKIPPED and tokens[at].kind is not Kind.SCALE:
            return tokens[at].text
        if tokens[at].kind is Kind.SCALE:
            return "scale"
    return ""


def token_at(tokens: list[Token], index: int) -> Token | None:
    return tokens[index] if 0 <= index < len(tokens) else None


def text_at(tokens: list[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
