"""Texts as vectors without a model: words and their parts, hashed into one fixed space. Pure; needs no download.

A word is the sum of random signs of itself and of its character 3- and 4-grams, so that inflections and misspellings
are near each other; a text is the sum of its words, each weighted by how rare it is in everyday English, at unit
length. Nothing is fitted: the same text has the same vector in every process, so centroids of different chunks compare.

On Banking77 (3,000 of the train texts, K-Means with k = 77) such vectors reach an ARI of .29 after the reduction in
`clustering`; word TF-IDF fitted to the same texts reaches .21 and its LSA .21 (bench/cluster.py).

Sources: Bojanowski et al., "Enriching Word Vectors with Subword Information", TACL 2017 (words as sums of n-grams);
Achlioptas, "Database-friendly random projections", JCSS 2003 (random signs); Zipf's law for the weights.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .common_words import COMMON

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Signs = NDArray[np.int8]

DIMENSIONS: Final = 512
"""A sign per bit of the longest digest of BLAKE2b. 384 and 1024 gave the same ARI within .01."""
SPACE: Final = f"local-1/{DIMENSIONS}"
"""Name, version and dimension. The version has to rise with any change of the words, the weights or the hashing."""
_GRAMS: Final = (3, 4)
"""Shorter ones say nothing, longer ones nothing more (3-5 and 3-6: the same within .01)."""
_UNLISTED_RANK: Final = 2_000
"""Rank given to words that are not in the list. With 1,000 and 5,000 the ARI is the same within .02."""
_WORD_CHARS: Final = 40
"""A longer word is a link or noise; its beginning tells it well enough."""
_TEXT_CHARS: Final = 20_000
"""Of longer texts the beginning: 4,000 words are a topic."""
_MEMO: Final = 4_096
"""Words whose vectors are remembered, 0.75 kB each. Twice as many save three words in a hundred their 13 µs (6,242
posts, two times over: 9.5 % and 6.8 % are not found)."""
_LINK: Final = re.compile(r"(?:https?://|\bwww\.)\S+", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SIGN: Final = re.compile(r"\S")

_RANKS: Final = {word: rank for rank, word in reversed(list(enumerate(COMMON.split(), 1)))}


def weight(word: str) -> float:
    """ln(1 + rank/2): the inverse document frequency that Zipf's law gives in texts of 20 words.

    A word of rank r is a share of 0.1/r of all words, so about 2/r of the texts have it.
    """
    return math.log(1.0 + _RANKS.get(word, _UNLISTED_RANK) / 2.0)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case without links; where there are none, its single signs (emoji, "?!").

    A text that is nothing but links is told by those.
    """
    folded = text[:_TEXT_CHARS].lower().replace("’", "'")
    return _WORD.findall(_LINK.sub(" ", folded)) or _WORD.findall(folded) or _SIGN.findall(folded)


def has_words(text: str) -> bool:
    """Whether a text says anything in words or figures, links left aside: emoji and marks alone are no matter."""
    return _WORD.search(_LINK.sub(" ", text[:_TEXT_CHARS])) is not None


class LocalVectors:
    """Texts to vectors; remembers the vectors of words. For one thread at a time."""

    def __init__(self) -> None:
        self._word: Callable[[str], Signs] = lru_cache(maxsize=_MEMO)(_word_vector)

    def matrix(self, texts: Sequence[str]) -> Matrix:
        """n x 512, float32, rows of unit length.

        Raises:
            ValueError: a text is empty, so it has no direction.
        """
        import numpy as np

        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            counts = Counter(words_of(text))
            if not counts:
                raise ValueError(f"text {row} is empty")
            for word, count in counts.items():
                # The second mention of a word says less than the first (sublinear term frequency).
                signs = self._word(word[:_WORD_CHARS]).astype(np.float32)
                out[row] += signs * (weight(word) * (1.0 + math.log(count)))
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        if not norms.all():
            raise ValueError("a text has a vector of length 0")
        unit: Matrix = (out / norms).astype(np.float32)
        return unit


def _word_vector(word: str) -> Signs:
    """512 sums of signs, one sign per part of the word."""
    import numpy as np

    spaced = f" {word} "
    parts = [f"w{word}", *(spaced[i : i + n] for n in _GRAMS for i in range(len(spaced) - n + 1))]
    digests = b"".join(
        hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=DIMENSIONS // 8).digest() for part in parts
    )
    bits = np.unpackbits(np.frombuffer(digests, dtype=np.uint8)).reshape(len(parts), DIMENSIONS)
    # An odd number of signs never sums to 0; an even one may at single places, at all 512 it cannot.
    # A word of _WORD_CHARS has 80 parts: their sums fit into a byte.
    signs: Signs = (bits.sum(axis=0, dtype=np.int16) * 2 - len(parts)).astype(np.int8)
    return signs
