"""One call of an XRPC server (atproto.com/specs/xrpc): bounded in time and size, and its refusals by their kind.

Nothing here tries again: the queue does, not before the moment that the server names.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from .. import __version__
from ..llm.retry_after import retry_after
from ..secrecy import masked_url
from ..web.seams import FetchError, Problem

USER_AGENT: Final = f"brand-eval-worker/{__version__} (brand mentions; reads public posts)"
CALL_SEC: Final = 20.0
"""For one call with its body; the search answers within two seconds as a rule."""
BODY_MAX: Final = 8 * 2**20
"""Bytes after decompression. A page of 100 posts has some 0.3 MB; with the longest texts and many images 3 MB."""
REST_SEC: Final = 60.0
"""After a refusal that names no time; the network's limits are counted over five minutes (3,000 calls each)."""
REST_MAX_SEC: Final = 3_600.0
"""Whoever names a later moment is asked again then: a header must not put a task off for ever."""
_AT_ONCE: Final = 4
"""Calls of one process at the same time: searches of many brands must not look like a flood."""
_ERROR_MAX: Final = 65_536
"""Bytes of an error that are worth reading: a name and a sentence."""
_NAME: Final = re.compile(r"[A-Za-z]{1,60}")
_UNSIGNED: Final = (
    "the server refuses callers that are not signed in: BLUESKY_HANDLE and BLUESKY_APP_PASSWORD are needed"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def error(self) -> str | None:
        """The name of the error, as the lexicons list them; None where the answer names none."""
        if len(self.body) > _ERROR_MAX:
            return None
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        name = document.get("error") if isinstance(document, dict) else None
        return name if isinstance(name, str) and _NAME.fullmatch(name) else None


class Xrpc:
    """A server, and what it has said of its rate limits. One per process, so that a rest is everybody's."""

    def __init__(self, base_url: str, *, clock: Callable[[], datetime]) -> None:
        self._base_url = base_url.rstrip("/")
        self.url = masked_url(self._base_url)
        """For errors and logs."""
        self._clock = clock
        self._rest_until: datetime | None = None
        self._tls: Any = None
        self._places = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection for the calls of one search; the certificates are loaded once, off the event loop."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls)
        import httpx  # the thread has loaded it

        # Every call has a limit of its own around it. Redirects are not followed: a token would go along.
        async with httpx.AsyncClient(timeout=httpx.Timeout(None), follow_redirects=False, verify=self._tls) as http:
            yield Line(self, http)

    def check_rest(self) -> None:
        """Raises `FetchError` while the server wants to be left alone."""
        if self._rest_until is None:
            return
        left = (self._rest_until - self._clock()).total_seconds()
        if left > 0:
            raise self._error(
                Problem.RATE_LIMIT, "its rate limit is used up", status=429, not_before_sec=min(left, REST_MAX_SEC)
            )
        self._rest_until = None

    async def exchange(self, http: Any, method: str, nsid: str, **sent: Any) -> Reply:
        """One call. Raises `FetchError` unless the status is 200, 400 or 401: those are the caller's to read."""
        self.check_rest()
        try:
            async with self._places, asyncio.timeout(CALL_SEC):
                reply = await self._receive(http, method, nsid, sent)
        except TimeoutError:
            raise self._error(Problem.TIMEOUT, f"no answer in {CALL_SEC:.0f} s") from None
        self._note_limits(reply)
        if reply.status not in (200, 400, 401):
            raise self.refused(reply)
        return reply

    def refused(self, reply: Reply) -> FetchError:
        """A status that is no answer, as an error."""
        said = f" ({reply.error})" if reply.error else ""
        wait = retry_after(reply.headers, None, "", self._clock())
        wait = None if wait is None else min(wait, REST_MAX_SEC)
        if reply.status == 429:
            problem, text = Problem.RATE_LIMIT, f"asks to be called less often{said}"
            wait = REST_SEC if wait is None else wait
        elif 300 <= reply.status < 400:
            problem, text, wait = Problem.REDIRECTS, f"redirects elsewhere, status {reply.status}", None
        else:
            problem, text = Problem.STATUS, f"answered with status {reply.status}{said}"
            if reply.status in (401, 403):
                text = f"{text}; {_UNSIGNED}"
            wait = wait if reply.status >= 500 else None
        return self._error(problem, text, status=reply.status, not_before_sec=wait)

    def unreadable(self, text: str) -> FetchError:
        """An answer that is not what it should be: cut off or from something in between, so it may be asked again."""
        error = self._error(Problem.UNREADABLE, text)
        error.retryable = True
        return error

    def refused_credentials(self, reply: Reply) -> FetchError:
        """An answer to a sign-in."""
        text = f"BLUESKY_HANDLE and BLUESKY_APP_PASSWORD were refused ({reply.error or reply.status})"
        return self._error(Problem.STATUS, text, status=reply.status)

    async def _receive(self, http: Any, method: str, nsid: str, sent: Mapping[str, Any]) -> Reply:
        import httpx

        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        headers |= sent.get("headers") or {}
        try:
            async with http.stream(
                method,
                f"{self._base_url}/xrpc/{nsid}",
                params=sent.get("params"),
                json=sent.get("json"),
                headers=headers,
            ) as response:
                head = {name.lower(): value for name, value in response.headers.items()}
                body = await self._body(response.aiter_raw(), head.get("content-encoding", "identity"))
        except (httpx.RequestError, httpx.InvalidURL, OSError) as error:
            raise self._error(Problem.CONNECTION, f"{type(error).__name__}: {str(error)[:200]}") from error
        if response.status_code == 200 and "json" not in head.get("content-type", ""):
            raise self._error(Problem.CONTENT_TYPE, "answered with something else than JSON", status=200)
        return Reply(response.status_code, head, body)

    async def _body(self, chunks: AsyncIterator[bytes], encoding: str) -> bytes:
        """The body decompressed, given up at the bound: a small answer may unpack to gigabytes."""
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise self.unreadable(f"answered in the encoding {encoding[:50]!r}, which was not asked for")
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > BODY_MAX:
                raise self._too_large()
        if encoding != "gzip" or not body:
            return bytes(body)
        try:
            inflated = await asyncio.to_thread(_inflated, bytes(body))
        except zlib.error as error:
            raise self.unreadable("answered with damaged gzip") from error
        if inflated is None:
            raise self._too_large()
        return inflated

    def _too_large(self) -> FetchError:
        return self._error(Problem.TOO_LARGE, f"answered with more than {BODY_MAX >> 20} MB")

    def _note_limits(self, reply: Reply) -> None:
        """A limit that is used up holds for every caller of this process, until the server's own moment."""
        used_up = reply.headers.get("ratelimit-remaining", "").strip() == "0"
        if not used_up and reply.status != 429:
            return
        wait = retry_after(reply.headers, None, "", self._clock())
        wait = REST_SEC if wait is None else min(wait, REST_MAX_SEC)
        self._rest_until = self._clock() + timedelta(seconds=wait)

    def _error(
        self, problem: Problem, text: str, *, status: int | None = None, not_before_sec: float | None = None
    ) -> FetchError:
        return FetchError(
            problem,
            f"{urlsplit(self.url).hostname}: {text}",
            url=self.url,
            status=status,
            not_before_sec=not_before_sec,
        )


class Line:
    """What `Xrpc.line` yields."""

    def __init__(self, server: Xrpc, http: Any) -> None:
        self.server = server
        self._http = http

    async def get(self, nsid: str, params: list[tuple[str, str]], *, token: str | None = None) -> Reply:
        return await self.server.exchange(self._http, "GET", nsid, params=params, headers=_bearer(token))

    async def post(self, nsid: str, body: Mapping[str, str] | None = None, *, token: str | None = None) -> Reply:
        return await self.server.exchange(self._http, "POST", nsid, json=body, headers=_bearer(token))


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _tls() -> Any:
    import httpx

    return httpx.create_ssl_context()


def _inflated(body: bytes) -> bytes | None:
    """The body of gzip, None when it is longer than allowed. Raises `zlib.error`."""
    inflater = zlib.decompressobj(wbits=31)
    out = inflater.decompress(body, BODY_MAX + 1)
    if len(out) > BODY_MAX:
        return None
    if not inflater.eof:
        raise zlib.error("ends too early")
    return out
