"""A post cut into sentences in which every name is one sign, so that patterns can be read over them. Pure.

`Reader.read` gives sentences such as `we switched from B to N1 last month`: the brand's own names are one sign, whoever
else is named another, all other words are in small letters. What is a name is seen by how it is written: a handle, a
hashtag, a capital inside of a sentence. A capital that opens a sentence, or stands among others as in a headline,
shows nothing by itself: such names are doubtful until the same name is seen elsewhere. No list of companies is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from .brand_terms import BrandTerms
from .competitor_words import CALENDAR, CODES, GRAMMAR, HEADS, PEOPLE, PLACES, SUFFIXES, TITLES

BRAND: Final = "\ue000"
YOU: Final = "\ue001"
"""The brand as it is spoken to ("@acme you are …"); private-use characters: no text means them."""
FIRST_NAME: Final = 0xE100
NAMES_MAX: Final = 256
"""Names told apart in one post; whatever comes after is left as a word."""
TEXT_MAX: Final = 2_000
"""Characters of a post that are read. Posts are shorter; of a pasted article the beginning says what it compares."""
NAME_CHARS: Final = 60
_NAME_WORDS: Final = 4
_KEY_MIN: Final = 2
_PERSON_WORDS: Final = 2
"""A given name, or one with a surname; three words that begin so are more often a firm ("Jack Daniel Distillery")."""
_STEM_MIN: Final = 4
"""Letters that must be left when "Airlines" or "Support" is taken off: "Delta" may be cut so, "US Airways" may not."""
_HEADLINE: Final = 0.6
"""Share of capitalised words from which capitals are the style of the text and no sign of names."""
_HEADLINE_WORDS: Final = 4

_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
"""Our signs, should somebody write them: taken out, or a text could name the brand without its name."""
_HANDLED_BRAND: Final = "\ue002"
_TOKEN: Final = re.compile(
    r"https?://\S+|www\.\S+|([\ue000\ue002](?:['’]s\b)?|[@#]\w+|[^\W_]+(?:['’.&\-*+][^\W_]+)*\+*|[.!?,;:()/>\n…–—|])"
)
_SENTENCE_ENDS: Final = frozenset(".!?\n…|;()")
_CLAUSE_MARKS: Final = frozenset(".!?,;:()/>\n…–—|")
_SECOND_PERSON: Final = frozenset(("you", "u", "ya", "yall", "y'all"))
_NO_NAMES: Final = GRAMMAR | CALENDAR | PLACES | CODES
_PARTS: Final = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|[^\W\d_]+")
_INNER_CAPITAL: Final = re.compile(r"[a-z][A-Z]")


class Name(NamedTuple):
    """A name as one post writes it."""

    surface: str
    key: str
    """The same for "JetBlue", "jet blue", "@JetBlue" and "Jetblue Airways"."""
    sure: bool
    """Known for a name by how it is written here."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words of a sentence with single spaces between; `names[i]` is the sign `chr(FIRST_NAME + i)`."""

    text: str
    names: tuple[Name, ...]
    named: bool
    """The post names the brand."""

    @property
    def names_brand(self) -> bool:
        """The sentence itself does, or speaks to it."""
        return BRAND in self.text or YOU in self.text


class _Token(NamedTuple):
    text: str
    low: str
    fresh: bool
    """First of a sentence: its capital shows nothing."""


@lru_cache(maxsize=4_096)
def name_key(surface: str) -> str:
    """What two spellings of one name have in common; empty when there is no name in it.

    >>> name_key("@DeltaAssist"), name_key("Delta Air Lines"), name_key("US Airways"), name_key("Jet-Blue")
    ('delta', 'delta', 'usairways', 'jetblue')
    """
    folded = unicodedata.normalize("NFKC", surface).casefold().replace("’", "'")
    folded = re.sub(r"'s?\b", "", folded)
    letters = "".join(character for character in folded if character.isalnum() or character == "+")
    for suffix in (one.replace(" ", "") for one in SUFFIXES):
        if letters.endswith(suffix) and len(letters) - len(suffix) >= _STEM_MIN:
            letters = letters[: -len(suffix)]
            break
    return letters


class Reader:
    """Reads posts about one brand. `known`: keys that count as names however they are written."""

    def __init__(self, terms: BrandTerms, known: Callable[[str], bool] = lambda _: False) -> None:
        self._terms = terms
        self._known = known

    def read(self, text: str) -> list[Sentence]:
        """The sentences of a text (its first `TEXT_MAX` characters), and the names it holds."""
        tokens = self._tokens(text[:TEXT_MAX])
        handled = any(token.text == _HANDLED_BRAND for token in tokens)
        named = any(token.text[0] in (BRAND, _HANDLED_BRAND) for token in tokens)
        headline = _is_headline(tokens)
        names: list[Name] = []
        units: list[str] = []
        position = 0
        while position < len(tokens):
            token = tokens[position]
            end, unit = position + 1, token.low
            if token.text[0] in (BRAND, _HANDLED_BRAND):
                unit = BRAND
                if token.text[0] == BRAND:
                    end = _own_product(tokens, position + 1)
            elif handled and token.low in _SECOND_PERSON:
                unit = YOU
            elif token.text not in _CLAUSE_MARKS and len(names) < NAMES_MAX:
                name, after = self._name(tokens, position, headline)
                if name is not None:
                    unit, end = chr(FIRST_NAME + len(names)), after
                    names.append(name)
            units.append(unit)
            position = end
        return _sentences(units, tuple(names), named)

    def _tokens(self, text: str) -> list[_Token]:
        if not text.isascii():
            text = _PRIVATE.sub(" ", text)
        own = self._terms.own
        if own is not None:
            text = own.sub(lambda found: _HANDLED_BRAND if found[0][0] in "@#" else BRAND, text)
        out: list[_Token] = []
        fresh = True
        for word in _TOKEN.findall(text):
            if not word or (word == "." and out and out[-1].low in ("vs", "v")):
                continue
            out.append(_Token(word, word.lower().replace("’", "'"), fresh))
            if word[0] not in "@" + _HANDLED_BRAND:  # a post that begins with handles begins after them
                fresh = word in _SENTENCE_ENDS
        return out

    def _name(self, tokens: Sequence[_Token], start: int, headline: bool) -> tuple[Name | None, int]:
        """The name that begins at a token, and where it ends."""
        first = tokens[start]
        if first.text[0] in "@#":
            surface = first.text.lstrip("@#")
            parts = [part.lower() for part in _PARTS.findall(surface)]  # "#WinterWeather" is two words of grammar
            usable = bool(parts) and self._usable([surface.lower()]) and not all(part in _NO_NAMES for part in parts)
            return (Name(surface[:NAME_CHARS], name_key(surface), True) if usable else None), start + 1
        end = _run_end(tokens, start)
        if end == start or not self._is_name(tokens, start, end):
            return self._known_words(tokens, start)
        words = [token.text for token in tokens[start:end]]
        surface = re.sub(r"['’]s$", "", " ".join(words))[:NAME_CHARS]
        key = name_key(surface)
        shown = not first.fresh or end - start > 1 or _INNER_CAPITAL.search(first.text) is not None
        sure = (shown and not headline) or self._known(key)
        return Name(surface, key, sure), end

    def _is_name(self, tokens: Sequence[_Token], start: int, end: int) -> bool:
        words = [re.sub(r"'s$", "", token.low) for token in tokens[start:end]]
        before = tokens[start - 1].low if start else ""
        after = tokens[end].low if end < len(tokens) else ""
        if before in TITLES or after in HEADS or (after and after[0] in "0123456789"):
            return False
        return self._usable(words)

    def _usable(self, words: Sequence[str]) -> bool:
        joined = " ".join(words)
        if len(name_key(joined)) < _KEY_MIN or words[0] in TITLES or not HEADS.isdisjoint((words[0], words[-1])):
            return False
        if words[0] in PEOPLE and len(words) <= _PERSON_WORDS:
            return False
        parts = [part for word in words for part in word.split("-") if part]
        if all(part in _NO_NAMES for part in parts) or joined.replace(" ", "") in CALENDAR:
            return False
        return self._terms.any_term is None or self._terms.any_term.fullmatch(joined) is None

    def _known_words(self, tokens: Sequence[_Token], start: int) -> tuple[Name | None, int]:
        """One or two words, however written, that are a known name."""
        for end in (start + 2, start + 1):
            words = [token.low for token in tokens[start:end]]
            if len(words) < end - start or any(word in _CLAUSE_MARKS or word[0] in "@#" for word in words):
                continue
            key = name_key("".join(words))
            if len(key) >= _STEM_MIN and words[0] not in GRAMMAR and self._known(key) and self._usable(words):
                return Name(" ".join(words), key, True), end
        return None, start + 1


def _capital(token: _Token) -> bool:
    first = token.text[0]
    return first.isupper() or (first.islower() and _INNER_CAPITAL.search(token.text[:3]) is not None)


def _small(token: _Token) -> bool:
    """Written with a capital, but a word of grammar: ends a name, and begins none."""
    return token.low in GRAMMAR and _INNER_CAPITAL.search(token.text) is None


def _run_end(tokens: Sequence[_Token], start: int) -> int:
    """Where the run of capitalised words ends that begins at `start`; at `start` when there is none."""
    end = start
    while end < len(tokens) and end - start < _NAME_WORDS and _capital(tokens[end]):
        following = tokens[end + 1] if end + 1 < len(tokens) else None
        joins = following is not None and _capital(following) and not following.text.isupper()
        if _small(tokens[end]) and not (end == start and joins and _is_initials(tokens[end])):
            break  # a word of grammar, unless it is written as initials: "US Airways"
        end += 1
        if end < len(tokens) and tokens[end].text == "of" and end + 1 < len(tokens) and _capital(tokens[end + 1]):
            end += 1
    return end


def _is_initials(token: _Token) -> bool:
    return len(token.text) > 1 and token.text.isupper()


def _own_product(tokens: Sequence[_Token], start: int) -> int:
    """Where the brand's name ends that begins before `start`: "Acme Pro" is Acme's own."""
    end = start
    while end < len(tokens) and end - start < _NAME_WORDS:
        token = tokens[end]
        if not token.text[0].isupper() or token.fresh or token.low == "i" or token.low.startswith("i'"):
            break
        end += 1
    return end


def _is_headline(tokens: Sequence[_Token]) -> bool:
    words = [token for token in tokens if token.text[0].isalpha() and len(token.text) > 2 and not token.fresh]
    capitals = sum(token.text[0].isupper() for token in words)
    return len(words) >= _HEADLINE_WORDS and capitals > _HEADLINE * len(words)


def _sentences(units: Sequence[str], names: tuple[Name, ...], named: bool) -> list[Sentence]:
    out: list[Sentence] = []
    current: list[str] = []
    for unit in [*units, "\n"]:
        if unit not in _SENTENCE_ENDS:
            current.append(unit)
            continue
        if unit == "?":
            current.append("?")
        if current:
            out.append(Sentence(" ".join(current), names, named))
        current = []
    return out
