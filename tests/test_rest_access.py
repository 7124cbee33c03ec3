"""Who may do what over HTTP: every route, counted from the router, refuses who has no key or not the role it needs."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, Depends, FastAPI

from src.worker.access import AccessKey, BrokenKeys, KeySet, Role, expiry, key_of, new_secret, read_keys
from src.worker.api import application
from src.worker.api.access import OPEN, OPERATES, READS, WRITES, Caller, UndeclaredRoute, let_in, route_table
from src.worker.api.application import create_application
from src.worker.api.key_ring import KeyRing
from src.worker.cli import main as cli
from src.worker.config import load_settings
from src.worker.errors import ConfigError
from src.worker.runtime import Runtime
from tests.helpers import settings

pytestmark = pytest.mark.anyio
SECRETS = {role: f"secret-of-{role}" for role in Role}
EXPECTED_OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/assets/{version}/{path:path}"),
    ("HEAD", "/assets/{version}/{path:path}"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    _write(file, *(key_of(f"the-{role}", role, SECRETS[role]) for role in Role))
    return file


def _write(file: Path, *keys: AccessKey) -> None:
    file.write_text("# who may do what\n" + "".join(f"{key.line()}\n" for key in keys))


@asynccontextmanager
async def service(redis_url: str, mongo_uri: str, keys: KeyRing, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Routes over real servers, without a worker that runs."""
    origins = more.pop("cors_origins", frozenset())
    runtime = Runtime(settings(**more), redis_url=redis_url, mongodb_uri=mongo_uri)
    runtime.audit.start()
    app = create_application(runtime.api, max_body_bytes=100_000, keys=keys, cors_origins=origins)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            client.extensions_app = app  # type: ignore[attr-defined]
            yield client
    finally:
        await runtime.close()


def _path(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", template)


def _is_problem(answer: httpx.Response, status: int) -> bool:
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["status"] == status
        and answer.json()["requestId"] == answer.headers["x-request-id"]
    )


# -- every route -----------------------------------------------------------------------------------------------------


async def test_every_route_refuses_who_has_no_key_or_too_small_a_role(
    redis_url: str, mongo_uri: str, key_file: Path
) -> None:
    async with service(redis_url, mongo_uri, KeyRing(file=key_file)) as web:
        table = route_table(web.extensions_app)  # type: ignore[attr-defined]
        assert {(one.method, one.template) for one in table.routes if one.needed is None} == EXPECTED_OPEN
        assert len(table.routes) > 40
        for one in table.routes:
            if one.needed is None:
                continue
            path = _path(one.template)
            for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"authorization": "Bearer wrong"}):
                answer = await web.request(one.method, path, headers=headers)
                assert _is_problem(answer, 401), (one, headers, answer.text)
                assert answer.headers["www-authenticate"].startswith("Basic" if path == "/docs" else "Bearer")
            for role in Role:
                if not role.covers(one.needed):
                    answer = await web.request(one.method, path, headers={"x-api-key": SECRETS[role]})
                    assert _is_problem(answer, 403), (one, role, answer.text)
                    assert answer.json()["needed"] == one.needed


async def test_what_no_route_knows_needs_a_key_too(redis_url: str, mongo_uri: str, key_file: Path) -> None:
    reader = {"x-api-key": SECRETS[Role.READ]}
    async with service(redis_url, mongo_uri, KeyRing(file=key_file)) as web:
        for method, path in (("GET", "/nowhere"), ("PUT", "/v1/tasks"), ("OPTIONS", "/v1/queue"), ("GET", "/docs/x")):
            assert _is_problem(await web.request(method, path), 401)
        assert _is_problem(await web.get("/nowhere", headers=reader), 404)
        wrong_method = await web.put("/v1/tasks", headers=reader)
        assert _is_problem(wrong_method, 405)
        assert wrong_method.headers["allow"] == "POST"


async def test_open_routes_answer_without_a_key(redis_url: str, mongo_uri: str, key_file: Path) -> None:
    async with service(redis_url, mongo_uri, KeyRing(file=key_file)) as web:
        for path in ("/health", "/metrics", "/"):
            assert (await web.get(path)).status_code == 200, path
        assert (await web.get("/ready")).status_code in (200, 503)


async def test_each_role_may_do_what_it_is_for(redis_url: str, mongo_uri: str, key_file: Path) -> None:
    async with service(redis_url, mongo_uri, KeyRing("own-key", key_file)) as web:
        cases = [
            (Role.READ, "GET", "/v1/queue", None, 200),
            (Role.WRITE, "GET", "/v1/queue", None, 200),
            (Role.WRITE, "POST", "/v1/tasks", {"type": "noop"}, 202),
            (Role.OPERATE, "POST", "/v1/tasks", {"type": "noop"}, 202),
            (Role.OPERATE, "POST", "/v1/dead-letters/replay", {"all": True}, 202),
            (Role.OPERATE, "GET", "/v1/audit", None, 200),
        ]
        for role, method, path, body, status in cases:
            answer = await web.request(method, path, json=body, headers={"x-api-key": SECRETS[role]})
            assert answer.status_code == status, (role, path, answer.text)
        assert (await web.get("/v1/audit", headers={"x-api-key": "own-key"})).status_code == 200
        bearer = {"authorization": f"bearer {SECRETS[Role.READ]}"}
        assert (await web.get("/v1/queue", headers=bearer)).status_code == 200


async def test_a_browser_may_send_the_key_as_a_password_for_the_docs_and_for_nothing_else(
    redis_url: str, mongo_uri: str, key_file: Path
) -> None:
    word = base64.b64encode(f"me:{SECRETS[Role.OPERATE]}".encode()).decode()
    basic = {"authorization": f"Basic {word}"}
    async with service(redis_url, mongo_uri, KeyRing(file=key_file)) as web:
        page = await web.get("/docs", headers=basic)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert (await web.get("/docs", headers={"authorization": "Basic %%%"})).status_code == 401
        for method, path in (("GET", "/v1/queue"), ("DELETE", "/v1/dead-letters?all=true")):
            assert (await web.request(method, path, headers=basic)).status_code == 401


# -- declarations ----------------------------------------------------------------------------------------------------


def _app(router: APIRouter) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    return app


async def _nothing() -> None:
    return None


def _forgotten() -> APIRouter:
    router = APIRouter(prefix="/v1/new")
    router.add_api_route("", _nothing)
    return router


def _reading_post() -> APIRouter:
    router = APIRouter(prefix="/v1/new", dependencies=[READS])
    router.add_api_route("", _nothing, methods=["POST"])
    return router


def _open_delete() -> APIRouter:
    router = APIRouter(prefix="/v1/new", dependencies=[OPEN])
    router.add_api_route("", _nothing, methods=["DELETE"])
    return router


def _other_dependency() -> APIRouter:
    router = APIRouter(prefix="/v1/new", dependencies=[Depends(_nothing)])
    router.add_api_route("", _nothing)
    return router


def _socket() -> APIRouter:
    router = APIRouter(prefix="/v1/new", dependencies=[READS])
    router.add_api_websocket_route("", _nothing)
    return router


@pytest.mark.parametrize("make", [_forgotten, _reading_post, _open_delete, _other_dependency, _socket])
def test_an_application_with_a_forgotten_route_is_not_built(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(settings(), redis_url="redis://localhost:1", mongodb_uri="mongodb://localhost:1")
    create_application(runtime.api, max_body_bytes=1_000)
    monkeypatch.setattr(application, "MODULES", (*application.MODULES, SimpleNamespace(router=make())))
    with pytest.raises(UndeclaredRoute, match="/v1/new"):
        create_application(runtime.api, max_body_bytes=1_000)


def test_fastapis_own_pages_are_not_let_in_by_the_back_door() -> None:
    with pytest.raises(UndeclaredRoute, match=r"openapi\.json"):
        route_table(FastAPI())


def test_the_strictest_declaration_of_a_route_and_its_routers_counts() -> None:
    router = APIRouter(dependencies=[READS])
    router.add_api_route("/a", _nothing)
    router.add_api_route("/b", _nothing, methods=["POST"], dependencies=[WRITES])
    router.add_api_route("/c", _nothing, methods=["DELETE"], dependencies=[OPERATES])
    table = route_table(_app(router))
    assert {one.template: one.needed for one in table.routes} == {"/a": Role.READ, "/b": Role.WRITE, "/c": Role.OPERATE}


async def test_the_route_itself_refuses_whom_the_guard_has_not_let_in() -> None:
    """The second line of defence: a route reached past the guard, by whatever mistake."""
    router = APIRouter(dependencies=[WRITES])
    router.add_api_route("/a", _nothing)
    app, caller = _app(router), None

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        let_in(scope, caller)
        await app(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://localhost") as web:
        for one, status in ((None, 403), (Caller("a", Role.READ), 403), (Caller("a", Role.WRITE), 200)):
            caller = one
            assert (await web.get("/a")).status_code == status


# -- the file of keys ------------------------------------------------------------------------------------------------


async def test_keys_are_exchanged_while_the_service_runs(redis_url: str, mongo_uri: str, key_file: Path) -> None:
    told: list[str] = []
    keys = KeyRing(file=key_file)

    async def status(secret: str) -> int:
        return (await web.get("/v1/queue", headers={"x-api-key": secret})).status_code

    async with service(redis_url, mongo_uri, keys) as web:
        assert await status(SECRETS[Role.READ]) == 200
        _write(key_file, key_of("somebody-else", Role.READ, "new-secret"))
        await keys.look(lambda action, _: told.append(action), 0)
        assert (await status(SECRETS[Role.READ]), await status("new-secret")) == (401, 200)
    assert told == ["keys.reload"]


@pytest.mark.parametrize(
    "content",
    ["", "# none\n", "name read\n", "a read sha256:00\n", "a king sha256:" + "0" * 64, "\xff\xfe", "a b c d e f"],
)
async def test_a_broken_file_changes_nothing_and_is_told(
    key_file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, Any]] = []
    keys = KeyRing(file=key_file)
    before = keys.current
    key_file.write_bytes(content.encode("latin-1"))
    for second in (0, 1, 2):
        await keys.look(lambda action, details: told.append((action, details)), second)
    assert keys.current is before
    assert keys.problem
    assert [action for action, _ in told] == ["keys.reload_refused"]
    assert sum("NOT read anew" in record.message for record in caplog.records) == 1
    await keys.look(lambda *_: None, 1_000)
    assert sum("NOT read anew" in record.message for record in caplog.records) == 2, "told again after ten minutes"
    _write(key_file, key_of("good", Role.READ, "again"))
    await keys.look(lambda *_: None, 1_001)
    assert [key.name for key in keys.current.keys] == ["good"]
    assert keys.problem is None


async def test_a_file_that_vanishes_keeps_the_keys_and_one_that_returns_as_it_was_is_good_again(key_file: Path) -> None:
    keys = KeyRing(file=key_file)
    aside = key_file.rename(key_file.with_suffix(".aside"))
    await keys.look(lambda *_: None, 0)
    assert "cannot be read" in (keys.problem or "")
    assert len(keys.current.keys) == 3
    aside.rename(key_file)
    await keys.look(lambda *_: None, 1)
    assert keys.problem is None


async def test_changes_are_noticed_without_being_asked(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.worker.api.key_ring.LOOK_EVERY_SEC", 0.02)
    keys = KeyRing(file=key_file)
    following = asyncio.create_task(keys.follow(lambda *_: None))
    _write(key_file, key_of("later", Role.READ, "later"))
    async with asyncio.timeout(30):
        while len(keys.current.keys) != 1:
            await asyncio.sleep(0.02)
    following.cancel()
    await asyncio.wait({following})
    assert following.cancelled()


def test_a_service_does_not_start_with_a_file_it_cannot_use(tmp_path: Path) -> None:
    for content, word in ((None, "cannot be read"), ("nonsense", "line 1"), ("", "holds no key")):
        file = tmp_path / "keys"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigError, match=f"WORKER_API_KEYS_FILE: .*{word}"):
            KeyRing(file=file)


async def test_an_expired_key_opens_nothing_and_says_so(redis_url: str, mongo_uri: str, key_file: Path) -> None:
    _write(
        key_file,
        key_of("old", Role.OPERATE, "old", datetime(2020, 1, 1, tzinfo=UTC)),
        key_of("young", Role.READ, "young", datetime(2999, 1, 1, tzinfo=UTC)),
    )
    async with service(redis_url, mongo_uri, KeyRing(file=key_file)) as web:
        answer = await web.get("/v1/queue", headers={"x-api-key": "old"})
        assert _is_problem(answer, 401)
        assert "has expired" in answer.json()["detail"]
        assert (await web.get("/v1/queue", headers={"x-api-key": "young"})).status_code == 200


def test_lines_are_read_as_they_are_written() -> None:
    keys = (
        key_of("a", Role.READ, new_secret()),
        key_of("b.b", Role.OPERATE, new_secret(), datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    )
    assert read_keys("\n".join(key.line() for key in keys).encode()) == keys
    assert expiry("2030-01-02") == datetime(2030, 1, 2, tzinfo=UTC)
    assert expiry("1893542400") is None


@pytest.mark.parametrize("line", ["{0}\n{0}", "{0}\nother read {1}"])
def test_names_and_keys_stand_once(line: str) -> None:
    key = key_of("a", Role.READ, "secret")
    with pytest.raises(BrokenKeys, match="line 2"):
        read_keys(line.format(key.line(), key.line().split()[2]).encode())


def test_problems_of_a_file_do_not_show_what_stands_in_it() -> None:
    with pytest.raises(BrokenKeys) as caught:
        read_keys(b"name read bwk_a-secret-in-the-wrong-place")
    assert "secret" not in caught.value.message


def test_a_key_is_found_among_many_by_its_whole_value() -> None:
    secrets = [new_secret() for _ in range(50)]
    keys = KeySet(tuple(key_of(f"k{n}", Role.READ, secret) for n, secret in enumerate(secrets)))
    assert [found.name for secret in secrets if (found := keys.find(secret.encode()))] == [f"k{n}" for n in range(50)]
    assert keys.find(secrets[0][:-1].encode()) is None
    assert len(set(secrets)) == 50
    assert all(len(secret) >= 43 for secret in secrets)


# -- the command -----------------------------------------------------------------------------------------------------


def test_a_new_key_is_printed_once_with_a_line_that_the_service_reads(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli(["keys", "new", "--name", "grafana", "--role", "read", "--days", "30"]) == 0
    secret, line = capsys.readouterr().out.splitlines()
    assert secret not in line
    file = tmp_path / "keys"
    file.write_text(line)
    found, expired = KeyRing(file=file).find(secret.encode(), datetime.now(UTC))
    assert found is not None
    assert (found.name, found.role, expired) == ("grafana", Role.READ, False)
    assert cli(["keys", "list", "--file", str(file), "--json"]) == 0
    listed = orjson.loads(capsys.readouterr().out)
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [("grafana", "read", "good")]


@pytest.mark.parametrize(
    "words",
    [
        ["new", "--name", "a b", "--role", "read"],
        ["new", "--name", "a", "--role", "read", "--expires", "2001-01-01"],
        ["new", "--name", "a", "--role", "read", "--days", "0"],
        ["list", "--file", "/nowhere"],
    ],
)
def test_a_wrong_use_of_the_command_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["keys", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_origins_are_named_never_all() -> None:
    def load(origins: str) -> frozenset[str]:
        return load_settings(_env_file=None, http_cors_origins=origins).cors_origins

    assert load("https://a.example, http://localhost:3000") == {"https://a.example", "http://localhost:3000"}
    for wrong in ("*", "https://a.example/", "a.example", "null", "https://a.example https://b.example"):
        with pytest.raises(ConfigError, match="HTTP_CORS_ORIGINS"):
            load(wrong)
