"""Which addresses and host names the worker never connects to on somebody else's word. Pure.

Source of the ranges: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates). The list
stands here and is not `ipaddress.is_global`, whose answer changes with the version of Python.
"""

from __future__ import annotations

import ipaddress
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV4: Final = tuple(
    (ipaddress.IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.52.193.0/24", "reserved for protocols"),
        ("192.88.99.0/24", "reserved for protocols"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Answers inside every virtual machine of one large cloud, with its host's settings; public by number only.
        ("168.63.129.16/32", "a cloud's own"),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""The only block of IPv6 that public addresses are given out of."""
_IPV6: Final = tuple(
    (ipaddress.IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "reserved for protocols"),  # Teredo, benchmarks, ORCHID: none is a web server
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a 6to4 tunnel"),  # whatever it embeds: the relays are gone (RFC 7526)
        ("3fff::/20", "for documentation"),
    )
)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""How networks that have IPv6 only reach every IPv4 address (RFC 6052): judged by what it carries."""

_INTERNAL_SUFFIXES: Final = (
    *("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "lan", "home", "home.arpa"),
    *("onion", "alt"),
)
"""Names that mean something inside one network only: RFC 6761, 6762, 7686, 8375, 9476, ICANN's `internal`, habit."""


def refusal(address: IPAddress) -> str | None:
    """Why nobody may be sent to this address; None for a public one.

    >>> refusal(ipaddress.ip_address("169.254.169.254"))
    'link-local'
    >>> refusal(ipaddress.ip_address("::ffff:10.0.0.1"))
    'private'
    """
    if isinstance(address, ipaddress.IPv4Address):
        return next((what for network, what in _IPV4 if address in network), None)
    if address.scope_id is not None:
        return "of one network interface"
    if address in _MAPPED or address in _NAT64:
        return refusal(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    if address not in _GLOBAL_UNICAST:
        return _special(address)
    return next((what for network, what in _IPV6 if address in network), None)


def _special(address: ipaddress.IPv6Address) -> str:
    if address.is_loopback:
        return "loopback"
    if address.is_unspecified:
        return "unspecified"
    if address.is_multicast:
        return "multicast"
    if address.is_link_local:
        return "link-local"
    return "private" if address in _UNIQUE_LOCAL else "reserved"


_UNIQUE_LOCAL: Final = ipaddress.IPv6Network("fc00::/7")


def internal_name(host: str) -> bool:
    """Whether a host name (lower case, no trailing dot) can only be one of somebody's own network.

    >>> [internal_name(host) for host in ("intranet", "db.internal", "example.com")]
    [True, True, False]
    """
    return "." not in host or host.endswith(tuple(f".{suffix}" for suffix in _INTERNAL_SUFFIXES))
