"""`common.*` and `stats.*` are importable as the specification shows and behave as it says."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.worker.errors import ConfigError
from src.worker.evaluation.compat import llm_adapters
from src.worker.evaluation.compat.config import get_config, load_config, reload_config
from src.worker.evaluation.compat.cost import (
    ModelCost,
    calculate_cost,
    create_cost_snapshot,
    estimate_tokens,
)
from src.worker.evaluation.compat.errors import (
    ErrorCode,
    LLMError,
    RetryableError,
    ValidationError,
    WorkerError,
    classify_exception,
    classify_http_error,
)
from src.worker.evaluation.compat.logging import Logger, get_logger
from src.worker.evaluation.redaction import redactor

from .eval_helpers import KEY, ROOT
from .llm_doubles.scripted import Fault, ScriptedServer, scripted_server

USER = [{"role": "user", "content": "Hello!"}]
SPECIFICATION = """
from common.llm_adapters import generate, OpenAIAdapter, AnthropicAdapter, GeminiAdapter, XAIAdapter, DeepSeekAdapter
from common.llm_adapters import MistralAdapter, LLMResponse
from common.errors import ErrorCode, WorkerError, LLMError, ValidationError, RetryableError
from common.config import get_config
from common.logging import get_logger
from common.cost import create_cost_snapshot
from stats.basic_stats import compute_win_rate
from stats.confidence import wilson_score_ci
from stats.model_comparison import compute_effect_size, apply_holm_bonferroni
from stats.dimension_impact import analyze_dimension
import stats
assert get_config().has_api_key("anthropic") and get_config().anthropic_api_key[:4] == "anth"
get_logger("probe").info("Starting probe", runId="abc", modelId="gpt-4")
print(round(create_cost_snapshot(input_tokens=1024, output_tokens=512, cost_input_per_million=3.0,
                                 cost_output_per_million=15.0).estimated_cost, 4))
import sys
assert not {"langchain_core", "scipy.stats", "pydantic"} & set(sys.modules)
"""


def test_imports_work_inside_workers_as_the_specification_shows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPECIFICATION],
        cwd=ROOT / "workers",
        env={"PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": "anthropic-key"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.0108"
    entry = json.loads(done.stderr)
    assert (entry["level"], entry["msg"], entry["runId"], entry["modelId"]) == (
        "info",
        "Starting probe",
        "abc",
        "gpt-4",
    )
    assert entry["ts"].endswith("Z")


def test_nothing_is_implemented_under_workers() -> None:
    for path in (ROOT / "workers").rglob("*.py"):
        assert "def " not in path.read_text(), path
        assert len(path.read_text().splitlines()) < 50, path


# -- errors --------------------------------------------------------------------------------------------------------


def test_codes_and_retry_classes_are_the_specifications() -> None:
    retryable = {code for code in ErrorCode if WorkerError("x", code).retryable}
    assert retryable == {"RATE_LIMIT", "TIMEOUT", "NETWORK_ERROR", "SERVER_ERROR", "UNKNOWN"}
    assert {code.value for code in ErrorCode} - retryable == {
        "AUTH_ERROR",
        "VALIDATION_ERROR",
        "NOT_FOUND",
        "UNSUPPORTED_PROVIDER",
        "MISSING_API_KEY",
        "INVALID_RESPONSE",
    }


def test_errors_describe_themselves() -> None:
    error = WorkerError("it broke", ErrorCode.TIMEOUT, "more")
    assert str(error) == "it broke"
    assert error.to_dict() == {"message": "it broke", "code": "TIMEOUT", "retryable": True, "details": "more"}
    assert LLMError("x", status_code=401).to_dict()["statusCode"] == 401
    assert ValidationError("x").code == ErrorCode.VALIDATION_ERROR
    assert RetryableError("x", ErrorCode.AUTH_ERROR).code == ErrorCode.NETWORK_ERROR
    assert RetryableError("x", ErrorCode.TIMEOUT).code == ErrorCode.TIMEOUT
    assert LLMError("x", ErrorCode.RATE_LIMIT, 500).code == ErrorCode.RATE_LIMIT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "VALIDATION_ERROR"),
        (401, "AUTH_ERROR"),
        (402, "AUTH_ERROR"),
        (403, "AUTH_ERROR"),
        (404, "NOT_FOUND"),
        (408, "TIMEOUT"),
        (409, "SERVER_ERROR"),
        (413, "VALIDATION_ERROR"),
        (422, "VALIDATION_ERROR"),
        (425, "SERVER_ERROR"),
        (429, "RATE_LIMIT"),
        (500, "SERVER_ERROR"),
        (529, "SERVER_ERROR"),
        (204, "INVALID_RESPONSE"),
        (302, "INVALID_RESPONSE"),
    ],
)
def test_a_status_has_one_code_and_a_clients_error_is_never_unknown(status: int, code: str) -> None:
    assert classify_http_error(status, "x").code == code


def test_an_empty_account_is_no_rate_limit_but_a_full_minute_is() -> None:
    assert classify_http_error(429, "You exceeded your current quota").code == ErrorCode.AUTH_ERROR
    assert classify_http_error(429, "x", "insufficient_quota").code == ErrorCode.AUTH_ERROR
    assert classify_http_error(429, "RESOURCE_EXHAUSTED: quota exceeded per minute").code == ErrorCode.RATE_LIMIT


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "TIMEOUT"),
        (OSError("the request timed out"), "TIMEOUT"),
        (ConnectionResetError(), "NETWORK_ERROR"),
        (RuntimeError("getaddrinfo ENOTFOUND"), "NETWORK_ERROR"),
        (RuntimeError("Rate limit reached"), "RATE_LIMIT"),
        (RuntimeError("odd"), "UNKNOWN"),
        (ValidationError("x"), "VALIDATION_ERROR"),
    ],
)
def test_any_exception_is_classified(error: Exception, code: str) -> None:
    assert classify_exception(error).code == code


# -- configuration and logs ----------------------------------------------------------------------------------------


def test_configuration_is_cached_until_it_is_reloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "XAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    config = reload_config()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert get_config() is config
    assert (config.openai_api_key, config.has_api_key("openai")) == (None, False)
    assert reload_config().has_api_key("OpenAI")


def test_a_blank_key_is_none_and_unknown_providers_have_none() -> None:
    config = load_config({"OPENAI_API_KEY": " ", "XAI_API_KEY": KEY, "PYTHON_WORKER_DEBUG": "yes"})
    assert (config.openai_api_key, config.get_api_key("xai"), config.debug, config.timeout) == (None, KEY, True, 270)
    assert config.get_configured_providers() == ["xai"]
    assert config.has_api_key("nobody") is False
    with pytest.raises(KeyError):
        config.get_api_key("nobody")
    with pytest.raises(ConfigError, match="PYTHON_WORKER_TIMEOUT"):
        load_config({"PYTHON_WORKER_TIMEOUT": "soon"})


def test_a_key_is_not_shown_by_the_configuration() -> None:
    assert KEY not in repr(load_config({"OPENAI_API_KEY": KEY}))


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_line_is_one_json_object_with_level_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "info")
    stream = io.StringIO()
    log = Logger("probe", stream=stream, clock=lambda: 1_732_190_400.25, redact=redactor({"A_API_KEY": "hidden-value"}))
    log.child(runId="r").info("said\nhidden-value", level="mine", value=float("nan"), err=ValueError("bad"))
    log.debug("not shown")
    assert lines(stream) == [
        {
            "level": "info",
            "ts": "2024-11-21T12:00:00.250Z",
            "context": "probe",
            "msg": "said\n[redacted]",
            "runId": "r",
            "field_level": "mine",
            "value": "nan",
            "err": {"type": "ValueError", "message": "bad"},
        }
    ]


@pytest.mark.parametrize(
    ("level", "debug", "shown"),
    [
        ("error", "", 1),
        ("warn", "", 2),
        ("WARNING", "", 2),
        ("info", "", 3),
        ("debug", "", 4),
        ("trace", "", 5),
        ("nonsense", "", 3),
        ("", "", 3),
        ("", "true", 4),
    ],
)
def test_the_level_filters(level: str, debug: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)
    monkeypatch.setenv("PYTHON_WORKER_DEBUG", debug)
    stream = io.StringIO()
    log = Logger("x", stream=stream)
    for write in (log.error, log.warn, log.info, log.debug, log.trace):
        write("x")
    assert len(lines(stream)) == shown


def test_the_same_name_gives_the_same_logger() -> None:
    assert get_logger("probe") is get_logger("probe")


# -- cost ----------------------------------------------------------------------------------------------------------


def test_one_token_never_costs_nothing_and_nothing_is_rounded() -> None:
    assert create_cost_snapshot(1, 0, 0.15, 0.6).estimated_cost == 1.5e-07
    assert calculate_cost(1_000_000, 1_000_000, 0.1, 0.2) == float(Decimal("0.3"))
    assert create_cost_snapshot(1024, 512, 3.0, 15.0).to_dict() == {
        "costInputPerMillion": 3.0,
        "costOutputPerMillion": 15.0,
        "inputTokens": 1024,
        "outputTokens": 512,
        "estimatedCost": 0.010752,
    }


def test_no_tokens_cost_nothing() -> None:
    assert calculate_cost(None, -5, 3, 15) == 0.0


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), None, "3", True])
def test_a_price_that_is_none_is_refused(price: Any) -> None:
    with pytest.raises(ValidationError, match="cost_input_per_million"):
        ModelCost(price, 1)


def test_tokens_are_estimated_for_every_script() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("a") == 1
    assert estimate_tokens("x" * 400, "gpt-4o") == 100
    assert estimate_tokens("東京都庁前で") == 4


# -- adapters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A server all OpenAI-shaped providers are pointed at."""
    with scripted_server() as found:
        for name in ("OPENAI", "XAI", "DEEPSEEK", "MISTRAL"):
            monkeypatch.setenv(f"{name}_API_KEY", KEY)
            monkeypatch.setenv(f"{name}_BASE_URL", found.url)
        yield found
        llm_adapters.close()


def test_generate_answers_as_the_specification_shows(server: ScriptedServer) -> None:
    server.answer = lambda asked: " Hello! How can I help? "
    response = llm_adapters.generate(
        model="openai:gpt-4o-mini",
        messages=[{"role": "system", "content": "You are helpful."}, *USER],
        temperature=0.7,
        max_tokens=64,
    )
    assert response.content == "Hello! How can I help?"
    assert (response.input_tokens, response.output_tokens, response.model_version) == (5, 6, "gpt-4o-mini")
    assert set(response.to_dict()) == {"content", "inputTokens", "outputTokens", "modelVersion"}
    assert server.asked[0].body["temperature"] == 0.7


@pytest.mark.anyio
async def test_generate_works_inside_a_running_loop(server: ScriptedServer) -> None:
    server.answer = lambda asked: "one"
    asyncio.get_running_loop()
    assert llm_adapters.generate(model="gpt-4o-mini", messages=USER).content == "one"
    assert llm_adapters.generate(model="gpt-4o-mini", messages=USER).content == "one"


def test_an_adapter_asks_its_own_provider(server: ScriptedServer) -> None:
    server.answer = lambda asked: asked.body["model"]
    assert llm_adapters.DeepSeekAdapter().generate("my-own-name", USER).content == "my-own-name"
    assert llm_adapters.DeepSeekAdapter().generate("deepseek:chat", USER).content == "chat"


@pytest.mark.parametrize(
    ("model", "code"),
    [("claude-3-haiku", ErrorCode.MISSING_API_KEY), ("nobody-knows", ErrorCode.UNSUPPORTED_PROVIDER)],
)
def test_what_cannot_be_asked_has_the_specifications_code(
    model: str, code: ErrorCode, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(LLMError) as caught:
        llm_adapters.generate(model=model, messages=USER)
    assert (caught.value.code, caught.value.retryable) == (code, False)


def test_keys_are_read_at_every_call(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda asked: "fine"
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(LLMError, match="OPENAI_API_KEY"):
        llm_adapters.generate(model="gpt-4o-mini", messages=USER)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert llm_adapters.generate(model="gpt-4o-mini", messages=USER).content == "fine"


def test_no_content_is_an_error(server: ScriptedServer) -> None:
    server.answer = lambda asked: ""
    with pytest.raises(LLMError) as caught:
        llm_adapters.generate(model="gpt-4o-mini", messages=USER)
    assert caught.value.code == ErrorCode.INVALID_RESPONSE
    assert "output_tokens=0" in caught.value.message


def test_a_rate_limit_waits_as_asked_and_ends_with_the_deadline(server: ScriptedServer) -> None:
    server.answer = lambda asked: Fault(429, 0.3) if len(server.asked) < 3 else "at last"
    assert llm_adapters.generate(model="gpt-4o-mini", messages=USER, timeout_sec=30).content == "at last"
    assert len(server.asked) == 3
    llm_adapters.close()
    server.answer = lambda asked: Fault(429)
    with pytest.raises(LLMError) as caught:
        llm_adapters.generate(model="gpt-4o-mini", messages=USER, timeout_sec=20)
    assert (caught.value.code, caught.value.retryable, caught.value.status_code) == (ErrorCode.RATE_LIMIT, True, 429)
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"model": ""},
        {"temperature": 5},
        {"max_tokens": 0},
    ],
)
def test_a_call_that_cannot_be_sent_is_the_callers_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        llm_adapters.generate(**{"model": "gpt-4o-mini", "messages": USER, **changes})
