"""Nothing that goes out of the process holds a key, a password, or personal data that was to stay here.

A worker runs with a secret of its own in every setting that takes one. Everything it talks to repeats to it what it has
been told, keys first, in every kind of failure; then all that came out is searched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pymongo
import pytest
import redis

from src.worker.config_llm import PROVIDERS
from src.worker.embedded import Endpoints
from tests.eval_helpers import PROBE
from tests.llm_doubles.serving import Received, Server
from tests.test_app import ROOT, Service, free_port
from tests.test_tracing import Collector, collecting

pytestmark = pytest.mark.timeout(180)  # the run is one fixture: 15 s on a quiet machine

PERSONAL = ("ann.canary@example.org", "+44 20 7946 0958", "4111 1111 1111 1111")
TEXT = f"Acme is broken! Mail {PERSONAL[0]}, call {PERSONAL[1]}, my card is {PERSONAL[2]}"


def secret(name: str) -> str:
    """Looks like nobody's key: only its value can give it away."""
    return f"canary{name}{uuid.uuid4().hex}"


class Echo(Server):
    """A model's server, a feed and a PDS in one: refuses in another way each time, with the request in its words."""

    def __init__(self) -> None:
        super().__init__("echo")
        self.received: list[Received] = []

    async def respond(self, request: Received, writer: Any) -> bool:
        self.received.append(request)
        said = " ".join((*request.headers.values(), request.path, orjson.dumps(request.body).decode()))
        words = f"no: {said}"
        document = {"error": {"message": words, "type": words, "code": words, "param": words}, "message": words}
        body, kind, extra = orjson.dumps({**document, "detail": words}), "application/json", ""
        status = (401, 400, 500, 200, 302, 403, 200, 429)[len(self.received) % 8]
        if status == 200 and len(self.received) % 2:
            body, kind = words.encode(), "text/html"
        elif status == 200:
            body = orjson.dumps({"choices": words, "content": words, "candidates": words, "message": words})
        elif status == 302:
            extra = f"Location: /{said.encode().hex()[:200]}\r\n"
        head = f"HTTP/1.1 {status} {said[:200]}\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True


@dataclass
class World:
    """What a run has said, and to whom what was told."""

    secrets: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    told: str = ""
    """What the doubles were sent."""
    exported: int = 0

    def holding(self, value: str) -> list[str]:
        return [
            f"{name}: …{text[max(0, text.index(value) - 120) : text.index(value) + 60]!r}"
            for name, text in self.outputs.items()
            if value in text
        ]


@pytest.fixture(scope="module")
def world(servers: Endpoints) -> World:
    names = [*(name for name in PROVIDERS if name != "ollama"), "api", "redis", "otel", "bluesky", "source", "base"]
    values = {name: secret(name) for name in (*names, "wrong_redis", "wrong_mongo", "archive", "tried")}
    found = World(values)
    with ExitStack() as stack:
        echo = Echo()
        echo.start()
        stack.callback(echo.stop)
        collector = stack.enter_context(collecting())
        redis_url = stack.enter_context(_with_user(servers.redis_url.removesuffix("/0") + "/2", values["redis"]))
        mongo_uri = stack.enter_context(_database(servers.mongodb_uri))
        env = _environment(values, echo.url, collector.url, redis_url, mongo_uri)
        _run(found, env, echo, collector)
    return found


@contextmanager
def _with_user(url: str, password: str) -> Iterator[str]:
    """A user of the session's Redis who needs a password."""
    with redis.Redis.from_url(url) as admin:
        admin.flushdb()
        admin.execute_command("ACL", "SETUSER", "canary", "on", f">{password}", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]
        yield url.replace("://", f"://canary:{password}@")
        admin.execute_command("ACL", "DELUSER", "canary")  # type: ignore[no-untyped-call]
        admin.flushdb()


@contextmanager
def _database(uri: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        yield uri.removesuffix("/worker") + f"/{name}"
        client.drop_database(name)


def _environment(values: dict[str, str], echo: str, collector: str, redis_url: str, mongo_uri: str) -> dict[str, str]:
    env = {
        "REDIS_URL": redis_url,
        "MONGODB_URI": mongo_uri,
        "WORKER_API_KEY": values["api"],
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        "LLM_MAX_SHARE": "1",
        "LLM_TIMEOUT_SEC": "20",
        "QUEUE_MAX_ATTEMPTS": "1",
        "EMBEDDINGS_PROVIDER": "openai",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{values['otel']}",
        "BLUESKY_HANDLE": "canary.example.org",
        "BLUESKY_APP_PASSWORD": values["bluesky"],
        "BLUESKY_PDS_URL": f"{echo}/pds",
        "WEB_SEARCH_SOURCES": f"rss:{echo}/rss?q={{query}}&token={values['source']}",
        "OLLAMA_BASE_URL": echo.replace("://", f"://me:{values['base']}@") + "/ollama",
    }
    for name in PROVIDERS:
        env[f"{name.upper()}_MODEL"] = f"{name}-model"
        if name != "ollama":
            env[f"{name.upper()}_API_KEY"] = values[name]
            env[f"{name.upper()}_BASE_URL"] = f"{echo}/{name}"
    return env


TASKS: list[dict[str, Any]] = [
    *({"type": "probe", **PROBE, "scenarioId": name, "modelId": f"{name}:{name}-model"} for name in PROVIDERS),
    {
        "type": "analyze_mentions",
        "brand": "acme",
        "mentions": [{"id": str(n), "text": f"{TEXT} {n}"} for n in range(3)],
    },
    {"type": "bluesky_search", "brand": "acme", "query": "acme"},
    {"type": "web_scan", "brand": "acme"},
    {"type": "noop", "brand": "x", "nonsense": {"a": "b"}, "priority": "no such thing"},
]


def _run(found: World, env: dict[str, str], echo: Echo, collector: Collector) -> None:
    values = found.secrets
    service = Service(**env)
    try:
        service.wait_until_ready(60)
        with ThreadPoolExecutor(1) as pool:  # beside the worker: two cores have enough with that
            scripts = {name: pool.submit(_script, env, f"{name}:m") for name in ("gemini", "ollama")}
            _ask(found, service, {"x-api-key": values["api"]})
        found.outputs |= {f"script of {name}": output.result() for name, output in scripts.items()}
        found.outputs |= _others(env, values)
        pids = [service.process.pid, *_children(service.process.pid)]
        found.outputs["command lines"] = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
    finally:
        code, out, err = service.end()
    found.outputs |= {"standard output": out, "log": err, "exit code": str(code)}
    found.outputs |= {f"Redis {key}": value for key, value in _redis(env["REDIS_URL"])}
    found.outputs |= {f"MongoDB {key}": value for key, value in _mongo(env["MONGODB_URI"])}
    found.outputs["spans"] = f"{collector.spans}"
    found.exported = len(collector.spans)
    found.told = " ".join(f"{one.headers} {one.path} {orjson.dumps(one.body).decode()}" for one in echo.received)
    found.told += f"{collector.headers}"


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _others(env: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Commands, and workers that cannot start."""
    wrong = env["REDIS_URL"].replace(values["redis"], values["wrong_redis"])
    host = wrong.rpartition("@")[2]
    in_query = {"REDIS_URL": f"redis://{host}?username=canary&password={values['wrong_redis']}"}
    unescaped = {"REDIS_URL": f"redis://canary:{values['wrong_redis']}/x@{host}"}
    wrong_mongo = {"MONGODB_URI": env["MONGODB_URI"].replace("://", f"://me:{values['wrong_mongo']}@")}
    unescaped_mongo = {"MONGODB_URI": env["MONGODB_URI"].replace("://", f"://me:{values['wrong_mongo']}/x@")}
    archive = {"ARCHIVE_URL": f"ftp://me:{values['archive']}@127.0.0.1:1/blocks?secret={values['archive']}"}
    port = {"HTTP_PORT": str(free_port())}
    jobs: dict[str, tuple[dict[str, str], str, list[str]]] = {
        "doctor": ({}, "cli", ["doctor"]),
        "doctor, wrong passwords": ({**in_query, **wrong_mongo}, "cli", ["doctor"]),
        "queue, password in the query": (in_query, "cli", ["queue"]),
        "queue, password not escaped": (unescaped, "cli", ["queue"]),
        "brands, password not escaped": (unescaped_mongo, "cli", ["brands"]),
        "letters of the command line": ({}, "cli", ["dead", "list", "--json"]),
        "models": ({}, "cli", ["llm"]),
        "janitor, wrong password of Redis": ({"REDIS_URL": wrong}, "janitor", ["--once"]),
        "janitor, archive that cannot be reached": (archive, "janitor", ["--once"]),
        "worker, wrong password of MongoDB": ({**port, **wrong_mongo}, "app", []),
        "worker, password not escaped": (unescaped, "app", []),
    }
    given = {
        name: {"env": _clean() | env | over, "module": f"src.worker.{module}", "argv": argv}
        for name, (over, module, argv) in jobs.items()
    }
    said: dict[str, str] = json.loads(_process(_clean(), ["-m", "tests.forked_commands"], json.dumps(given)).stdout)
    return said


def _script(env: dict[str, str], model: str) -> str:
    document = json.dumps({**PROBE, "modelId": model})
    done = _process({**_clean(), **env, "PYTHON_WORKER_TIMEOUT": "8"}, ["workers/probe.py"], document)
    return done.stdout + done.stderr


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}


def _process(env: dict[str, str], words: list[str], given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=90)


def _ask(found: World, service: Service, key: dict[str, str]) -> None:
    http, say = service.http, found.outputs
    tried = found.secrets["tried"]
    ids = [http.post("/v1/tasks", json=task, headers=key) for task in TASKS]
    known = [one.json()["id"] for one in ids if one.status_code == 202]
    suggestion = {"brand": "acme", "text": TEXT}
    say["POST suggestion"] = _shown(http.post("/v1/suggestion", json=suggestion, headers=key, timeout=40))
    wrong = ({"x-api-key": tried}, {"authorization": f"Bearer {tried}"}, {"authorization": f"Basic {tried}"})
    for number, headers in enumerate(wrong):
        say[f"refused {number}"] = _shown(http.get("/v1/queue", headers=headers))
    say["refused, in the query"] = _shown(http.get(f"/v1/queue?api_key={tried}"))
    say["refused, by an operator"] = _shown(http.delete(f"/v1/dead-letters?x_api_key={tried}", headers=key))
    deadline = time.monotonic() + 40
    while True:
        found.records = [http.get(f"/v1/tasks/{one}", headers=key).json() for one in known]
        if all(one["status"] in ("succeeded", "failed") for one in found.records):
            break
        assert time.monotonic() < deadline, found.records
        time.sleep(0.1)
    spec = http.get("/openapi.json", headers=key)
    say["OpenAPI"] = spec.text
    gets = [path for path, methods in spec.json()["paths"].items() if "get" in methods and path != "/v1/events"]
    for path in gets:
        asked = path.replace("{brand}", "acme").replace("{task_id}", known[0]).replace("{", "").replace("}", "")
        say[f"GET {path}"] = _shown(http.get(asked, headers=key))
    say["letters"] = _shown(http.get("/v1/dead-letters?limit=100", headers=key))


def _shown(answer: httpx.Response) -> str:
    return f"{answer.status_code} {dict(answer.headers)} {answer.text}"


def _redis(url: str) -> Iterator[tuple[str, str]]:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            read: dict[bytes, Any] = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"list": lambda key: client.lrange(key, 0, -1),
                b"set": client.smembers,
                b"zset": lambda key: client.zrange(key, 0, -1),
                b"stream": client.xrange,
            }
            yield key.decode(), f"{key.decode()} {read[kind](key)}"


def _mongo(uri: str) -> Iterator[tuple[str, str]]:
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        database = client.get_default_database()
        for name in database.list_collection_names():
            yield name, str(list(database[name].find()))


# -- what was looked at is what there is ---------------------------------------------------------------------------


def test_every_secret_was_used_and_every_kind_of_failure_happened(world: World) -> None:
    """Else the search below proves nothing."""
    sent = [name for name in (*PROVIDERS, "otel", "source", "bluesky") if name != "ollama"]
    assert [name for name in sent if world.secrets[name] not in world.told] == []
    assert "Basic " in world.told  # the user and password of a base URL
    codes = {
        one["error"]["code"] for one in world.records if one["error" if "error" in one else "id"] and "error" in one
    }
    assert len([one for one in world.records if one["status"] == "failed"]) >= len(PROVIDERS)
    assert codes >= {"INVALID_RESPONSE", "AUTH_ERROR"}
    assert world.exported > 50
    assert "AuthenticationError" in world.outputs["queue, password in the query"]
    assert "AuthenticationError" in world.outputs["janitor, wrong password of Redis"]
    assert "archive: open ftp" in world.outputs["janitor, archive that cannot be reached"]
    assert "REDIS_URL: must be a URL" in world.outputs["worker, password not escaped"]
    assert "REDIS_URL: must be a URL" in world.outputs["queue, password not escaped"]
    assert "MONGODB_URI: must be a URL" in world.outputs["brands, password not escaped"]
    assert '"success":false' in world.outputs["script of gemini"].replace(" ", "")
    assert "src.worker.app" in world.outputs["command lines"]
    assert world.outputs["exit code"] == "0"
    for name in ("MongoDB audit_log", "MongoDB llm_calls", "MongoDB transcripts", "Redis worker:dead", "letters"):
        assert len(world.outputs[name]) > 200, name


def test_no_output_holds_a_secret(world: World) -> None:
    leaks = {name: found for name, value in world.secrets.items() if (found := world.holding(value))}
    assert leaks == {}


def test_who_repeats_a_key_is_quoted_without_it(world: World) -> None:
    """The words around it stay: they say what is wrong."""
    details = [one["error"]["details"].get("detail", "") for one in world.records if "details" in one.get("error", {})]
    assert [words for words in details if words.startswith("no: ") and "***" in words]


def test_no_personal_number_or_address_goes_to_a_model_into_a_log_a_trace_or_a_book(world: World) -> None:
    assert "[email]" in world.told
    places = ("log", "standard output", "spans", "GET /metrics", "GET /v1/audit", "GET /v1/llm", "GET /v1/llm/costs")
    places += ("MongoDB llm_calls", "MongoDB audit_log", "POST suggestion", "OpenAPI", "command lines", "letters")
    books = [
        name for name in world.outputs if name.startswith(("Redis worker:llm", "Redis worker:result", "GET /v1/tasks"))
    ]
    searched = {name: world.outputs[name] for name in (*places, *books)}
    found = [(name, one) for one in PERSONAL for name, text in searched.items() if one in text]
    assert found == []
    assert [one for one in PERSONAL if one in world.told] == []


def test_every_line_of_the_log_is_one_document(world: World) -> None:
    """Warnings of libraries included, one of which quotes what the provider has sent."""
    lines = world.outputs["log"].splitlines()
    words = [line for line in lines if not line.startswith("{")]
    assert words == ["stopping: finishing what runs (again to stop at once)"]
    assert all(json.loads(line)["level"] for line in lines if line.startswith("{"))
