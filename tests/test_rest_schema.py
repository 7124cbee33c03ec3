"""The OpenAPI document holds: what it says is what the service answers, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema
import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal

from src.worker.api.application import create_application
from src.worker.api.examples import EXAMPLES as EXAMPLES_TOLD
from tests.helpers import finished, push, running, until

KEY = "a-key-of-this-test"
HEADERS = {"X-API-Key": KEY}
EXAMPLES = 3
"""Per operation and mode, valid requests and invalid ones: some 240 in all, in ten seconds of an idle machine."""
TEXTS = (
    "I love Acme, the best app",
    "Acme keeps crashing, terrible, I want my money back",
    "Thinking of switching from Globex to Acme, where can I buy it?",
    "Acme is a scam, fraud!",
    "Globex support is so much worse than Acme",
)


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    document: dict[str, Any]

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return httpx.get(self.url + path, params=parameters, headers=HEADERS, timeout=20)


@pytest.fixture
def served(redis_url: str, mongo_uri: str) -> Iterator[Served]:
    """The service over real HTTP and real servers, in a thread with one event loop, with something to show."""

    async def service() -> AbstractAsyncContextManager[str]:
        return _serving(redis_url, mongo_uri)

    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(portal.call(service)) as url,
    ):
        document = httpx.get(f"{url}/openapi.json", headers=HEADERS, timeout=20).json()
        yield Served(url, document)


@asynccontextmanager
async def _serving(redis_url: str, mongo_uri: str) -> AsyncIterator[str]:
    async with running(redis_url, mongo_uri, http_write_rate=0) as runtime:
        app = create_application(runtime.api, api_key=KEY, max_body_bytes=100_000)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        job = asyncio.create_task(server._serve())  # without its handling of signals, which only a main thread has
        await until(lambda: _value(server.started))
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        await _fill(runtime)
        try:
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            await job


async def _value(value: Any) -> Any:
    return value


async def _fill(runtime: Any) -> None:
    mentions = [
        {"id": f"m{n}", "text": f"{TEXTS[n % 5]} ({n * 7919})", "source": "x", "author": f"u{n}", "author_followers": n}
        | {"created_at": 1_767_225_600 + 600 * n}
        for n in range(30)
    ]
    tasks: list[dict[str, Any]] = [
        {"type": "analyze_mentions", "id": "chunk", "brand": "Acme", "mentions": mentions},
        {
            "type": "detect_launch",
            "id": "launch",
            "brand": "acme",
            "text": "We just launched the all new Acme Phone 2!",
        },
        {"type": "noop", "id": "noop"},
    ]
    for task in tasks:
        await push(runtime.redis, task)
        await finished(runtime, task["id"], 20)
    for n in range(3):
        await push(runtime.redis, {"type": f"unknown-{n}", "brand": "acme"})
    await push(runtime.redis, b"\xff no json")

    async def counted() -> bool:
        state = await runtime.api.insight.state("acme")
        return state is not None and state["totals"]["stored"] >= 1

    await until(counted, 20)


_APART = ("/v1/events", "/v1/brands/{brand}/history")
"""A stream that its own tests read; and one that goes back day by day, which takes a second for a brand without any."""


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_no_request_gets_a_5xx_or_what_the_document_does_not_say(served: Served) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from schemathesis.generation import GenerationMode

    schema = schemathesis.openapi.from_dict(served.document)
    problems: list[str] = []
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in _APART:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @seed(20_260_301)
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal asked
                asked += 1
                case.headers = {**(case.headers or {}), **HEADERS}
                response = case.call(base_url=served.url)
                assert response.status_code < 500, (response.status_code, response.text[:300])
                case.validate_response(response, checks=_checks())

            try:
                ask()
            except Exception as error:  # every operation is looked at before the test fails
                if "Unsatisfiable" not in type(error).__name__:
                    why = " | ".join(map(str, getattr(error, "exceptions", (error,))))  # a flaky one hides its cause
                    problems.append(f"{operation.method.upper()} {operation.path} ({mode.value}): {why}"[:900])
    assert not problems, f"{len(problems)} operations:\n\n" + "\n\n".join(problems)
    assert asked > 200


def _checks() -> list[Any]:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]


# -- what there is ---------------------------------------------------------------------------------------------------


def test_answers_about_what_is_there_have_the_form_the_document_gives_them(served: Served) -> None:
    letter = served.get("/v1/dead-letters").json()["items"][0]["id"]
    known = {"brand": "acme", "competitor": "globex", "task_id": "chunk", "letter_id": letter, "day": "2026-01-01"}
    missing = set()
    for path, operations in served.document["paths"].items():
        if "get" not in operations or path == "/v1/events":
            continue
        answer = served.get(path.format(**known, identity="unknown"), limit=5)
        if answer.status_code == 404:
            missing.add(path)
            continue
        told = operations["get"]["responses"]
        assert str(answer.status_code) in told, (path, answer.text[:300])
        assert answer.headers["x-request-id"]
        if answer.headers["content-type"] != "application/json":
            continue
        assert answer.status_code == 200, (path, answer.text[:300])
        _conforms(served.document, told["200"]["content"]["application/json"]["schema"], answer.json(), path)
    assert missing == {
        "/v1/analyses/{identity}",
        "/v1/analyses/{identity}/report",
        "/v1/brands/{brand}/web-insights",
    }, "nothing was put there to be shown"


SENT: tuple[tuple[str, dict[str, Any] | None, int], ...] = (
    ("/v1/tasks", {"type": "noop"}, 202),
    ("/v1/analyze", {"brand": "acme", "mentions": [{"text": TEXTS[0]}, {"text": 5}]}, 200),
    ("/v1/suggestion", {"brand": "acme", "text": "The app is slow"}, 200),
    ("/v1/dead-letters/replay", {"type": "unknown-1"}, 202),
    ("/v1/retry/{brand}", None, 200),
)


def test_answers_to_what_is_sent_have_their_form_too_and_a_wrong_form_is_noticed(served: Served) -> None:
    for path, body, status in SENT:
        answer = httpx.post(served.url + path.format(brand="acme"), json=body, headers=HEADERS, timeout=20)
        assert answer.status_code == status, answer.text
        told = served.document["paths"][path]["post"]["responses"][str(status)]
        _conforms(served.document, told["content"]["application/json"]["schema"], answer.json(), path)
    for (method, path), example in EXAMPLES_TOLD.items():
        told = next(one for status, one in served.document["paths"][path][method]["responses"].items() if status < "3")
        content = told["content"]["application/json"]
        assert content["example"] == example
        _conforms(served.document, content["schema"], example, path)
    queue = served.document["paths"]["/v1/queue"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    with pytest.raises(AssertionError, match="parked"):
        _conforms(served.document, queue, {"waiting": {}, "parked": "x", "inFlight": 0, "delayed": 0, "dead": 0}, "")


def _conforms(document: dict[str, Any], schema: dict[str, Any], value: Any, path: str) -> None:
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    problems = [f"{path} {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]
    assert not problems, "\n".join(problems)
