"""HTML as a stream of bounded, balanced events, in time linear in its length, whatever the markup.

Parsers that build trees as browsers do are quadratic on hostile pages: 200 kB of `<div>` keep lexbor busy for two
seconds and 2 MB for minutes, libxml2 does the same with attributes, and C code cannot be broken off. So a page is
tokenised here: what is no text of it is dropped; nesting, elements and attributes have bounds. Text is cut into blocks
from these events (`main_text`), and Beautiful Soup gets the few elements that state facts (`outline`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

ELEMENTS_MAX: Final = 30_000
"""Elements kept. News pages have 1,500, the longest articles of encyclopedias 15,000."""
DEPTH_MAX: Final = 150
"""Deepest nesting kept; real pages stay below 60. The text of what is deeper stays, its tags do not."""
_VALUE_MAX: Final = 2_000
"""Characters of an attribute that are kept: room for a long URL or description."""

VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SKIPPED: Final = frozenset(
    "script style noscript template svg math iframe object canvas audio video map select datalist noframes noembed "
    "textarea button xmp".split()
)
"""Elements whose content is no text of the page."""
BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr html head legend li main menu nav ol p pre search section summary "
    "table tbody td tfoot th thead tr ul title".split()
)
_INLINE: Final = frozenset(("a", "time", "address", "cite", "span", "q", "br", "meta", "link", "data"))
"""Inline elements that say something: all others (b, i, font …) are dropped, their text stays."""
_KEPT: Final = BLOCKS | _INLINE
_ATTRIBUTES: Final = frozenset(
    "id class href rel lang datetime content name property itemprop itemtype role hidden aria-hidden style pubdate "
    "http-equiv".split()
)
_CLOSED_BY: Final = {
    "li": frozenset(("li",)),
    "dt": frozenset(("dt", "dd")),
    "dd": frozenset(("dt", "dd")),
    "tr": frozenset(("tr", "td", "th")),
    "td": frozenset(("td", "th")),
    "th": frozenset(("td", "th")),
    "tbody": frozenset(("tbody", "thead", "tfoot", "tr", "td", "th")),
    "a": frozenset(("a",)),
}
"""Opening the left one closes an open one of the right (WHATWG HTML, optional tags), up to the element around both."""
_AROUND: Final = frozenset("ul ol menu dl table body html div article section blockquote".split())
_PARAGRAPH: Final = frozenset(("p",))
_CLOSES_P: Final = BLOCKS - frozenset("html head body td th tr tbody thead tfoot caption title".split())

_MARKUP: Final = re.compile(r"<(?=[A-Za-z/!?])")
_NAME: Final = re.compile(r"[A-Za-z][^\s/>]*+")
_ATTRIBUTE: Final = re.compile(
    r"""[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)"""
    r"""(?:\s*+=\s*+(?:"(?P<d>[^"]*+)"|'(?P<s>[^']*+)'|(?P<u>[^\s>]*+)))?+)"""
)
_HUGE_REFERENCE: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
_LD_JSON: Final = re.compile(r"""type\s*=\s*["']?application/ld\+json""", re.IGNORECASE)
_LD_MAX: Final = 200_000
"""Characters of structured data that are kept."""


class Start(NamedTuple):
    name: str
    attributes: dict[str, str]


class End(NamedTuple):
    name: str


class Text(NamedTuple):
    text: str


Event = Start | End | Text


@dataclass(slots=True)
class Scan:
    """One pass over one page; `structured` and `truncated` are filled in as it goes."""

    source: str
    structured: list[str] = field(default_factory=list)
    """Contents of JSON-LD scripts."""
    truncated: bool = False
    _open: list[str] = field(default_factory=list)
    _elements: int = 0
    _endless: set[str] = field(default_factory=set)
    """Elements known to have no end in the rest of the page: looked for once only."""

    def events(self) -> Iterator[Event]:
        source, at = self.source, 0
        while (found := _MARKUP.search(source, at)) is not None:
            lt = found.start()
            if lt > at:
                yield Text(unescaped(source[at:lt]))
            following = source[lt + 1 : lt + 2]
            if following.isascii() and following.isalpha():
                at = yield from self._start(lt + 1)
            elif following == "/" and _NAME.match(source, lt + 2):
                at = yield from self._end(lt + 2)
            else:
                at = self._after_declaration(lt)
            if at < 0 or self.truncated:
                at = -1
                break
        if 0 <= at < len(source):
            yield Text(unescaped(source[at:]))
        yield from self._close_down_to(0)

    def _after_declaration(self, lt: int) -> int:
        if self.source.startswith("<!--", lt):
            end = self.source.find("-->", lt + 2)  # `<!-->` is a whole comment
            return end + 3 if end >= 0 else -1
        return self.source.find(">", lt) + 1 or -1

    def _start(self, at: int) -> Generator[Event, None, int]:
        found = _NAME.match(self.source, at)
        if found is None:  # the caller has seen a letter here
            raise AssertionError("no tag name")
        name, begin = found[0][:40].lower(), found.end()
        attributes, at = self._attributes(begin)
        if at < 0:
            return -1
        if name in _SKIPPED:
            return self._after_skipped(name, begin, at)
        if name not in _KEPT:
            return at
        if name in VOID:
            if self._counted():
                yield Start(name, attributes)
            return at
        yield from self._implied_ends(name)
        if len(self._open) < DEPTH_MAX and self._counted():
            self._open.append(name)
            yield Start(name, attributes)
        return at

    def _attributes(self, at: int) -> tuple[dict[str, str], int]:
        """Attributes that matter, and the place after the tag; -1 where the page ends within it."""
        out: dict[str, str] = {}
        while (found := _ATTRIBUTE.match(self.source, at)) is not None:
            at = found.end()
            if found["end"]:
                return out, at
            name = found["name"].lower() if len(found["name"]) <= 40 else ""
            if name in _ATTRIBUTES and name not in out:
                value = next((part for part in (found["d"], found["s"], found["u"]) if part is not None), "")
                out[name] = unescaped(value[:_VALUE_MAX])
        return out, -1

    def _after_skipped(self, name: str, begin: int, at: int) -> int:
        """The place after the element's end tag. One that never ends is a tag only; a script takes the rest."""
        end = (
            None if name in self._endless else re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(self.source, at)
        )
        if end is None:
            self._endless.add(name)
            return -1 if name in ("script", "style") else at
        if name == "script" and _LD_JSON.search(self.source, begin, at):
            content = self.source[at : end.start()]
            if sum(map(len, self.structured)) + len(content) <= _LD_MAX:
                self.structured.append(content)
        return self.source.find(">", end.end()) + 1 or -1

    def _end(self, at: int) -> Generator[Event, None, int]:
        found = _NAME.match(self.source, at)
        name = found[0][:40].lower() if found else ""
        after = self.source.find(">", at) + 1 or -1
        if name in ("br", "p") and name not in self._open:
            return after
        # An end tag closes what is open within its element; one of an element that is not open closes nothing.
        if name in self._open:
            place = len(self._open) - 1 - self._open[::-1].index(name)
            if name in BLOCKS or not any(one in BLOCKS for one in self._open[place + 1 :]):
                yield from self._close_down_to(place)
        return after

    def _implied_ends(self, name: str) -> Iterator[Event]:
        if self._open and self._open[-1] == "title":  # a headline has no elements: its end was forgotten
            yield from self._close_down_to(len(self._open) - 1)
        if name != "title" and "head" in self._open[:2]:  # the first element of the body ends the head
            yield from self._close_down_to(self._open.index("head"))
        if name in _CLOSES_P:
            yield from self._close_if_open(_PARAGRAPH)
        if name in _CLOSED_BY:
            yield from self._close_if_open(_CLOSED_BY[name])

    def _close_if_open(self, names: frozenset[str]) -> Iterator[Event]:
        """Close the outermost of `names` that is open inside the nearest container."""
        place = None
        for number in range(len(self._open) - 1, -1, -1):
            if self._open[number] in names:
                place = number
            elif self._open[number] in _AROUND:
                break
        if place is not None:
            yield from self._close_down_to(place)

    def _close_down_to(self, place: int) -> Iterator[Event]:
        while len(self._open) > place:
            yield End(self._open.pop())

    def _counted(self) -> bool:
        if self._elements >= ELEMENTS_MAX:
            self.truncated = True
            return False
        self._elements += 1
        return True


def unescaped(text: str) -> str:
    """Character references resolved. Absurdly long ones first: Python refuses numbers of thousands of digits."""
    if "&" not in text:
        return text
    return html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
