"""Search sources: checked at the start, each kind read, hostile answers refused within bounds."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.config import load_settings
from src.worker.errors import ConfigError
from src.worker.pipeline.web_feeds import read_feed
from src.worker.pipeline.web_hits import HITS_MAX, Hit, Unanswered, Unreadable, candidates
from src.worker.pipeline.web_search import read_hits, read_results, read_searx
from src.worker.pipeline.web_urls import checked_url, url_key
from src.worker.search_sources import SourceKind, read_sources
from src.worker.web.seams import Fetched

RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"
     xmlns:atom="http://www.w3.org/2005/Atom"><channel>
<title>News</title><link>https://news.example/</link><atom:link rel="self" href="https://news.example/rss"/>
<item><title>Acme &amp; friends</title><link>https://a.example/1?utm_source=rss&amp;id=7</link>
  <description>&lt;p&gt;Acme &lt;b&gt;opens&lt;/b&gt; a shop&lt;/p&gt;</description>
  <pubDate>Sat, 01 Mar 2025 10:20:30 GMT</pubDate><source url="https://a.example">The Daily</source>
  <media:title>another title</media:title></item>
<item><title><![CDATA[Raw <i>title</i>]]></title><guid>https://b.example/2</guid><dc:date>2025-03-02T00:00:00Z</dc:date></item>
<item><title>No page</title><guid isPermaLink="false">urn:1</guid></item>
<item><title>Odd</title><link>javascript:alert(1)</link></item>
<item><title>Relative</title><link>/3</link></item>
</channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><link href="https://x.example/"/>
<entry><title type="html">Acme &amp;amp; Co</title><link rel="replies" href="https://x.example/r"/>
<link rel="alternate" href="https://x.example/e"/><id>urn:e</id><updated>2025-03-03T00:00:00Z</updated>
<published>2025-03-01T00:00:00Z</published><summary>Short.</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Long <link>no</link></div></content>
<source><title>Origin</title><link href="https://o.example/"/><id>urn:o</id></source></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel><title>c</title><link>https://c.example/</link></channel>
<item><title>One</title><link>https://c.example/1</link></item></rdf:RDF>"""


CUTS = [
    b"<item>",
    b"</item>",
    b"<a href=",
    b"&",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<",
    b">",
    b"//[",
    b"\xff\xfe",
    b"&#0;",
    b"&#xd83d;",
]


# -- the setting -------------------------------------------------------------------------------------------------------


def test_sources_are_parted_by_commas_and_lines_and_urls_keep_their_commas() -> None:
    sources = read_sources(
        "rss:https://a.example/rss?q={query}, searx:http://searx.internal/s?q={query}&format=json\n\n"
        "html:https://b.example/x,y?q={query},\nRSS:https://c.example/feed"
    )
    assert [(one.kind, one.name, one.searches) for one in sources] == [
        (SourceKind.FEED, "rss:a.example", True),
        (SourceKind.SEARX, "searx:searx.internal", True),
        (SourceKind.PAGE, "html:b.example", True),
        (SourceKind.FEED, "rss:c.example", False),
    ]
    assert sources[2].url("Acme & Co/100%?#ü") == "https://b.example/x,y?q=Acme%20%26%20Co%2F100%25%3F%23%C3%BC"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("ftp:https://a.example/{query}", "source 1 must begin with one of rss:, html:, searx:"),
        ("rss:https://a.example/{query},bing:https://b.example/{query}", "source 2 must begin with"),
        ("https://a.example/?q={query}", "source 1 must begin with"),
        ("rss:ftp://a.example/{query}", "must begin with http"),
        ("rss:https:///{query}", "name a host"),
        ("html:https://a.example/", "must hold {query}"),
        ("searx:https://a.example/?format=json", "must hold {query}"),
        ("rss:https://{query}.example/", "in the path or the query"),
        ("rss:https://a.example/#{query}", "in the path or the query"),
        ("rss:https://a.example/?q={query}&l={lang}", "only placeholder"),
        ("rss:https://me:hunter2@a.example/?q={query}", "user name or password"),
        ("rss:https://a.example:port/?q={query}", "cannot be read"),
        ("rss:https://a.example/a b?q={query}", "spaces"),
        (",".join(f"rss:https://a{n}.example/" for n in range(21)), "at most 20"),
    ],
)
def test_a_source_that_cannot_be_used_stops_the_start_and_is_named(value: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(_env_file=None, web_search_sources=value)
    assert caught.value.message.startswith("WEB_SEARCH_SOURCES: ")
    assert problem in caught.value.message
    assert "hunter2" not in caught.value.message


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://www.acme.example/a/?utm_source=x&b=1#top", "http://acme.example/a?b=1"),
        ("https://ACME.example:443/a?b=1&a=2&gclid=9", "https://acme.example/a?a=2&b=1"),
        ("https://acme.example?fbclid=1", "https://acme.example/"),
        ("http://acme.example./x", "http://acme.example/x"),
    ],
)
def test_two_links_to_one_page_are_one(one: str, other: str) -> None:
    assert url_key(one) == url_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://acme.example/a?id=1", "https://acme.example/a?id=2"),
        ("https://acme.example/A", "https://acme.example/a"),
        ("https://acme.example:8443/", "https://acme.example/"),
        ("https://m.acme.example/", "https://acme.example/"),
    ],
)
def test_links_to_different_pages_stay_different(one: str, other: str) -> None:
    assert url_key(one) != url_key(other)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "acme.example",
        "ftp://a.example/",
        "http://",
        "http://u:p@a.example/",
        "http://a\\b",
        "http://[::1",
        "x" * 9000,
    ],
)
def test_what_is_no_web_url_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked_url(url)


def test_sources_take_turns_and_each_page_is_listed_once() -> None:
    a = [Hit("https://a.example/1"), Hit("https://a.example/2", title="later"), Hit("https://a.example/3")]
    b = [Hit("https://www.a.example/2/", title="first"), Hit("https://b.example/1")]
    found = candidates(("https://z.example/", "https://a.example/3"), (a, b, []))
    assert [(one.url, one.title) for one in found] == [
        ("https://z.example/", None),
        ("https://a.example/3", None),
        ("https://a.example/1", None),
        ("https://www.a.example/2/", "first"),
        ("https://b.example/1", None),
    ]


# -- feeds -------------------------------------------------------------------------------------------------------------


def test_rss_is_read_with_titles_dates_and_sources_and_without_tracking() -> None:
    assert read_feed(RSS, url="https://news.example/rss") == [
        Hit(
            "https://a.example/1?id=7",
            "Acme & friends",
            "Acme opens a shop",
            datetime(2025, 3, 1, 10, 20, 30, tzinfo=UTC),
            "The Daily",
        ),
        Hit("https://b.example/2", "Raw title", None, datetime(2025, 3, 2, tzinfo=UTC)),
        Hit("https://news.example/3", "Relative"),
    ]


def test_atom_gives_the_alternate_link_the_publishing_date_and_the_origin() -> None:
    assert read_feed(ATOM) == [
        Hit("https://x.example/e", "Acme & Co", "Short.", datetime(2025, 3, 1, tzinfo=UTC), "Origin")
    ]


def test_rss_1_has_its_items_beside_the_channel() -> None:
    assert [one.url for one in read_feed(RDF)] == ["https://c.example/1"]


@pytest.mark.parametrize(
    ("declared", "header", "encoding"),
    [
        ("windows-1252", None, "windows-1252"),
        ("utf-8", "iso-8859-1", "iso-8859-1"),
        ("utf-16", None, "utf-16"),
        ("nonsense", "zip", "utf-8"),
        ("utf-8", "utf-8", "windows-1252"),  # not what it is said to be: read all the same, odd letters replaced
    ],
)
def test_the_charset_is_the_marks_the_headers_or_the_declarations(
    declared: str, header: str | None, encoding: str
) -> None:
    feed = f"""<?xml version="1.0" encoding="{declared}"?><rss><channel><item><title>Café Müller</title>
    <link>https://a.example/</link></item></channel></rss>"""
    (hit,) = read_feed(feed.encode(encoding), charset=header)
    assert hit.title in ("Café Müller", "Caf\ufffd M\ufffdller")
    assert (hit.title == "Café Müller") == (encoding != "windows-1252" or declared == "windows-1252")


def test_what_most_broken_feeds_are_broken_by_is_mended() -> None:
    feed = b"""<rss><channel><item><title>R&D &nbsp;&eacute; &bogus; AT&T</title>
    <link>https://a.example/?a=1&b=2</link><description><![CDATA[x & y]]></description></item></channel></rss>"""
    (hit,) = read_feed(feed)
    assert (hit.title, hit.url, hit.snippet) == ("R&D é &bogus; AT&T", "https://a.example/?a=1&b=2", "x & y")


def test_a_feed_cut_off_in_the_middle_gives_what_came() -> None:
    whole = b"<rss><channel>" + b"<item><title>Title</title><link>https://a.example/1</link></item>" * 3
    assert len(read_feed(whole + b"<item><title>Ti")) == 3


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">{}]><rss><channel><item><title>&{};</title>
<link>https://a.example/</link></item></channel></rss>"""
LAUGHS = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "feed",
    [
        BOMB.format(LAUGHS, "i"),
        BOMB.format('<!ENTITY x "' + "y" * 100_000 + '">', "x" + ";&x" * 20_000),
        BOMB.format('<!ENTITY x SYSTEM "file:///etc/passwd">', "x"),
        BOMB.format('<!ENTITY x SYSTEM "http://169.254.169.254/">', "x"),
        BOMB.format('<!ENTITY % x SYSTEM "http://169.254.169.254/"> %x;', "a"),
    ],
    ids=["billion laughs", "quadratic", "local file", "metadata service", "parameter entity"],
)
def test_a_feed_that_declares_entities_is_refused_before_one_is_expanded(feed: str) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable, match="entities"):
        read_feed(feed.encode())
    assert time.process_time() - began < 5


def test_an_external_document_type_is_not_fetched_and_harms_nothing() -> None:
    feed = b"""<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://169.254.169.254/rss.dtd">
    <rss version="0.91"><channel><item><title>Caf&eacute;</title><link>https://a.example/</link></item></channel></rss>"""
    assert [one.title for one in read_feed(feed)] == ["Café"]


@pytest.mark.parametrize(
    "feed",
    [
        b"<a>" * 700_000,
        b"<rss><channel>" + b"<item>" * 300_000,
        b"<rss><channel><item><title>" + b"x" * 30_000_000,
        b"<rss " + b" ".join(b'a%d="1"' % n for n in range(250_000)) + b"><channel/></rss>",
        b"&" * 2_000_000,
        b"<![CDATA[" * 200_000,
        b"",
        b"\x00\xff" * 1000,
        b"<html><body>Not found</body></html>",
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_feed_is_refused_however_large(feed: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable):
        read_feed(feed)
    assert time.process_time() - began < 20


def test_a_huge_feed_gives_its_first_entries_and_no_more() -> None:
    item = b"<item><title>Title</title><link>https://a.example/%d</link></item>"
    feed = b"<rss><channel>" + b"".join(item % n for n in range(200_000))
    assert len(read_feed(feed)) == HITS_MAX


# -- pages of results --------------------------------------------------------------------------------------------------

PAGE = b"""<!doctype html><html><head><title>q</title></head><body>
<nav><a href="https://ads.example/">Some advertisement in a menu</a></nav>
<form><a href="https://form.example/">A link inside of a form</a></form>
<div class="r"><a href="/url?sa=t&q=https%3A%2F%2Fone.example%2Fa%3Futm_medium%3Dx&ved=1"><h3>Acme opens a new shop</h3>
<cite>one.example</cite></a><span>2 days ago - </span><div>The shop of <b>Acme</b> is large.</div></div>
<div class="r"><a href="https://two.example/"><img src="x.png"></a><a
href="https://two.example/">Acme is great, they say</a>
<script>var x = "<a href='https://no.example/'>not a link at all</a>";</script>
<p>People say so.</p>
<a href="https://two.example/">two.example</a></div>
<a href="//duckduckgo.example/l/?uddg=https%3A%2F%2Fthree.example%2F">Short link text three</a>
<a href="/search?page=2">Next page of the results</a><a href="https://search.example/help">Help about this search</a>
<a href="https://four.example/">4</a><a href="mailto:a@b.example">Write a mail to us all</a>
<a href="http://[bad">A link that cannot be read</a>
<footer><a href="https://foot.example/">Our company and its owners</a></footer></body></html>"""


def test_results_are_found_by_one_rule_for_every_engine() -> None:
    hits = read_results(PAGE, charset=None, url="https://www.search.example/search?q=acme")
    assert [(one.url, one.title) for one in hits] == [
        ("https://one.example/a", "Acme opens a new shop one.example"),
        ("https://two.example/", "Acme is great, they say"),
        ("https://duckduckgo.example/l/?uddg=https%3A%2F%2Fthree.example%2F", "Short link text three"),
    ]
    assert hits[0].snippet == "2 days ago - The shop of Acme is large."
    assert hits[1].snippet == "People say so."
    lite = read_results(PAGE, charset="utf-8", url="https://duckduckgo.example/html/?q=acme")
    assert ("https://three.example/", "Short link text three") in [(one.url, one.title) for one in lite]


@pytest.mark.parametrize("charset", [None, "utf-8", "x-unknown"])
def test_letters_of_a_page_of_results_survive(charset: str | None) -> None:
    body = '<p><a href="https://a.example/">Café Müller öffnet</a></p>'.encode()
    (hit,) = read_results(body, charset=charset, url="https://s.example/")
    assert hit.title == "Café Müller öffnet"


@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 200_000,
        b"<b><i><a href=https://x.example/>" * 40_000,
        b"<a href='https://x.example/1'>a title long enough</a>" * 20_000,
        b"<a " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">",
        b"<!--" * 250_000,
        b"<p>" * 100_000 + b"</x>" * 150_000,
        b"",
    ],
    ids=lambda value: repr(value[:20]),
)
def test_hostile_markup_is_read_in_bounded_time(body: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(Unreadable):
        assert len(read_results(body, charset=None, url="https://s.example/")) == 1
    assert time.process_time() - began < 20


def test_a_page_without_results_is_not_taken_for_an_answer() -> None:
    blocked = b"<h1>Are you a robot?</h1><p>Please solve this. <a href='/help'>Why do I see this page?</a></p>"
    with pytest.raises(Unreadable, match="nothing was found, or robots are kept out"):
        read_results(blocked, charset=None, url="https://s.example/")


def test_an_answer_that_is_no_text_is_no_page_of_results() -> None:
    with pytest.raises(Unreadable, match="no text"):
        read_results(b"\x00\x01\xff" * 1000, charset=None, url="https://s.example/")


# -- SearXNG -----------------------------------------------------------------------------------------------------------


def test_searx_results_are_read_and_odd_ones_left_out() -> None:
    results = [
        {
            "url": "https://a.example/",
            "title": "A",
            "content": "about <b>Acme</b>",
            "publishedDate": "2025-03-01T00:00:00",
        },
        {"url": "https://b.example/", "title": None, "content": 5, "publishedDate": None},
        {"url": "javascript:x"},
        {"title": "no url"},
        "text",
    ]
    assert read_searx(orjson.dumps({"query": "q", "results": results})) == [
        Hit("https://a.example/", "A", "about Acme", datetime(2025, 3, 1, tzinfo=UTC)),
        Hit("https://b.example/"),
    ]


def test_a_searx_whose_engines_are_silent_has_no_answer() -> None:
    silent = {"results": [], "unresponsive_engines": [["google", "CAPTCHA"], ["bing", "timeout"]]}
    with pytest.raises(Unanswered, match="2 of its engines did not answer"):
        read_searx(orjson.dumps(silent))
    found = {**silent, "results": [{"url": "https://a.example/"}]}
    assert [one.url for one in read_searx(orjson.dumps(found))] == ["https://a.example/"]
    assert read_searx(b'{"results": [], "unresponsive_engines": []}') == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"results": {}}', b'{"results": NaN}', b"[" * 100_000])
def test_an_answer_that_is_no_searx_answer_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_searx(body)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([RSS, ATOM, RDF, PAGE, b'{"results": [{"url": "https://a.example/"}]}']),
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=12) | st.sampled_from(CUTS)), max_size=6
    ),
    st.sampled_from(SourceKind),
    st.sampled_from([None, "utf-8", "utf-16", "latin-1", "zip", "\x00"]),
)
def test_whatever_comes_is_hits_or_unreadable(
    body: bytes, cuts: list[tuple[int, int, bytes]], kind: SourceKind, charset: str | None
) -> None:
    for start, length, instead in cuts:
        body = body[:start] + instead + body[start + length :]
    try:
        hits = read_hits(kind, Fetched("https://s.example/", 200, "text/plain", charset, body, {}))
    except Unreadable:
        return
    for one in hits:
        assert one.url == checked_url(one.url)
        assert len(one.title or "") <= 300


def test_each_kind_has_its_reader() -> None:
    def fetched(body: bytes) -> Fetched:
        return Fetched("https://s.example/", 200, "text/plain", None, body, {})

    assert read_hits(SourceKind.FEED, fetched(RDF))
    assert read_hits(SourceKind.PAGE, fetched(PAGE))
    assert read_hits(SourceKind.SEARX, fetched(b'{"results": [{"url": "https://a.example/"}]}'))
