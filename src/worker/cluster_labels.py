"""Names of clusters that a person understands: the phrases that tell one cluster from the others. Pure.

Phrases of one to three words are scored by class, as in class-based TF-IDF (Grootendorst, "BERTopic", 2022): the share
of the cluster's texts that have the phrase, times the logarithm of how much more frequent it is there than in all texts
(its part of the Kullback-Leibler divergence), times how rare its words are in everyday English, which alone decides
where there is one cluster only. Written as most texts of the cluster write it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .brand_terms import BrandTerms
from .common_words import STOP_WORDS
from .local_vectors import weight

if TYPE_CHECKING:
    from .llm.operations.clusters import Texts
    from .local_vectors import Matrix

NOISE_LABEL: Final = "noise"
_PHRASES: Final = 3
"""Phrases of a label at most: what is read at one look."""
_WORDS: Final = 3
_SPARE: Final = 8
"""Phrases at hand where others are needed to tell two clusters apart."""
_LABEL_CHARS: Final = 80
_NEXT_SHARE: Final = 0.4
"""A further phrase is named when its score is at least such a share of the first one's."""
_LONGER: Final = 0.5
"""What each further word of a phrase adds to its score: "refund not received" says more than "refund", and the same
texts have both."""
_ALONE: Final = 0.1
"""Added to the logarithm of how much more frequent a phrase is here than everywhere: where there is one cluster only
that is 0 for every phrase, and how many texts have it decides."""
_STEM: Final = 5
"""Letters in which "refund" and "refunded" are one word: a label does not say it twice."""
_TEXTS_PER_CLUSTER: Final = 2_000
"""Texts of a cluster that are looked at: its words are known by then."""
_TEXT_CHARS: Final = 2_000
_EXAMPLES: Final = 20
"""Texts that a model sees of a cluster; more cost more and name the same."""
_MARK: Final = "\x00"
_TOKEN: Final = re.compile(r"(?:https?://|\bwww\.)\S+|[^\W_]+(?:['’-][^\W_]+)*|[^\s\w]")


@dataclass(slots=True)
class _Seen:
    """What is known of the phrases of one cluster."""

    texts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Phrase in lower case → texts of the cluster that have it."""
    forms: dict[str, Counter[str]] = field(default_factory=dict)
    """Phrase → how it is written."""


def labels_of(clusters: Sequence[Sequence[str]], brands: Sequence[str] = (), taken: Iterable[str] = ()) -> list[str]:
    """A label per cluster, different from each other and from those `taken`, from the texts of each; names of the
    brands are left out.

    A cluster whose texts have no words of their own ("ok", emoji) is called by its commonest text.
    """
    terms = BrandTerms.build(brands[0], brands[1:]) if brands else None
    seen = [_look(texts[:_TEXTS_PER_CLUSTER], terms) for texts in clusters]
    everywhere: Counter[str] = Counter()
    for one in seen:
        everywhere.update(one.counts)
    total = sum(one.texts for one in seen)
    used = {label.lower() for label in taken}
    labels = []
    for one, texts in zip(seen, clusters, strict=True):
        label = _distinct(*_ranked(one, everywhere, total), used) or _commonest(texts, used)
        used.add(label.lower())
        labels.append(label)
    return labels


def label_inputs(brand: str, texts: Sequence[str], vectors: Matrix, examples: int = _EXAMPLES) -> Texts:
    """The inputs of the operation `cluster_label`: the different texts nearest to the middle of the cluster.

    `vectors`: one per text, n x d, unit length.
    """
    from .llm.operations.clusters import Texts  # loading operations takes long, and labels by phrases need none

    if len(texts) != len(vectors) or not len(texts):
        raise ValueError("a cluster has at least one text, and a vector for each")
    near = vectors @ vectors.mean(axis=0)
    order = sorted(range(len(texts)), key=lambda row: (-float(near[row]), row))
    chosen = tuple(dict.fromkeys(texts[row] for row in order))[:examples]
    return Texts(brand, chosen, left_out=len(texts) - len(chosen))


def _look(texts: Sequence[str], terms: BrandTerms | None) -> _Seen:
    seen = _Seen(texts=len(texts))
    for text in texts:
        shown = text[:_TEXT_CHARS]
        found = {phrase.lower(): phrase for phrase in _phrases(terms.mask(shown, _MARK) if terms else shown)}
        seen.counts.update(found.keys())
        for key, form in found.items():
            seen.forms.setdefault(key, Counter())[form] += 1
    return seen


def _phrases(text: str) -> Iterator[str]:
    """One to three words that stand together; none begins or ends with a stop word, none has punctuation inside."""
    run: list[str] = []
    for token in (*_TOKEN.findall(text.replace("’", "'")), "."):
        if token[0].isalnum() and "://" not in token and not token.lower().startswith("www."):
            run.append(token)
            continue
        for start in range(len(run)):
            for end in range(start + 1, min(start + _WORDS, len(run)) + 1):
                if _tells(run[start]) and _tells(run[end - 1]):
                    yield " ".join(run[start:end])
        run = []


def _tells(word: str) -> bool:
    folded = word.lower()
    return len(folded) > 1 and not folded.isdigit() and folded not in STOP_WORDS


def _ranked(one: _Seen, everywhere: Counter[str], total: int) -> tuple[list[str], int]:
    """Phrases by score in their commonest form, without those that repeat a better one's words; how many are strong."""
    least = 2 if one.texts > 3 else 1
    scores = {
        phrase: count
        / one.texts
        * (math.log(count / one.texts * total / everywhere[phrase]) + _ALONE)
        * _weight(phrase)
        for phrase, count in one.counts.items()
        if count >= least and count * total >= one.texts * everywhere[phrase]
    }
    out: list[str] = []
    used: set[str] = set()
    best = max(scores.values(), default=0.0)
    strong = 0
    for phrase in sorted(scores, key=lambda phrase: (-scores[phrase], phrase)):
        words = {word[:_STEM] for word in phrase.split() if word not in STOP_WORDS}
        if not words & used:
            used |= words
            out.append(_form(one.forms[phrase]))
            strong += len(out) <= _PHRASES and scores[phrase] >= _NEXT_SHARE * best
        if len(out) == _SPARE:
            break
    return out, strong


def _weight(phrase: str) -> float:
    words = [word for word in phrase.split() if word not in STOP_WORDS]
    return sum(map(weight, words)) / len(words) * (1.0 + _LONGER * (len(phrase.split()) - 1))


def _form(forms: Counter[str]) -> str:
    return min(forms, key=lambda form: (-forms[form], form))


def _distinct(phrases: Sequence[str], strong: int, taken: set[str]) -> str | None:
    """The strong phrases as one label; with more of them where another cluster has that label already."""
    for count in range(strong, len(phrases) + 1):
        label = ", ".join(phrases[:count])
        if label and len(label) <= _LABEL_CHARS and label.lower() not in taken:
            return label
    return next((one for one in phrases if len(one) <= _LABEL_CHARS and one.lower() not in taken), None)


def _commonest(texts: Sequence[str], taken: set[str]) -> str:
    counts = Counter(" ".join(text.split())[: _LABEL_CHARS - 8] for text in texts)
    base = _form(counts) if counts else "empty"
    label, number = base, 2
    while label.lower() in taken:
        label, number = f"{base} ({number})", number + 1
    return label
