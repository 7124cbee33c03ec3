"""What stands before all routes: rates, origins, headers, names of requests, hostile paths; and what is remembered."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, Request

from src.worker.access import Role, key_of
from src.worker.api import application
from src.worker.api.access import OPERATES, READS, note, route_table
from src.worker.api.application import create_application
from src.worker.api.key_ring import KeyRing
from src.worker.api.write_rate import WriteRate
from src.worker.logging import JsonFormatter
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from src.worker.services import audit
from src.worker.services.audit import AUDIT_LOG, AuditRecord
from tests.helpers import settings, until
from tests.test_dead_letters import bury

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example"
READER, OPERATOR = {"x-api-key": "reads"}, {"x-api-key": "operates"}

INTERFACE = (
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /docs",
    "POST /v1/tasks",
    "GET /v1/tasks/{task_id:path}",
    "POST /v1/analyze",
    "POST /v1/suggestion",
    "POST /v1/retry/{brand}",
    "GET /v1/queue",
    "GET /v1/dead-letters",
    "POST /v1/dead-letters/{letter_id}/replay",
    "DELETE /v1/dead-letters/{letter_id}",
    "GET /v1/brands",
    *(
        f"GET /v1/brands/{{brand}}/{name}"
        for name in "summary health crisis spikes mentions clusters leads competitors launches".split()
    ),
    "GET /v1/llm",
)
"""The table of the public interface."""


def keys() -> KeyRing:
    ring = KeyRing("operates")
    ring.current = type(ring.current)((*ring.current.keys, key_of("reader", Role.READ, "reads")))
    return ring


@asynccontextmanager
async def served(
    redis_url: str, mongo_uri: str, ring: KeyRing | None = None, *, base: str = "http://localhost", **more: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Runtime]]:
    """Routes over real servers, without a worker that runs."""
    origins = frozenset(more.pop("origins", ()))
    runtime = Runtime(settings(**more), redis_url=redis_url, mongodb_uri=mongo_uri)
    runtime.audit.start()
    app = create_application(runtime.api, max_body_bytes=10_000, keys=ring or KeyRing(), cors_origins=origins)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client, runtime
    finally:
        await runtime.close()


def test_the_table_of_the_public_interface_is_served() -> None:
    runtime = Runtime(settings(), redis_url="redis://localhost:1", mongodb_uri="mongodb://localhost:1")
    app = create_application(runtime.api, max_body_bytes=1_000)
    table = route_table(app)
    there = {f"{one.method} {one.template}" for one in table.routes}
    assert set(INTERFACE) - there == set()
    unpaged = [
        path
        for path, operations in app.openapi()["paths"].items()
        if "get" in operations and _lists(app.openapi(), operations["get"])
        if not {"limit", "cursor"} <= {one["name"] for one in operations["get"]["parameters"]}
    ]
    # A report whose rows add up to its total, and the few mentions that one crisis names: whole or useless.
    assert unpaged == ["/v1/llm/costs", "/v1/brands/{brand}/crisis/mentions"]


def _lists(document: dict[str, Any], operation: dict[str, Any]) -> bool:
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return "items" in document["components"]["schemas"].get(name, {}).get("properties", {})


# -- rates -----------------------------------------------------------------------------------------------------------


async def test_writes_over_the_rate_are_refused_with_the_time_to_wait_and_reads_are_not(
    redis_url: str, mongo_uri: str
) -> None:
    async with served(redis_url, mongo_uri, http_write_rate=12) as (web, _):
        answers = [await web.post("/v1/tasks", json={"type": "noop"}) for _ in range(3)]
        assert [one.status_code for one in answers] == [202, 202, 429], "a sixth of the minute's twelve at once"
        refused = answers[-1]
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await web.get("/v1/queue")).status_code == 200
        assert (await web.get("/v1/dead-letters")).status_code == 200


async def test_the_rate_is_shared_by_replicas_and_each_key_has_its_own(redis_url: str) -> None:
    redis = RedisClient(redis_url)
    try:
        first, second = WriteRate(redis, 6), WriteRate(redis, 6)
        assert await first.wait_sec("a") is None
        wait = await second.wait_sec("a")
        assert wait is not None
        assert 0 < wait <= 10
        assert await second.wait_sec("b") is None
        assert [await WriteRate(redis, 0).wait_sec("a") for _ in range(3)] == [None] * 3
    finally:
        await redis.close()


async def test_while_redis_is_away_each_process_keeps_the_rate_by_itself() -> None:
    redis = RedisClient("redis://localhost:1")
    try:
        rate = WriteRate(redis, 6)
        assert await rate.wait_sec("a") is None
        assert await rate.wait_sec("a") is not None
    finally:
        await redis.close()


# -- origins ---------------------------------------------------------------------------------------------------------


def _preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "x-api-key"}


async def test_pages_of_listed_origins_may_ask_and_preflights_need_no_key(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri, keys(), origins=[ORIGIN]) as (web, _):
        asked = await web.options("/v1/tasks", headers=_preflight(ORIGIN))
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == ORIGIN
        assert "x-api-key" in asked.headers["access-control-allow-headers"]
        assert "DELETE" in asked.headers["access-control-allow-methods"]
        for answer in (
            await web.get("/v1/queue", headers={**READER, "origin": ORIGIN}),
            await web.get("/v1/queue", headers={"origin": ORIGIN}),  # a page must be able to read that its key is wrong
        ):
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "Origin" in answer.headers["vary"]
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil.example", "null", "http://[::1"])
async def test_other_pages_may_not(redis_url: str, mongo_uri: str, origin: str) -> None:
    for ring, origins in ((keys(), [ORIGIN]), (keys(), []), (KeyRing(), [ORIGIN]), (KeyRing(), [])):
        async with served(redis_url, mongo_uri, ring, origins=origins) as (web, _):
            asked = await web.options("/v1/tasks", headers=_preflight(origin))
            assert asked.status_code == 403
            answer = await web.post("/v1/tasks", json={"type": "noop"}, headers={**OPERATOR, "origin": origin})
            assert "access-control-allow-origin" not in {*asked.headers, *answer.headers}
            assert answer.status_code == (202 if ring.required else 403), "without a key the origin is all there is"


async def test_without_a_key_a_listed_origin_may_ask_and_our_own_page_too(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri, origins=[ORIGIN]) as (web, _):
        for origin in (ORIGIN, "http://localhost"):
            assert (await web.get("/v1/queue", headers={"origin": origin})).status_code == 200
        away = {"origin": ORIGIN, "host": "attacker.example"}
        assert (await web.options("/v1/tasks", headers={**_preflight(ORIGIN), **away})).status_code == 421


# -- headers and names -----------------------------------------------------------------------------------------------


async def test_every_answer_has_the_headers_that_keep_browsers_from_mischief(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri, keys()) as (web, _):
        answers = [
            await web.get("/health"),
            await web.get("/v1/queue"),
            await web.get("/v1/queue", headers=READER),
            await web.get("/nowhere", headers=READER),
            await web.get("/docs", headers=READER),
            await web.get("/"),
            await web.post("/v1/tasks", content=b"x" * 20_000, headers=OPERATOR),
        ]
        assert [one.status_code for one in answers] == [200, 401, 200, 404, 200, 200, 413]
        for answer in answers:
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-frame-options"] == "DENY"
            assert len(answer.headers.get_list("content-security-policy")) == 1
            assert "strict-transport-security" not in answer.headers
        assert answers[2].headers["cache-control"] == "no-store"


async def test_over_tls_browsers_are_told_to_stay_there(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri, base="https://localhost") as (web, _):
        assert "max-age=" in (await web.get("/health")).headers["strict-transport-security"]


async def test_a_request_has_one_name_in_its_answer_its_problem_and_the_log(
    redis_url: str, mongo_uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(prefix="/v1/broken", dependencies=[READS])

    async def broken() -> None:
        raise RuntimeError("on purpose")

    router.add_api_route("", broken)
    monkeypatch.setattr(application, "MODULES", (*application.MODULES, type("m", (), {"router": router})))
    async with served(redis_url, mongo_uri) as (web, _):
        formatter = JsonFormatter()
        lines: list[dict[str, Any]] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(orjson.loads(formatter.format(record)))  # type: ignore[method-assign]
        logging.getLogger("src.worker.api.guard").addHandler(handler)
        try:
            answer = await web.get("/v1/broken", headers={"x-request-id": "my-name.1"})
        finally:
            logging.getLogger("src.worker.api.guard").removeHandler(handler)
        assert (answer.status_code, answer.json()["requestId"]) == (500, "my-name.1")
        assert answer.headers["x-request-id"] == "my-name.1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "on purpose" not in answer.text
        assert [line["request_id"] for line in lines] == ["my-name.1"]
        for wrong in ("a b", "x" * 65, "<script>", "ä"):
            given = await web.get("/health", headers={"x-request-id": wrong.encode("latin-1")})
            assert given.headers["x-request-id"] != wrong
            assert len(given.headers["x-request-id"]) == 32
        names = {(await web.get("/health")).headers["x-request-id"] for _ in range(5)}
        assert len(names) == 5


# -- hostile paths ---------------------------------------------------------------------------------------------------

HOSTILE = (
    *("%00", "a%00b", "%2F", "a%2Fb", "..%2F..%2Fetc", "%0d%0aX-A:%20b", "x" * 10_000, "%F0%9F%98%80", "%FF%FE"),
    *("$where", "%7B%22$gt%22:1%7D", "acme%20" * 40, "%E2%80%AE", "__proto__", "*", "%25", "%5B", "%ED%A0%80"),
)
PARAMETERS = ("cursor", "brand", "type", "code", "actor", "topic", "since", "event", "competitor")
LISTS = (
    *("/v1/dead-letters", "/v1/audit", "/v1/llm/costs", "/v1/brands", "/v1/brands/acme/mentions", "/v1/analyses"),
    *("/v1/brands/acme/leads", "/v1/brands/acme/crisis/mentions", "/v1/brands/acme/influencers"),
)
VALUES = (
    *("%00", "%FF", "x" * 600, "%F0%9F%98%80", "%ED%A0%80", "[]"),
    *("WzFlOTk5LCIiXQ", "Wzk5OTk5OTk5OTk5OTk5OTk5OTksIiJd", "Wy0xLCIiXQ"),
)
"""The last are cursors: [1e999,""], [99999999999999999999,""], [-1,""]."""


async def test_no_hostile_path_or_parameter_gets_a_5xx(redis_url: str, mongo_uri: str) -> None:
    asked = 0
    async with served(redis_url, mongo_uri) as (web, runtime):
        app = create_application(runtime.api, max_body_bytes=1_000)
        for one in route_table(app).routes:
            if "{" not in one.template or "history" in one.template:
                continue
            head, _, rest = one.template.partition("{")
            tail = rest.partition("}")[2].replace("{name}", "x").replace("{competitor}", "x")
            for word in HOSTILE:
                answer = await web.request(one.method, httpx.URL(f"http://localhost{head}{word}{tail.split('{')[0]}"))
                asked += 1
                assert answer.status_code < 500, (one.method, one.template, word[:20], answer.text[:200])
                if "%00" in word or "%0d" in word:
                    assert answer.status_code == 400, (one.template, word)
                if len(word) > 5_000:
                    assert answer.status_code == 414, one.template
        for path, name, word in itertools.product(LISTS, PARAMETERS, VALUES):
            answer = await web.get(httpx.URL(f"http://localhost{path}?{name}={word}"))
            asked += 1
            assert answer.status_code < 500, (path, name, word[:20], answer.text[:200])
    assert asked > 500


# -- audit -----------------------------------------------------------------------------------------------------------


async def _entries(web: httpx.AsyncClient, count: int, **parameters: Any) -> list[dict[str, Any]]:
    async def there() -> Any:
        items = (await web.get("/v1/audit", params=parameters, headers=OPERATOR)).json()["items"]
        return items if len(items) >= count else None

    found: list[dict[str, Any]] = await until(there)
    return found


async def test_operators_actions_are_remembered_with_who_what_and_what_came_of_it(
    redis_url: str, mongo_uri: str
) -> None:
    async with served(redis_url, mongo_uri, keys()) as (web, runtime):
        letters = [await bury(runtime.redis, id=f"t{n}") for n in range(2)]
        named = {**OPERATOR, "x-request-id": "by-hand"}
        assert (await web.post(f"/v1/dead-letters/{letters[0]}/replay", headers=named)).status_code == 202
        assert (await web.delete("/v1/dead-letters/1-1", headers=OPERATOR)).status_code == 404
        assert (await web.delete("/v1/dead-letters?all=true", headers=OPERATOR)).json() == {"dropped": 1}
        assert (await web.delete("/v1/dead-letters?all=true", headers=READER)).status_code == 403
        assert (await web.get("/v1/queue", headers={"x-api-key": "guess"})).status_code == 401
        assert (await web.get("/v1/queue")).status_code == 401, "asking without a key is no attempt"
        await web.get("/v1/audit", headers=OPERATOR)

        items = await _entries(web, 5)
        shown = [(one["action"], one["outcome"], one["actor"], one["status"]) for one in reversed(items)]
        assert shown == [
            ("POST /v1/dead-letters/{letter_id}/replay", "done", "WORKER_API_KEY", 202),
            ("DELETE /v1/dead-letters/{letter_id}", "refused", "WORKER_API_KEY", 404),
            ("DELETE /v1/dead-letters", "done", "WORKER_API_KEY", 200),
            ("DELETE /v1/dead-letters", "refused", "reader", 403),
            ("GET /v1/queue", "refused", None, 401),
        ]
        replayed = items[-1]
        assert replayed["requestId"] == "by-hand"
        assert replayed["target"] == f"/v1/dead-letters/{letters[0]}/replay"
        assert replayed["details"] == {"taskId": "t0"}
        assert items[2]["details"] == {"dropped": 1}
        assert not {"guess", "operates", "reads"} & set(orjson.dumps(items).decode().split('"'))

        assert len(await _entries(web, 2, outcome="done")) == 2
        assert [one["actor"] for one in await _entries(web, 1, actor="reader")] == ["reader"]
        first = (await web.get("/v1/audit", params={"limit": 3}, headers=OPERATOR)).json()
        rest = (await web.get("/v1/audit", params={"limit": 3, "cursor": first["next"]}, headers=OPERATOR)).json()
        assert [*first["items"], *rest["items"]] == items
        assert rest["next"] is None


async def test_an_action_is_remembered_even_when_it_breaks(
    redis_url: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(prefix="/v1/broken", dependencies=[OPERATES])

    async def broken(request: Request) -> None:
        note(request, half="done")
        raise RuntimeError("on purpose")

    router.add_api_route("", broken, methods=["POST"])
    monkeypatch.setattr(application, "MODULES", (*application.MODULES, type("m", (), {"router": router})))
    async with served(redis_url, mongo_uri, keys()) as (web, _):
        assert (await web.post("/v1/broken", headers=OPERATOR)).status_code == 500
        (entry,) = await _entries(web, 1)
        assert (entry["outcome"], entry["status"], entry["details"]) == ("failed", 500, {"half": "done"})


async def test_while_mongodb_is_away_actions_go_on_and_their_records_wait(
    redis_url: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_AGAIN_SEC", 0.05)
    caplog.set_level(logging.INFO)
    async with served(redis_url, mongo_uri, keys()) as (web, runtime):
        collection = runtime.storage.collection
        away = True

        def broken(name: str) -> Any:
            if away and name == AUDIT_LOG:
                raise audit.StorageUnavailable("away")
            return collection(name)

        monkeypatch.setattr(runtime.storage, "collection", broken)
        assert (await web.delete("/v1/dead-letters?all=true", headers=OPERATOR)).status_code == 200
        assert sum(record.message == "audit" for record in caplog.records) == 1, "in the log at once"

        async def waits() -> bool:
            return any(record.message == "audit records wait for MongoDB" for record in caplog.records)

        await until(waits)
        assert sum(record.message == "audit" for record in caplog.records) == 1
        away = False
        (entry,) = await _entries(web, 1)
        assert entry["action"] == "DELETE /v1/dead-letters"


async def test_what_cannot_wait_any_longer_is_counted_and_told(
    redis_url: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit, "_WAITING_MAX", 3)
    async with served(redis_url, mongo_uri, keys()) as (web, runtime):
        log = runtime.audit
        for n in range(5):  # without a turn of the event loop nothing can be written meanwhile
            log.record(AuditRecord(f"act.{n}", "done"))
        entries = await _entries(web, 3)
        assert [(one["action"], one["lostBefore"]) for one in reversed(entries)] == [
            ("act.2", 2),
            ("act.3", 0),
            ("act.4", 0),
        ]
        assert 'worker_audit_records_total{outcome="lost"} 2.0' in (await web.get("/metrics")).text
    assert sum("in the log only" in record.message for record in caplog.records) == 2


async def test_who_guesses_keys_cannot_fill_the_database(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri, keys()) as (web, runtime):
        for _ in range(audit._REFUSALS_PER_MINUTE + 30):
            await web.get("/v1/queue", headers={"x-api-key": "guess"})
        entries = await _entries(web, audit._REFUSALS_PER_MINUTE, limit=200)
        assert len(entries) <= 2 * audit._REFUSALS_PER_MINUTE, "a minute may have begun meanwhile"
        written = 'worker_audit_records_total{outcome="unrecorded"}'
        figures = (await web.get("/metrics")).text
        assert float(figures.partition(written)[2].split()[0]) + len(entries) >= audit._REFUSALS_PER_MINUTE + 30
        assert runtime.audit is not None


# -- the page --------------------------------------------------------------------------------------------------------


async def test_the_docs_page_needs_nothing_from_anywhere_and_names_every_route(redis_url: str, mongo_uri: str) -> None:
    async with served(redis_url, mongo_uri) as (web, _):
        page = await web.get("/docs")
        document = (await web.get("/openapi.json")).json()
    assert "<script" not in page.text
    assert not [word for word in ("src=", "@import", "url(", "//cdn", 'href="http', "href='http") if word in page.text]
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page.text
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert all(one["description"] for one in operation.get("parameters", ())), (method, path)
            success = [entry for status, entry in operation["responses"].items() if status.startswith("2")]
            assert len(success) == 1
            assert success[0].get("content") or "204" in operation["responses"], (method, path)
            assert success[0].get("content", {}).get("application/json", {"schema": True})["schema"], (method, path)
