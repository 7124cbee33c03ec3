"""No key leaves the process, neither in a document on standard output nor in a log line. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..secrecy import secrets_of_url

MASK: Final = "[redacted]"
_SECRET_NAMES: Final = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_SHORTEST: Final = 8
"""A configured value shorter than this is a test's placeholder; masking it would spoil ordinary words."""
_KEY_LIKE: Final = (
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic (sk-ant-…), DeepSeek
    r"|\bAIza[A-Za-z0-9_-]{20,}"  # Google
    r"|\b(?:gsk_|nvapi-|xai-)[A-Za-z0-9_-]{16,}"  # Groq, NVIDIA, xAI
    r"|(?i:\bBearer\s+)[A-Za-z0-9._~+/-]{16,}=*"
    r"|(?<=[?&]key=)[A-Za-z0-9_-]{8,}"
)

Redact = Callable[[str], str]


def redactor(environ: Mapping[str, str]) -> Redact:
    """A function that masks every secret of `environ` (`*_API_KEY` and the like, passwords in its URLs), and whatever
    looks like a key.

    It mends lone surrogates too, which no strict JSON may hold: each becomes U+FFFD.
    """
    values = {value.strip() for name, value in environ.items() if name.upper().endswith(_SECRET_NAMES)}
    values.update(one for value in environ.values() if "://" in value for one in secrets_of_url(value))
    values = {value for value in values if len(value) >= _SHORTEST}
    known = [re.escape(value) for value in sorted(values, key=len, reverse=True)]  # a key may begin with another
    pattern = re.compile("|".join([*known, _KEY_LIKE]))
    return lambda text: pattern.sub(MASK, without_surrogates(text))


def without_surrogates(text: str) -> str:
    """Surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def redacted(value: Any, redact: Redact) -> Any:
    """The same tree with every text, names of fields included, passed through `redact`."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(name)): redacted(child, redact) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(child, redact) for child in value]
    return value
