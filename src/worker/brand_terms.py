"""What names a brand in a text: name or slug, aliases, keywords, as whole words however spaced, joined or cased."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

_CERTAIN_LETTERS: Final = 3
"""From so many letters on a name is known without the marks around it ("Yahoo!"); shorter ones ("C++") need them."""

_DASHES: Final = "\\-‐‑‒–"
"""Inside of a character class: keyboards and typesetters write the hyphen of a name in several ways."""

# Scripts written without spaces: there, a word boundary cannot be seen, so none is asked for.
_SPACELESS: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class BrandTerms:
    """What names a brand: `own` finds its name and aliases, `any_term` the keywords too; None has nothing to find."""

    own: re.Pattern[str] | None
    any_term: re.Pattern[str] | None

    @classmethod
    def build(cls, brand: str, aliases: Iterable[str] = (), keywords: Iterable[str] = ()) -> BrandTerms:
        """`brand` is a display name or a slug: "acme-corp" finds "Acme Corp", "@acmecorp" and "#AcmeCorp"."""
        names = (brand, *aliases)
        return cls(_pattern(names), _pattern((*names, *keywords)))

    def names(self, text: str) -> bool:
        """Whether the text names the brand or holds one of its keywords."""
        if self.any_term is None:
            return False
        return bool(self.any_term.search(text) or (not text.isascii() and self.any_term.search(_folded(text))))

    def mask(self, text: str, sign: str) -> str:
        """The text with every name or alias of the brand (with its @ or #) replaced by `sign`; keywords stay."""
        return text if self.own is None else self.own.sub(sign, text)


def _folded(text: str) -> str:
    """One spelling of compatible characters and of case: full-width letters, ligatures, ß and ss."""
    return unicodedata.normalize("NFKC", text).casefold()


def _pattern(terms: Iterable[str]) -> re.Pattern[str] | None:
    """Any of the terms, longest first: literals and joints of at most two characters, so linear in the text."""
    spellings = {spelling for term in terms for spelling in _spellings(term)}
    if not spellings:
        return None
    return re.compile("|".join(sorted(spellings, key=lambda spelling: (-len(spelling), spelling))), re.IGNORECASE)


def _spellings(term: str) -> list[str]:
    """The expressions of one term: as written, and as a handle or hashtag joins it ("AT&T", "#ATT")."""
    folded = _folded(term).replace("_", " ").strip().lstrip("@#").strip()
    letters = "".join(character for character in folded if _is_letter(character))
    if not letters:
        return []
    while len(letters) >= _CERTAIN_LETTERS and not _is_letter(folded[-1]):
        folded = folded[:-1]
    while len(letters) >= _CERTAIN_LETTERS and not _is_letter(folded[0]):
        folded = folded[1:]
    spellings = [_bounded("[@#]?" + "".join(map(_part, _parts(folded))), folded[0], folded[-1])]
    if re.search(r"[^\s-]", "".join(character for character in folded if not _is_letter(character))):
        spellings.append(_bounded("[@#]" + re.escape(letters), "@", letters[-1]))
    return spellings


def _parts(folded: str) -> list[str]:
    """The term cut into joints (spaces, hyphens), other marks, and runs of letters."""
    return re.findall(rf"[\s{_DASHES}]+|[{_letters()}]+|.", folded)


def _part(part: str) -> str:
    """What may be left out gives nothing back: a brand of fifteen apostrophes took a second, one of thirty a day."""
    if re.match(rf"[\s{_DASHES}]", part):
        return rf"[\s_{_DASHES}]{{0,2}}+"
    if part in "'’":
        return "['’]?+"
    if part == "&":
        return r"\s?+(?:&|&amp;)\s?+"
    return re.escape(part)


def _bounded(expression: str, first: str, last: str) -> str:
    """The expression between boundaries, where the script has any. A combining mark belongs to the word before it."""
    before = "" if _SPACELESS.match(first) else rf"(?<![{_letters()}])"
    after = "" if _SPACELESS.match(last) else rf"(?![{_letters()}])"
    return before + expression + after


def _is_letter(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


@cache
def _letters() -> str:
    """The inside of a character class: `\\w`, and the combining marks that it lacks, which cuts Hindi words apart."""
    marks = [code for code in range(0x300, 0xFFFF) if unicodedata.category(chr(code)).startswith("M")]
    starts = [code for code in marks if unicodedata.category(chr(code - 1))[0] != "M"]
    ends = [code for code in marks if unicodedata.category(chr(code + 1))[0] != "M"]
    return r"\w" + "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
