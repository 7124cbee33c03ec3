"""RSS 0.9x to 2.0, RSS 1.0 and Atom as hits. Pure.

Read by expat, which fetches nothing; a feed that declares entities of its own is refused before one is expanded, as
none needs them (billion laughs, external entities). Whatever the feed, work is linear in `_BODY_MAX` bytes.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final
from urllib.parse import urljoin
from xml.parsers import expat

from ..times import parse_time
from .web_hits import HITS_MAX, Hit, Unreadable, hit

_BODY_MAX: Final = 2 * 2**20
"""Bytes read of a feed; a hundred entries with their whole articles take about one MB."""
_ELEMENTS_MAX: Final = 100_000
"""Elements until the hits are together: a hundred entries have a few thousand, articles as XHTML included."""
_FIELD_MAX: Final = 20_000
_ROOTS: Final = frozenset({"rss", "feed", "rdf:RDF", "RDF", "channel"})
_ENTRIES: Final = frozenset({"item", "entry"})
_FIELDS: Final = frozenset(
    "title link guid id description summary content content:encoded pubDate published updated dc:date source".split()
)
_TIMES: Final = ("pubDate", "published", "dc:date", "updated")
_TEXTS: Final = ("description", "summary", "content:encoded", "content")
# Charsets of feeds; others, and codecs that are none, are not looked up.
_CHARSET: Final = re.compile(
    r"utf-?(?:8|16(?:le|be)?)|us-ascii|iso-8859-\d{1,2}|latin-?1|windows-125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)"
    r"|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})["']""")
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_XML_NAMES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
# One that never closes reaches to the end, or each of them would be searched for its end.
_CDATA: Final = re.compile(r"(<!\[CDATA\[.*?(?:\]\]>|\Z))", re.DOTALL)
_REFERENCE: Final = re.compile(r"&(?:#\d{1,7};|#x[0-9a-fA-F]{1,6};|([A-Za-z][A-Za-z0-9]{1,31});)?")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def read_feed(body: bytes, *, charset: str | None = None, url: str = "") -> list[Hit]:
    """The entries of a feed, in its order.

    Args:
        charset: as the header names it; a byte order mark wins over it, it wins over the declaration (RFC 7303).
        url: of the feed, for links that are relative to it.

    Raises:
        Unreadable: no feed, no XML from the first entry on, or one that declares entities.
    """
    text = _decoded(body[:_BODY_MAX], charset)
    reader = _Reader(url)
    problem = reader.read(text)
    if problem is not None:
        # Bare ampersands and entities of HTML are what most broken feeds are broken by. Only then is it mended.
        mended = _Reader(url)
        if mended.read(_mended(text)) is None or len(mended.hits) > len(reader.hits):
            return mended.hits
        if not reader.hits:
            raise Unreadable(problem)
    return reader.hits


def _decoded(body: bytes, charset: str | None) -> str:
    bom = next((name for mark, name in _BOMS if body.startswith(mark)), None)
    declared = _DECLARED.match(body)
    for name in (bom, charset, declared[1].decode() if declared else None, "utf-8"):
        if name is None or not (name == bom or _CHARSET.fullmatch(name)):
            continue
        try:
            return _NOT_XML.sub("", body.decode(name))
        except (UnicodeDecodeError, LookupError):
            continue
    return _NOT_XML.sub("", body.decode("utf-8", "replace"))  # cut inside a character, or bytes that nothing explains


def _mended(text: str) -> str:
    parts = _CDATA.split(text)
    parts[::2] = [_REFERENCE.sub(_reference, part) for part in parts[::2]]
    return "".join(parts)


def _reference(found: re.Match[str]) -> str:
    name = found[1]
    if name is None:
        return found[0] if len(found[0]) > 1 else "&amp;"
    if name in _XML_NAMES:
        return found[0]
    known = html.unescape(found[0])
    return f"&amp;{name};" if known == found[0] else known


class _Enough(Exception):
    """There are hits enough."""


class _Reader:
    """One pass over a feed. Fields are taken from the children of an entry only, not from what lies deeper."""

    def __init__(self, url: str) -> None:
        self.hits: list[Hit] = []
        self._url = url
        self._depth = 0
        self._elements = 0
        self._entry_depth: int | None = None
        self._field: str | None = None
        self._inside = ""
        """Name of the element that is open."""
        self._fields: dict[str, list[str]] = {}
        self._room: dict[str, int] = {}

    def read(self, text: str) -> str | None:
        """Read as far as it goes; what stopped it, None when nothing did."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        parser.SkippedEntityHandler = lambda name, _: self._text(html.unescape(f"&{name};"))
        try:
            parser.Parse(text, True)
        except _Enough:
            return None
        except expat.ExpatError as error:
            return f"is no well-formed XML ({expat.ErrorString(error.code)}, line {error.lineno})"
        return None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.removeprefix("atom:")
        self._elements += 1
        if self._depth == 0 and name not in _ROOTS:
            raise Unreadable("is no RSS or Atom feed")
        if self._elements > _ELEMENTS_MAX:
            raise Unreadable(f"has over {_ELEMENTS_MAX:,} elements in {len(self.hits)} entries")
        self._depth += 1
        self._inside = name
        if self._entry_depth is None:
            if name in _ENTRIES:
                self._entry_depth, self._fields, self._room = self._depth, {}, {}
        elif self._depth == self._entry_depth + 1:
            self._field = name if name in _FIELDS else None
            self._take_attributes(name, attributes)

    def _take_attributes(self, name: str, attributes: dict[str, str]) -> None:
        if name == "link" and "href" in attributes and attributes.get("rel", "alternate") == "alternate":
            self._fields.setdefault("href", [attributes["href"]])
        if name == "guid" and attributes.get("isPermaLink", "true").lower() != "true":
            self._field = None
        if name in self._fields:  # the first of several counts
            self._field = None

    def _text(self, data: str) -> None:
        name = self._field
        if name is None or self._entry_depth is None:
            return
        # An Atom entry's source is a feed of its own: of it the title is wanted.
        if name == "source" and self._depth > self._entry_depth + 1 and self._inside != "title":
            return
        room = self._room.get(name, _FIELD_MAX)
        if room > 0:
            self._fields.setdefault(name, []).append(data[:room])
            self._room[name] = room - len(data)

    def _end(self, name: str) -> None:
        if self._entry_depth == self._depth:
            self._entry_depth = None
            found = self._hit()
            if found is not None:
                self.hits.append(found)
                if len(self.hits) == HITS_MAX:
                    raise _Enough
        elif self._entry_depth is not None and self._depth == self._entry_depth + 1:
            self._field = None
        self._depth -= 1
        self._inside = ""

    def _hit(self) -> Hit | None:
        """The entry as a hit; None when it links to no page."""
        texts = {name: "".join(parts).strip() for name, parts in self._fields.items()}
        link = next((texts[name] for name in ("link", "href", "guid", "id") if texts.get(name)), None)
        if link is None:
            return None
        try:
            absolute = urljoin(self._url, link)
        except ValueError:
            return None
        times = (parse_time(texts[name]) for name in _TIMES if texts.get(name))
        return hit(
            absolute,
            title=texts.get("title"),
            snippet=next((texts[name] for name in _TEXTS if texts.get(name)), None),
            published_at=next((when for when in times if when is not None), None),
            source_name=texts.get("source"),
        )


def _refuse(*_: Any) -> int:
    raise Unreadable("declares entities of its own, which no feed needs")
