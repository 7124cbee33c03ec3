"""A text as numbers for the students: hashed words, pairs of words and pieces of words, and what the rules found in it.

The space is fixed, so that a model learned by one process can be used by every other, and words that nobody has seen
before have their place. The names of brands have been masked before (`BrandTerms.mask`): a student learns moods, not
brands. What costs time, the pieces of a word, is computed once per word and remembered in a bounded memo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from ..patterns import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS: Final = 16
HASHED: Final = 1 << BITS
"""Places for hashed features: with three classes 0.4 MB as stored before compression, 0.8 MB in memory."""
FORMAT: Final = 1
"""Number of this feature space. Another space, another number: an old model must never be read with new features."""

DENSE: Final = (
    "cold_positive",
    "cold_negative",
    "cold_neutral",
    "cold_above",
    "cold_below",
    "strong_positive",
    "strong_negative",
    "churn",
    "lead",
    "bug",
    "feature",
    "praise",
    "sarcasm",
    "question",
    "exclamation",
    "length",
)
"""Features with places of their own, in 0..1: the cold start's opinion, the chances of the intents, form."""
WIDTH: Final = HASHED + len(DENSE)

_PIECES: Final = (3, 4)
"""Letters in a piece of a word, its boundaries counted: "delay", "delayed" and "delaaay" share some."""
_PIECE_WEIGHT: Final = 0.5
_RULE_WEIGHT: Final = 1.0
_MAX_TOKENS: Final = 300
"""Tokens read of a text; a post of 280 characters has 60. It bounds the cost of one mention."""
_MEMO_WORDS: Final = 32_768
"""Enough for the words of some ten thousand posts. A full memo is emptied: cheap against the misses that filled it."""
_MEMO_CHARS: Final = 24
"""Longer words are links or noise: not remembered, and without pieces of what is beyond."""
_MASK: Final = HASHED - 1
_FIRST_FACTOR: Final = 0x9E3779B1
"""Knuth's multiplicative constant (2^32 / golden ratio): "a b" and "b a" get different places."""
_BAND: Final = 0.05
_STRONG: Final = 0.5


class Opinion(NamedTuple):
    """What the cold start thinks of a text: its score in -1..1, the chance of each family of intents, sarcasm."""

    score: float
    chances: Mapping[str, float]
    sarcastic: bool


@dataclass(frozen=True, slots=True)
class Features:
    """One text: `places[i]` has the value `values[i]`; a place may occur more than once, its values add up.

    The first `words` places are the words in their order and then the pairs, each ended by the word at its number. The
    last ones, from `rules_at` on, are the rules, by the names in `rules`, and the features with places of their own.
    """

    places: list[int]
    values: list[float]
    words: int
    rules_at: int
    rules: tuple[str, ...]

    def name_of(self, at: int, tokens: Sequence[str]) -> str | None:
        """What stands at a place, in words; None for pieces and where a handle, a brand or a mark is part of it."""
        if at >= self.rules_at:
            rule = at - self.rules_at
            return self.rules[rule] if rule < len(self.rules) else DENSE[self.places[at] - HASHED]
        count = self.words // 2
        parts = tokens[at : at + 1] if at < count else tokens[max(0, at - count - 1) : at - count + 1]
        return "_".join(parts) if at < self.words and all(part.isalpha() for part in parts) else None


class _Memo(dict[str, tuple[int, tuple[int, ...]]]):
    """Word -> its hash and the places of the word and its pieces. Safe for threads as far as dict operations are."""

    def __missing__(self, word: str) -> tuple[int, tuple[int, ...]]:
        digest = _hash("w", word)
        entry = (digest, tuple(_hash("c", piece) & _MASK for piece in _pieces(word[:_MEMO_CHARS])))
        if len(word) <= _MEMO_CHARS:
            if len(self) >= _MEMO_WORDS:
                self.clear()
            self[word] = entry
        return entry


_memo: Final = _Memo()


def features(reading: Reading, opinion: Opinion) -> Features:
    """The features of a text that `patterns.read` has read.

    Words with pairs, and pieces, are two groups of Euclidean length about 1 (as in TF-IDF, without the IDF, which would
    have to be learned): a long text says no more than a short one. Rules that fired are a third, not shortened.
    """
    tokens = reading.tokens[:_MAX_TOKENS]
    memo = _memo
    entries = [memo[token] for token in tokens]
    words = [digest & _MASK for digest, _ in entries]
    before = _FIRST_FACTOR
    for digest, _ in entries:
        words.append((before * _FIRST_FACTOR ^ digest) >> 7 & _MASK)
        before = digest
    pieces = [place for _, places in entries for place in places]
    rules = {(hit.rule.family, hit.rule.name, hit.negated) for found in reading.hits.values() for hit in found}
    fired = sorted(_memo_rule(*rule) for rule in rules)
    dense = _dense(reading, opinion)
    places = [*words, *pieces, *(place for place, _ in fired), *dense]
    values = [len(words) ** -0.5] * len(words) if words else []
    if pieces:
        values += [_PIECE_WEIGHT * len(pieces) ** -0.5] * len(pieces)
    values += [_RULE_WEIGHT] * len(fired)
    values += dense.values()
    return Features(places, values, len(words), len(words) + len(pieces), tuple(name for _, name in fired))


class Rows(NamedTuple):
    """A batch as a compressed sparse row matrix: row n holds the places `starts[n]` to `starts[n + 1]`."""

    places: NDArray[np.int64]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]


def rows(batch: Sequence[Features]) -> Rows:
    """The matrix of a batch."""
    import numpy as np

    starts = np.zeros(len(batch) + 1, np.int64)
    np.cumsum([len(one.places) for one in batch], out=starts[1:])
    size = int(starts[-1])
    places = np.fromiter(chain.from_iterable([one.places for one in batch]), np.int64, size)
    values = np.fromiter(chain.from_iterable([one.values for one in batch]), np.float32, size)
    return Rows(places, values, starts)


def _dense(reading: Reading, opinion: Opinion) -> dict[int, float]:
    """Place -> value of the features with places of their own; zeros left out."""
    score, chances = opinion.score, opinion.chances
    tokens = reading.tokens
    found = (
        float(score > _BAND),
        float(score < -_BAND),
        float(-_BAND <= score <= _BAND),
        max(0.0, score),
        max(0.0, -score),
        float(score > _STRONG),
        float(score < -_STRONG),
        chances["churn"],
        chances["lead"],
        chances["bug"],
        chances["feature"],
        chances["praise"],
        float(opinion.sarcastic),
        float("?" in tokens),
        min(1.0, tokens.count("!") / 3),
        min(1.0, len(tokens) / 60),
    )
    return {HASHED + number: value for number, value in enumerate(found) if value}


def _pieces(word: str) -> list[str]:
    bounded = f"<{word}>"
    return [bounded[at : at + size] for size in _PIECES for at in range(len(bounded) - size + 1)]


@lru_cache(maxsize=4_096)
def _memo_rule(family: str, name: str, negated: bool) -> tuple[int, str]:
    """Place and name of a rule that fired, or that a negator reaches."""
    called = f"{'not:' if negated else ''}{family.lower()}:{name}"
    return _hash("n" if negated else "r", f"{family}:{name}") & _MASK, called


def _hash(kind: str, text: str) -> int:
    # Not `hash()`, which differs from process to process.
    return crc32(f"{kind}{text}".encode("utf-8", "surrogatepass"))
