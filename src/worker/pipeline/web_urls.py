"""URLs that strangers name: checked, and in the one form by which two links to a page are the same. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from ..web.seams import FetchError
from ..web.urls import parse_url

# Parameters that say by which link somebody came and change nothing of the page, as ad networks, mailers and social
# networks document them; besides everything that begins with `utm_`.
_TRACKING: Final = frozenset(
    "gclid gclsrc dclid gbraid wbraid fbclid msclkid yclid ttclid twclid li_fat_id igshid igsh mc_cid mc_eid mkt_tok "
    "vero_id vero_conv _hsenc _hsmi hsctatracking s_cid cmpid ref_src ref_url ncid wickedid oly_enc_id oly_anon_id "
    "__s rb_clickid srsltid".split()
)


def checked_url(text: str) -> str:
    """An http(s) URL in the reader's own spelling, without fragment and without parameters that only track.

    Raises:
        ValueError: what is wrong with it, without quoting it.
    """
    try:
        url = parse_url(text).text
    except FetchError as error:
        raise ValueError(error.message) from None
    base, _, query = url.partition("?")
    kept = _untracked(query)
    return f"{base}?{kept}" if kept else base


def url_key(url: str) -> str:
    """What two links to one page have in common: no scheme, no `www.`, no closing slash, parameters in order.

    >>> url_key("https://www.acme.example/a/?b=1&a=2") == url_key("http://acme.example/a?a=2&b=1")
    True
    """
    parts = urlsplit(checked_url(url))
    query = "&".join(sorted(parts.query.split("&")))
    return f"{parts.netloc.removeprefix('www.')}{parts.path.rstrip('/')}?{query}"


def host_of(url: str) -> str:
    """The host without `www.`; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def same_site(one: str, other: str) -> bool:
    """Is one host the other, or below it?"""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _untracked(query: str) -> str:
    names = ((part, part.partition("=")[0].lower()) for part in query.split("&"))
    return "&".join(part for part, name in names if part and name not in _TRACKING and not name.startswith("utm_"))
