"""Keys have no place in errors, logs or records: they are taken out of every text that came from outside."""

from __future__ import annotations

import re
from typing import Final

# A key is known by how its provider begins it (with at least eight characters after that, so that words like "sk-learn"
# stay) or by what stands before it. User name and password of a URL count as a key.
_KEYS: Final = re.compile(
    r"""
      \b(?:sk|pk|rk)-[A-Za-z0-9_*-]{8,}                      # OpenAI, Anthropic (sk-ant-), DeepSeek
    | \bAIza[A-Za-z0-9_-]{8,}                                # Google
    | \bAQ\.[A-Za-z0-9_-]{16,}                               # Google, newer
    | \bya29\.[A-Za-z0-9_-]{8,}                              # Google, OAuth
    | \b(?:gsk|hf)_[A-Za-z0-9]{8,}                           # Groq, Hugging Face
    | \b(?:nvapi|xai|pplx)-[A-Za-z0-9_-]{8,}                 # NVIDIA, xAI, Perplexity
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=*-]{4,}
    | (?P<named>(?:[?&](?:api[_-]?)?key=
        | \b(?:x-goog-api-key|x-api-key|api[_-]?key|access[_-]?token|secret|password)["']?\s*[:=]\s*["']?
        | \bauthorization["']?\s*[:=]\s*["']?(?:Bearer\s+|Basic\s+)?
        | (?:incorrect|invalid)\s+api\s+key(?:\s+provided)?\s*:\s*))[^\s"'&,;<>]{4,}
    | (?P<url>://)[^\s/@"'<>]+@
    """,
    re.VERBOSE | re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """The text with every key, token and password in it replaced by `***`.

    >>> without_secrets("Incorrect API key provided: sk-abcdefgh12345678")
    'Incorrect API key provided: ***'
    >>> without_secrets("GET http://me:secret@host/v1?key=abcdef")
    'GET http://***@host/v1?key=***'
    """
    return _KEYS.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    if found["url"]:
        return "://***@"
    return f"{found['scheme'] or found['named'] or ''}***"
