"""The search of Bluesky: pages to their end or bound, limits honoured, calls bounded, faults said by their kind."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.worker import bluesky_scraper
from src.worker.bluesky import xrpc
from src.worker.bluesky.sign_in import SignIn
from src.worker.bluesky.xrpc import Xrpc
from src.worker.bluesky_scraper import BlueskyClient, Found, Search
from src.worker.config import load_settings
from src.worker.cpu import Cpu
from src.worker.errors import ConfigError
from src.worker.web.seams import FetchError, Problem
from tests.bluesky_double import DID, Answer, Bluesky, Respond, bluesky, pages, uri, view
from tests.llm_doubles.serving import Received

pytestmark = pytest.mark.anyio
NOW = datetime(2025, 3, 2, tzinfo=UTC)


class _Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def _client(
    answer: Respond, *, account: bool = False, clock: _Clock | None = None
) -> AsyncIterator[tuple[BlueskyClient, Bluesky]]:
    clock, cpu = clock or _Clock(), Cpu()
    sign_in = SignIn("ann.example.com", "abcd-efgh", clock=clock) if account else None
    with bluesky(answer) as server:
        yield BlueskyClient(Xrpc(server.url + "/", clock=clock), cpu, clock=clock, sign_in=sign_in), server
    cpu.close()


async def _search(client: BlueskyClient, limit: int = 1_000, **more: Any) -> Found:
    async with client.line() as line:
        return await client.search(line, Search("acme", limit, **more))


async def _refused(answer: Respond, **more: Any) -> FetchError:
    async with _client(answer, **more) as (client, _):
        with pytest.raises(FetchError) as caught:
            await _search(client)
    return caught.value


def _uris(found: Found) -> list[str]:
    return [post.uri for post in found.posts]


async def test_pages_are_read_to_the_end_and_a_post_on_two_of_them_counts_once() -> None:
    answer = pages([view("c"), view("b")], [view("b"), None, view("a")], [])
    async with _client(answer) as (client, server):
        found = await _search(client, since=NOW - timedelta(days=1), until=NOW)
    assert _uris(found) == [uri("c"), uri("b"), uri("a")]
    assert (found.pages, found.repeated, dict(found.left_out)) == (3, 1, {"malformed": 1})
    assert found.complete
    first, *later = server.calls()
    assert first == {
        "q": ["acme"],
        "sort": ["latest"],
        "limit": ["100"],
        "since": ["2025-03-01T00:00:00.000Z"],
        "until": ["2025-03-02T00:00:00.000Z"],
    }
    assert [call["cursor"] for call in later] == [["1"], ["2"]]
    assert server.asked[0][2].headers["user-agent"].startswith("brand-eval-worker/")


async def test_a_search_ends_at_its_bound_and_says_that_there_is_more() -> None:
    answer = pages([view(f"a{n}") for n in range(100)], [view(f"b{n}") for n in range(100)], [view("c")])
    async with _client(answer) as (client, server):
        found = await _search(client, limit=150)
    assert (len(found.posts), found.pages, found.complete) == (150, 2, False)
    assert len(server.calls()) == 2


def _endless(nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
    number = int(params.get("cursor", ["0"])[0])
    return Answer({"cursor": str(number + 1), "posts": []})


async def test_a_search_without_end_and_without_posts_is_given_up() -> None:
    async with _client(_endless) as (client, server):
        found = await _search(client, limit=100)
    assert (found.posts, found.complete) == ([], False)
    assert len(server.calls()) == 6


async def test_a_cursor_that_comes_back_does_not_lead_round_in_circles() -> None:
    async with _client(lambda *_: Answer({"cursor": "same", "posts": [view("a")]})) as (client, server):
        found = await _search(client)
    assert (_uris(found), found.complete, len(server.calls())) == ([uri("a")], False, 2)


@pytest.mark.parametrize("cursor", ["", 5, None, ["x"], "x" * 5_000, "a\x00b"])
async def test_a_cursor_of_another_kind_is_the_end(cursor: Any) -> None:
    async with _client(lambda *_: Answer({"cursor": cursor, "posts": [view("a")]})) as (client, server):
        assert (await _search(client)).complete
    assert len(server.calls()) == 1


async def test_a_lone_surrogate_costs_its_post_and_not_the_page() -> None:
    raw = json.dumps({"posts": [view("a", "broken \ud800"), view("b")]}).encode()
    async with _client(lambda *_: Answer(raw)) as (client, _):
        found = await _search(client)
    assert (_uris(found), dict(found.left_out)) == ([uri("b")], {"text_unusable": 1})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"posts": 5}', b"\xff\xfe", b'{"posts": {"a": 1}}', b"[" * 100_000]
)
async def test_an_answer_that_is_no_page_is_an_error_worth_another_try(body: bytes) -> None:
    error = await _refused(lambda *_: Answer(body))
    assert (error.problem, error.retryable) == (Problem.UNREADABLE, True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17.0),
        (
            {"ratelimit-limit": "3000", "ratelimit-remaining": "0", "ratelimit-reset": str(int(NOW.timestamp()) + 40)},
            40,
        ),
        ({}, 60.0),
        ({"Retry-After": "soon"}, 60.0),
        ({"Retry-After": "999999999"}, 3_600.0),
    ],
)
async def test_a_rate_limit_says_when_to_come_again(headers: dict[str, str], seconds: float) -> None:
    error = await _refused(lambda *_: Answer({"error": "RateLimitExceeded"}, 429, headers))
    assert (error.problem, error.retryable, error.not_before_sec) == (Problem.RATE_LIMIT, True, seconds)


async def test_while_a_limit_is_used_up_nobody_asks_and_afterwards_they_do() -> None:
    clock = _Clock()
    reset = str(int(NOW.timestamp()) + 40)
    spent = {"RateLimit-Remaining": "0", "RateLimit-Reset": reset}
    async with _client(lambda *_: Answer({"posts": [view("a")]}, headers=spent), clock=clock) as (client, server):
        assert len((await _search(client)).posts) == 1
        clock.now += timedelta(seconds=10)
        with pytest.raises(FetchError) as caught:
            await _search(client)
        assert (caught.value.problem, caught.value.not_before_sec) == (Problem.RATE_LIMIT, 30.0)
        assert len(server.calls()) == 1
        clock.now += timedelta(seconds=30)
        assert len((await _search(client)).posts) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_faults_of_the_server_are_worth_another_try(status: int) -> None:
    error = await _refused(lambda *_: Answer(b"<html>", status, {"Content-Type": "text/html", "Retry-After": "9"}))
    assert (error.problem, error.status, error.retryable, error.not_before_sec) == (Problem.STATUS, status, True, 9.0)


async def test_a_refusal_of_anonymous_callers_names_the_settings_that_help() -> None:
    error = await _refused(lambda *_: Answer({"error": "Forbidden"}, 403))
    assert (error.problem, error.retryable) == (Problem.STATUS, False)
    assert "BLUESKY_APP_PASSWORD" in error.message


async def test_a_query_that_is_refused_is_an_error_that_says_so() -> None:
    error = await _refused(lambda *_: Answer({"error": "BadQueryString", "message": "x" * 10_000}, 400))
    assert (error.status, error.retryable) == (400, False)
    assert "BadQueryString" in error.message
    assert len(error.message) < 200


async def test_redirects_are_not_followed() -> None:
    with bluesky(lambda *_: Answer({"posts": []})) as other:
        error = await _refused(lambda *_: Answer(b"", 302, {"Location": other.url}))
        assert other.asked == []
    assert (error.problem, error.retryable) == (Problem.REDIRECTS, False)


async def test_html_instead_of_json_is_refused() -> None:
    error = await _refused(lambda *_: Answer(b"<html></html>", headers={"Content-Type": "text/html"}))
    assert error.problem is Problem.CONTENT_TYPE


async def test_a_slow_drip_ends_at_the_calls_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xrpc, "CALL_SEC", 0.3)
    began = time.monotonic()
    error = await _refused(lambda *_: Answer(b"x" * 1_000, drip_sec=0.05))
    assert (error.problem, error.retryable) == (Problem.TIMEOUT, True)
    assert time.monotonic() - began < 20, "the whole answer takes 50 s"


async def test_a_server_that_is_not_there_is_an_error_worth_another_try() -> None:
    cpu = Cpu()
    client = BlueskyClient(Xrpc("http://127.0.0.1:9", clock=_Clock()), cpu, clock=_Clock())
    with pytest.raises(FetchError) as caught:
        await _search(client)
    assert (caught.value.problem, caught.value.retryable) == (Problem.CONNECTION, True)
    cpu.close()


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_huge_page_is_given_up_at_the_bound(compressed: bool) -> None:
    huge = b'{"posts": ["' + b"x" * (xrpc.BODY_MAX * 4) + b'"]}'
    headers = {"Content-Encoding": "gzip"} if compressed else {}
    error = await _refused(lambda *_: Answer(gzip.compress(huge, 1) if compressed else huge, headers=headers))
    assert (error.problem, error.retryable) == (Problem.TOO_LARGE, False)


async def test_a_compressed_page_is_read() -> None:
    raw = gzip.compress(json.dumps({"posts": [view("a")]}).encode())
    async with _client(lambda *_: Answer(raw, headers={"Content-Encoding": "gzip"})) as (client, _):
        assert _uris(await _search(client)) == [uri("a")]


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", b"no gzip"), ("gzip", gzip.compress(b"{}", mtime=0)[:-6]), ("br", b"x")]
)
async def test_a_body_that_cannot_be_unpacked_is_an_error(encoding: str, body: bytes) -> None:
    error = await _refused(lambda *_: Answer(body, headers={"Content-Encoding": encoding}))
    assert error.problem is Problem.UNREADABLE


async def test_the_event_loop_goes_on_while_large_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, begun, went_on = bluesky_scraper._read_page, threading.Event(), threading.Event()

    def held(*args: Any) -> Any:
        begun.set()
        assert went_on.wait(20), "the loop waits for the page"
        return read(*args)

    page = [view(f"a{n}", "x" * 3_000, record={"facets": [{"n": n}] * 200}) for n in range(100)]
    async with _client(pages(page, page, page)) as (client, _):
        await _search(client, limit=1)  # what is loaded at the first call
        monkeypatch.setattr(bluesky_scraper, "_read_page", held)
        reading = asyncio.create_task(_search(client))
        while not begun.is_set() and not reading.done():
            await asyncio.sleep(0.001)
        went_on.set()
        found = await reading
    assert len(found.posts) == 100


# -- an account ----------------------------------------------------------------------------------------------------


class _Account:
    """A server with accounts: tokens are numbered, those in `good` are let in."""

    def __init__(self) -> None:
        self.made = 0
        self.good: set[str] = set()
        self.refreshes = True
        self.password = "abcd-efgh"

    def __call__(self, nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if nsid == "com.atproto.server.createSession":
            if request.body != {"identifier": "ann.example.com", "password": self.password}:
                return Answer({"error": "AuthenticationRequired", "message": "Invalid identifier or password"}, 401)
            return self._session()
        if nsid == "com.atproto.server.refreshSession":
            fine = self.refreshes and token.startswith("refresh")
            return self._session() if fine else Answer({"error": "ExpiredToken"}, 400)
        if token not in self.good:
            return Answer({"error": "ExpiredToken", "message": "Token has expired"}, 400)
        return Answer({"posts": [view("a")]})

    def _session(self) -> Answer:
        self.made += 1
        self.good = {f"access{self.made}"}
        return Answer({"accessJwt": f"access{self.made}", "refreshJwt": f"refresh{self.made}", "did": DID})


def _names(server: Bluesky) -> list[str]:
    return [name.rpartition(".")[2] for name, _, _ in server.asked]


async def test_an_account_signs_in_once_and_renews_its_token_when_it_has_expired() -> None:
    account = _Account()
    async with _client(account, account=True) as (client, server):
        for _ in range(2):
            assert len((await _search(client)).posts) == 1
        assert _names(server) == ["createSession", "searchPosts", "searchPosts"]
        account.good.clear()
        server.asked.clear()
        assert len((await _search(client)).posts) == 1
        assert _names(server) == ["searchPosts", "refreshSession", "searchPosts"]
        account.good.clear()
        account.refreshes = False
        server.asked.clear()
        assert len((await _search(client)).posts) == 1
        assert _names(server) == ["searchPosts", "refreshSession", "createSession", "searchPosts"]


async def test_many_searches_at_once_sign_in_once_and_renew_once() -> None:
    account = _Account()
    async with _client(account, account=True) as (client, server):
        for _ in range(2):
            await asyncio.gather(*(_search(client) for _ in range(8)))
            account.good.clear()
        assert _names(server).count("createSession") == 1
        assert _names(server).count("refreshSession") == 1


async def test_refused_credentials_are_not_offered_again_for_a_while_and_never_shown() -> None:
    account, clock = _Account(), _Clock()
    account.password = "changed"
    async with _client(account, account=True, clock=clock) as (client, server):
        for _ in range(3):
            with pytest.raises(FetchError) as caught:
                await _search(client)
            assert (caught.value.status, caught.value.retryable) == (401, False)
            assert "abcd-efgh" not in str(caught.value)
        assert _names(server) == ["createSession"]
        clock.now += timedelta(minutes=11)
        account.password = "abcd-efgh"
        assert len((await _search(client)).posts) == 1


async def test_a_sign_in_without_a_token_is_an_error() -> None:
    error = await _refused(lambda *_: Answer({"did": DID}), account=True)
    assert error.problem is Problem.UNREADABLE


def test_half_an_account_is_refused_at_the_start() -> None:
    cpu = Cpu()
    with pytest.raises(ConfigError, match="BLUESKY_APP_PASSWORD"):
        BlueskyClient.of(load_settings(_env_file=None, bluesky_handle="ann.example.com"), cpu, clock=_Clock())
    with pytest.raises(ConfigError, match="BLUESKY_HANDLE"):
        BlueskyClient.of(load_settings(_env_file=None, bluesky_app_password="x"), cpu, clock=_Clock())
    cpu.close()


@pytest.mark.parametrize("name", ["bluesky_base_url", "bluesky_pds_url", "bluesky_jetstream_url"])
def test_addresses_of_another_scheme_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name.upper()):
        load_settings(_env_file=None, **{name: "ftp://host"})


# -- profiles ------------------------------------------------------------------------------------------------------


async def test_profiles_are_asked_for_25_at_a_time_and_odd_ones_are_left_out() -> None:
    def answer(nsid: str, params: dict[str, list[str]], request: Received) -> Answer:
        rows: list[Any] = [
            {"did": did, "handle": f"{did[-4:]}.example.com", "followersCount": 7} for did in params["actors"]
        ]
        return Answer({"profiles": [*rows, None, {"did": "x"}, {"handle": "a.b"}]})

    dids = [f"did:plc:{n:04}" for n in range(60)]
    async with _client(answer) as (client, server), client.line() as line:
        authors = await client.profiles(line, dids)
    assert sorted(authors) == dids
    assert (authors[dids[0]].handle, authors[dids[0]].followers) == ("0000.example.com", 7)
    assert [len(call["actors"]) for call in server.calls("app.bsky.actor.getProfiles")] == [25, 25, 10]
