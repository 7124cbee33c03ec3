"""Media types: reading Content-Type and comparing it with an Accept header. Pure."""

from __future__ import annotations

import re
from typing import Final

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;,\"']+))", re.IGNORECASE)


def content_type(value: str) -> tuple[str, str | None]:
    """Type without parameters in lower case, and the charset it names.

    >>> content_type('Text/HTML; Charset="UTF-8"')
    ('text/html', 'utf-8')
    """
    kind = value.partition(";")[0].partition(",")[0].strip().lower()
    found = _CHARSET.search(value)
    charset = next((part for part in found.groups() if part), "").strip().lower() if found else ""
    return kind, charset or None


def accepts(accept: str, kind: str) -> bool:
    """Whether an answer of this type was asked for. Weights do not matter, except that q=0 excludes.

    >>> accepts("text/html, application/*;q=0.5", "application/json"), accepts("text/html", "image/png")
    (True, False)
    """
    for part in accept.lower().split(","):
        wanted, *parameters = (piece.strip() for piece in part.split(";"))
        if any(re.fullmatch(r"q=0(\.0*)?", one.replace(" ", "")) for one in parameters):
            continue
        if wanted in ("*/*", kind) or (wanted.endswith("/*") and "/" in kind and kind.startswith(wanted[:-1])):
            return True
    return False
