"""VADER sentiment, with the scores of the PyPI package vaderSentiment 3.3.2 and a cost linear in the text.

Source of every formula: C.J. Hutto and E.E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text", ICWSM 2014, in the form that vaderSentiment 3.3.2 (MIT licence) gives it. The scores must be
float-identical to that package, so its oddities are kept. Ratings and emoji descriptions are read from the installed
package; the short word lists of the rules are restated below, and the tests hold them against the package's own.

What keeps it fast: each token is classified once and remembered (in a bounded memo), the rules run only at words of
the lexicon, and they look at a window of six words.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_PACKAGE: Final = "vaderSentiment"
_PUNCTUATION: Final = string.punctuation

# Empirical constants of the paper. A valence is a mean human rating from -4 to +4; whatever is added has that unit.
_BOOST: Final = 0.293  # a degree adverb before the word
_CAPS: Final = 0.733  # the word in capitals while others are not
_NEGATION: Final = -0.74  # factor of a negated word
_NEVER_SO: Final = 1.25  # factor of "never so good", which is praise
_FADE_TWO, _FADE_THREE = 0.95, 0.9  # share of a booster that is left two and three words away
_BEFORE_BUT, _AFTER_BUT = 0.5, 1.5  # factors
_ALPHA: Final = 15  # square of the sum of valences at which the compound score has got to 0.71
# What 0, 1, ... marks in the text add; more add nothing. The products stay products: 3 * 0.18 is not 0.54 in binary.
_EXCLAMATIONS: Final = tuple(count * 0.292 for count in range(5))
_QUESTIONS: Final = (0.0, 0.0, 2 * 0.18, 3 * 0.18, 0.96)

_STRONGER: Final = """
    absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous enormously
    entirely especially exceptional exceptionally extreme extremely fabulously flippin flipping frackin fracking frickin
    fricking friggin frigging fuckin fucking fuggin fugging fully greatly hella highly hugely incredible incredibly
    intensely major majorly more most particularly purely quite really remarkably so substantially thoroughly total
    totally tremendous tremendously uber unbelievably unusually utter utterly very
"""
_WEAKER: Final = """
    almost barely hardly kind-of kinda kindof less little marginal marginally occasional occasionally partly scarce
    scarcely slight slightly somewhat sort-of sorta sortof
"""
_BOOSTERS: Final = dict.fromkeys(_STRONGER.split(), _BOOST) | dict.fromkeys(_WEAKER.split(), -_BOOST)
_BOOSTER_PAIRS: Final = dict.fromkeys([("just", "enough"), ("kind", "of"), ("sort", "of")], -_BOOST)

# Contractions with an apostrophe are not listed: whatever contains "n't" negates. Only the ASCII apostrophe counts.
_NEGATING: Final = """
    aint arent cannot cant couldnt darent despite didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt neednt
    neither never none nope nor not nothing nowhere oughtnt rarely seldom shant shouldnt uh-uh uhuh wasnt werent
    without wont wouldnt
"""
_NEGATIONS: Final = frozenset(_NEGATING.split())

# Integers stay integers, as in the package: Python 3.12 and later sum floats and integers in different ways.
# The package also lists "badass", but it only looks up pairs and triples, so that entry never applies.
_IDIOMS: Final[dict[tuple[str, ...], float]] = {
    ("bad", "ass"): 1.5,
    ("beating", "heart"): 3.5,
    ("bus", "stop"): 0.0,
    ("kiss", "of", "death"): -1.5,
    ("the", "bomb"): 3,
    ("the", "shit"): 3,
    ("to", "die", "for"): 3,
    ("yeah", "right"): -2,
}
_PHRASE_ENDS: Final = frozenset(phrase[-1] for phrase in (*_IDIOMS, *_BOOSTER_PAIRS))
# Words that a rule asks for by name. Of other words outside the lexicon the text is not kept.
_NAMED: Final = frozenset({"at", "but", "doubt", "least", "no", "or", "this", "very"}.union(*_IDIOMS, *_BOOSTER_PAIRS))

# Bounds of the memo: about 10 MB at worst. Longer tokens are links or noise (the longest lexicon entry has 19 chars).
_MEMO_TOKENS: Final = 16_384
_MEMO_CHARS: Final = 24


class LexiconError(RuntimeError):
    """The lexicon files of vaderSentiment are missing or not in the form of version 3.3.2."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Sentiment of one text.

    `neg`, `neu` and `pos` are shares from 0 to 1, rounded to 3 digits; they add up to 1, rounding apart, or are all 0
    for a text without words. `compound` runs from -1 (most negative) to +1, rounded to 4 digits.
    """

    neg: float
    neu: float
    pos: float
    compound: float


@dataclass(frozen=True, slots=True, eq=False)
class _Word:
    """What the rules need to know of one token."""

    text: str = ""  # in lower case; empty when no rule asks for it
    valence: float = 0.0  # rating by the lexicon, which has no 0; 0 for a word that is not scored
    rated: bool = False  # in the lexicon: such a word is no modifier of the words after it
    upper: bool = False
    boost: float = 0.0
    negates: bool = False
    ends_phrase: bool = False


_PLAIN: Final = _Word()
_PLAIN_UPPER: Final = _Word(upper=True)
# Stand before the first word and after the last one, so that the rules need no bounds. Those before are "rated"
# because the package passes over a missing word just as it passes over a rated one.
_LEAD: Final = (_Word(rated=True),) * 3
_TRAIL: Final = (_PLAIN,) * 2

_NO_WORDS: Final = Scores(0.0, 0.0, 0.0, 0.0)
_ALL_NEUTRAL: Final = Scores(0.0, 1.0, 0.0, 0.0)


class _Memo(dict[str, _Word]):
    """Token as written -> its `_Word`, filled on demand.

    Holds at most `_MEMO_TOKENS` tokens (and one more per thread that adds at the same moment). A full memo is emptied:
    that is cheap against the misses which filled it, and it recovers from a hostile vocabulary.
    """

    __slots__ = ("_known", "_lexicon")

    def __init__(self, lexicon: dict[str, float]) -> None:
        super().__init__()
        self._lexicon = lexicon
        self._known = _NAMED.union(lexicon, _BOOSTERS, _NEGATIONS)

    def __missing__(self, token: str) -> _Word:
        core = token.strip(_PUNCTUATION)
        if len(core) <= 2:  # likely an emoticon, so the punctuation belongs to it; as a side effect "(no)" is no "no"
            core = token
        text = core.lower()
        if text in self._known or "n't" in text:
            word = self._describe(text, core.isupper())
        else:
            word = _PLAIN_UPPER if core.isupper() else _PLAIN
        if len(token) <= _MEMO_CHARS:
            if len(self) >= _MEMO_TOKENS:
                self.clear()
            self[token] = word
        return word

    def _describe(self, text: str, upper: bool) -> _Word:
        boost = _BOOSTERS.get(text, 0.0)
        return _Word(
            text=text,
            valence=0.0 if boost else self._lexicon.get(text, 0.0),  # a booster is never scored itself
            rated=text in self._lexicon,
            upper=upper,
            boost=boost,
            negates=text in _NEGATIONS or "n't" in text,
            ends_phrase=text in _PHRASE_ENDS,
        )


class Vader:
    """Scorer with the lexicon of the installed vaderSentiment package.

    Any number of threads may use one instance at once, without a lock: after the construction only the memo of tokens
    changes, its entries depend on nothing but the token, and the dict operations on it are atomic.
    """

    __slots__ = ("_emoji", "_emoji_chars", "_memo")

    def __init__(self, lexicon: dict[str, float], emoji: dict[str, str]) -> None:
        """Take ratings by lower-case word and descriptions by emoji; `load` is the usual way to get both."""
        self._memo = _Memo(lexicon)
        # The package goes character by character, so emoji of several characters in its list never match. It writes a
        # space before a description, but none after: a word that follows is glued to it. (It leaves out a space that
        # would be the second in a row, which makes no difference to the words.)
        self._emoji = {char: f" {description}" for char, description in emoji.items() if len(char) == 1}
        self._emoji_chars = frozenset(self._emoji)

    @classmethod
    def load(cls) -> Vader:
        """Read lexicon and emoji descriptions from the installed package without importing it; takes about 10 ms.

        Raises:
            LexiconError: the package is not installed, or its files are missing or malformed.
        """
        spec = find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise LexiconError(f"{_PACKAGE} is not installed, but its lexicon is needed: pip install {_PACKAGE}==3.3.2")
        folder = Path(spec.submodule_search_locations[0])
        try:
            lexicon = {word: float(rating) for word, rating in _read_pairs(folder / "vader_lexicon.txt")}
            emoji = dict(_read_pairs(folder / "emoji_utf8_lexicon.txt"))
        except (OSError, ValueError) as error:
            raise LexiconError(f"cannot read the lexicon of the installed {_PACKAGE}: {error}") from error
        return cls(lexicon, emoji)

    def score(self, text: str) -> Scores:
        """Score one text of any length and content; no `str` makes it fail.

        Takes time linear in the length of the text, but for one heap operation (the logarithm of a count) per rated
        word of a text with "but".
        """
        if not text.isascii() and not self._emoji_chars.isdisjoint(text):
            text = "".join(map(self._emoji.get, text, text))
        tokens = text.split()
        if not tokens:
            return _NO_WORDS
        valences = _valences([*_LEAD, *map(self._memo.__getitem__, tokens), *_TRAIL])
        if not valences:
            return _ALL_NEUTRAL
        emphasis = _EXCLAMATIONS[min(text.count("!"), 4)] + _QUESTIONS[min(text.count("?"), 4)]
        return _combine(valences, len(tokens) - len(valences), emphasis)


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    """First two tab-separated fields of the lines that are not empty."""
    rows = [line.strip().split("\t", 2) for line in path.read_text(encoding="utf-8").split("\n") if line]
    if not rows or any(len(row) < 2 for row in rows):
        raise ValueError(f"{path.name} is empty or has lines without a tab")
    return [(row[0], row[1]) for row in rows]


def _valences(words: Sequence[_Word]) -> list[float]:
    """Valences other than 0, in the order of the words; `words` stand between `_LEAD` and `_TRAIL`."""
    hits: list[int] = []
    uppers = 0
    but = 0  # no word stands at 0, thanks to `_LEAD`
    for at, word in enumerate(words):
        if word is _PLAIN:
            continue
        if word.upper:
            uppers += 1
        if word.valence:
            hits.append(at)
        elif not but and word.text == "but":
            but = at
    # Capitals are emphasis only where some words have them and some have not. "I" and "A" count as capitals too.
    caps = 0 < uppers < len(words) - len(_LEAD) - len(_TRAIL)
    scored = [(at, valence) for at in hits if (valence := _valence(words, at, caps))]
    valences = [valence for _, valence in scored]
    if but:
        _shift_around_but([at for at, _ in scored], valences, but)
    return valences


def _valence(words: Sequence[_Word], at: int, caps: bool) -> float:
    """Valence of the rated word at `at` after all rules that look at its neighbours."""
    word, one, two, three, following = words[at], words[at - 1], words[at - 2], words[at - 3], words[at + 1]
    if word.text == "kind" and following.text == "of":
        return 0.0
    valence = word.valence
    if word.text == "no" and following.rated:
        valence = 0.0  # it negates the next word instead of counting itself
    if one.text == "no" or two.text == "no" or (three.text == "no" and one.text in ("or", "nor")):
        valence = word.valence * _NEGATION
    if caps and word.upper:
        valence += _CAPS if valence > 0 else -_CAPS
    # Nearest first, since the sign of a boost depends on what the nearer words have made of the valence.
    if not one.rated:
        if one.boost:
            valence += _boost(one, valence, caps)
        if one.negates:
            valence *= _NEGATION
    if not two.rated:
        if two.boost:
            valence += _boost(two, valence, caps) * _FADE_TWO
        if two.negates:
            valence *= _distant_negation(two, one.text)
    if not three.rated:
        if three.boost:
            valence += _boost(three, valence, caps) * _FADE_THREE
        # An "or" without brackets in the package: "so" or "this" right before the word is enough, without "never".
        if one.text in ("so", "this"):
            valence *= _NEVER_SO
        elif three.negates:
            valence *= _distant_negation(three, two.text, one.text)
        if word.ends_phrase or one.ends_phrase or two.ends_phrase or following.ends_phrase or words[at + 2].ends_phrase:
            valence = _phrases([neighbour.text for neighbour in words[at - 3 : at + 3]], valence)
    if one.text == "least" and two.text not in ("at", "very"):
        valence *= _NEGATION
    return valence


def _boost(booster: _Word, valence: float, caps: bool) -> float:
    """What a booster adds: away from zero, or towards it for a dampener. Capitals of either push away from zero."""
    boost = -booster.boost if valence < 0 else booster.boost
    if caps and booster.upper:
        boost += _CAPS if valence > 0 else -_CAPS
    return boost


def _distant_negation(negation: _Word, *between: str) -> float:
    """Factor of a negation with these words between it and the rated word."""
    if negation.text == "never" and between[0] in ("so", "this"):
        return _NEVER_SO
    return 1.0 if negation.text == "without" and "doubt" in between else _NEGATION


def _phrases(texts: Sequence[str], valence: float) -> float:
    """Let idioms replace the valence, whatever the rules have made of it so far, and "kind of" and the like lower it.

    `texts` are three words before, the rated word, and two after. The package gets here only where a third word
    precedes and is not rated.
    """
    three, two, one, word, next_one, next_two = texts
    before = ((one, word), (two, one, word), (two, one), (three, two, one), (three, two))
    valence = next((_IDIOMS[phrase] for phrase in before if phrase in _IDIOMS), valence)
    valence = _IDIOMS.get((word, next_one), valence)
    valence = _IDIOMS.get((word, next_one, next_two), valence)
    # Other than with boosters of one word, the sign of the valence plays no part.
    for pair in ((three, two), (two, one)):
        if pair in _BOOSTER_PAIRS:
            valence += _BOOSTER_PAIRS[pair]
    return valence


def _shift_around_but(positions: Sequence[int], valences: list[float], but: int) -> None:
    """Halve the valences before the first "but" and raise those after it by half, in place and as the package does it.

    The package walks over the valences and changes, for each, the FIRST that is equal at that moment: of equal ones,
    one may be changed twice and another not at all. A heap of places per value finds the first without a search. The
    places after the current one are still as they were, so they need not be in the heaps yet; neutral words have no
    place at all, because a factor leaves 0 what it is.
    """
    places: dict[float, list[int]] = {}
    for place, valence in enumerate(valences.copy()):
        first = heappushpop(places.setdefault(valence, []), place)
        changed = valence * (_BEFORE_BUT if positions[first] < but else _AFTER_BUT)
        valences[first] = changed
        heappush(places.setdefault(changed, []), first)


def _combine(valences: Sequence[float], neutrals: int, emphasis: float) -> Scores:
    """Scores of a text with these valences, this number of neutral words, and this emphasis by punctuation."""
    total = float(sum(valences))
    if total:
        total += emphasis if total > 0 else -emphasis
    positive = negative = 0.0
    for valence in valences:  # each counts one more than its size, because a neutral word counts as one
        if valence > 0:
            positive += valence + 1
        else:
            negative += 1 - valence
    if positive > negative:
        positive += emphasis
    elif positive < negative:
        negative += emphasis
    whole = positive + negative + neutrals
    return Scores(
        neg=round(negative / whole, 3),
        neu=round(neutrals / whole, 3),
        pos=round(positive / whole, 3),
        compound=round(total / math.sqrt(total * total + _ALPHA), 4),
    )
