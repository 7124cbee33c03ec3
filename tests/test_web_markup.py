"""From bytes to blocks, step by step: charsets, tags, the small tree of facts, the page that comes out."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime

import pytest

from src.worker.web import extraction, markup, outline
from src.worker.web.charset import Undecodable, decode
from src.worker.web.extraction import HTML_MAX_BYTES, TEXT_MAX_CHARS, extract
from src.worker.web.markup import BLOCKS, DEPTH_MAX, ELEMENTS_MAX, VOID, End, Scan, Start, unescaped
from src.worker.web.outline import parse
from src.worker.web.seams import Fetched, FetchError, Problem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def seen(source: str) -> str:
    """The events of a page as markup: what was opened is closed, what was dropped is gone."""
    out = []
    for event in Scan(source).events():
        if isinstance(event, Start):
            said = "".join(f" {name}={value}" for name, value in event.attributes.items())
            out.append(f"<{event.name}{said}>")
        else:
            out.append(f"</{event.name}>" if isinstance(event, End) else event.text)
    return "".join(out)


def page(body: bytes, content_type: str = "text/html", charset: str | None = "utf-8", cached: bool = False):  # type: ignore[no-untyped-def]
    url = "https://www.site.example/a"
    return extract(Fetched(url, 200, content_type, charset, body, {}, from_cache=cached), "http://asked", NOW)


# Tags.


@pytest.mark.parametrize(
    ("source", "events"),
    [
        ("a < b <3 > c", "a < b <3 > c"),
        ("<P>a</P >b", "<p>a</p>b"),
        ("a<!-- <p> -->b", "ab"),
        ("a<!-->b", "ab"),
        ("a<!-- b", "a"),
        ("a<!DOCTYPE html>b<?x?>c</>d", "abcd"),
        ("a<!x", "a"),
        ("a<p", "a"),
        ("<b>a</b><i>b</i>", "ab"),
        ("a<br>b<img src=x>c<hr/>d", "a<br>b" + "c<hr>d"),
        ("a</br>b</p>c", "abc"),
        ("<div>a</p>b</div>", "<div>ab</div>"),
        ("<div><p>a</div>b", "<div><p>a</p></div>b"),
        ("<p>a</div>b", "<p>ab</p>"),
        ("<a>x<div>y</a>z</div>", "<a>x<div>yz</div></a>"),
        ("<a>x<span>y</a>z", "<a>x<span>y</span></a>z"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<p>a<table>b", "<p>a</p><table>b</table>"),
        ("<p>a<td>b", "<p>a<td>b</td></p>"),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>", "<ul><li>a</li><li>b<ul><li>c</li></ul>d</li></ul>"),
        ("<ol><li>a<li>b", "<ol><li>a</li><li>b</li></ol>"),
        ("<dl><dt>a<dd>b<dd>c<dt>d", "<dl><dt>a</dt><dd>b</dd><dd>c</dd><dt>d</dt></dl>"),
        (
            "<table><thead><tr><th>a<th>b<tbody><tr><td>c<th>d<td>e<tr><td>f",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>c</td><th>d</th><td>e</td></tr>"
            "<tr><td>f</td></tr></tbody></table>",
        ),
        (
            "<table><tr><td><table><tr><td>a<tr><td>b",
            "<table><tr><td><table><tr><td>a</td></tr><tr><td>b</td></tr></table></td></tr></table>",
        ),
        ("<a>x<a>y", "<a>x</a><a>y</a>"),
        ("<a>x<div><a>y", "<a>x<div><a>y</a></div></a>"),
        ("<title>a<p>b", "<title>a</title><p>b</p>"),
        ("<html><head><title>a</title><p>b", "<html><head><title>a</title></head><p>b</p></html>"),
        ("<head><title>a", "<head><title>a</title></head>"),
        ("<div>" * 3 + "x</div>y", "<div><div><div>x</div>y</div></div>"),
    ],
)
def test_tags_are_closed_as_browsers_close_them(source: str, events: str) -> None:
    assert seen(source) == events


@pytest.mark.parametrize(
    "name",
    (
        "script style noscript template svg math iframe object canvas audio video map select datalist noframes "
        "noembed textarea button xmp"
    ).split(),
)
def test_what_is_no_text_is_skipped_with_all_it_holds(name: str) -> None:
    assert seen(f"a<{name} x='>'>b <p>c</p> </{name}x>d</{name.upper()} >e") == "ae"
    rest = "a" if name in ("script", "style") else "ab"
    assert seen(f"a<{name}>b") == rest
    assert seen(f"a<{name}>b</{name}") == rest


@pytest.mark.parametrize(
    "name", [*sorted(BLOCKS - {"title", "head", "html", "hr"}), "a", "time", "cite", "span", "q", "data"]
)
def test_elements_that_say_something_are_kept(name: str) -> None:
    assert seen(f"a<{name}>b</{name}>c") == f"a<{name}>b</{name}>c"


@pytest.mark.parametrize("name", sorted(VOID & {"br", "hr", "meta", "link"}))
def test_elements_without_content_are_never_closed(name: str) -> None:
    assert seen(f"a<{name}>b") == f"a<{name}>b"


@pytest.mark.parametrize(
    "name",
    "id class href rel lang datetime content name property itemprop itemtype role hidden pubdate http-equiv".split(),
)
def test_attributes_that_matter_are_kept_in_every_notation(name: str) -> None:
    for written in (f'{name}="x y"', f"{name.upper()} = 'x y'", f"a=1 {name}='x y' {name}=2", f"/{name}='x y'/"):
        assert next(iter(Scan(f"<p {written}>").events())) == Start("p", {name: "x y"})
    assert next(iter(Scan(f"<p {name}=x&amp;y z>").events())) == Start("p", {name: "x&y"})
    assert next(iter(Scan(f"<p {name}>").events())) == Start("p", {name: ""})


def test_other_attributes_are_dropped_and_long_values_cut() -> None:
    assert next(iter(Scan("<p onclick=x data-x=y src=z title=t>").events())) == Start("p", {})
    (start, *_) = Scan(f"<p id={'x' * 2_001}>").events()
    assert start == Start("p", {"id": "x" * 2_000})
    assert list(Scan(f"<{'x' * 50}>a").events()) == [markup.Text("a")]


def test_what_is_too_deep_keeps_its_text_and_what_is_too_much_ends_the_page() -> None:
    deep = "<div>" * (DEPTH_MAX + 5) + "x"
    assert seen(deep) == "<div>" * DEPTH_MAX + "x" + "</div>" * DEPTH_MAX
    scan = Scan("<br>" * ELEMENTS_MAX + "x")
    assert len(list(scan.events())) == ELEMENTS_MAX + 1
    assert not scan.truncated
    scan = Scan("<br>" * (ELEMENTS_MAX + 1) + "x")
    assert len(list(scan.events())) == ELEMENTS_MAX
    assert scan.truncated


def test_structured_data_is_kept_up_to_its_bound() -> None:
    ld = "<script type={}application/ld+json{}>{}</script>"
    for quote in ('"', "'", ""):
        scan = Scan("a" + ld.format(quote, quote, '{"a": "<p>"}') + "<script>x</script>b")
        assert seen(scan.source) == "ab"
        list(scan.events())
        assert scan.structured == ['{"a": "<p>"}']
    scan = Scan(ld.format("", "", "x" * 150_000) + ld.format("", "", "y" * 50_000) + ld.format("", "", "z"))
    list(scan.events())
    assert [len(one) for one in scan.structured] == [150_000, 50_000]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a &amp; b &lt;p&gt; &#65;&#x42;", "a & b <p> AB"),
        ("&#1234567;", "\ufffd"),
        ("&#12345678;x", "\ufffdx"),
        ("&#" + "9" * 5_000 + ";x", "\ufffdx"),
        ("&#x" + "f" * 7 + ";x", "\ufffdx"),
        ("plain", "plain"),
    ],
)
def test_references_are_resolved_however_long(text: str, shown: str) -> None:
    assert unescaped(text) == shown


# The small tree.


def told(source: str) -> str:
    return str(parse(source).soup)


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("<title>T</title><p>x</p>", "<title>T</title>"),
        ("<h1>H <span>s</span></h1>", "<h1>H s</h1>"),
        ("<main><p>x<time datetime=d>then</time></p></main>", '<main><time datetime="d">then</time></main>'),
        ("<article>x<time>t</time></article>", "<article><time>t</time></article>"),
        ("<span itemprop=author>Jo <b>Doe</b></span>", '<span itemprop="author">Jo Doe</span>'),
        ("<div itemprop=articleBody>x <time>t</time></div>", '<div itemprop="articleBody"><time>t</time></div>'),
        ("<a rel='x author'>Jo</a><a rel=x>Al</a>", '<a rel="x author">Jo</a>'),
        ("<meta name=a content=b>x<link rel=c href=d>", '<meta content="b" name="a"/><link href="d" rel="c"/>'),
    ],
)
def test_the_small_tree_holds_what_states_facts(source: str, tree: str) -> None:
    def attributes(text: str) -> list[str]:
        return sorted(text.replace("/>", ">").replace(">", " >").split())

    assert attributes(told(source)) == attributes(tree)


def test_the_small_tree_has_at_most_two_thousand_elements() -> None:
    assert len(parse("<meta name=a>" * 2_001).soup.find_all("meta")) == 2_000
    assert len(parse("<time>x</time>" * 2_001).soup.find_all("time")) == 2_000


def test_a_page_of_too_many_elements_says_so() -> None:
    document = parse("<p>x</p>" * (ELEMENTS_MAX + 1))
    assert (document.truncated, parse("<p>x</p>").truncated) == (True, False)
    assert document.blocks[0].text == "x"
    assert parse("x").blocks[0].text == "x"
    assert parse("<script type=application/ld+json>1</script>").structured == ("1",)
    assert outline.Document.__slots__ == ("soup", "blocks", "structured", "truncated")


# Charsets.


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("ascii", b"\x80", "€"),
        ("latin-1", b"\x80", "€"),
        (" ISO-8859-1 ", b"\x80", "€"),
        ("iso-8859-9", b"\xfd\x80", "ı€"),
        ("iso-8859-11", b"\x80\xa1", "€ก"),
        ("tis-620", b"\x80\xa1", "€ก"),
        ("gb2312", "é€".encode("gb18030"), "é€"),
        ("gbk", "𠀀".encode("gb18030"), "𠀀"),
        ("big5", "嘅".encode("big5hkscs"), "嘅"),
        ("shift_jis", "①".encode("cp932"), "①"),
        ("euc-kr", "똠".encode("cp949"), "똠"),
        ("utf-16", "aé".encode("utf-16-le"), "aé"),
        ("utf-16-be", "aé".encode("utf-16-be"), "aé"),
        ("koi8-u", b"\xf4\xf0", "ТП"),
        ("mac-cyrillic", b"\x80", "А"),
        ("macintosh", b"\x80", "Ä"),
        ("euc-jp", "春".encode("euc_jp"), "春"),
        ("iso-2022-jp", "春".encode("iso2022_jp"), "春"),
        ("ibm866", b"\x80", "А"),
        ("windows-874", b"\xa1", "ก"),
        ("dos-874", b"\xa1", "ก"),
        ("x-sjis", "春".encode("cp932"), "春"),
        ("x-gbk", "春".encode("gb18030"), "春"),
        ("x-euc-jp", "春".encode("euc_jp"), "春"),
        ("x-mac-cyrillic", b"\x80", "А"),
        ("x-mac-roman", b"\x80", "Ä"),
        ("x-x-big5", "春".encode("big5"), "春"),
        ("x-cp1251", b"\xc0", "А"),
        *((f"windows-125{number}", b"\x41\xa9", f"A{bytes([0xA9]).decode(f'cp125{number}')}") for number in range(9)),
        ("iso-8859-2", b"\xa3", "Ł"),
        ("iso-8859-16", b"\xa4", "€"),
    ],
)
def test_a_charset_s_name_means_what_browsers_read(label: str, body: bytes, text: str) -> None:
    assert decode(body, label) == text


@pytest.mark.parametrize("label", ["utf-7", "punycode", "cp437", "hex", "iso-8859-12", "x" * 41, "", "ü"])
def test_other_charsets_are_not_believed(label: str) -> None:
    assert decode("grün".encode(), label) == "grün"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_mark_at_the_beginning_goes_before_everything(mark: bytes, encoding: str) -> None:
    assert decode(mark + "grün".encode(encoding), "windows-1251") == "grün"
    assert decode(mark + b"\xff" + "grün".encode(encoding) * 200, "x").count("grün") >= 199 or encoding != "utf-8"


def test_a_declaration_counts_in_markup_only_and_within_its_beginning() -> None:
    meta = b"<meta charset=windows-1251>"
    cyrillic = "Привет".encode("cp1251")
    assert decode(meta + cyrillic, None).endswith("Привет")
    assert decode(b" " * (4_096 - len(meta)) + meta + cyrillic, None).endswith("Привет")
    assert decode(b"<meta charset=utf-16>" + "grün".encode(), None).endswith("grün")
    assert decode(meta + cyrillic, "latin-1", markup=False).endswith(cyrillic.decode("cp1252"))
    assert decode(meta + cyrillic, "koi8-r").endswith(cyrillic.decode("koi8-r"))


@pytest.mark.parametrize(("bad", "text"), [(10, True), (11, False)])
def test_a_text_with_over_a_hundredth_of_damage_is_none(bad: int, text: bool) -> None:
    body = b"\xff" * bad + b"a" * (1_000 - bad)
    if text:
        assert decode(body, "utf-8", markup=False).count("\ufffd") == 10
    else:
        with pytest.raises(Undecodable):
            decode(body, "utf-8", markup=False)


@pytest.mark.parametrize(("nuls", "text"), [(1, True), (2, False)])
def test_a_text_with_over_a_thousandth_of_nuls_is_none(nuls: int, text: bool) -> None:
    body = b"\0" * nuls + b"a" * (1_000 - nuls)
    if text:
        assert decode(body, "utf-8") == "a" * 999
    else:
        with pytest.raises(Undecodable):
            decode(body, "utf-8")


# The page.


def test_a_page_has_every_field() -> None:
    body = (
        b"<html lang=en><title>T</title><meta name=author content=Jo><meta name=date content=2026-02-03>"
        b"<link rel=canonical href=/c><article><p>One two three.</p></article>"
    )
    found = page(body, cached=True)
    assert (found.url, found.final_url, found.canonical_url) == (
        *("http://asked", "https://www.site.example/a"),
        "https://www.site.example/c",
    )
    assert (found.title, found.author, found.language, found.source_name) == ("T", "Jo", "en", "site.example")
    assert (found.published_at, found.fetched_at) == (datetime(2026, 2, 3, tzinfo=UTC), NOW)
    assert (found.text, found.word_count, found.truncated, found.from_cache) == ("One two three.", 3, False, True)
    assert not page(body).from_cache


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"<nav>x</nav>", "text/html", "the page has no readable text"),
        (
            b"<meta http-equiv=refresh content='0; url=/x'>",
            "text/html",
            "only sends its reader elsewhere (meta refresh)",
        ),
        (bytes(range(256)) * 9, "text/html", "the page is no text"),
        (b" \n ", "text/plain", "the page has no readable text"),
    ],
)
def test_a_page_without_text_says_why(body: bytes, kind: str, why: str) -> None:
    with pytest.raises(FetchError) as caught:
        page(body, kind)
    assert caught.value.problem is Problem.UNREADABLE
    assert why in str(caught.value)
    assert "www.site.example" in str(caught.value)


def test_plain_text_keeps_its_tags_and_two_line_ends() -> None:
    assert page(b"a\r\nb\n\n\n\n<p>c</p>\n\n", "text/plain").text == "a\nb\n\n<p>c</p>"
    assert page(b"<p>c</p>", "application/xhtml+xml").text == "c"


@pytest.mark.parametrize(("size", "cut"), [(TEXT_MAX_CHARS, False), (TEXT_MAX_CHARS + 1, True)])
def test_text_has_its_longest_length(size: int, cut: bool) -> None:
    found = page(b"x" * size, "text/plain")
    assert (len(found.text), found.truncated) == (TEXT_MAX_CHARS, cut)


@pytest.mark.parametrize(("size", "cut"), [(HTML_MAX_BYTES, False), (HTML_MAX_BYTES + 1, True)])
def test_markup_has_its_longest_length(size: int, cut: bool) -> None:
    body = b"<p>One two three.</p>"
    assert page(body + b" " * (size - len(body))).truncated is cut


def test_a_page_of_too_many_elements_is_a_part_of_one() -> None:
    assert page(b"<p>One two three.</p>" + b"<br>" * ELEMENTS_MAX).truncated
    assert extraction.HTML_MAX_BYTES == 2_097_152
    assert TEXT_MAX_CHARS == 50_000


def test_a_header_s_charset_is_read_where_nothing_can_be_read_strictly() -> None:
    body = "Привет".encode("cp1251") * 50 + b"\x98"  # not assigned in windows-1251
    assert decode(body, "windows-1251", markup=False).startswith("Привет")
    assert decode(b"<meta charset=windows-1251>" + body, None).endswith("Привет\ufffd")


def test_a_single_byte_charset_of_a_header_gives_way_to_utf_8() -> None:
    for label in ("iso-8859-2", "koi8-r", "mac-cyrillic", "ibm866", "windows-1251", "windows-874"):
        assert decode("grün".encode(), label) == "grün"
    assert decode("春春".encode("euc_jp"), "euc-jp") == "春春"


def test_what_plain_text_says_of_a_charset_is_text() -> None:
    assert page(b"<meta charset=windows-1251> caf\xe9 " + b"x" * 500, "text/plain", "latin-1").text[28:32] == "café"
    with pytest.raises(FetchError) as caught:
        page(bytes(range(256)) * 9)
    assert caught.value.url == "https://www.site.example/a"
