"""URLs from strangers, read strictly: what two readers could read differently is refused, not guessed. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

from .addresses import IPAddress
from .seams import FetchError, Problem

URL_MAX: Final = 4096
"""Characters. Servers take 8,000 bytes at most (Apache's default), people link far shorter ones."""
_HOST_MAX: Final = 253
_LABEL_MAX: Final = 63
"""RFC 1035, 2.3.4."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?"
)
_LABELS: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of this form makes the whole host an IPv4 address to browsers (WHATWG URL, "ends in a number")."""
_IPV4: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=~"
_QUERY_SAFE: Final = _PATH_SAFE + "?[]|^`{}"
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USER: Final = re.compile(r"//[^/?#]*@")


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An http or https URL in its one spelling."""

    scheme: str
    host: str
    """ASCII, lower case, without a trailing dot; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def literal(self) -> IPAddress | None:
        """The address, where the host is one."""
        if ":" in self.host or _IPV4.fullmatch(self.host):
            return ipaddress.ip_address(self.host)
        return None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def text(self) -> str:
        return f"{self.origin}{self.target}"

    def join(self, reference: str) -> WebUrl:
        """The URL that a reference on this page means. Raises `FetchError`."""
        _refuse_odd_characters(reference)
        try:
            joined = urljoin(self.text, reference.strip())
        except ValueError:
            raise FetchError(Problem.URL, "is no URL that can be read", url=shown(reference)) from None
        return parse_url(joined)


def shown(url: str) -> str:
    """A URL for errors: without user name and password, and not without end."""
    return _USER.sub("//***@", url)[:500]


def parse_url(text: str) -> WebUrl:
    """Read an absolute URL.

    Raises:
        FetchError: `Problem.URL`, or `Problem.ADDRESS` for an IPv4 address in another spelling than 1.2.3.4.
    """
    text = text.strip(" \t\r\n\f")
    _refuse_odd_characters(text)
    found = _FORM.match(text)
    if found is None:
        raise _refused(text, "must be a URL that starts with http:// or https://")
    scheme = found["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise _refused(text, f"{scheme[:20]}: only http and https are read")
    host, port = _authority(text, found["authority"])
    target = _without_dots(_quoted(found["path"], _PATH_SAFE)) or "/"
    if found["query"]:
        target += "?" + _quoted(found["query"][1:], _QUERY_SAFE)
    return WebUrl(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, target)


def _refused(url: str, what: str, problem: Problem = Problem.URL) -> FetchError:
    return FetchError(problem, what, url=shown(url))


def _refuse_odd_characters(text: str) -> None:
    if len(text) > URL_MAX:
        raise _refused(text, f"has {len(text):,} characters, at most {URL_MAX:,} are read")
    if any(one < " " or one == "\x7f" or "\ud800" <= one <= "\udfff" for one in text.strip(" \t\r\n\f")):
        raise _refused(text, "contains a control character")
    if "\\" in text.partition("?")[0]:
        raise _refused(text, "contains a backslash, which some read as a slash")


def _authority(url: str, authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise _refused(url, "names a user before the host")
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _refused(url, "the host is no IPv6 address in brackets")
        return _ipv6(url, inside), _port(url, rest[1:])
    host, _, port = authority.partition(":")
    return _host(url, host), _port(url, port)


def _ipv6(url: str, text: str) -> str:
    if "%" in text:
        raise _refused(url, "an address with a zone is one of a local network", Problem.ADDRESS)
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise _refused(url, "the host is no IPv6 address in brackets") from None


def _port(url: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 0 < int(text) < 65_536:
        raise _refused(url, "the port is no number from 1 to 65535")
    return int(text)


def _host(url: str, text: str) -> str:
    host = text if text.isascii() else _international(url, text)
    host = host.lower().removesuffix(".")
    if not host or len(host) > _HOST_MAX or not _LABELS.fullmatch(host):
        raise _refused(url, "the host is no name that can be read")
    labels = host.split(".")
    if max(map(len, labels)) > _LABEL_MAX:
        raise _refused(url, "the host is no name that can be read")
    if _NUMBER.fullmatch(labels[-1]) and not (_IPV4.fullmatch(host) and all(int(label) < 256 for label in labels)):
        raise _refused(url, "an IPv4 address in an unusual spelling", Problem.ADDRESS)
    return host


def _international(url: str, text: str) -> str:
    """The ASCII form (IDNA 2008 after UTS 46): full-width digits become digits here, before they are judged."""
    import idna  # its tables take 10 ms to load, and few hosts need them

    if len(text) > _HOST_MAX:
        raise _refused(url, "the host is no name that can be read")
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise _refused(url, "the host is no name that can be read") from None


def _quoted(text: str, safe: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=safe)


def _without_dots(path: str) -> str:
    """Path without `.` and `..` (RFC 3986, 5.2.4), also when they are percent-encoded: robots.txt judges this form."""
    if "/." not in path and "%2" not in path:
        return path
    out: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        if plain not in (".", ".."):
            out.append(segment)
            continue
        if plain == ".." and out:
            out.pop()
        if number == len(segments) - 1:
            out.append("")
    return "/" + "/".join(out)
