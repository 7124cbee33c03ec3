"""What a page is about: its main text without navigation, advertisements and the like. Pure; blocks for milliseconds.

A page is cut into blocks (a paragraph, a heading, a cell …). A block is good when it is long and little of it is links.
The main part is the deepest element that holds most of the good text outside of what the page itself marks as
something else (elements, roles, class names). Comments count only where there is little beside them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from .markup import BLOCKS, VOID, Event, Start, Text

# The figures below were chosen on the pages under tests/web_pages, which a test holds to their figures.
_GOOD_CHARS: Final = 40
"""A block with so many characters that are no link is text; shorter ones are labels."""
_GOOD_LINKED: Final = 0.33
"""Largest share of links in a good block."""
_LISTED: Final = 0.6
"""From this share of links a block within the main part is a list of links, and left out."""
_MOST: Final = 0.8
"""Share of the good text that makes an element the main part; less would lose the end of articles in two columns."""
_MOST_DECLARED: Final = 0.4
"""The same for an element that says of itself that it is the main part."""
_LITTLE: Final = 200
"""Characters of good text below which a page is taken to be its comments, or to be named oddly."""
_LABEL_CHARS: Final = 30
"""Longest text of a `div` without a sentence's end that is taken for a label ("Share this", "Advertisement")."""

_NOISE_TAGS: Final = frozenset("nav aside footer dialog menu search head title".split())
_NOISE_ROLES: Final = frozenset(
    "navigation banner contentinfo complementary search dialog alertdialog menu menubar toolbar".split()
)
_NOISE_WORDS: Final = frozenset(
    "nav navbar navigation menu breadcrumb breadcrumbs footer sidebar widget widgets ad ads advert advertisement "
    "advertising sponsor sponsored promo promotion banner share sharing social newsletter subscribe signup related "
    "recommended recommendations popular trending pagination pager popup overlay login toolbar taglist skip masthead "
    "paywall legal copyright".split()
)
_CONSENT_WORDS: Final = frozenset("cookie cookies cookiebar consent gdpr ccpa onetrust didomi".split())
_COMMENT_WORDS: Final = frozenset("comment comments commentlist disqus respond".split())
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s+")
_WIDE: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Scripts that need a third of the characters for the same: Thai, Lao, Japanese, Chinese, Korean."""
_SENTENCE_END: Final = (".", "!", "?", "…", ":", "。", "！", "？", "”", '"', "।", "؟")
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_OWN_LINE: Final = (
    frozenset(("li", "td", "th", "dt", "dd", "p", "pre", "blockquote", "figcaption", "caption")) | _HEADINGS
)


_CELLS: Final = frozenset(("td", "th", "dd"))
"""Short by nature: without links they are half as good as text, or a page that is a table would be its caption."""


class Noise(IntEnum):
    NONE = 0
    COMMENT = 1
    NAMED = 2
    """By its class or id only."""
    MARKED = 3
    """By element, role, or because it is not shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """An element around text. Two are equal only when they are one."""

    name: str
    attributes: Mapping[str, str]
    noise: Noise
    """Of itself and of all around it."""
    in_link: bool
    in_main: bool


@dataclass(slots=True)
class Block:
    tag: str
    within: tuple[Element, ...]
    """Elements around it, outermost first, itself last."""
    noise: Noise
    parts: list[str] = field(default_factory=list)
    linked: int = 0
    """Size of what is inside of links."""
    text: str = ""
    size: int = 0

    @property
    def weight(self) -> int:
        """Characters, in those of an alphabet, as far as this is good text."""
        own = self.size - self.linked
        if self.tag in _CELLS and own < _GOOD_CHARS:
            return 0 if self.linked else self.size // 2
        return self.size if own >= _GOOD_CHARS and self.linked <= _GOOD_LINKED * self.size else 0


def main_text(blocks: Sequence[Block]) -> str:
    """Paragraphs parted by blank lines, items and rows of one list or table by line ends; empty where there is none."""
    for level in (Noise.NONE, Noise.COMMENT, Noise.NAMED):
        shown = [block for block in blocks if block.noise <= level]
        if sum(block.weight for block in shown) >= _LITTLE or level is Noise.NAMED:
            text = _assembled(_chosen(shown))
            if text:
                return text
    shown = [block for block in blocks if block.noise <= Noise.NAMED]
    return _assembled([block for block in shown if block.linked <= _LISTED * block.size])


class Blocks:
    """Takes a page's events one by one; its blocks are in the order of the page. No tree: only what is open is kept."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._root = Element("body", {}, Noise.NONE, in_link=False, in_main=False)
        self._stack = [self._root]
        self._path = [self._root]
        self._current: Block | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Text):
            self._text(event.text)
        elif isinstance(event, Start):
            self._start(event)
        else:
            self._end()

    def _start(self, event: Start) -> None:
        if event.name in VOID:
            if event.name in ("br", "hr"):
                self._text(" ")
            return
        around = self._stack[-1]
        element = Element(
            event.name,
            event.attributes,
            max(around.noise, _noise(event.name, event.attributes, in_main=around.in_main)),
            in_link=around.in_link or event.name == "a",
            in_main=around.in_main or event.name in ("main", "article"),
        )
        self._stack.append(element)
        if event.name in BLOCKS:
            self.flush()
            self._path.append(element)

    def _end(self) -> None:
        element = self._stack.pop()
        if element.name in BLOCKS:
            self.flush()
            self._path.pop()

    def _text(self, text: str) -> None:
        within = self._stack[-1]
        if self._current is not None and self._current.noise != within.noise:
            self.flush()
        if self._current is None:
            if not text or text.isspace():
                return
            self._current = Block(self._path[-1].name, tuple(self._path), within.noise)
        self._current.parts.append(text)
        if within.in_link:
            self._current.linked += _size(_SPACE.sub(" ", text))

    def flush(self) -> None:
        """End the block that is under way."""
        block, self._current = self._current, None
        if block is None:
            return
        raw = "".join(block.parts)
        block.parts.clear()
        block.text = raw.strip("\n").rstrip() if block.tag == "pre" else _SPACE.sub(" ", raw).strip()
        block.size = _size(block.text)
        if block.text:
            self.blocks.append(block)


def _size(text: str) -> int:
    """Length in characters of an alphabet."""
    return len(text) if text.isascii() else len(text) + 2 * len(_WIDE.findall(text))


def _noise(name: str, attributes: Mapping[str, str], *, in_main: bool) -> Noise:
    if name in _NOISE_TAGS or (name == "header" and not in_main):
        return Noise.MARKED
    if not attributes:
        return Noise.NONE
    if "hidden" in attributes or attributes.get("aria-hidden", "").lower() == "true":
        return Noise.MARKED
    if attributes.get("role", "") in _NOISE_ROLES or _HIDDEN.search(attributes.get("style", "")):
        return Noise.MARKED
    if name in ("html", "body", "main", "article"):  # their classes speak of the whole page
        return Noise.NONE
    words = {word.lower() for word in _WORDS.findall(f"{attributes.get('class', '')} {attributes.get('id', '')}")}
    if words & _CONSENT_WORDS:
        return Noise.MARKED
    if words & _NOISE_WORDS:
        return Noise.NAMED
    return Noise.COMMENT if words & _COMMENT_WORDS else Noise.NONE


def _chosen(blocks: Sequence[Block]) -> list[Block]:
    """Blocks of the main part."""
    weights: defaultdict[int, int] = defaultdict(int)
    elements: dict[int, Element] = {}
    depths: dict[int, int] = {}
    total = 0
    for block in blocks:
        weight = block.weight
        if not weight:
            continue
        total += weight
        for depth, tag in enumerate(block.within):
            key = id(tag)
            weights[key] += weight
            elements[key], depths[key] = tag, depth
    if not total:
        return []
    main = [key for key, weight in weights.items() if weight >= _MOST * total]
    declared = [key for key, weight in weights.items() if weight >= _MOST_DECLARED * total and _declares(elements[key])]
    root = elements[max(declared or main, key=depths.__getitem__)]
    inside = [block for block in blocks if any(tag is root for tag in block.within)]
    return [block for block in inside if not _left_out(block)]


def _declares(tag: Element) -> bool:
    return (
        tag.name in ("main", "article")
        or tag.attributes.get("role") in ("main", "article")
        or "articleBody" in tag.attributes.get("itemprop", "")
    )


def _left_out(block: Block) -> bool:
    """Lists of links, and labels."""
    if block.tag in _HEADINGS:
        return False
    if block.linked > _LISTED * block.size:
        return block.tag != "p" or len(block.text) < 2 * _GOOD_CHARS
    short = len(block.text) <= _LABEL_CHARS and not block.text.endswith(_SENTENCE_END)
    return short and block.tag not in _OWN_LINE


def _assembled(blocks: Sequence[Block]) -> str:
    while blocks and blocks[-1].tag in _HEADINGS:  # the heading of a part that was left out
        blocks = blocks[:-1]
    return "".join(_pieces(blocks)).strip()


def _pieces(blocks: Sequence[Block]) -> Iterator[str]:
    before: Block | None = None
    for block in blocks:
        if before is not None:
            yield _between(before, block)
        yield block.text
        before = block


def _between(left: Block, right: Block) -> str:
    if left.tag in ("td", "th") and right.tag in ("td", "th"):
        if left.within[-2:-1] == right.within[-2:-1] and left.within[-2] is right.within[-2]:
            return " | "
        return "\n"
    both_items = left.tag == right.tag == "li" or {left.tag, right.tag} <= {"dt", "dd"}
    return "\n" if both_items else "\n\n"
