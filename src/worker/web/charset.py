"""From bytes to text: byte order mark, header, the page's own word, UTF-8 where it fits, and only then a guess.

Beautiful Soup's detection reads declarations and guesses; which codecs may be used at all is decided here: Python has
some (`unicode_escape`, `punycode`) that no page may name.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_HEAD: Final = 64 * 1024
"""Bytes that a guess looks at: it takes a tenth of a second for them."""
_DECLARED_WITHIN: Final = 4096
"""Browsers look for a meta charset in 1,024 bytes; pages with long heads put it later."""
_DAMAGE: Final = 0.01
"""Share of unreadable characters from which a text is no text."""
_NULS: Final = 0.001
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,39}")
_ALLOWED: Final = frozenset(
    (
        *("utf-8", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "mac-cyrillic", "mac-roman"),
        *("gb18030", "big5hkscs", "euc_jp", "iso2022_jp", "shift_jis", "cp932", "euc_kr", "cp949", "cp866", "cp874"),
        *(f"cp125{number}" for number in range(9)),
        *(f"iso8859-{number}" for number in range(2, 17) if number != 12),
    )
)
"""The encodings of the WHATWG standard, by Python's names."""
_WIDER: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
    "utf-8-sig": "utf-8",
}
"""What browsers read when a page names the left one: its superset."""
_ALIASES: Final = {"windows-874": "cp874", "dos-874": "cp874", "x-big5": "big5"}
"""Labels of the standard that Python does not know; others it knows without their `x-`."""
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Undecodable(Exception):
    """The bytes are no text."""


def decode(body: bytes, header: str | None, *, markup: bool = True) -> str:
    """The text of a body.

    Args:
        header: the charset of Content-Type, None when it names none.
        markup: look for a declaration in the page.

    Raises:
        Undecodable: mostly unreadable under every candidate, or binary.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return _clean(_read(body[len(mark) :], encoding, "replace"))
    named = _codec(header)
    declared = _declared(body) if markup else None
    multibyte = [one for one in (named, declared) if one is not None and not _single_byte(one)]
    single = [one for one in (named, declared) if one is not None and _single_byte(one)]
    # A single-byte charset reads anything. Bytes that are UTF-8 throughout are UTF-8, whatever a header says.
    for encoding in (*multibyte, "utf-8", *single):
        try:
            return _clean(_read(body, encoding, "strict"))
        except UnicodeDecodeError:
            continue
    first = named or declared or _guess(body) or "utf-8"
    return _clean(_read(body, first, "replace"))


def _read(body: bytes, encoding: str, errors: str) -> str:
    """Decode; a character that was cut at the end is left out."""
    return codecs.getincrementaldecoder(encoding)(errors).decode(body, final=False)


def _clean(text: str) -> str:
    size = max(len(text), 1)
    if text.count("\ufffd") / size > _DAMAGE or text.count("\0") / size > _NULS:
        raise Undecodable
    return text.replace("\0", "")


def _codec(label: str | None) -> str | None:
    """Python's name of a charset that pages may use; None for everything else."""
    label = (label or "").strip().lower()
    if not _LABEL.fullmatch(label):
        return None
    label = label.removeprefix("x-")
    try:
        name = codecs.lookup(_ALIASES.get(label, label)).name
    except LookupError:
        return None
    name = _WIDER.get(name, name)
    return name if name in _ALLOWED else None


def _single_byte(encoding: str) -> bool:
    return encoding.startswith(("cp125", "iso8859", "koi8", "mac", "cp8"))


def _declared(body: bytes) -> str | None:
    from bs4.dammit import EncodingDetector

    found = _codec(EncodingDetector.find_declared_encoding(body[:_DECLARED_WITHIN], is_html=True))
    # Whoever could read the declaration as ASCII was not reading UTF-16 (WHATWG HTML, 13.2.3.2).
    return "utf-8" if found in ("utf-16-le", "utf-16-be") else found


def _guess(body: bytes) -> str | None:
    from bs4.dammit import UnicodeDammit

    return _codec(UnicodeDammit(body[:_HEAD], is_html=True).original_encoding)
