"""Traces: W3C context in and out, spans from the queue to the store, nothing when off, no harm when nobody listens."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy
import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from prometheus_client import CollectorRegistry

from src.worker import keys, trace_context
from src.worker.api.application import create_application
from src.worker.embedding_books import Books, Embedded
from src.worker.errors import ConfigError
from src.worker.llm.errors import Kind
from src.worker.logging import configure, get_logger
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from src.worker.services.bluesky_chunks import chunk_tasks
from src.worker.trace_context import Scope, SpanKind, TraceContext, current, read
from src.worker.tracing import OFF, Tracing, span, tracing_of
from tests.helpers import Attempts, finished, push, running, settings
from tests.test_llm_executor import FIRST, REQUEST, Purse, Tariff, Words, always, bench, fails, then

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
SECRET = "qwertzuiop the app keeps crashing"


# -- a collector ---------------------------------------------------------------------------------------------------


class Collector:
    """Takes OTLP over HTTP as a real one does, and remembers."""

    def __init__(self, *, hangs: bool = False, status: int = 200) -> None:
        self.released = threading.Event()
        """Until then, one that hangs does."""
        if not hangs:
            self.released.set()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.released.wait(60)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()} | {"": self.path})
                outer.bodies.append(body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # a client that has given up

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[WireSpan]:
        return [
            one
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for one in scope.spans
        ]

    def named(self, name: str) -> list[WireSpan]:
        return [one for one in self.spans if one.name == name]


@contextmanager
def collecting(**options: Any) -> Iterator[Collector]:
    collector = Collector(**options)
    thread = threading.Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


@contextmanager
def tracing_to(url: str, **overrides: Any) -> Iterator[Tracing]:
    made = tracing_of(settings(otel_exporter_otlp_endpoint=url, **overrides), CollectorRegistry())
    try:
        yield made
    finally:
        made.close()


def attributes(one: WireSpan) -> dict[str, Any]:
    found = {}
    for pair in one.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [inner.string_value for inner in value.values] if kind == "array_value" else value
    return found


@contextmanager
def events(redis_url: str) -> Iterator[list[dict[str, Any]]]:
    """What is published while the block runs."""
    import redis

    heard: list[dict[str, Any]] = []
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.EVENTS)
        deadline = time.monotonic() + 30
        while not dict(client.pubsub_numsub(keys.EVENTS))[keys.EVENTS.encode()]:
            assert time.monotonic() < deadline
        yield heard
        client.publish(keys.EVENTS, end := b"the end of this test")
        while True:
            message = channel.get_message(timeout=30)
            if message is not None and message["data"] == end:
                break
            assert time.monotonic() < deadline + 20
            if message is not None:
                heard.append(orjson.loads(message["data"]))


def chunk(**more: Any) -> dict[str, Any]:
    mention = {"text": f"Acme again: {SECRET}", "source": "x", "createdAt": "2026-01-01T10:00:00Z"}
    return {"type": "analyze_mentions", "brand": "acme", "mentions": [mention], **more}


# -- W3C Trace Context ---------------------------------------------------------------------------------------------


def test_a_context_is_read_and_written_as_the_recommendation_has_it() -> None:
    found = read(GOOD, "congo=t61rcWkgMzE , rojo=00f067aa0ba902b7")
    assert found is not None
    assert found == TraceContext(TRACE, PARENT, 1, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert found.fields() == {"traceparent": GOOD, "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}
    assert read(f"00-{TRACE}-{PARENT}-00") == TraceContext(TRACE, PARENT, 0)
    assert read(f"01-{TRACE}-{PARENT}-01-what comes later") == TraceContext(TRACE, PARENT, 1), "a later version"
    assert read(f"00-{TRACE}-{PARENT}-ff").flags == 3, "reserved flags are not handed on"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        None,
        7,
        ["x"],
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\nx",
        f"00-{TRACE}-{PARENT}-٠١",
        f"01-{TRACE}-{PARENT}-01-" + "x" * 10_000,
    ],
)
def test_what_is_no_context_is_none(bad: Any) -> None:
    assert read(bad) is None


@pytest.mark.parametrize(
    "bad", ["a", "a=1,a=2", "A=1", "a=x\ny", "a=é", 7, ",".join(f"k{n}=1" for n in range(33)), "a=" + "x" * 600]
)
def test_a_damaged_state_is_left_out_and_the_trace_goes_on(bad: Any) -> None:
    assert read(GOOD, bad) == TraceContext(TRACE, PARENT, 1, "")


# -- off -----------------------------------------------------------------------------------------------------------


_WORKER = """
import sys
{first}
import src.worker.app
from src.worker.config import load_settings
from src.worker.runtime import Runtime
made = Runtime(load_settings(_env_file=None, **{settings}), redis_url="redis://h:1", mongodb_uri="mongodb://h:1")
parts = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf")
print(type(made.api.tracing).__name__, [name for name in sys.modules if name.startswith(parts)])
"""
# FastAPI needs OpenTelemetry's API, and the Redis driver loads the SDK's metrics wherever the SDK is installed; what
# tracing needs beside them is ours to leave alone.
_NOT_INSTALLED = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Finder())
"""


def _worker(first: str = "", **overrides: Any) -> subprocess.CompletedProcess[str]:
    code = _WORKER.format(first=first, settings=overrides)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("first", ["", _NOT_INSTALLED], ids=["installed", "not installed"])
def test_a_process_without_tracing_loads_nothing_for_it_and_needs_no_package(first: str) -> None:
    done = _worker(first)
    assert done.stdout.strip() == "NoTracing []", done.stderr


def test_an_endpoint_without_the_packages_is_one_clear_line() -> None:
    done = _worker(_NOT_INSTALLED, otel_exporter_otlp_endpoint="http://collector:4318")
    assert done.returncode == 1
    assert "ConfigError: OTEL_EXPORTER_OTLP_ENDPOINT: traces need opentelemetry-sdk" in done.stderr.splitlines()[-1]


def test_a_span_that_nobody_records_costs_next_to_nothing() -> None:
    class Block:
        """The least that a `with` and a call in it can be."""

        def __enter__(self) -> Block:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def set(self, name: str, value: int) -> None:
            return None

    def once(begin: Callable[[str], Any]) -> float:
        began = time.thread_time()
        for _ in range(2_000):
            with begin("stage") as here:
                here.set("worker.mentions", 1)
        return time.thread_time() - began

    least = min(once(lambda _: Block()) for _ in range(20))
    assert min(once(span) for _ in range(20)) < 10 * least, "one that is recorded costs a hundred times as much"


async def test_without_tracing_a_producers_trace_passes_through(redis_url: str, mongo_uri: str) -> None:
    with events(redis_url) as heard:
        async with running(redis_url, mongo_uri) as runtime:
            assert runtime.api.tracing is OFF
            client = RedisClient(redis_url)
            await push(client, chunk(id="t-1", traceparent=GOOD, tracestate="a=1"))
            assert (await finished(runtime, "t-1"))["status"] == "succeeded"
            await client.close()
    (event,) = [one for one in heard if one["id"] == "t-1"]
    assert (event["traceparent"], event["tracestate"]) == (GOOD, "a=1")


# -- on ------------------------------------------------------------------------------------------------------------


async def test_one_trace_leads_from_the_producer_through_all_stages_to_the_store(
    redis_url: str, mongo_uri: str
) -> None:
    with collecting() as collector, events(redis_url) as heard:
        headers = "authorization=Bearer%20abc"
        async with running(
            redis_url,
            mongo_uri,
            otel_exporter_otlp_endpoint=collector.url + "/",
            otel_exporter_otlp_headers=headers,
            otel_resource_attributes="deployment.environment.name=test",
        ) as runtime:
            client = RedisClient(redis_url)
            await push(client, chunk(id="t-1", traceparent=GOOD, tracestate="a=1"))
            assert (await finished(runtime, "t-1"))["status"] == "succeeded"
            await client.close()
    assert {one[""] for one in collector.headers} == {"/v1/traces"}
    assert {one["authorization"] for one in collector.headers} == {"Bearer abc"}
    (process,) = collector.named("process analyze_mentions")
    assert process.kind == WireSpan.SPAN_KIND_CONSUMER
    assert (process.trace_id.hex(), process.parent_span_id.hex()) == (TRACE, PARENT)
    assert [(one.trace_id.hex(), one.span_id.hex()) for one in process.links] == [(TRACE, PARENT)]
    said = attributes(process)
    assert said["messaging.message.id"] == "t-1"
    assert said["messaging.destination.name"] == "worker:tasks:normal"
    assert (said["worker.task.outcome"], said["worker.brand"], said["worker.task.attempt"]) == ("succeeded", "acme", 1)
    inside = [one for one in collector.spans if one.trace_id.hex() == TRACE]
    names = {one.name for one in inside}
    assert names >= {"handle", "normalise", "dedup", "analyse", "topics", "store", "conclude", "mongodb store mentions"}
    assert "redis near_duplicates" in names
    by_id = {one.span_id: one for one in inside}
    for one in inside:
        assert one.span_id == process.span_id or one.parent_span_id in by_id, f"{one.name} has no parent"
    (store,) = collector.named("store")
    assert {one.name for one in inside if one.parent_span_id == store.span_id} >= {"mongodb store mentions"}
    # The fold runs in the background, for many chunks at once: a trace of its own, linked.
    assert any(link.trace_id.hex() == TRACE for one in collector.named("fold") for link in one.links)
    assert SECRET.encode() not in b"".join(collector.bodies), "mentions stay out of traces"
    (event,) = [one for one in heard if one["id"] == "t-1"]
    assert event["traceparent"] == f"00-{TRACE}-{process.span_id.hex()}-01"
    assert event["tracestate"] == "a=1"


async def test_a_bad_traceparent_refuses_no_task_and_is_said_once(
    redis_url: str, mongo_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        client = RedisClient(redis_url)
        for number in range(3):
            await push(client, {"type": "noop", "id": f"t-{number}", "traceparent": "nonsense", "tracestate": 1})
        for number in range(3):
            assert (await finished(runtime, f"t-{number}"))["status"] == "succeeded"
        await client.close()
    assert sum("traceparent" in record.getMessage() for record in caplog.records) == 1


async def test_a_request_its_task_and_its_execution_are_one_trace(redis_url: str, mongo_uri: str) -> None:
    with collecting() as collector:
        async with running(redis_url, mongo_uri, otel_exporter_otlp_endpoint=collector.url) as runtime:
            async with _client(runtime) as http:
                answer = await http.post("/v1/tasks", json={"type": "noop", "id": "t-1"}, headers={"traceparent": GOOD})
                assert answer.status_code == 202
                await http.get("/health", headers={"traceparent": GOOD})
                await http.get("/v1/tasks/nobody", headers={"traceparent": GOOD})
            await finished(runtime, "t-1")
    (server,) = collector.named("POST /v1/tasks")
    (send,) = collector.named("send worker:tasks:normal")
    (process,) = collector.named("process noop")
    assert server.kind == WireSpan.SPAN_KIND_SERVER
    assert send.kind == WireSpan.SPAN_KIND_PRODUCER
    assert server.parent_span_id.hex() == PARENT
    assert (send.parent_span_id, process.parent_span_id) == (server.span_id, send.span_id)
    assert {one.trace_id.hex() for one in (server, send, process)} == {TRACE}
    assert attributes(server)["http.response.status_code"] == 202
    (missing,) = [one for one in collector.spans if one.name.startswith("GET ")]
    assert attributes(missing)["http.response.status_code"] == 404
    assert missing.status.code == 0, "the caller's mistake is no fault of the server"
    assert not any("health" in one.name for one in collector.spans)


def _client(runtime: Runtime) -> httpx.AsyncClient:
    app = create_application(runtime.api, api_key=None, max_body_bytes=10_000)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_a_failed_task_says_so_without_the_words_of_its_error(redis_url: str, mongo_uri: str) -> None:
    with collecting() as collector:
        async with running(redis_url, mongo_uri, otel_exporter_otlp_endpoint=collector.url) as runtime:
            client = RedisClient(redis_url)
            await push(client, {"type": "analyze_mentions", "id": "t-1", "brand": "acme", "mentions": SECRET})
            assert (await finished(runtime, "t-1"))["status"] == "failed"
            await client.close()
    (process,) = collector.named("process analyze_mentions")
    assert attributes(process)["error.type"] == "VALIDATION_ERROR"
    assert attributes(process)["worker.task.outcome"] == "failed"
    assert process.status.code == 2
    assert SECRET.encode() not in b"".join(collector.bodies)


async def test_model_calls_are_spans_of_the_conventions_without_a_word_of_the_prompt() -> None:
    asked = bench({FIRST: then(fails(Kind.SERVER, status=503), "the answer")})
    with collecting() as collector:
        with tracing_to(collector.url) as tracing, tracing.begin("task"):
            await asked.ask(FIRST)
        # Outside a recorded task nothing is recorded.
        await bench({FIRST: always("x")}).ask(FIRST)
    first, second = sorted(collector.named(f"chat {FIRST.model}"), key=lambda one: one.start_time_unix_nano)
    (question,) = [one for one in collector.spans if one.name.startswith("ask ")]
    assert {first.parent_span_id, second.parent_span_id} == {question.span_id}
    assert (first.status.code, attributes(first)["error.type"]) == (2, Kind.SERVER.value)
    said = attributes(second)
    assert second.kind == WireSpan.SPAN_KIND_CLIENT
    assert (said["gen_ai.operation.name"], said["gen_ai.request.model"]) == ("chat", FIRST.model)
    assert said["gen_ai.provider.name"] == said["gen_ai.system"]
    assert said["gen_ai.usage.input_tokens"] > 0
    assert said["gen_ai.usage.output_tokens"] > 0
    assert said["worker.llm.attempt"] == 2
    wire = b"".join(collector.bodies)
    for text in ("the answer", *(message.text for message in REQUEST.messages)):
        assert text.encode() not in wire


async def test_embeddings_are_spans_of_the_conventions_too() -> None:
    books = Books(Purse(), Tariff(), Words(), Attempts(), lambda: datetime.now(UTC))

    async def send() -> Embedded:
        return Embedded(numpy.ones((1, 2), dtype=numpy.float32), 3)

    with collecting() as collector, tracing_to(collector.url) as tracing, tracing.begin("task"):
        await books.kept(FIRST, [SECRET], "acme", send)
    (one,) = collector.named(f"embeddings {FIRST.model}")
    said = attributes(one)
    assert (said["gen_ai.operation.name"], said["gen_ai.usage.input_tokens"]) == ("embeddings", 3)
    assert "gen_ai.usage.output_tokens" not in said
    assert SECRET.encode() not in b"".join(collector.bodies)


def test_tasks_that_a_task_enqueues_go_on_with_its_trace_and_keep_their_size() -> None:
    mentions = [{"id": f"m-{number}", "text": "x" * 300} for number in range(100)]
    with OFF.begin("x", parent=read(GOOD, "a=1")):
        made = chunk_tasks("acme", mentions, max_bytes=4_000, trace=trace_context.outgoing())
    assert len(made.tasks) > 1
    for _, document in made.tasks:
        assert len(document) <= 4_000
        assert trace_context.of(orjson.loads(document)) == TraceContext(TRACE, PARENT, 1, "a=1")
    assert made.posts == 100


def test_what_a_producer_does_not_record_is_not_recorded_here_and_keeps_its_trace() -> None:
    with collecting() as collector:
        with tracing_to(collector.url) as tracing:
            unsampled = read(f"00-{TRACE}-{PARENT}-00")
            with tracing.begin("task", parent=unsampled, task_id="t-1"):
                scope = current()
                with span("stage"):
                    assert current() is scope
                assert scope.trace is not None
                assert (scope.trace.trace_id, scope.trace.flags, scope.opener) == (TRACE, 0, None)
        assert collector.bodies == []
        with (
            tracing_to(collector.url, otel_traces_sampler="always_on") as tracing,
            tracing.begin("task", parent=unsampled),
        ):
            pass
        assert [one.name for one in collector.spans] == ["task"]


def test_no_endpoint_or_the_standard_switch_turn_it_off_and_odd_settings_are_named() -> None:
    registry = CollectorRegistry()
    assert tracing_of(settings(), registry) is OFF
    assert tracing_of(settings(otel_exporter_otlp_endpoint="http://c:4318", otel_sdk_disabled=True), registry) is OFF
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_HEADERS"):
        tracing_of(
            settings(otel_exporter_otlp_endpoint="http://c:4318", otel_exporter_otlp_headers="hunter2"), registry
        )
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        settings(otel_exporter_otlp_endpoint="collector:4318")


# -- nobody listens ------------------------------------------------------------------------------------------------


def test_a_collector_that_cannot_be_reached_is_said_once_and_costs_no_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    registry = CollectorRegistry()
    tracing = tracing_of(settings(otel_exporter_otlp_endpoint="http://127.0.0.1:1"), registry)
    costs: list[float] = []
    for number in range(60):
        began = time.perf_counter()
        with tracing.begin(f"task {number}"):
            pass
        costs.append(time.perf_counter() - began)
        time.sleep(0.02)
    deadline = time.monotonic() + 30
    while not registry.get_sample_value("worker_trace_spans_total", {"outcome": "failed"}):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < 20
    assert sorted(costs)[30] < 0.1, "nothing waits for the collector, which would be 0.2 s every time"
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said if "spans cannot be sent" in record.getMessage()] != []
    assert len(said) <= 2, "once, and once more when the last ones could not be sent in time"


def test_closing_waits_two_seconds_for_a_collector_that_hangs_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
    with collecting(hangs=True) as collector:
        tracing = tracing_of(settings(otel_exporter_otlp_endpoint=collector.url), CollectorRegistry())
        with tracing.begin("task"):
            pass
        began = time.monotonic()
        tracing.close()
        assert 1.5 < time.monotonic() - began < 20


def test_spans_that_nobody_takes_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")
    with collecting(hangs=True) as collector, tracing_to(collector.url) as tracing:
        for number in range(1_000):
            with tracing.begin(f"task {number}"):
                pass
        collector.released.set()
        deadline = time.monotonic() + 30
        while "task 999" not in {one.name for one in collector.spans}:
            assert time.monotonic() < deadline, "the newest are kept"
            time.sleep(0.02)
        assert 100 <= len(collector.spans) <= 300


# -- logs ----------------------------------------------------------------------------------------------------------


@contextmanager
def logged(form: str) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure("info", form, stream)
    yield stream


def test_lines_of_a_task_carry_its_id_and_its_trace() -> None:
    log = get_logger("test")
    with logged("json") as stream:
        with OFF.begin("x", task_id="t-1", parent=read(GOOD)):
            log.info("inside", brand="acme")
            logging.getLogger("library").info("also inside")
        log.info("outside")
    inside, also, outside = map(json.loads, stream.getvalue().splitlines())
    for line in (inside, also):
        assert (line["task_id"], line["trace_id"], line["span_id"]) == ("t-1", TRACE, PARENT)
    assert inside["brand"] == "acme"
    assert not {"task_id", "trace_id", "span_id"} & outside.keys()
    assert inside["timestamp"].endswith("Z")


async def test_tasks_that_run_side_by_side_do_not_mix_their_lines() -> None:
    log = get_logger("test")

    async def work(name: str) -> None:
        with OFF.begin("x", task_id=name):
            for _ in range(5):
                await asyncio.sleep(0)
                log.info("at work", who=name)

    with logged("json") as stream:
        await asyncio.gather(*(work(f"t-{number}") for number in range(5)))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 25
    assert all(line["task_id"] == line["who"] for line in lines)
    assert current() == Scope()


def test_extras_of_libraries_are_kept() -> None:
    with logged("json") as stream:
        logging.getLogger("library").warning("said", extra={"attempt": 3, "host": "db"})
    line = json.loads(stream.getvalue())
    assert (line["attempt"], line["host"]) == (3, "db")


HOSTILE = 'x\n12:00:00 info    all is well\r\x1b[2J\u2028"}\ud800 y=z'


def test_hostile_text_forges_no_line_and_no_field() -> None:
    log = get_logger("test")
    for form in ("text", "json"):
        with logged(form) as stream:
            log.info(HOSTILE, value=HOSTILE, nested={"deep": HOSTILE}, huge=2**70)
        (line,) = stream.getvalue().splitlines()
        assert line.isprintable()
        if form == "text":
            assert 'value="x\\n12:00:00' in line, "in quotation marks: y=z is no field"
        else:
            assert json.loads(line)["message"].startswith("x\n12:00:00")


def test_hostile_text_of_an_exception_cannot_pass_for_a_line() -> None:
    with logged("text") as stream:
        get_logger("test").error("failed", exc=ValueError(HOSTILE))
    head, *rest = stream.getvalue().splitlines()
    assert head.endswith("failed")
    assert len(rest) >= 2
    assert all(line.startswith("    | ") and line.isprintable() for line in rest)


def test_a_context_travels_in_the_fields_of_a_task_and_is_taken_out() -> None:
    document: dict[str, Any] = {"type": "noop", "traceparent": GOOD, "tracestate": "a=1"}
    assert trace_context.of(document) == TraceContext(TRACE, PARENT, 1, "a=1")
    assert trace_context.take(document) == TraceContext(TRACE, PARENT, 1, "a=1")
    assert document == {"type": "noop"}
    with OFF.begin("x", SpanKind.CONSUMER, parent=read(GOOD)):
        assert trace_context.outgoing() == {"traceparent": GOOD}
    assert trace_context.outgoing() == {}
