"""Keys, tokens and passwords have no place in errors, logs or records: they are taken out of every text that came from
outside, by their look, and out of all texts that go out, by their value.

The values are those of this process' own settings: `load_settings` has them remembered, so that no door can forget to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from pydantic import BaseModel

MASK: Final = "***"
SHORTEST: Final = 8
"""A value shorter than this is a test's placeholder or a word; masking it would spoil ordinary texts."""

_SECRET_NAME: Final = r"(?:key|token|secret|password|passwd|pwd|signature|credentials?|auth)"  # noqa: S105 - names of secrets, none itself
_NAMED: Final = re.compile(rf"[\w.-]{{0,80}}{_SECRET_NAME}|authMechanismProperties", re.IGNORECASE)
"""Parameters of a URL that hold a secret. MongoDB's last one may hold a session's token."""
_SCHEME: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_NEXT: Final = re.compile(r",\s*+(?:[A-Za-z]{1,20}:\s*+)?\Z")
"""What parts a URL of a list from the next one, whose kind stands before it (`rss:https://…`)."""

# A key is known by how its provider begins it (with at least eight characters after that, so that words like "sk-learn"
# stay) or by what stands before it. User name and password of a URL count as a key, and so does what a URL's query has
# under a name that says so.
_KEYS: Final = re.compile(
    rf"""
      \b(?:sk|pk|rk)-[A-Za-z0-9_*-]{{8,}}                      # OpenAI, Anthropic (sk-ant-), DeepSeek
    | \bAIza[A-Za-z0-9_-]{{8,}}                                # Google
    | \bAQ\.[A-Za-z0-9_-]{{16,}}                               # Google, newer
    | \bya29\.[A-Za-z0-9_-]{{8,}}                              # Google, OAuth
    | \b(?:gsk|hf|bwk)_[A-Za-z0-9_-]{{8,}}                     # Groq, Hugging Face, our own
    | \b(?:nvapi|xai|pplx)-[A-Za-z0-9_-]{{8,}}                 # NVIDIA, xAI, Perplexity
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=*-]{{4,}}
    | (?P<named>(?:[?&][\w.-]{{0,40}}{_SECRET_NAME}=
        | (?:api[_-]?key|(?:access|auth|session|refresh|id)[_-]?token|secret|password|passwd)["']?\s*[:=]\s*["']?
        | \bauthorization["']?\s*[:=]\s*["']?(?:Bearer\s+|Basic\s+)?
        | (?:incorrect|invalid)\s+api\s+key(?:\s+provided)?\s*:\s*))[^\s"'&,;<>]{{4,}}
    | (?P<url>://)[^\s/@"'<>]+@
    """,
    re.VERBOSE | re.IGNORECASE,
)


class _Known:
    """Values that are masked wherever they stand."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        before = len(self._values)
        self._values.update(form for value in values for form in _forms(value) if len(form) >= SHORTEST)
        if len(self._values) != before:  # one key may begin with another: the longest first
            words = sorted(self._values, key=lambda value: (-len(value), value))
            self._pattern = re.compile("|".join(map(re.escape, words)))

    def masked(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)


_KNOWN: Final = _Known()


def remember(values: Iterable[str]) -> None:
    """From now on these values are masked in every log line, error and record of this process."""
    _KNOWN.add(values)


def without_known(text: str) -> str:
    """The text without the values that are remembered; what merely looks like a key stays."""
    return _KNOWN.masked(text)


def without_secrets(text: str) -> str:
    """The text with every key, token and password in it replaced by `***`.

    >>> without_secrets("Incorrect API key provided: sk-abcdefgh12345678")
    'Incorrect API key provided: ***'
    >>> without_secrets("GET http://me:secret@host/v1?key=abcdef")
    'GET http://***@host/v1?key=***'
    """
    return _KEYS.sub(_masked, _KNOWN.masked(text))


def _masked(found: re.Match[str]) -> str:
    if found["url"]:
        return f"://{MASK}@"
    return f"{found['scheme'] or found['named'] or ''}{MASK}"


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret value in settings: those declared as secrets, and what URLs carry of the kind."""
    from pydantic import SecretStr  # here, for scripts that say which package is missing need this module

    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            yield text
            # OTEL_EXPORTER_OTLP_HEADERS is a list of name=value, a value perhaps `Bearer%20…`.
            for part in text.split(","):
                yield from unquote(part.partition("=")[2]).split()
        elif isinstance(value, str) and "://" in value:
            yield from secrets_of_url(value)


def secrets_of_url(text: str) -> Iterator[str]:
    """Of a URL, or of each in a list of them: the password (or a user name without one, which then is a token), and
    what its query has under a name of a secret."""
    starts = [found.start() for found in _SCHEME.finditer(text)]
    for start, end in pairwise([*starts, len(text)]):
        try:
            parts = urlsplit(_NEXT.sub("", text[start:end]))
        except ValueError:  # such a URL is refused where it is used
            continue
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        yield password or user
        yield from (value for name, value in parse_qsl(parts.query) if _NAMED.fullmatch(name))


def masked_url(url: str) -> str:
    """A URL that can be shown: without user name, password and what its query has under a name of a secret; nothing of
    one that cannot be read.

    >>> masked_url("redis://user:secret@host:6379/0")
    'redis://***@host:6379/0'
    >>> masked_url("redis://host:6379/0?password=secret")
    'redis://host:6379/0?password=***'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":  # a password with a character that had to be written as %2F
        return f"{parts.scheme}://{MASK}"
    where = f"{MASK}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    return parts._replace(netloc=where, query="&".join(map(_shown, parts.query.split("&")))).geturl()


def _shown(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    return f"{name}={MASK}" if value and _NAMED.fullmatch(unquote(name)) else parameter


def _forms(value: str) -> Iterator[str]:
    """A value as it may stand in a text: itself, as it is written in a URL, and read from one."""
    value = value.strip()
    yield from {value, unquote(value), quote(value, safe="")}
