"""Reading from the web: every trap of a hostile site is refused or bounded, and no site is treated badly."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from src.worker import __version__
from src.worker.web.seams import FetchError, Problem

from .loop_work import turns
from .web_site import ARTICLE, NOW, PUBLIC, Asked, Page, closed, page, redirect, stream, world, zipped

pytestmark = pytest.mark.anyio

URL = "http://site.example/a"


async def refused(reading: Awaitable[Any], problem: Problem) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await reading
    error = caught.value
    assert error.problem is problem, error.message
    assert error.as_dict()["problem"] == problem.value
    return error


# -- what works ---------------------------------------------------------------------------------------------------


async def test_a_page_is_read_with_what_it_says_of_itself() -> None:
    async with world({"/a": page(ARTICLE, Content_Language="en-GB")}) as web:
        read = await web.read("http://www.site.example/a?x=1#part")
    assert (read.title, read.language, read.source_name) == ("A fine headline", "en", "site.example")
    assert read.text.startswith("The quick brown fox")
    assert (read.final_url, read.url) == ("http://www.site.example/a?x=1", "http://www.site.example/a?x=1#part")
    assert (read.fetched_at, read.from_cache, read.truncated) == (NOW, False, False)
    assert read.word_count == 12 * 5


async def test_the_worker_says_who_it_is_and_nothing_of_its_reader() -> None:
    async with world({"/a": page()}) as web:
        await web.read(URL)
    asked = web.site.asked[-1].headers
    assert asked["user-agent"] == f"brand-eval-worker/{__version__}"
    assert asked["accept-encoding"] == "gzip, deflate"
    assert set(asked) == {"host", "connection", "user-agent", "accept", "accept-encoding"}


async def test_the_setting_adds_a_contact_and_robots_txt_may_name_the_product() -> None:
    robots = page("User-agent: acme-bot\nDisallow: /a\n", kind="text/plain")
    async with world({"/a": page(), "/robots.txt": robots}, web_user_agent="acme-bot/2 (+https://acme.example)") as web:
        await refused(web.read(URL), Problem.ROBOTS)
        assert web.site.asked[0].headers["user-agent"] == "acme-bot/2 (+https://acme.example)"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(ARTICLE.encode()), "gzip"),
        (gzip.compress(ARTICLE[:99].encode()) + gzip.compress(ARTICLE[99:].encode()), "x-gzip"),
        (zlib.compress(ARTICLE.encode()), "deflate"),
        (zlib.compress(ARTICLE.encode(), wbits=-15), "deflate"),
        (ARTICLE.encode(), "identity"),
    ],
)
async def test_what_is_compressed_is_unpacked(body: bytes, encoding: str) -> None:
    async with world({"/a": page(body, Content_Encoding=encoding)}) as web:
        assert (await web.read(URL)).title == "A fine headline"


async def test_redirects_are_followed_and_each_hop_is_asked_for_by_its_own_rules() -> None:
    pages = {"/a": redirect("/b%20c?q=ü"), "/b%20c": redirect("//other.example/d", "301 Moved"), "/d": page()}
    async with world(pages) as web:
        read = await web.read(URL)
    assert read.final_url == "http://other.example/d"
    robots = [target for target in web.site.targets() if target.endswith("/robots.txt")]
    assert robots == ["site.example/robots.txt", "other.example/robots.txt"]
    assert web.names.asked.count("other.example") == 2


# -- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["10.0.0.8", PUBLIC], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"],
        ["::ffff:10.1.2.3"], ["64:ff9b::7f00:1"], ["fd00:ec2::254"], ["fe80::1%eth0"], ["0.0.0.0"], ["2002:7f00:1::"],
        [PUBLIC] * 40,
    ],
)  # fmt: skip
async def test_a_name_with_an_internal_address_among_its_answers_is_never_connected_to(answers: list[str]) -> None:
    async with world({"/a": page()}) as web:
        web.names.answers["site.example"] = [answers]
        error = await refused(web.read(URL), Problem.ADDRESS)
    assert web.network.connected == []
    assert "site.example" in error.message
    assert not error.retryable


async def test_the_connection_goes_to_the_address_that_was_checked_not_to_a_second_answer() -> None:
    async with world({"/a": page()}) as web:
        web.names.answers["site.example"] = [[PUBLIC], [PUBLIC], ["127.0.0.1"]]
        await web.read(URL)
        assert web.network.connected == [(PUBLIC, 80)] * 2  # robots.txt and the page: one lookup each
        assert web.names.asked == ["site.example"] * 2
        await refused(web.read(URL + "2"), Problem.ADDRESS)  # the name has been turned to this machine meanwhile
        assert len(web.network.connected) == 2


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("http://127.0.0.1/", Problem.ADDRESS), ("http://[::ffff:127.0.0.1]/", Problem.ADDRESS),
        ("http://169.254.169.254/latest/meta-data/", Problem.ADDRESS), ("http://2130706433/", Problem.ADDRESS),
        ("http://localhost/", Problem.ADDRESS), ("http://inside.example/", Problem.ADDRESS),
        ("file:///etc/passwd", Problem.URL), ("ftp://site.example/", Problem.URL), ("gopher://a.example/", Problem.URL),
        ("http://user:pw@site.example/", Problem.URL), ("http://site.example:6379/", Problem.URL),
        ("http:\\\\site.example\\", Problem.URL), ("", Problem.REDIRECTS),
    ],
)  # fmt: skip
async def test_a_redirect_is_judged_as_if_it_had_been_asked_for(location: str, problem: Problem) -> None:
    async with world({"/a": redirect(location)}) as web:
        web.names.answers["inside.example"] = [["192.168.1.1"]]
        await refused(web.read(URL), problem)
    assert {address for address, _ in web.network.connected} == {PUBLIC}


async def test_a_trusted_host_may_be_internal_but_not_where_it_redirects_to() -> None:
    async with world({"/a": page("{}", kind="application/json"), "/b": redirect("http://10.0.0.5/")}) as web:
        web.names.answers["searx"] = [["10.0.0.5"]]
        web.network.reachable.add("10.0.0.5")
        get = web.scraper.fetcher.get
        fetched = await get("http://searx:8080/a", accept="application/json", trusted=True)
        assert fetched.body == b"{}"
        await refused(get("http://searx/b", accept="*/*", trusted=True), Problem.ADDRESS)
        await refused(get("http://searx:8080/a", accept="application/json"), Problem.URL)
    assert "searx:8080/robots.txt" not in web.site.targets()


async def test_what_an_internal_host_said_is_not_shown_to_who_merely_names_its_url() -> None:
    async with world({"/a": page("secret", kind="text/plain", Cache_Control="max-age=600")}) as web:
        web.names.answers["site.example"] = [["10.0.0.5"]]
        web.network.reachable.add("10.0.0.5")
        await web.scraper.fetcher.get(URL, accept="text/plain", trusted=True)
        await refused(web.scraper.fetcher.get(URL, accept="text/plain"), Problem.ADDRESS)


async def test_tests_may_let_addresses_through_and_only_those() -> None:
    async with world({"/a": page()}, allow=lambda address: str(address) == "127.0.0.1") as web:
        web.names.answers = {"site.example": [["127.0.0.1"]], "b.example": [["127.0.0.2"]]}
        web.network.reachable.add("127.0.0.1")
        assert (await web.read(URL)).title
        await refused(web.read("http://b.example/a"), Problem.ADDRESS)


async def test_a_name_that_nobody_has_is_a_problem_of_names() -> None:
    async with world() as web:
        web.names.answers["site.example"] = [[]]
        error = await refused(web.read(URL), Problem.DNS)
        assert error.retryable


async def test_a_dead_address_is_passed_over_for_the_next_one() -> None:
    async with world({"/a": page()}) as web:
        web.names.answers["site.example"] = [["2606:4700::1", "2606:4700::2", "2606:4700::3", PUBLIC]]
        assert (await web.read(URL)).title
        web.names.answers["dead.example"] = [["2606:4700::1", "8.8.8.8"]]
        error = await refused(web.read("http://dead.example/"), Problem.CONNECTION)
        assert error.retryable


# -- hostile bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hops", "problem"), [(5, None), (6, Problem.REDIRECTS)])
async def test_five_redirects_are_followed_and_no_more(hops: int, problem: Problem | None) -> None:
    pages: dict[str, Page] = {f"/{n}": redirect(f"/{n + 1}") for n in range(hops)}
    async with world({**pages, f"/{hops}": page()}) as web:
        reading = web.read("http://site.example/0")
        if problem is None:
            assert (await reading).title
        else:
            await refused(reading, problem)


async def test_a_redirect_loop_is_found_when_it_closes() -> None:
    async with world({"/a": redirect("/b"), "/b": redirect("http://SITE.example:80/x/../a")}) as web:
        error = await refused(web.read(URL), Problem.REDIRECTS)
    assert "circle" in error.message
    assert len(web.site.asked) == 3


async def test_memory_stays_flat_under_a_gzip_bomb_and_a_body_of_ten_gigabytes() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(200)) + bomb.flush()
    zeros = bytes(2**16)
    pages = {
        "/bomb": page(packed, Content_Encoding="gzip"),
        "/huge": stream(zeros, 10 * 2**30 // len(zeros)),
    }
    async with world(pages, web_max_bytes=2**20) as web:
        await refused(web.read("http://site.example/huge"), Problem.TOO_LARGE)
        gc.collect()
        tracemalloc.start()
        try:
            await refused(web.read("http://site.example/bomb"), Problem.TOO_LARGE)
            await refused(web.read("http://site.example/huge"), Problem.TOO_LARGE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await closed(web.site)
    assert peak < 8 * 2**20


async def test_a_body_that_announces_its_size_is_not_begun() -> None:
    async def announced(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10737418240\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with world({"/a": announced}) as web:
        await refused(web.read(URL), Problem.TOO_LARGE)  # and not that it took too long: no byte of it ever comes


@pytest.mark.parametrize("where", ["head", "body", "silence"])
async def test_a_slow_drip_ends_with_the_deadline_and_its_connection(where: str) -> None:
    async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/robots.txt":
            return await page("", status="404 Not Found")(asked, writer)
        start = b"" if where == "silence" else b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        writer.write(start + (b"\r\n" if where == "body" else b""))
        while True:
            if where != "silence":
                writer.write(b"X-A: b\r\n" if where == "head" else b"<p>a</p>")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with world({"/a": drip}) as web:
        began = time.monotonic()
        error = await refused(web.read(URL, deadline_sec=1.5), Problem.TIMEOUT)
        assert time.monotonic() - began < 30, "it drips for as long as it is let"
        assert error.retryable
        await closed(web.site)


async def test_a_body_in_tiny_pieces_leaves_the_event_loop_alone_and_has_a_bound() -> None:
    chunks = b"1\r\nx\r\n" * 10_000
    async with world({"/a": stream(chunks, 200, head="Transfer-Encoding: chunked\r\n")}) as web, turns() as work:
        await refused(web.read(URL), Problem.UNREADABLE)
    assert work.longest < work.whole / 4, "it is read in many turns"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (page("%PDF", kind="application/pdf"), Problem.CONTENT_TYPE),
        (page("x", kind=None), Problem.CONTENT_TYPE),
        (page(b"\x00\x01\x02" * 500), Problem.UNREADABLE),
        (page(b"\x0b\x02\x80", Content_Encoding="br"), Problem.UNREADABLE),
        (page(b"no gzip", Content_Encoding="gzip"), Problem.UNREADABLE),
        (page(gzip.compress(b"x" * 9999)[:-9], Content_Encoding="gzip"), Problem.UNREADABLE),
        (page(gzip.compress(gzip.compress(b"x")), Content_Encoding="gzip, gzip"), Problem.UNREADABLE),
        (page("<p></p>"), Problem.UNREADABLE),
        (page("", status="404 Not Found"), Problem.STATUS),
        (page("", status="204 No Content"), Problem.STATUS),
        (page("", status="500 Oh"), Problem.STATUS),
        (page("", status="304 Not Modified"), Problem.STATUS),
    ],
)
async def test_what_is_no_page_is_refused_with_its_kind(answer: Page, problem: Problem) -> None:
    async with world({"/a": answer}) as web:
        error = await refused(web.read(URL), problem)
    assert error.retryable is (error.status == 500)


async def test_what_is_no_http_is_refused() -> None:
    async def ssh(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with world({"/a": ssh}) as web:
        await refused(web.read(URL), Problem.UNREADABLE)


async def test_a_meta_refresh_is_told_not_followed() -> None:
    hop = '<meta http-equiv="Refresh" content="0; url=http://169.254.169.254/latest/"><p> </p>'
    async with world({"/a": page(hop)}) as web:
        error = await refused(web.read(URL), Problem.UNREADABLE)
    assert "meta refresh" in error.message
    assert {address for address, _ in web.network.connected} == {PUBLIC}


async def test_messages_name_the_host_and_neither_query_nor_password() -> None:
    async with world({"/a": page("", status="500 Oh")}) as web:
        error = await refused(web.read(URL + "?token=hunter2"), Problem.STATUS)
        assert "hunter2" not in error.message
        error = await refused(web.read("http://me:hunter2@site.example/"), Problem.URL)
        assert "hunter2" not in f"{error.message} {error.url} {error.as_dict()}"


async def test_cookies_are_not_kept() -> None:
    async with world({"/a": page(Set_Cookie="id=7; Path=/"), "/b": page()}) as web:
        await web.read(URL)
        await web.read("http://site.example/b")
        fetched = await web.scraper.fetcher.get(URL, accept="text/html")
    assert "set-cookie" not in fetched.headers
    assert all("cookie" not in asked.headers for asked in web.site.asked)


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with world({"/a": page()}) as web:
        assert (await web.read(URL)).title


# -- manners ------------------------------------------------------------------------------------------------------


async def test_robots_txt_is_kept_to_and_asked_for_once() -> None:
    robots = page(
        "User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /private\nAllow: /private/not\n", kind="text/plain"
    )
    async with world({"/robots.txt": robots, "/a": page(), "/private/not": page()}) as web:
        await web.read(URL)
        await web.read("http://site.example/private/not")
        for path in ("private", "private/x", "x/../private", "%70rivate", "x/%2e%2E/private?q"):
            await refused(web.read(f"http://site.example/{path}"), Problem.ROBOTS)
    assert web.site.targets() == ["site.example/robots.txt", "site.example/a", "site.example/private/not"]


@pytest.mark.parametrize(
    ("robots", "problem"),
    [
        (page("", status="404 Not Found"), None), (page("", status="403 Forbidden"), None),
        (page("", status="500 Oh"), Problem.ROBOTS), (page("", status="503 Later"), Problem.ROBOTS),
        (page("", status="429 Slow"), Problem.RATE_LIMIT), (redirect("/robots.txt"), None),
        (redirect("http://127.0.0.1/robots.txt"), Problem.ADDRESS),
        (page(b"\xff\xfe\x00\x01" * 9), None), (page("<html>not found"), None),
        (page("Disallow: /"), None),
        (stream(b"User-agent: *\nDisallow: /b\n" + b"# filler\n" * 9999, 999_999), None),
    ],
)  # fmt: skip
async def test_a_robots_txt_that_is_missing_allows_and_one_that_fails_forbids(
    robots: Page, problem: Problem | None
) -> None:
    async with world({"/robots.txt": robots, "/a": page()}) as web:
        if problem is None:
            assert (await web.read(URL)).title
            return
        error = await refused(web.read(URL), problem)
        assert error.retryable is (problem is not Problem.ADDRESS)
        if problem is Problem.ROBOTS:
            before = len(web.site.asked)
            error = await refused(web.read(URL), Problem.ROBOTS)
            assert len(web.site.asked) == before, "a site in trouble is asked again"
            assert 0 < (error.not_before_sec or 0) <= 600


async def test_names_of_other_crawlers_cannot_make_a_robots_txt_expensive() -> None:
    names = "".join(f"User-agent: bot{n}\n" for n in range(12_000))
    rules = "".join(f"Disallow: /{n}\n" for n in range(12_000))
    text = names + rules + "\nUser-agent: brand-eval-worker\nDisallow: /mine\n"
    async with world({"/robots.txt": page(text), "/7": page()}) as web:
        began = time.process_time()
        assert (await web.read("http://site.example/7")).title
        await refused(web.read("http://site.example/mine"), Problem.ROBOTS)
        assert time.process_time() - began < 5, "a fraction of a second; a product of names and rules takes far more"


async def test_two_readers_of_one_host_take_turns_with_a_pause_between_them() -> None:
    hand, other, seen = Hand(), asyncio.Event(), list[str | float]()

    async def pause(seconds: float) -> None:
        await other.wait()  # the host beside it does not wait for this pause: this one waits for that host
        seen.append(seconds)
        hand.now += seconds

    async def shown(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.headers["host"] == "b.example":
            other.set()
        else:
            seen.append(asked.target)
        await page()(asked, writer)

    pages = dict.fromkeys(("/0", "/1", "/2", "/3"), shown)
    async with world(pages, web_host_delay_sec=0.3, web_timeout_sec=60, clock=hand, sleep=pause) as web:
        await asyncio.gather(*(web.read(f"http://site.example/{n}") for n in range(3)), web.read("http://b.example/3"))
    assert sorted(str(one) for one in seen[::2]) == ["/0", "/1", "/2"]
    assert seen[1::2] == [pytest.approx(0.3)] * 2


@pytest.mark.parametrize(("asked", "kept"), [("7", 7.0), ("999", 30.0), ("nan", 1.0)])
async def test_a_crawl_delay_is_kept_to_up_to_a_bound(asked: str, kept: float) -> None:
    robots = page(f"User-agent: *\nCrawl-delay: {asked}\n")
    hand = Hand()
    pages = {"/robots.txt": robots, "/a": page(), "/b": page()}
    async with world(pages, web_timeout_sec=60, clock=hand, sleep=hand.sleep) as web:
        await web.read(URL)
        await web.read("http://site.example/b")
    assert hand.slept == [pytest.approx(kept)]


async def test_a_wait_beyond_the_deadline_is_told_instead_of_waited() -> None:
    robots = page("User-agent: *\nCrawl-delay: 20\n")
    hand = Hand()
    pages = {"/robots.txt": robots, "/a": page(), "/b": page()}
    async with world(pages, clock=hand, sleep=hand.sleep) as web:
        await web.read(URL)
        error = await refused(web.read("http://site.example/b", deadline_sec=5), Problem.RATE_LIMIT)
    assert error.not_before_sec == pytest.approx(20)
    assert hand.slept == []


@pytest.mark.parametrize(
    ("said", "rest"),
    [
        ("120", 120), (None, 60), ("1000000", 3600), ("0", 0), ("soon", 60),
        ((NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90),
        ((NOW - timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0),
    ],
)  # fmt: skip
async def test_a_host_that_says_too_many_requests_is_left_alone(said: str | None, rest: float) -> None:
    headers = {} if said is None else {"Retry_After": said}
    pages = {"/a": page("", status="429 Slow", **headers), "/b": page()}
    async with world(pages, web_host_delay_sec=0, clock=Hand()) as web:
        error = await refused(web.read(URL), Problem.RATE_LIMIT)
        assert (error.status, error.not_before_sec, error.retryable) == (429, rest, True)
        asked = len(web.site.asked)
        if rest:
            error = await refused(web.read("http://site.example/b"), Problem.RATE_LIMIT)
            assert error.not_before_sec == pytest.approx(rest)
            assert len(web.site.asked) == asked
        else:
            assert (await web.read("http://site.example/b")).title


async def test_a_host_that_is_down_says_when_to_come_back() -> None:
    async with world({"/a": page("", status="503 Later", Retry_After="30")}) as web:
        error = await refused(web.read(URL), Problem.STATUS)
        assert (error.status, error.not_before_sec, error.retryable) == (503, 30, True)
        await refused(web.read(URL), Problem.RATE_LIMIT)


# -- asking again -------------------------------------------------------------------------------------------------


def _conditional(etag: str = '"v1"', **headers: str) -> Page:
    full, same = page(ETag=etag, **headers), page("", status="304 Not Modified", kind=None, ETag=etag)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (same if asked.headers.get("if-none-match") == etag else full)(asked, writer)

    return answer


async def test_a_body_that_has_not_changed_is_not_sent_again() -> None:
    async with world({"/a": _conditional()}) as web:
        first, second = await web.read(URL), await web.read(URL)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.text == second.text
    assert [one.headers.get("if-none-match") for one in web.site.asked] == [None, None, '"v1"']


async def test_a_body_is_fresh_for_as_long_as_its_server_says() -> None:
    now = [1000.0]
    async with world({"/a": _conditional(Cache_Control="public, max-age=60")}, clock=lambda: now[0]) as web:
        await web.read(URL)
        now[0] += 59
        assert (await web.read(URL)).from_cache
        assert len(web.site.asked) == 2
        now[0] += 2
        assert (await web.read(URL)).from_cache
        assert len(web.site.asked) == 3


@pytest.mark.parametrize("control", ["no-store", "private, max-age=60"])
async def test_a_body_that_is_not_to_be_kept_is_not(control: str) -> None:
    async with world({"/a": _conditional(Cache_Control=control)}) as web:
        await web.read(URL)
        assert not (await web.read(URL)).from_cache


async def test_the_cache_has_a_bound_in_bytes() -> None:
    big = ARTICLE + "<!--" + "x" * 100_000
    pages = {f"/{n}": page(big, ETag='"x"') for n in range(30)}
    async with world(pages, web_cache_mb=1, web_host_delay_sec=0) as web:
        for n in range(30):
            await web.read(f"http://site.example/{n}")
        cache = web.scraper.fetcher._cache  # type: ignore[attr-defined]
        assert 0 < cache.size <= 2**20
        assert cache.size == sum(len(kept.fetched.body) + 2_000 for kept in cache._kept.values())


# -- the worker stays alive ---------------------------------------------------------------------------------------


async def test_a_cancelled_reader_closes_its_connection_and_gives_its_turn_away() -> None:
    async with world({"/a": stream(b"<p>x", 10_000, pause=0.02), "/b": page()}, web_host_delay_sec=0) as web:
        reading = asyncio.create_task(web.read(URL))
        while not any(one.target == "/a" for one in web.site.asked):
            await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await closed(web.site)
        assert (await web.read("http://site.example/b")).title  # else until its time is up


async def test_the_event_loop_goes_on_while_a_large_page_is_read() -> None:
    big = "<article>" + "<p>Some words of a page that is much larger than most.</p>" * 30_000
    async with world({"/a": zipped(big)}) as web, turns() as work:
        began = time.process_time()
        read = await web.read(URL)
        everything = time.process_time() - began
    assert read.truncated
    assert work.longest < everything / 2, "without a thread of its own, parsing would be most of it in one piece"


async def test_many_hosts_are_read_side_by_side_but_never_too_many() -> None:
    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        while web.site.most_open < 8:  # one after the other, they would wait here until their time is up
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await page()(asked, writer)

    async with world({"/a": slow}) as web:
        await asyncio.gather(*(web.read(f"http://h{n}.example/a") for n in range(40)))
    assert 8 <= web.site.most_open <= 16


class Hand:
    """A clock that sleeping moves, and nothing else."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


# -- TLS ----------------------------------------------------------------------------------------------------------


def _certificate(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server that is `name`, and of a client that trusts it."""
    x509 = pytest.importorskip("cryptography.x509", reason="makes the certificate of the test's own site")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "site.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


async def test_a_certificate_is_checked_against_the_name_that_was_asked_for(tmp_path: Path) -> None:
    server, trust = _certificate(tmp_path, "site.example")
    pages = {"/a": page(), "/down": redirect("http://site.example/a")}
    async with world(pages, tls=server, trust=trust) as web:
        assert (await web.read("https://site.example/a")).title
        assert web.site.asked[-1].headers["host"] == "site.example"
        error = await refused(web.read("https://other.example/a"), Problem.CONNECTION)
        assert "certificate" in error.message
        error = await refused(web.read("https://site.example/down"), Problem.REDIRECTS)
        assert "https to http" in error.message
