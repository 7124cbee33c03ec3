"""Which URLs and addresses are refused: every spelling of an internal place, and nothing that is public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.web.addresses import internal_name, refusal
from src.worker.web.resolver import Gatekeeper
from src.worker.web.seams import FetchError, Problem
from src.worker.web.urls import WebUrl, parse_url


async def _nobody(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} is looked up")


GATE = Gatekeeper(_nobody, ports=frozenset())


def _problem(url: str) -> Problem | None:
    """Why a URL is refused before anything is asked of anybody; None when it is not."""
    try:
        GATE.admit(parse_url(url))
    except FetchError as error:
        return error.problem
    return None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
        "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:192.168.1.1", "::ffff:0:127.0.0.1",
        "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1", "2002:0808:0808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%1", "fec0::1", "ff02::1", "4000::1",
    ],
)  # fmt: skip
def test_internal_addresses_are_refused(address: str) -> None:
    assert refusal(ipaddress.ip_address(address)) is not None


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1",
     "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888",
     "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_public_addresses_are_not(address: str) -> None:
    assert refusal(ipaddress.ip_address(address)) is None


@given(st.integers(0, 2**32 - 1))
def test_no_address_that_python_calls_internal_gets_through_in_any_dress(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if (
        address.is_private
        or address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
    ):
        assert refusal(address) is not None
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        dressed = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number)
        assert refusal(dressed) == refusal(address)


@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_that_python_calls_internal_gets_through(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    carries = address.ipv4_mapped is not None or number >> 32 == int(ipaddress.IPv6Address("64:ff9b::")) >> 32
    if not carries and (address.is_private or not address.is_global or address.is_multicast):
        assert refusal(address) is not None


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5", "256.1.1.1", "1.2.3.400", "0", "0x", "１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1", "127.0.0.1",
        "localhost", "LOCALHOST.", "foo.localhost", "intranet", "printer.local", "db.internal", "nas.lan",
        "x.home.arpa",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%25eth0]", "[fe80::1%eth0]",
        "[0:0:0:0:0:0:0:1]",
        "[64:ff9b::127.0.0.1]", "[fd00::1]", "169.254.169.254", "metadata.google.internal",
    ],
)  # fmt: skip
def test_every_spelling_of_an_internal_host_is_refused(host: str) -> None:
    assert _problem(f"http://{host}/") is Problem.ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com/", "http:example.com", "http:/example.com", "http:///example.com", "http://",
        "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", "data:text/html,x",
        "jar:http://example.com!/",
        "http://user@example.com/", "http://user:pw@example.com/", "http://example.com@127.0.0.1/",
        "http://127.0.0.1#@example.com:pw@x/@", "http://example.com\\@127.0.0.1/", "http:\\\\example.com/",
        "http://example.com/\\x", "http://exa mple.com/", "http://example.com\t/", "http://exam\nple.com/",
        "http://example.com/a\rb", "http://example.com/\x00", "http://example.com:99999/", "http://example.com:0/",
        "http://example.com:80a/", "http://example.com:٨٠/", "http://example.com:+80/", "http://example.com:22/",
        "http://exa%6dple.com/", "http://example..com/", "http://.example.com/", "http://example.com../",
        "http://[::1/",
        "http://[::1]x/", "http://[zz]/", "http://" + "a" * 64 + ".com/", "http://" + "a." * 130 + "com/",
        "http://example.com/" + "a" * 5000, "http://ex,ample.com/", "http://example.com\ud800/",
        "http://\u202eexample.com/",
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_no_url(url: str) -> None:
    assert _problem(url) in (Problem.URL, Problem.ADDRESS)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com.:80/a", "http://example.com/a"),
        ("https://example.com:443?q=a b", "https://example.com/?q=a%20b"),
        (" http://example.com/a/./b/../c#part ", "http://example.com/a/c"),
        ("http://example.com/%2e%2E/secret", "http://example.com/secret"),
        ("http://example.com/a/..", "http://example.com/"),
        ("http://example.com/ü?ß=€&x=%41", "http://example.com/%C3%BC?%C3%9F=%E2%82%AC&x=%41"),
        ("http://example.com/100%", "http://example.com/100%25"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://BÜCHER。example/", "http://xn--bcher-kva.example/"),
        ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_a_url_has_one_spelling(url: str, text: str) -> None:
    assert parse_url(url).text == text
    assert parse_url(text).text == text
    assert _problem(url) is None


def test_ports_are_allowed_by_name_only() -> None:
    gate = Gatekeeper(_nobody, ports=frozenset((8080,)))
    gate.admit(parse_url("http://example.com:8080/"))
    gate.admit(parse_url("http://example.com:443/"))
    with pytest.raises(FetchError) as caught:
        gate.admit(parse_url("http://example.com:8081/"))
    assert caught.value.problem is Problem.URL


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_what_is_read_is_read_the_same_again(text: str) -> None:
    for url in (text, f"http://{text}", f"https://example.com/{text}", f"http://{text}.example/"):
        try:
            parsed = parse_url(url)
        except FetchError:
            continue
        assert parse_url(parsed.text) == parsed
        assert parsed.text.isascii()
        assert not set(parsed.text) & set(' \t\r\n\\"<>')


_NUMBERS = st.sampled_from([("{:d}", 0), ("0x{:x}", 0), ("0{:o}", 0), ("0X{:X}", 0), ("{:03d}", 0)])


@given(st.lists(st.tuples(_NUMBERS, st.integers(0, 255)), min_size=1, max_size=4), st.sampled_from(["", ".", ".."]))
def test_numeric_hosts_are_canonical_public_addresses_or_refused(
    parts: list[tuple[tuple[str, int], int]], tail: str
) -> None:
    host = ".".join(form.format(number) for (form, _), number in parts)
    try:
        url = parse_url(f"http://{host}{tail}/")
        GATE.admit(url)
    except FetchError:
        return
    address = ipaddress.IPv4Address(host)  # raises for every other spelling
    assert url.literal == address
    assert refusal(address) is None


@given(st.integers(0, 2**32 - 1))
def test_the_single_number_spelling_never_gets_through(number: int) -> None:
    assert _problem(f"http://{number}/") is Problem.ADDRESS


@pytest.mark.parametrize(
    "reference", ["http://[", "\\\\evil.example", "java\tscript:x", "//[::1", "http://a\n.example"]
)
def test_a_reference_that_cannot_be_read_is_refused_not_raised_as_something_else(reference: str) -> None:
    with pytest.raises(FetchError):
        WebUrl("http", "example.com", 80, "/a").join(reference)


def test_internal_names_are_known_by_their_ends_not_by_parts() -> None:
    assert not internal_name("localhost.example.com")
    assert not internal_name("internal.example")
    assert internal_name("a.b.local")
