"""Embeddings: one space, unit vectors or an error; the providers' wires, their failures, the cache."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.worker.config import Settings, load_settings
from src.worker.cpu import Cpu
from src.worker.embedding_books import Books
from src.worker.embeddings import CachedEmbedder, LocalEmbedder, embedder_of
from src.worker.errors import ConfigError, InvalidTask
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Attempt
from src.worker.llm.price_files import load_prices
from src.worker.llm.seams import Hold
from src.worker.llm.tokens import TokenCounter
from src.worker.local_vectors import DIMENSIONS, SPACE, LocalVectors, weight

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-test-0123456789"
REMOTE = ("openai", "nvidia", "gemini", "ollama")


class Server:
    """A small server of all four formats: remembers requests; a vector's first number is its text's length."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.dimensions = 3
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                names = {name.lower(): value for name, value in self.headers.items()}
                server.requests.append((self.path, names, asked))
                out = server.answer(self.path, asked) if server.body is None else server.body
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def vector(self, text: str) -> list[float]:
        return [float(len(text)), 1.0, *[0.0] * (self.dimensions - 2)]

    def answer(self, path: str, asked: dict[str, Any]) -> bytes:
        if "batchEmbedContents" in path:
            texts = [one["content"]["parts"][0]["text"] for one in asked["requests"]]
            body: Any = {"embeddings": [{"values": self.vector(text)} for text in texts]}
        elif path == "/api/embed":
            body = {"embeddings": [self.vector(text) for text in asked["input"]]}
        else:  # backwards: the numbers count, not the order
            rows = [{"index": place, "embedding": self.vector(text)} for place, text in enumerate(asked["input"])]
            body = {"data": rows[::-1]}
        return json.dumps(body).encode()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def cpu() -> Iterator[Cpu]:
    one = Cpu()
    yield one
    one.close()


def _settings(**overrides: Any) -> Settings:
    return load_settings(_env_file=None, **overrides)


def _remote(name: str, server: Server, cpu: Cpu, books: Books | None = None, **overrides: Any) -> CachedEmbedder:
    given: dict[str, Any] = {
        "embeddings_provider": name,
        "embeddings_model": "m-1",
        "embeddings_dimensions": 3,
        f"{name}_base_url": server.url,
    }
    if name != "ollama":
        given[f"{name}_api_key"] = KEY
    return embedder_of(_settings(**given | overrides), cpu, books)


async def test_local_vectors_have_unit_length_one_space_and_the_order_of_the_texts(cpu: Cpu) -> None:
    embedder = LocalEmbedder(cpu)
    texts = [f"text number {number}" for number in range(450)]
    matrix = await embedder.embed(texts)
    assert (matrix.shape, matrix.dtype) == ((450, DIMENSIONS), np.float32)
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)
    assert embedder.space == SPACE
    assert str(DIMENSIONS) in SPACE
    assert np.array_equal(matrix[[7, 449]], await embedder.embed([texts[7], texts[449]]))
    assert (await embedder.embed([])).shape == (0, DIMENSIONS)


def test_a_text_has_the_same_local_vector_in_another_process() -> None:
    code = (
        "from src.worker.local_vectors import LocalVectors as L; print(L().matrix(['Refund not received'])[0].tolist())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=50
    )
    there = np.array(json.loads(said.stdout), dtype=np.float32)
    assert np.array_equal(there, LocalVectors().matrix(["Refund not received"])[0])


def test_texts_on_one_matter_are_nearer_than_others_and_inflections_and_misspellings_count_little() -> None:
    texts = [
        "my refund has not arrived",
        "still waiting for refunds",
        "where is my refundd",
        "the app crashes on start",
    ]
    rows = LocalVectors().matrix(texts)
    near = rows @ rows[0]
    assert near[1] > near[3] + 0.1
    assert near[2] > near[3] + 0.1
    assert weight("the") < weight("because") < weight("refund")


@pytest.mark.parametrize("text", ["🚀🚀", "?!", "https://example.org/a", "x" * 100_000, "\ud800", "ありがとう"])
def test_every_text_that_is_not_blank_has_a_direction(text: str) -> None:
    assert np.isclose(np.linalg.norm(LocalVectors().matrix([text])[0]), 1.0, atol=1e-5)


async def test_a_blank_text_is_refused_by_its_place_and_never_embedded_as_zeros(server: Server, cpu: Cpu) -> None:
    for embedder in (LocalEmbedder(cpu), _remote("openai", server, cpu)):
        with pytest.raises(InvalidTask, match=r"texts\[1\]"):
            await embedder.embed(["fine", " \n"])
    assert server.requests == []


@pytest.mark.parametrize("name", REMOTE)
async def test_a_provider_is_asked_once_per_batch_and_answers_in_the_order_of_the_texts(
    name: str, server: Server, cpu: Cpu
) -> None:
    embedder = _remote(name, server, cpu)
    texts = ["y" * count for count in range(1, 131)]
    matrix = await embedder.embed(texts)
    await embedder.close()
    assert matrix.shape == (130, 3)
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1.0)
    assert np.allclose(matrix[:, 0] / matrix[:, 1], range(1, 131), rtol=1e-5)
    assert len(server.requests) == {"openai": 2, "gemini": 2, "ollama": 3, "nvidia": 3}[name]
    assert embedder.space == f"{name}:m-1/3"


async def test_requests_have_the_form_that_each_provider_documents(server: Server, cpu: Cpu) -> None:
    for name in REMOTE:
        embedder = _remote(name, server, cpu)
        await embedder.embed(["hello"])
        await embedder.close()
    (openai, nvidia, gemini, ollama) = server.requests
    assert openai[0] == nvidia[0] == "/v1/embeddings"
    assert openai[1]["authorization"] == nvidia[1]["authorization"] == f"Bearer {KEY}"
    assert openai[2] == {"model": "m-1", "input": ["hello"], "encoding_format": "float"}
    assert nvidia[2] == {**openai[2], "input_type": "passage", "truncate": "END"}
    assert gemini[0] == "/v1beta/models/m-1:batchEmbedContents"
    assert gemini[1]["x-goog-api-key"] == KEY
    assert gemini[2]["requests"] == [
        {
            "model": "models/m-1",
            "taskType": "CLUSTERING",
            "outputDimensionality": 3,
            "content": {"parts": [{"text": "hello"}]},
        }
    ]
    assert ollama[0] == "/api/embed"
    assert ollama[2] == {"model": "m-1", "input": ["hello"], "truncate": True}


@pytest.mark.parametrize(
    ("status", "headers", "kind", "retryable", "wait"),
    [
        (429, {"Retry-After": "7"}, Kind.RATE_LIMITED, True, 7.0),
        (503, {}, Kind.SERVER, True, None),
        (401, {}, Kind.AUTH, False, None),
        (400, {}, Kind.INVALID, False, None),
        (302, {"Location": "/elsewhere"}, Kind.MALFORMED, False, None),
    ],
)
async def test_a_failure_is_its_kind_with_the_providers_wait_after_one_request(
    status: int, headers: dict[str, str], kind: Kind, retryable: bool, wait: float | None, server: Server, cpu: Cpu
) -> None:
    server.status, server.headers, server.body = status, headers, b'{"error": {"message": "no"}}'
    embedder = _remote("openai", server, cpu)
    with pytest.raises(LLMError) as caught:
        await embedder.embed(["hello"])
    await embedder.close()
    error = caught.value
    assert (error.kind, error.retryable, error.not_before_sec) == (kind, retryable, wait)
    assert len(server.requests) == 1
    assert KEY not in f"{error.as_dict()}"


async def test_a_provider_that_asks_for_rest_is_not_asked_again_before(server: Server, cpu: Cpu) -> None:
    server.status, server.headers, server.body = 429, {"Retry-After": "60"}, b"{}"
    embedder = _remote("openai", server, cpu)
    kinds = []
    for text in ("one", "two"):
        with pytest.raises(LLMError) as caught:
            await embedder.embed([text])
        kinds.append(caught.value.kind)
    await embedder.close()
    assert kinds == [Kind.RATE_LIMITED, Kind.RESTING]
    assert len(server.requests) == 1
    assert caught.value.retryable
    assert 50 < (caught.value.not_before_sec or 0) <= 60


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 1, "embedding": [1, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, null, 0]}]}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
    ],
)
async def test_an_answer_without_proper_vectors_is_an_error_and_never_a_vector(
    body: bytes, server: Server, cpu: Cpu
) -> None:
    server.body = body
    embedder = _remote("openai", server, cpu)
    with pytest.raises(LLMError) as caught:
        await embedder.embed(["hello"])
    assert caught.value.kind is Kind.MALFORMED
    server.body = None
    assert (await embedder.embed(["hello"])).shape == (1, 3)  # the failure was not remembered
    await embedder.close()


async def test_vectors_of_another_dimension_than_the_spaces_are_refused(server: Server, cpu: Cpu) -> None:
    server.dimensions = 4
    embedder = _remote("ollama", server, cpu)
    with pytest.raises(LLMError, match="1 vectors of 3 numbers were asked for, 1 x 4 came"):
        await embedder.embed(["hello"])
    await embedder.close()


async def test_nobody_at_the_address_and_no_answer_in_time_are_told_apart(server: Server, cpu: Cpu) -> None:
    gone = _remote("ollama", server, cpu, ollama_base_url="http://127.0.0.1:9")
    with pytest.raises(LLMError) as caught:
        await gone.embed(["hello"])
    assert caught.value.kind is Kind.CONNECTION
    assert caught.value.retryable
    hurried = _remote("ollama", server, cpu, llm_timeout_sec=1e-6)
    with pytest.raises(LLMError) as caught:
        await hurried.embed(["hello"])
    assert caught.value.kind is Kind.TIMEOUT
    assert caught.value.retryable
    await gone.close()
    await hurried.close()


async def test_personal_data_is_taken_out_before_a_provider_sees_a_text(server: Server, cpu: Cpu) -> None:
    for redact in (True, False):
        embedder = _remote("openai", server, cpu, llm_redact_pii=redact)
        await embedder.embed(["write to ann@example.org"])
        await embedder.close()
    sent = [request[2]["input"][0] for request in server.requests]
    assert "ann@example.org" not in sent[0]
    assert "ann@example.org" in sent[1]


class _Purse:
    """A budget and a ledger that remember."""

    def __init__(self, limited: bool = True) -> None:
        self.limited = limited
        self.reserved: list[Decimal] = []
        self.settled: list[Decimal | None] = []
        self.attempts: list[Attempt] = []

    async def reserve(self, usd: Decimal) -> Hold:
        self.reserved.append(usd)
        return object()

    async def settle(self, hold: Hold, actual: Decimal | None) -> None:
        self.settled.append(actual)

    def record(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def books(self) -> Books:
        return Books(self, load_prices(None), TokenCounter(), self, lambda: datetime(2026, 1, 1, tzinfo=UTC))


USAGE = {
    "openai": {"usage": {"prompt_tokens": 7, "total_tokens": 7}},
    "nvidia": {"usage": {"prompt_tokens": 7}},
    "gemini": {"usageMetadata": {"promptTokenCount": 7}},
    "ollama": {"prompt_eval_count": 7},
}


@pytest.mark.parametrize("name", REMOTE)
async def test_tokens_of_a_call_are_the_providers_or_estimated_and_marked(name: str, server: Server, cpu: Cpu) -> None:
    purse, told = _Purse(limited=False), server.answer
    embedder = _remote(name, server, cpu, purse.books())
    await embedder.embed(["hello there"], brand="acme")
    server.answer = lambda path, asked: json.dumps({**json.loads(told(path, asked)), **USAGE[name]}).encode()  # type: ignore[method-assign]
    await embedder.embed(["hello again"], brand="acme")
    await embedder.close()
    estimated, counted = purse.attempts
    assert estimated.usage is not None
    assert counted.usage is not None
    assert (estimated.usage.estimated, counted.usage.estimated) == (True, False)
    assert 1 <= estimated.usage.input_tokens <= 10
    assert (counted.usage.input_tokens, counted.usage.output_tokens) == (7, 0)
    assert (counted.outcome, counted.status) == ("ok", 200)
    assert (counted.purpose.operation, counted.purpose.brand) == ("embedding", "acme")
    assert str(counted.target) == f"{name}:m-1"


async def test_money_is_set_aside_before_a_call_and_settled_by_what_it_cost(server: Server, cpu: Cpu) -> None:
    purse, told = _Purse(), server.answer
    server.answer = lambda path, asked: json.dumps({**json.loads(told(path, asked)), **USAGE["openai"]}).encode()  # type: ignore[method-assign]
    embedder = _remote("openai", server, cpu, purse.books(), embeddings_model="text-embedding-3-small")
    await embedder.embed(["hello there"])
    assert purse.settled == [purse.attempts[0].cost_usd]
    assert purse.attempts[0].cost_usd == Decimal("0.02") * 7 / 10**6
    assert purse.reserved[0] > 0
    server.status, server.body = 500, b"{}"
    with pytest.raises(LLMError):
        await embedder.embed(["and again"])
    await embedder.close()
    assert purse.settled[1:] == [Decimal(0)]  # refused: nobody bills that
    assert [one.outcome for one in purse.attempts] == ["ok", "server"]


async def test_a_call_that_timed_out_stays_spent(server: Server, cpu: Cpu) -> None:
    purse = _Purse()
    embedder = _remote(
        "openai", server, cpu, purse.books(), embeddings_model="text-embedding-3-small", llm_timeout_sec=1e-6
    )
    with pytest.raises(LLMError):
        await embedder.embed(["hello there"])
    await embedder.close()
    assert purse.settled == [None]


async def test_under_a_budget_a_model_without_a_price_is_not_asked(server: Server, cpu: Cpu) -> None:
    purse = _Purse()
    embedder = _remote("nvidia", server, cpu, purse.books())
    with pytest.raises(LLMError, match="price is unknown") as caught:
        await embedder.embed(["hello there"])
    await embedder.close()
    assert (caught.value.kind, caught.value.retryable) == (Kind.BUDGET, False)
    assert (server.requests, purse.reserved, [one.outcome for one in purse.attempts]) == ([], [], ["budget"])


def test_the_first_vectors_load_numpy_outside_of_the_event_loop() -> None:
    code = """
import asyncio, sys, threading
from src.worker.cpu import Cpu
from src.worker.embeddings import CachedEmbedder, LocalEmbedder
assert "numpy" not in sys.modules
where = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            where.append(threading.current_thread().name)
sys.meta_path.insert(0, Watch())
cpu = Cpu()
asyncio.run(CachedEmbedder(LocalEmbedder(cpu)).embed(["hello"]))
cpu.close()
print(where)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=50
    )
    assert said.stdout.strip() == "['cpu_0']"


class _Counting:
    space = "counting/2"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Any:
        self.asked.append(list(texts))
        rows = [[math.cos(len(text)), math.sin(len(text))] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 2)

    async def close(self) -> None:
        return None


async def test_equal_texts_are_asked_once_and_kept_ones_not_again() -> None:
    inner = _Counting()
    cached = CachedEmbedder(inner)
    first = await cached.embed(["a", "bb", "a"])
    again = await cached.embed(["bb", "ccc", "a"])
    assert inner.asked == [["a", "bb"], ["ccc"]]
    assert np.array_equal(first[[1, 0]], again[[0, 2]])
    assert np.array_equal(first[0], first[2])


async def test_the_cache_stays_within_its_room_and_the_longest_unused_go_first() -> None:
    inner = _Counting()
    cached = CachedEmbedder(inner, room_bytes=16)  # two rows of two float32
    for texts in (["a"], ["bb"], ["a"], ["ccc"]):
        await cached.embed(texts)
    await cached.embed(["a"])
    await cached.embed(["bb"])
    assert inner.asked == [["a"], ["bb"], ["ccc"], ["bb"]]
    assert (await cached.embed(["a", "bb", "ccc", "dddd"])).shape == (4, 2)  # more than there is room for


def test_what_is_missing_in_the_settings_is_named(cpu: Cpu) -> None:
    with pytest.raises(ConfigError, match="needs OPENAI_API_KEY"):
        embedder_of(_settings(embeddings_provider="openai"), cpu)
    with pytest.raises(ConfigError, match="EMBEDDINGS_DIMENSIONS"):
        embedder_of(_settings(embeddings_provider="ollama", embeddings_model="other"), cpu)
    with pytest.raises(ConfigError, match="local has no models"):
        embedder_of(_settings(embeddings_model="other"), cpu)
    with pytest.raises(ConfigError, match="EMBEDDINGS_PROVIDER"):
        _settings(embeddings_provider="anthropic")
    assert embedder_of(_settings(), cpu).space == SPACE
    assert embedder_of(_settings(embeddings_provider="ollama"), cpu).space == "ollama:nomic-embed-text/768"
