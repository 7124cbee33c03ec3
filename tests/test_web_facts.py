"""What a page says of itself: every place it can say it in, which one goes before which, and what is not believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from src.worker.web.facts import Facts, facts, site_of
from src.worker.web.outline import parse
from src.worker.web.urls import parse_url

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = parse_url("https://www.example.com/a/b")


def said(head: str, body: str = "", html: str = "<html>", **headers: str) -> Facts:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return facts(parse(f"{html}<head>{head}</head><body>{body}</body></html>"), URL, named, NOW)


def linked(*objects: str) -> str:
    return "".join(f'<script type="application/ld+json">{one}</script>' for one in objects)


def test_a_page_that_says_nothing_is_nothing() -> None:
    assert said("") == Facts(None, None, None, None, None, False)


# Title.


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title> A \n page </title>", "", "A page"),
        ("<title>T</title>", "<h1>H</h1>", "T"),
        ("", "<h1>H</h1>", "H"),
        ("", "<h1>H</h1><h1>I</h1>", None),
        ("<title>Bridge to be rebuilt - The News</title>", "<h1>Bridge to be rebuilt</h1>", "Bridge to be rebuilt"),
        ("<title>T</title><meta property='og:title' content='O'>", "", "O"),
        ("<title>T</title><meta name='twitter:title' content='W'>", "", "W"),
        ("<meta property='og:title' content='O'><meta name='twitter:title' content='W'>", "", "O"),
        ("<meta property='og:title' content=' '><meta name='twitter:title' content='W'>", "", "W"),
        (f"<title>{'x' * 301}</title>", "", "x" * 300),
        ("<title>A | B | the SITE</title><meta property='og:site_name' content='The Site'>", "", "A | B"),
        ("<title>A – Other</title><meta property='og:site_name' content='The Site'>", "", "A – Other"),
        ("<title>The Site</title><meta property='og:site_name' content='The Site'>", "", "The Site"),
        ("<title>Site - Site</title><meta property='og:site_name' content='Site'>", "", "Site"),
    ],
)
def test_a_title_is_the_headline_without_the_site(head: str, body: str, title: str | None) -> None:
    assert said(head, body).title == title


@pytest.mark.parametrize("mark", ["|", "–", "—", "·", "•", "»", ":", "-"])
def test_a_site_s_name_is_parted_by_any_of_these(mark: str) -> None:
    assert said(f"<title>A {mark} S</title><meta name='og:site_name' content='s'>").title == "A"


# Author.


@pytest.mark.parametrize(
    "name", ["author", "article:author", "parsely-author", "dc.creator", "dcterms.creator", "byl", "BYL"]
)
def test_an_author_is_read_from_every_name_of_it(name: str) -> None:
    assert said(f"<meta name='{name}' content='By  Jo Doe'>").author == "Jo Doe"


@pytest.mark.parametrize("tag", ["a", "span", "address", "div", "p"])
def test_an_author_is_read_from_the_text(tag: str) -> None:
    assert said("", f"<{tag} rel='author'>Jo</{tag}><{tag} rel='author'>Al</{tag}>").author == "Jo"
    assert said("", f"<{tag} itemprop='author'>by <b itemprop='name'>Jo</b></{tag}>").author == "Jo"
    assert said("", f"<{tag} itemprop='author'>Jo</{tag}>").author == "Jo"


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ('"Jo  Doe"', "Jo Doe"),
        ('{"name": "Jo"}', "Jo"),
        ('[{"name": "Jo"}, "Al", 3, {"name": " "}, "https://x.com/al"]', "Jo, Al"),
        ('["a", "b", "c", "d", "e", "f"]', "a, b, c, d, e"),
        ('{"name": ["Jo"]}', None),
        ("3", None),
    ],
)
def test_authors_of_structured_data_go_before_the_others_and_addresses_are_none(author: str, name: str | None) -> None:
    data = linked(f'{{"headline": "h", "author": {author}}}')
    assert said(data).author == name
    assert said(f"<meta name='author' content='Meta'>{data}").author == (name or "Meta")
    assert said("<meta name='author' content='https://x.com/jo'><meta name='byl' content='Jo'>").author == "Jo"
    assert said(f"<meta name='author' content='{'x' * 201}'>").author == "x" * 200


# Date.


@pytest.mark.parametrize(
    "name",
    [
        *("article:published_time", "og:article:published_time", "datePublished", "parsely-pub-date"),
        *("dc.date.issued", "dcterms.created", "dc.date", "pubdate", "publishdate", "publish-date", "sailthru.date"),
        "date",
    ],
)
@pytest.mark.parametrize("attribute", ["name", "property", "itemprop"])
def test_a_date_is_read_from_every_name_of_it(name: str, attribute: str) -> None:
    head = f"<meta {attribute}='{name}' content='2026-02-03'><meta {attribute}='{name}' content='2026-02-04'>"
    assert said(head).published_at == datetime(2026, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "day"),
    [
        ("<time datetime='2026-02-03'>", None),
        ("<time datetime='2026-02-03' pubdate>", 3),
        ("<time datetime='2026-02-03' itemprop='datePublished'>", 3),
        ("<time datetime='2026-02-03' itemprop='dateModified'>", None),
        ("<article><time datetime='2026-02-03'></time><time datetime='2026-02-04'></time></article>", 3),
        ("<main><div><time datetime='2026-02-03'></time></div></main>", 3),
        ("<main><time datetime='then'></time><time datetime='2026-02-04'></time></main>", None),
        ("<main><time datetime='2026-02-03'></time></main><time datetime='2026-02-04' pubdate></time>", 4),
    ],
)
def test_a_time_in_the_text_is_the_date_where_it_says_so_or_begins_the_article(body: str, day: int | None) -> None:
    assert said("", body).published_at == (None if day is None else datetime(2026, 2, day, tzinfo=UTC))


@pytest.mark.parametrize(
    ("date", "believed"),
    [
        ("1991-08-06", True),
        ("1991-08-05", False),
        ("2026-03-02T12:00:00Z", True),
        ("2026-03-02T12:00:01Z", False),
    ],
)
def test_a_date_is_believed_from_the_first_web_page_until_tomorrow(date: str, believed: bool) -> None:
    assert (said(linked(f'{{"datePublished": "{date}"}}')).published_at is not None) is believed


def test_structured_data_goes_before_the_page_s_names_and_what_is_no_date_is_passed_over() -> None:
    named = "<meta name='date' content='2026-02-05'>"
    assert said(named + linked('{"datePublished": "2026-02-03"}')).published_at == datetime(2026, 2, 3, tzinfo=UTC)
    assert said(named + linked('{"datePublished": "soon"}')).published_at == datetime(2026, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ('{"datePublished": "2026-02-03"}', True),
        ('[{"datePublished": "2026-02-03"}]', True),
        ('{"@graph": [{"datePublished": "2026-02-03"}]}', True),
        ('{"mainEntity": {"datePublished": "2026-02-03"}}', True),
        ('{"mainEntityOfPage": {"datePublished": "2026-02-03"}}', True),
        ('{"about": {"datePublished": "2026-02-03"}}', False),
        ('{"headline": "h", "mainEntity": {"datePublished": "2026-02-03"}}', True),
        ("[[[[[" + '{"datePublished": "2026-02-03"}' + "]]]]]", True),
        ("[[[[[[" + '{"datePublished": "2026-02-03"}' + "]]]]]]", False),
        ("[" + "1, " * 49 + '{"datePublished": "2026-02-03"}]', True),
        ("[" + "1, " * 50 + '{"datePublished": "2026-02-03"}]', False),
    ],
)
def test_structured_data_is_looked_through_where_works_stand(data: str, found: bool) -> None:
    assert (said(linked("{broken", data)).published_at is not None) is found


# Address and language.


@pytest.mark.parametrize(
    ("head", "canonical"),
    [
        ("<link rel='canonical' href='/c'>", "https://www.example.com/c"),
        ("<link rel='alternate CANONICAL' href='/c'>", "https://www.example.com/c"),
        ("<link rel='stylesheet' href='/c'>", None),
        ("<link rel='canonical' href='https://m.example.com/c'>", "https://m.example.com/c"),
        ("<link rel='canonical' href='https://other.com/c'>", None),
        (
            "<link rel='canonical' href='https://other.com/c'><meta property='og:url' content='/o'>",
            "https://www.example.com/o",
        ),
        ("<link rel='canonical' href=' '><meta property='og:url' content='/o'>", "https://www.example.com/o"),
        ("<link rel='canonical' href='http://[bad'><meta property='og:url' content='/o'>", "https://www.example.com/o"),
        ("<link rel='canonical' href='/1'><link rel='canonical' href='/2'>", "https://www.example.com/1"),
        ("<link rel='canonical' href='/1'><meta property='og:url' content='/o'>", "https://www.example.com/1"),
    ],
)
def test_a_page_s_own_address_is_believed_on_its_site(head: str, canonical: str | None) -> None:
    assert said(head).canonical_url == canonical


@pytest.mark.parametrize(
    "host", ["www.example.com", "m.example.com", "mobile.example.com", "amp.example.com", "example.com"]
)
def test_other_views_of_a_site_are_the_same_site(host: str) -> None:
    assert site_of(host) == "example.com"
    assert site_of(f"x.{host}") == f"x.{host}"


@pytest.mark.parametrize(
    ("html", "header", "locale", "language"),
    [
        ("<html lang='de'>", "fr", "en_GB", "de"),
        ("<html lang='de_AT'>", "fr", "en_GB", "fr"),
        ("<html>", " fr-CA ", "en_GB", "fr-CA"),
        ("<html>", "fr, en", "en_GB", "en-GB"),
        ("<html>", "", "x", None),
    ],
)
def test_a_language_is_the_page_s_then_the_answer_s_then_the_shared_one(
    html: str, header: str, locale: str, language: str | None
) -> None:
    assert (
        said(f"<meta property='og:locale' content='{locale}'>", html=html, content_language=header).language == language
    )


@pytest.mark.parametrize(
    ("meta", "refreshes"),
    [
        ("http-equiv='Refresh' content='0; url=/x'", True),
        ("http-equiv='refresh' content='5,/x'", True),
        ("http-equiv='refresh' content='5'", False),
        ("http-equiv='refresh'", False),
        ("name='refresh' content='0; url=/x'", False),
    ],
)
def test_a_page_that_sends_its_reader_elsewhere_says_so(meta: str, refreshes: bool) -> None:
    assert said(f"<meta charset='utf-8'><meta {meta}>").refreshes is refreshes


def test_a_name_without_content_and_content_without_a_name_say_nothing() -> None:
    assert said("<meta name='author'><meta name='byl' content='Jo'>").author == "Jo"
    assert said("<meta content='Jo'><meta name='' content='Jo'>") == said("")


def test_of_many_times_the_first_twenty_are_looked_at() -> None:
    times = "<time datetime='x'>"
    assert said("", f"{times * 19}<time datetime='2026-02-03' pubdate>").published_at is not None
    assert said("", f"{times * 20}<time datetime='2026-02-03' pubdate>").published_at is None


def test_a_title_keeps_the_letters_that_a_site_s_name_is_parted_by_signs_from() -> None:
    assert said("<title>Project X | S</title><meta property='og:site_name' content='S'>").title == "Project X"


def test_a_page_without_a_root_has_no_language() -> None:
    assert facts(parse("<p>x</p>"), URL, {}, NOW).language is None
