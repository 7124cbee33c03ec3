"""What two copies of a post are compared by, and the rule that says whether they are copies. Pure.

A post is a row of 32-bit numbers, one per token of its canonical form: 29 bits of a hash of the token, and in the low
three bits what kind of token it is. The row is all that the comparison needs, so it is also what replicas share.

Similarity alone merges what must stay apart: at a word Jaccard of .7 and more, 2.4 % of true non-paraphrases. Posts of
one template differ in a flight number, a price, a day, a "not". Those tokens must be the same in both.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

MIN_WORDS: Final = 4
"""Below this nothing is merged but equal texts: of three words every one decides ("acme is good", "acme is bad")."""
MIN_JACCARD: Final = 0.7
"""Shared words / all words. Of true non-paraphrases .6 merges 13 %, .7 2.4 %, before any other guard."""
CUT_MIN_WORDS: Final = 6
"""So many equal words at an end of two posts are no coincidence; "thank you so much for" is five."""
_ADDED_MIN_SHARE: Final = 0.6
"""A post that stands word by word inside another is a copy with something added, when it is most of it."""
_MEMO_MAX: Final = 16_384
"""Tokens remembered, 3 MB at worst; then the memo begins anew, which is cheap against the misses that filled it."""
_TOKEN_MAX: Final = 64
"""Characters of a token that is remembered; longer ones are noise and would fill the memo."""


class Kind(IntEnum):
    """What a token is to the comparison; three bits."""

    WORD = 0
    FAVOURABLE = 1
    UNFAVOURABLE = 2
    NEGATION = 3
    FIGURE = 4
    SYMBOL = 5
    LABEL = 6
    """A date in words, a name with a number in it."""


_KIND_BITS: Final = 0b111
_NEGATIONS: Final = frozenset(
    "no not never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt isnt arent wasnt "
    "werent wont wouldnt couldnt shouldnt hasnt havent hadnt aint hardly barely stop stopped".split()
)
_CALENDAR: Final = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
    "million billion first second third fourth fifth sixth last half double twice "
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun "
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "today tomorrow yesterday tonight".split()
)
"""Numbers and dates written as words: two posts may not differ in one of each (one may have one more, "#monday")."""
_NAME_WITH_NUMBER: Final = re.compile(r"[^\W\d]{4,}\d\w*$")
"""A handle or a product, "travelfan88" and "iphone6": a copy may add a handle, so it is no figure such as "ua1234"."""
_FAVOURABLE: Final = frozenset(
    "good great better best love loved loves like liked likes nice amazing awesome excellent perfect wonderful "
    "fantastic happy glad fast faster quick easy easier cheap cheaper helpful friendly works working worked fixed "
    "resolved reliable safe win wins won winning up rise rises rose risen gain gains gained higher more increase "
    "increased increases buy buys bought open opened opens on in before above over start started starts success "
    "successful yes true right correct always available profit improve improved improves recommend pass passed "
    "accept accepted agree approve approved support supports supported enable enabled hot new arrive arrived".split()
)
_UNFAVOURABLE: Final = frozenset(
    "bad terrible worse worst hate hated hates dislike disliked awful horrible poor broken useless sad angry annoyed "
    "slow slower difficult hard harder expensive rude unhelpful fails failing failed broke crashes crashing crashed "
    "unresolved unreliable unsafe lose loses lost losing down fall falls fell fallen drop drops dropped lower less "
    "fewer decrease decreased decreases sell sells sold close closed closes off out after below under end ended ends "
    "failure unsuccessful wrong incorrect false unavailable loss worsen worsened avoid fail reject rejected disagree "
    "deny denied oppose opposes opposed disable disabled cold old depart departed disappointing disappointed".split()
)
"""Words of two opposite poles, opinions and directions: two posts that differ in one of each say opposite things."""


class _Memo(dict[str, int]):
    """Token → its number. A token is looked at once, as long as there is room."""

    def __missing__(self, token: str) -> int:
        digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        number = int.from_bytes(digest, "little") & ~_KIND_BITS | _kind(token)
        if len(token) <= _TOKEN_MAX:
            if len(self) >= _MEMO_MAX:
                self.clear()
            self[token] = number
        return number


def _kind(token: str) -> Kind:
    if not (token[0].isalnum() or token[0] == "_"):
        return Kind.SYMBOL
    if any(character.isdigit() for character in token):
        return Kind.LABEL if _NAME_WITH_NUMBER.match(token) else Kind.FIGURE
    if token in _CALENDAR:
        return Kind.LABEL
    if token in _NEGATIONS or token.endswith("n't"):
        return Kind.NEGATION
    if token in _FAVOURABLE:
        return Kind.FAVOURABLE
    return Kind.UNFAVOURABLE if token in _UNFAVOURABLE else Kind.WORD


_memo: Final = _Memo()
_NO_SYMBOLS: Final[frozenset[int]] = frozenset()


class Features(NamedTuple):
    """A post as its tokens' numbers; made by `features` or `unpacked`. A named tuple, because every post gets one."""

    row: tuple[int, ...]
    """Words in their order, symbols left out."""
    distinct: int
    """Different words of the row. The set itself would be two thirds of what a remembered post takes."""
    symbols: frozenset[int]
    cut: bool
    """The post ends in dots: what follows may have been cut off."""

    def packed(self) -> bytes:
        """Four bytes per token, little-endian, symbols first; the first byte says whether the post is cut off."""
        numbers = array("I", (*sorted(self.symbols), *self.row))
        return bytes([self.cut]) + _little(numbers)


def features(canonical_text: str, *, cut: bool = False) -> Features:
    """Of a canonical text (`pipeline.canonical`); `cut`: its original ends in dots."""
    row = tuple(map(_memo.__getitem__, canonical_text.split()))
    # What is letters and digits only has no symbols: nine posts in ten need not be looked through.
    if canonical_text.replace(" ", "").isalnum():
        return Features(row, len(set(row)), _NO_SYMBOLS, cut)
    return _built(row, cut)


def unpacked(packed: bytes) -> Features:
    """The inverse of `Features.packed`.

    Raises:
        ValueError: not of that form.
    """
    if len(packed) % 4 != 1:
        raise ValueError("not the packed features of a post")
    numbers = array("I")
    numbers.frombytes(packed[1:])
    return _built(list(array("I", _little(numbers))), bool(packed[0]))


def same_post(one: Features, other: Features) -> bool:
    """Whether two posts are copies of one another: shared words, and nothing that decides differs."""
    few, many = (one, other) if len(one.row) <= len(other.row) else (other, one)
    if min(one.distinct, other.distinct) < MIN_WORDS:
        return few.row == many.row and few.symbols == many.symbols
    if few.symbols and many.symbols and few.symbols.isdisjoint(many.symbols):
        return False
    if (few.cut and _begins(few.row, many.row)) or (many.cut and _begins(many.row, few.row)):
        return True
    shared = len(set(few.row).intersection(many.row))
    if shared >= MIN_JACCARD * (few.distinct + many.distinct - shared):
        return _agree(few, many)
    return shared == few.distinct and _stands_at_an_end(few.row, many.row) and _agree(few, many)


def _built(numbers: Sequence[int], cut: bool) -> Features:
    row = tuple([number for number in numbers if number & _KIND_BITS != Kind.SYMBOL])
    symbols = frozenset(numbers).difference(row) if len(row) < len(numbers) else _NO_SYMBOLS
    return Features(row, len(set(row)), symbols, cut)


def _little(numbers: array[int]) -> bytes:
    if array("H", [1]).tobytes() == b"\x00\x01":
        numbers.byteswap()
    return numbers.tobytes()


def _begins(cut: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a post that was cut off is the beginning of the other; its last word may be half a word."""
    length = len(cut) - 1
    return length >= CUT_MIN_WORDS and cut[:length] == whole[:length]


def _stands_at_an_end(few: tuple[int, ...], many: tuple[int, ...]) -> bool:
    enough = len(few) >= max(CUT_MIN_WORDS, _ADDED_MIN_SHARE * len(many))
    return enough and (many[: len(few)] == few or many[-len(few) :] == few)


def _agree(one: Features, other: Features) -> bool:
    """No figure and no negation in one that the other lacks, no two labels, no two words of opposite poles."""
    only_one, only_other = set(one.row).difference(other.row), set(other.row).difference(one.row)
    kinds_one = {number & _KIND_BITS for number in only_one}
    kinds_other = {number & _KIND_BITS for number in only_other}
    kinds = kinds_one | kinds_other
    if Kind.FIGURE in kinds or Kind.NEGATION in kinds:
        return False
    if Kind.LABEL in kinds_one and Kind.LABEL in kinds_other:
        return False
    if Kind.FAVOURABLE in kinds_one and Kind.UNFAVOURABLE in kinds_other:
        return False
    if Kind.UNFAVOURABLE in kinds_one and Kind.FAVOURABLE in kinds_other:
        return False
    return _deciding(one.row) == _deciding(other.row)


def _deciding(row: tuple[int, ...]) -> list[int]:
    """Figures and negations in their order: "from 3 to 5" is not "from 5 to 3"."""
    return [number for number in row if number & _KIND_BITS in (Kind.FIGURE, Kind.NEGATION)]
