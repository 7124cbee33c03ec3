"""What stands before every route: who may ask for what, how often, under which host name, and how much they may send.

Plain ASGI. What a route needs is declared at the route (`access`): no route can be forgotten here.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..access import AccessKey, Role
from ..logging import get_logger, request_id
from ..services.audit import AuditLog, AuditRecord
from .access import Caller, Declared, RouteTable, let_in, notes
from .headers import Cors, Headers, finished, request_name
from .key_ring import KeyRing, utc_now
from .problems import problem
from .write_rate import WriteRate

log = get_logger(__name__)

OPEN_PATHS: Final = frozenset({"/health", "/ready", "/metrics", "/"})
"""Asked all day long by probes, scrapers and browsers; traces leave them out."""
LOCAL: Final = "local"
"""Who asks while no key is needed: somebody on this machine."""
BASIC_PATHS: Final = frozenset({"/docs"})
"""Pages for people whose browser can send a key only as the password it asks for. Read only, without any data."""
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_PATH_MAX: Final = 4_096
_FAULT: Final = 500


class _TooLarge(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Rules:
    """What the guard goes by."""

    routes: RouteTable
    keys: KeyRing
    max_body_bytes: int
    cors: Cors
    writes: WriteRate | None = None
    audit: AuditLog | None = None
    clock: Callable[[], datetime] = utc_now


class Guard:
    """With keys: every route but those declared open needs one, in `X-API-Key` or as a bearer token, whose role covers
    what the route needs. Without: the service is for this machine only, so a request that names another host (DNS
    rebinding) or comes from another origin's page is refused: any page a user of this machine looks at could otherwise
    drop dead letters or push tasks. Whatever the router does not know needs a key as well."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        name = request_name(headers)
        token = request_id.set(name)
        try:
            await _Exchange(self._app, self._rules, scope, headers, name).run(receive, send)
        finally:
            request_id.reset(token)


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, rules: Rules, scope: Scope, headers: Headers, name: str) -> None:
        self._app = app
        self._rules = rules
        self._scope = scope
        self._headers = headers
        self._name = name
        self._path: str = scope["path"]
        self._route: Declared | None = rules.routes.find(scope["method"], self._path)
        self._caller: Caller | None = None
        self._status = _FAULT  # of an application that breaks before it answers
        self._begun = False
        let_in(scope, None)

    async def run(self, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begun, self._status = True, message["status"]
                added = self._rules.cors.added(self._headers)
                scheme = self._scope.get("scheme", "http")
                sent = finished(list(message.get("headers", ())), request=self._name, scheme=scheme, added=added)
                message = {**message, "headers": sent}
            await send(message)

        answer = await self._answered()
        if answer is not None:
            await answer(self._scope, receive, dressed)
            return
        try:
            await self._bounded(receive, dressed)
        finally:
            self._tell()

    async def _answered(self) -> Response | None:
        """The guard's own answer; None: the request may pass."""
        wrong = self._malformed() or self._foreign()
        if wrong is not None:
            return wrong
        preflight = self._rules.cors.preflight(self._scope["method"], self._headers)
        if preflight is not None:
            return preflight
        return self._refused() or await self._too_often()

    def _malformed(self) -> Response | None:
        if len(self._path) > _PATH_MAX:
            return problem(414, f"The path may have at most {_PATH_MAX:,} characters.")
        if any(one < " " or one == "\x7f" for one in self._path):
            return problem(400, "The path holds a control character.")
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._rules.max_body_bytes:
            return self._large()
        return None

    def _large(self) -> Response:
        return problem(413, f"The body may have at most {self._rules.max_body_bytes:,} bytes.")

    def _foreign(self) -> Response | None:
        """On loopback without a key, where the browser of any user of this machine can reach us."""
        if self._rules.keys.required:
            return None
        host = self._headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in _LOOPBACK_NAMES:
            return problem(421, "Without WORKER_API_KEY the service answers on this machine only (localhost).")
        origin = self._headers.get(b"origin")
        if origin is None or self._rules.cors.allows(self._headers) or _authority(origin) == host:
            return None
        return problem(403, "Requests of web pages of another origin are refused.")

    def _refused(self) -> Response | None:
        """Without a declaration nothing is there to be done, but who has no key is not told even that."""
        known = self._route is not None or self._rules.routes.open_path(self._path)
        needed = self._route.needed if self._route is not None else None if known else Role.READ
        if needed is None:
            return None
        if not self._rules.keys.required:
            self._caller = Caller(LOCAL, Role.OPERATE)
        else:
            secret = _secret(self._headers, basic=self._path in BASIC_PATHS)
            key, expired = self._rules.keys.find(secret, self._rules.clock()) if secret else (None, False)
            if key is None or expired:
                return self._unauthorized(secret, key)
            self._caller = Caller(key.name, key.role)
        if not self._caller.role.covers(needed):
            self._tell_refusal(403, self._caller.name)
            detail = f"The key {self._caller.name} has the role {self._caller.role}; this needs {needed}."
            return problem(403, detail, needed=needed.value)
        let_in(self._scope, self._caller)
        return None

    def _unauthorized(self, secret: bytes | None, expired: AccessKey | None) -> Response:
        if secret:  # without one it is nobody who tries a key: a browser, a probe, a first call
            self._tell_refusal(401, expired.name if expired else None)
        scheme = "Basic" if self._path in BASIC_PATHS else "Bearer"
        challenge = {"WWW-Authenticate": f'{scheme} realm="worker"'}
        detail = f"The key {expired.name} has expired." if expired else "The header X-API-Key is missing or wrong."
        return problem(401, detail, headers=challenge)

    async def _too_often(self) -> Response | None:
        writes, route, caller = self._rules.writes, self._route, self._caller
        if writes is None or caller is None or route is None or route.needed is None:
            return None
        if not route.needed.covers(Role.WRITE) or route.method == "GET":
            return None
        wait = await writes.wait_sec(caller.name)
        if wait is None:
            return None
        headers = {"Retry-After": str(max(1, math.ceil(wait)))}
        return problem(429, "More requests that write than HTTP_WRITE_RATE allows per minute.", headers=headers)

    async def _bounded(self, receive: Receive, send: Send) -> None:
        """A body without a length is counted as it comes. A fault that nobody has caught is logged and answered here,
        where the answer still gets its headers and the log line its request id."""
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._rules.max_body_bytes:
                    raise _TooLarge
            return message

        try:
            await self._app(self._scope, counting, send)
        except _TooLarge:
            if not self._begun:
                await self._large()(self._scope, receive, send)
        except Exception as error:
            log.error("request failed", exc=error)
            if self._begun:
                raise
            await problem(_FAULT, "The request failed; the log has the reason.")(self._scope, receive, send)

    # -- audit -----------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """What an operator's route has done, or has failed to do."""
        route, audit = self._route, self._rules.audit
        if audit is None or route is None or route.needed is not Role.OPERATE or route.method == "GET":
            return
        outcome = "done" if self._status < 400 else "refused" if self._status < _FAULT else "failed"
        audit.record(self._record(outcome, self._status, self._caller.name if self._caller else None))

    def _tell_refusal(self, status: int, name: str | None) -> None:
        if self._rules.audit is not None:
            self._rules.audit.refused(self._record("refused", status, name))

    def _record(self, outcome: str, status: int, name: str | None) -> AuditRecord:
        query = self._scope.get("query_string", b"").decode("latin-1")
        client = self._scope.get("client")
        return AuditRecord(
            action=f"{self._scope['method']} {self._route.template}" if self._route else self._scope["method"][:16],
            outcome=outcome,
            actor=name,
            target=f"{self._path}?{query}" if query else self._path,
            status=status,
            client=client[0] if client else None,
            request_id=self._name,
            details=notes(self._scope),
        )


def _authority(origin: bytes) -> str:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:  # e.g. an unbalanced bracket
        return ""


def _secret(headers: Headers, *, basic: bool) -> bytes | None:
    """The key a request carries."""
    given = headers.get(b"x-api-key")
    if given:
        return given
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip() or None
    if basic and scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2] or None
        except binascii.Error:
            return None
    return None
