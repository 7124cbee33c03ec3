"""One pass over a page: blocks of text, and a small tree of Beautiful Soup's with the elements that state facts.

The whole page as a tree would be 2 kB per element in cycles: collecting the garbage of one large page stops every
thread for a tenth of a second. Titles, dates and authors stand in a few dozen elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from .main_text import Block, Blocks
from .markup import VOID, End, Event, Scan, Start, Text

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

_FACTUAL: Final = frozenset("html head title meta link h1 time article main".split())
_TOLD: Final = frozenset(("title", "h1", "time"))
_ELEMENTS_MAX: Final = 2_000
"""Elements of the small tree; heads of real pages have two hundred."""


@dataclass(frozen=True, slots=True)
class Document:
    soup: BeautifulSoup
    """Elements that state facts, and their text; nothing else of the page."""
    blocks: list[Block]
    structured: tuple[str, ...]
    """Contents of JSON-LD scripts."""
    truncated: bool
    """The page has more elements than are looked at."""


def parse(html: str) -> Document:
    """Linear in the length of the page. Blocks: call it in a thread."""
    from bs4 import BeautifulSoup

    scan, blocks, outline = Scan(html), Blocks(), _Outline()
    for event in scan.events():
        blocks.take(event)
        outline.take(event)
    blocks.flush()
    soup = BeautifulSoup(StringIO(""), builder=_builder_class()(outline.events))
    return Document(soup, blocks.blocks, tuple(scan.structured), scan.truncated)


class _Outline:
    """Keeps the events of elements that state facts."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._kept: list[bool] = []
        """For every open element, whether it is kept."""
        self._telling: list[bool] = []
        """For every open element, whether text within it is."""
        self._count = 0

    def take(self, event: Event) -> None:
        if isinstance(event, Text):
            if self._telling and self._telling[-1]:
                self.events.append(event)
        elif isinstance(event, Start):
            self._start(event)
        else:
            self._telling.pop()
            if self._kept.pop():
                self.events.append(event)

    def _start(self, event: Start) -> None:
        tells = event.name in _TOLD or "itemprop" in event.attributes or "author" in event.attributes.get("rel", "")
        keep = (event.name in _FACTUAL or tells) and self._count < _ELEMENTS_MAX
        if keep:
            self._count += 1
            self.events.append(event)
        if event.name in VOID:
            if keep:
                self.events.append(End(event.name))
            return
        # What is told by `itemprop` is a line, not the whole of an article.
        line = tells and event.attributes.get("itemprop") != "articleBody"
        self._kept.append(keep)
        self._telling.append((keep and line) or bool(self._telling and self._telling[-1]))


@cache
def _builder_class() -> Any:
    """A class made on first use: its base comes with Beautiful Soup, which takes 60 ms to import."""
    from bs4.builder import TreeBuilder

    class EventTreeBuilder(TreeBuilder):
        """Hands events to the soup as a parser would."""

        NAME = "events"
        is_xml = False
        empty_element_tags = set(VOID)  # noqa: RUF012 - an attribute of the base class

        def __init__(self, events: list[Event]) -> None:
            super().__init__(multi_valued_attributes={})
            self._events = events

        def feed(self, markup: Any) -> None:
            soup = self.soup
            if soup is None:
                raise RuntimeError("a tree builder is fed by its soup")
            for event in self._events:
                if isinstance(event, Start):
                    soup.handle_starttag(event.name, None, None, dict(event.attributes))
                elif isinstance(event, End):
                    soup.handle_endtag(event.name)
                else:
                    soup.handle_data(event.text)

    return EventTreeBuilder
