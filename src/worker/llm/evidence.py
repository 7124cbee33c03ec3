"""What an exception shows about the answer behind it: status, headers, body. Nine packages keep them in nine ways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

# The only text a status is read from: the form in which ChatNVIDIA words every error, where no session of ours is used.
_BRACKETED_STATUS: Final = re.compile(r"^\[(\d{3})\]")
_LINKS_MAX: Final = 12
"""Links of an exception chain that are looked at; the longest seen has five."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An answer as far as it is known. `status` None: no answer, or none that shows."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: Any = None
    """The decoded JSON body; None where there was none or it is not JSON."""
    text: str = ""
    """The body as text, else the exception's own."""


class HttpError(Exception):
    """An HTTP status of 300 or more, with what came along; raised for adapters that would lose it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code = status
        self.headers = headers
        self.content = body


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, outermost first; also causes that `raise … from None` hides."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < _LINKS_MAX:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def from_exception(error: BaseException) -> Evidence:
    """The evidence in an exception's chain: the first status, and headers and body from wherever they are."""
    status: int | None = None
    headers: dict[str, str] = {}
    body: Any = None
    text = ""
    for link in chain(error):
        response = getattr(link, "response", None)
        status = status or _status(link, response)
        headers = headers or _headers(link, response)
        if body is None:
            body = _body(link, response)
        text = text or _text(link, response)
    return Evidence(status, headers, body, text or str(error))


def decoded(content: bytes | str | None) -> Any:
    """A body that is JSON, decoded; else None."""
    try:
        return orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        return None


def _status(link: BaseException, response: Any) -> int | None:
    # `code` is a status at google-genai and a word such as "insufficient_quota" at OpenAI.
    candidates = [getattr(link, name, None) for name in ("status_code", "status", "code")]
    candidates += [getattr(response, name, None) for name in ("status_code", "status")]
    for value in candidates:
        if isinstance(value, int) and 100 <= value <= 599:
            return value
    bracketed = _BRACKETED_STATUS.match(str(link))
    return int(bracketed[1]) if bracketed else None


def _headers(link: BaseException, response: Any) -> dict[str, str]:
    for holder in (response, link):
        found = getattr(holder, "headers", None)
        if isinstance(found, Mapping) and found:
            return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _body(link: BaseException, response: Any) -> Any:
    # `body`: OpenAI, Anthropic, Groq (OpenAI's lacks the wrapping "error"); `details`: google-genai; `error`: Ollama.
    for name in ("body", "details"):
        value = getattr(link, name, None)
        if isinstance(value, dict | list) and value:
            return value
    found = decoded(_content(link, response))
    if found is not None:
        return found
    words = getattr(link, "error", None)
    return decoded(words) if isinstance(words, str) else None


def _text(link: BaseException, response: Any) -> str:
    content = _content(link, response)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""


def _content(link: BaseException, response: Any) -> bytes | None:
    for holder in (link, response):
        try:
            content = getattr(holder, "content", None)
        except RuntimeError:  # httpx: the body was never read
            continue
        if isinstance(content, bytes) and content:
            return content
    return None
