"""Who a brand is compared with, left for and chosen instead of: candidates from its own mentions, with evidence. Pure.

Names are found by how they are written and where they stand (`competitor_names`, `competitor_patterns`), never by a
list of companies. What is counted is people: distinct authors, not posts. One author who compares a brand with a name
can be wrong, joking or an advertiser; a second one rarely is about the same name.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from .brand_terms import BrandTerms
from .competitor_names import FIRST_NAME, TEXT_MAX, Name, Reader, Sentence, name_key
from .competitor_patterns import Direction, Needs, Pattern, patterns

TRACKED: Final = "tracked"
"""The pattern of a name under which the platform itself watches a competitor (`metadata.competitorName`)."""
EVIDENCE_MAX: Final = 50
"""Mention ids kept per candidate, newest first; the counts go on."""
CONTEXTS_MAX: Final = 5
CONTEXT_CHARS: Final = 280
"""A whole post of the short kind."""
SURFACES_MAX: Final = 5
WEAK_AUTHORS_MIN: Final = 2
"""Authors from which a name is worth a question to a model although no pattern says rival."""
_OWN_KEY_MIN: Final = 4
"""From so many letters on, a handle that begins with the brand's name is taken for its own ("AcmeSupport")."""
_KNOWN_MIN: Final = 2
_ORDINARY: Final = 4
"""So many times as often in small letters as written like a name: an ordinary word."""
_ORDINARY_MIN: Final = 5
_UNKNOWN_AUTHOR: Final = "?"
"""All posts without an author: they cannot be told apart, so they count as one person."""

_NEGATION: Final = re.compile(
    r"\b(?:never|not|no|nobody|don't|dont|won't|wont|wouldn't|can't|cannot|didn't) (?:[\w'-]+ ){0,3}$"
)
_NEGATION_CHARS: Final = 60
"""Before a pattern a negator is looked for in so much text: who "would never choose X over you" is not leaving."""


class Post(NamedTuple):
    """One mention, as far as discovery needs it."""

    id: str
    text: str
    author: str | None = None
    """Who wrote it, made unique by its source."""
    tracked: str | None = None
    """Name of the competitor on whose account the platform collected it."""


@dataclass(frozen=True, slots=True)
class Context:
    """One piece of evidence in words."""

    mention: str
    text: str
    author: str = _UNKNOWN_AUTHOR


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that may be a rival's, and what speaks for it."""

    key: str
    name: str
    """As most people write it."""
    surfaces: tuple[str, ...]
    """All ways in which it is written, the most frequent first."""
    mentions: int
    authors: int
    strong_authors: int
    """Authors who used at least one pattern that says rival, not merely neighbour."""
    evidence: tuple[str, ...]
    contexts: tuple[Context, ...]
    patterns: Mapping[str, int]
    """Pattern → posts."""
    leaving: int
    """Authors who go, or would go, from the brand to it."""
    joining: int
    """Authors who came from it, or find the brand better."""
    tracked: bool


@dataclass(slots=True)
class _Gathered:
    surfaces: Counter[str] = field(default_factory=Counter)
    authors: dict[str, frozenset[Direction]] = field(default_factory=dict)
    strong: set[str] = field(default_factory=set)
    mentions: int = 0
    evidence: list[str] = field(default_factory=list)
    contexts: dict[str, Context] = field(default_factory=dict)
    """Posts with a strong pattern by author, so that one author is shown once."""
    weak_contexts: dict[str, Context] = field(default_factory=dict)
    patterns: Counter[str] = field(default_factory=Counter)
    tracked: bool = False


class _Hit(NamedTuple):
    name: Name
    pattern: Pattern
    direction: Direction


@dataclass(slots=True)
class _Spellings:
    """How words are written among the posts. An object of its own: a reader that held the discovery, which holds the
    reader, would keep all of it in memory until the garbage collector comes round."""

    written: Counter[str] = field(default_factory=Counter)
    """Key → times it was written like a name."""
    small: Counter[str] = field(default_factory=Counter)
    """Word → times it was written in small letters."""

    def add(self, sentences: Sequence[Sentence]) -> None:
        if sentences:
            self.written.update({name.key for name in sentences[0].names if name.sure})
        for sentence in sentences:
            self.small.update(word for word in set(sentence.text.split()) if word.isalpha())

    def is_known(self, key: str) -> bool:
        """Seen written like a name, and not mostly as an ordinary word: it is one in small letters too."""
        return self.written[key] >= _KNOWN_MIN and self.small[key] <= _ORDINARY * self.written[key]


class Discovery:
    """Give it posts (`add`, newest first), then have them read (`gather`), then ask for `candidates`.

    All three are work for the processor: some 0.1 ms, 0.3 ms and a few milliseconds per post. Between the two readings
    posts are packed, to a fifth of what they take as objects.
    """

    def __init__(self, terms: BrandTerms, own_names: Iterable[str]) -> None:
        """`own_names`: the brand's name, slug and aliases."""
        self._own = tuple(key for key in map(name_key, own_names) if key)
        self._plain = Reader(terms)
        self._spellings = _Spellings()
        self._reader = Reader(terms, self._spellings.is_known)
        self._packed: list[bytes] = []
        """One entry for what was added in one go."""
        self.posts = 0
        self._found: dict[str, _Gathered] = {}

    @property
    def parts(self) -> int:
        """How often posts were added: `gather` reads one such part."""
        return len(self._packed)

    def add(self, posts: Sequence[Post]) -> None:
        """Learn from these posts how names are written among the brand's mentions."""
        shorts = [post._replace(text=post.text[:TEXT_MAX]) for post in posts]
        self._packed.append(_packed(shorts))
        self.posts += len(shorts)
        for short in shorts:
            self._spellings.add(self._plain.read(short.text))

    def gather(self, part: int) -> None:
        """Read the posts that were added in one go, and note who is named in them, and how."""
        for post in _unpacked(self._packed[part]):
            self._read(post)

    def candidates(self) -> list[Candidate]:
        """Names that somebody set against the brand, or several only beside it: those of most authors first."""
        worth = ((key, one) for key, one in self._found.items() if one.strong or len(one.authors) >= WEAK_AUTHORS_MIN)
        found = [_candidate(key, one) for key, one in worth]
        return sorted(found, key=lambda one: (-one.strong_authors, -one.authors, -one.mentions, one.key))

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, post: Post) -> None:
        by_key: dict[str, list[_Hit]] = {}
        for sentence in self._reader.read(post.text):
            if sentence.names:
                for hit in _hits(sentence):
                    if self._accepted(hit):
                        by_key.setdefault(hit.name.key, []).append(hit)
        author = post.author or _UNKNOWN_AUTHOR
        for key, hits in by_key.items():
            self._note(post, author, key, hits)
        if post.tracked is not None:
            self._note_tracked(post, author, post.tracked)

    def _accepted(self, hit: _Hit) -> bool:
        key = hit.name.key
        if not key or self._is_own(key):
            return False
        written, small = self._spellings.written[key], self._spellings.small[key]
        if small >= _ORDINARY_MIN and small > _ORDINARY * written:
            return False
        return hit.name.sure or small <= written

    def _is_own(self, key: str) -> bool:
        return any(key == own or (len(own) >= _OWN_KEY_MIN and key.startswith(own)) for own in self._own)

    # -- counting ----------------------------------------------------------------------------------------------

    def _note(self, post: Post, author: str, key: str, hits: Sequence[_Hit]) -> None:
        one = self._found.setdefault(key, _Gathered())
        one.surfaces[hits[0].name.surface] += 1
        one.mentions += 1
        strong = [hit for hit in hits if hit.pattern.strong]
        said = frozenset(hit.direction for hit in strong)
        one.authors[author] = _directions(one.authors.get(author, said), said)
        if strong:
            one.strong.add(author)
        one.patterns.update({hit.pattern.name for hit in hits})
        if len(one.evidence) < EVIDENCE_MAX:
            one.evidence.append(post.id)
        contexts = one.contexts if strong else one.weak_contexts
        if author not in contexts and len(contexts) < CONTEXTS_MAX:
            contexts[author] = Context(post.id, post.text[:CONTEXT_CHARS], author)

    def _note_tracked(self, post: Post, author: str, name: str) -> None:
        key = name_key(name)
        if not key or self._is_own(key):
            return
        one = self._found.setdefault(key, _Gathered())
        one.surfaces[name.strip()] += 1
        one.tracked = True
        one.mentions += 1
        one.authors.setdefault(author, frozenset())
        one.strong.add(author)
        one.patterns[TRACKED] += 1
        if len(one.evidence) < EVIDENCE_MAX and post.id not in one.evidence:
            one.evidence.append(post.id)
        if author not in one.contexts and len(one.contexts) < CONTEXTS_MAX:
            one.contexts[author] = Context(post.id, post.text[:CONTEXT_CHARS], author)


def _packed(posts: Sequence[Post]) -> bytes:
    return zlib.compress(json.dumps(posts).encode(), level=1)


def _unpacked(data: bytes) -> list[Post]:
    return [Post(*fields) for fields in json.loads(zlib.decompress(data))]


@lru_cache(maxsize=1)
def _patterns() -> tuple[Pattern, ...]:
    return patterns()


@lru_cache(maxsize=64)
def _directions(first: frozenset[Direction], second: frozenset[Direction]) -> frozenset[Direction]:
    """The union; equal ones are one object, as thousands of authors have one each."""
    return first | second


def _hits(sentence: Sentence) -> list[_Hit]:
    """All names that stand in a pattern."""
    out: list[_Hit] = []
    for pattern in _patterns():
        if pattern.needs is Needs.POST and not sentence.named:
            continue
        if pattern.needs is Needs.SENTENCE and not sentence.names_brand:
            continue
        for found in pattern.expression.finditer(sentence.text):
            before = sentence.text[max(0, found.start() - _NEGATION_CHARS) : found.start()]
            direction = Direction.NONE if _NEGATION.search(before) else pattern.direction
            signs = (ord(sign) - FIRST_NAME for sign in found["n"])
            out += [_Hit(sentence.names[sign], pattern, direction) for sign in signs if 0 <= sign < len(sentence.names)]
    return out


def _candidate(key: str, one: _Gathered) -> Candidate:
    surfaces = [surface for surface, _ in one.surfaces.most_common(SURFACES_MAX)]
    leaving = sum(Direction.LEAVING in said and Direction.JOINING not in said for said in one.authors.values())
    shown = list(dict.fromkeys([*one.contexts, *one.weak_contexts]))
    joining = sum(Direction.JOINING in said and Direction.LEAVING not in said for said in one.authors.values())
    return Candidate(
        key=key,
        name=_best_name(surfaces),
        surfaces=tuple(surfaces),
        mentions=one.mentions,
        authors=len(one.authors),
        strong_authors=len(one.strong),
        evidence=tuple(one.evidence),
        contexts=tuple({**one.weak_contexts, **one.contexts}[author] for author in shown[:CONTEXTS_MAX]),
        patterns=dict(one.patterns),
        leaving=leaving,
        joining=joining,
        tracked=one.tracked,
    )


def _best_name(surfaces: Sequence[str]) -> str:
    """The most frequent spelling with a capital in it; one in small letters gets one."""
    best = next((surface for surface in surfaces if not surface.islower()), surfaces[0])
    return best if not best.islower() else best.title()
