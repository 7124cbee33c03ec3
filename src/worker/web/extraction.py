"""From a body to a page: charset, tree, main text, facts. One function for a thread; bounded in every direction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .charset import Undecodable, decode
from .facts import Facts, facts
from .main_text import main_text
from .outline import parse
from .seams import Fetched, FetchError, Problem, WebPage
from .urls import parse_url

HTML_MAX_BYTES: Final = 2 * 2**20
"""Markup that is parsed; of a larger page the beginning. 99 of 100 pages have less than 1 MB."""
TEXT_MAX_CHARS: Final = 50_000
"""Text that is returned: 8,000 words, more than any prompt takes of one page."""
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['’-][^\W_]+)*")
"""Chinese and Japanese are written without blanks: their characters are counted."""


@dataclass(frozen=True, slots=True)
class _Content:
    text: str
    facts: Facts
    truncated: bool


def extract(fetched: Fetched, asked: str, now: datetime) -> WebPage:
    """The readable part of a body of HTML or plain text.

    Args:
        asked: the URL that was asked for.
        now: with a time zone.

    Raises:
        FetchError: UNREADABLE, for bytes that are no text and pages without readable text.
    """
    url = parse_url(fetched.url)
    content = _content(fetched, now)
    text = content.text[:TEXT_MAX_CHARS].rstrip()
    if not text:
        why = "only sends its reader elsewhere (meta refresh)" if content.facts.refreshes else "has no readable text"
        raise FetchError(Problem.UNREADABLE, f"{url.host}: the page {why}", url=fetched.url)
    found = content.facts
    return WebPage(
        url=asked,
        final_url=fetched.url,
        canonical_url=found.canonical_url,
        title=found.title,
        text=text,
        author=found.author,
        published_at=found.published_at,
        language=found.language,
        source_name=url.host.removeprefix("www."),
        fetched_at=now,
        word_count=sum(1 for _ in _WORD.finditer(text)),
        truncated=content.truncated or len(content.text) > TEXT_MAX_CHARS,
        from_cache=fetched.from_cache,
    )


def _content(fetched: Fetched, now: datetime) -> _Content:
    url = parse_url(fetched.url)
    body = fetched.body[:HTML_MAX_BYTES]
    is_markup = fetched.content_type != "text/plain"
    try:
        source = decode(body, fetched.charset, markup=is_markup)
    except Undecodable:
        raise FetchError(Problem.UNREADABLE, f"{url.host}: the page is no text", url=fetched.url) from None
    cut = len(fetched.body) > HTML_MAX_BYTES
    document = parse(source if is_markup else "")
    found = facts(document, url, fetched.headers, now)
    if not is_markup:
        return _Content(_BLANK_LINES.sub("\n\n", source.replace("\r\n", "\n")).strip(), found, cut)
    text = main_text(document.blocks)
    return _Content(text, found, cut or document.truncated)
