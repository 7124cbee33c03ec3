"""Promises of the wire: one request per call, what is sent, what comes back, and each failure by its kind.

Every promise is held for all nine providers against requests that reached a server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from src.worker.errors import ConfigError
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Reply, Request, ResponseSchema, Role, Stop, Usage
from src.worker.llm.providers import PROVIDERS
from src.worker.llm.reply import check
from src.worker.llm.wire import Wire, connect
from tests.llm_doubles.aimock import Aimock
from tests.llm_doubles.answers import REFUSAL, SERVED, TEXT
from tests.llm_doubles.judge import JUDGED, Judge
from tests.llm_doubles.odd import OddServer, Spot

pytest_plugins = ("tests.llm_doubles.fixtures",)
pytestmark = pytest.mark.anyio

NINE = tuple(PROVIDERS)
OPENAI_LIKE = ("openai", "groq", "nvidia", "xai", "deepseek", "mistral")
KEY = "sk-verysecret12345678"
ASKED = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "What is the weather?"))
FORM = ResponseSchema(
    "weather",
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
)


@asynccontextmanager
async def opened(provider: str, base_url: str, model: str | None = None) -> AsyncIterator[Wire]:
    row = PROVIDERS[provider]
    wire = await connect(row, model=model or row.default_model, api_key=KEY, base_url=base_url)
    try:
        yield wire
    finally:
        await wire.close()


async def ask(provider: str, spot: Spot, *, model: str | None = None, timeout_sec: float = 30, **given: Any) -> Reply:
    request = Request(ASKED, **({"max_tokens": 50} | given))
    async with opened(provider, url_at(provider, spot), model) as wire:
        return await wire.call(request, timeout_sec=timeout_sec)


def url_at(provider: str, spot: Spot) -> str:
    """A base URL as a user would write it for a gateway with a path: OpenAI-style ones end with the version."""
    return spot.url + ("/v1" if provider in OPENAI_LIKE else "")


async def failure(provider: str, spot: Spot, **given: Any) -> LLMError:
    with pytest.raises(LLMError) as caught:
        await ask(provider, spot, **given)
    assert len(spot.received) == 1, "one call is one request"
    return caught.value


# --- what comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NINE)
async def test_an_answer_comes_with_its_tokens_its_stop_and_the_model_that_gave_it(
    odd: OddServer, provider: str
) -> None:
    spot = odd.at("ok")
    reply = await ask(provider, spot)
    assert len(spot.received) == 1
    assert (reply.text, reply.stop, reply.usage) == (TEXT, Stop.COMPLETE, Usage(11, 7))
    assert reply.served_model == SERVED != reply.target.model
    assert reply.seconds > 0
    assert check(reply) is None


@pytest.mark.parametrize("provider", NINE)
@pytest.mark.parametrize(
    ("mode", "kind"), [("empty", Kind.EMPTY), ("length", Kind.TRUNCATED), ("refusal", Kind.REFUSED)]
)
async def test_an_empty_a_truncated_and_a_refused_answer_are_told_apart(
    odd: OddServer, provider: str, mode: str, kind: Kind
) -> None:
    if (provider, mode) == ("ollama", "refusal"):
        pytest.skip("Ollama's wire has no word for a refusal")
    spot = odd.at(mode)
    reply = await ask(provider, spot)
    assert check(reply) is kind
    assert len(spot.received) == 1
    if mode == "refusal" and provider in OPENAI_LIKE:
        assert reply.refusal == REFUSAL
    if mode == "refusal" and provider == "gemini":
        assert (reply.stop, reply.raw_stop) == (Stop.FILTERED, "SAFETY")


@pytest.mark.parametrize("provider", NINE)
async def test_no_usage_is_unknown_and_not_zero(odd: OddServer, provider: str) -> None:
    assert (await ask(provider, odd.at("nousage"))).usage is None


@pytest.mark.parametrize(
    ("provider", "mode", "usage"),
    [
        ("anthropic", "cache", Usage(16, 7, cached_tokens=3, cache_write_tokens=2)),
        ("gemini", "cache", Usage(11, 7, cached_tokens=5)),
        ("gemini", "thoughts", Usage(11, 12, reasoning_tokens=5)),
        *((one, "cache", Usage(11, 7, cached_tokens=5)) for one in OPENAI_LIKE),
        *((one, "thoughts", Usage(11, 7, reasoning_tokens=2)) for one in OPENAI_LIKE),
        *((one, "thoughts_beside", Usage(11, 9, reasoning_tokens=2)) for one in OPENAI_LIKE),
    ],
)
async def test_cached_and_reasoning_tokens_are_parts_and_counted_once(
    odd: OddServer, provider: str, mode: str, usage: Usage
) -> None:
    reply = await ask(provider, odd.at(mode))
    assert reply.usage == usage
    assert reply.text == TEXT, "thoughts are not part of what is said"


# --- failures ------------------------------------------------------------------------------------------------------

STATUSES = [
    ("401", Kind.AUTH, 401, None),
    ("402", Kind.QUOTA, 402, None),
    ("404", Kind.NOT_FOUND, 404, None),
    ("408", Kind.TIMEOUT, 408, None),
    ("429", Kind.RATE_LIMITED, 429, 7.0),
    ("500", Kind.SERVER, 500, None),
    ("503", Kind.SERVER, 503, 3.0),
    ("529", Kind.SERVER, 529, None),
    ("307", Kind.MALFORMED, 307, None),
    ("quota", Kind.QUOTA, 429, None),
    ("overflow", Kind.CONTEXT_LENGTH, 400, None),
]


@pytest.mark.parametrize("provider", NINE)
@pytest.mark.parametrize(("mode", "kind", "status", "wait"), STATUSES, ids=[one[0] for one in STATUSES])
async def test_a_status_is_classified_with_its_retry_after_from_one_request(
    odd: OddServer, provider: str, mode: str, kind: Kind, status: int, wait: float | None
) -> None:
    error = await failure(provider, odd.at(mode))
    assert (error.kind, error.status, error.retry_after_sec) == (kind, status, wait)
    assert odd.root.received == [], "a redirect is not followed: the key would go along"


@pytest.mark.parametrize("provider", NINE)
@pytest.mark.parametrize("mode", ["html200", "object", "nojson"])
async def test_a_body_that_is_no_answer_is_malformed_and_never_empty(odd: OddServer, provider: str, mode: str) -> None:
    assert (await failure(provider, odd.at(mode))).kind is Kind.MALFORMED


@pytest.mark.parametrize("provider", NINE)
async def test_a_connection_that_breaks_off_is_a_connection_error(odd: OddServer, provider: str) -> None:
    error = await failure(provider, odd.at("reset"))
    assert (error.kind, error.status) == (Kind.CONNECTION, None)


@pytest.mark.parametrize("provider", NINE)
async def test_a_port_where_nobody_listens_and_a_name_that_nobody_has_are_connection_errors(provider: str) -> None:
    with socket.socket() as held:  # bound and not listening: refused, and nobody else can take it meanwhile
        held.bind(("127.0.0.1", 0))
        for host in (f"127.0.0.1:{held.getsockname()[1]}", "no-such-host.invalid"):
            with pytest.raises(LLMError) as caught:
                await ask(provider, Spot(f"http://{host}"))
            assert caught.value.kind is Kind.CONNECTION


@pytest.mark.parametrize("provider", NINE)
async def test_the_deadline_holds_against_a_server_that_drips(odd: OddServer, provider: str) -> None:
    started = time.monotonic()
    error = await failure(provider, odd.at("drip"), timeout_sec=0.6)
    assert error.kind is Kind.TIMEOUT
    assert 0.5 < time.monotonic() - started < 30, "it drips for as long as it is let"


@pytest.mark.parametrize("provider", NINE)
async def test_a_cancelled_call_ends_at_once_as_cancelled(odd: OddServer, provider: str) -> None:
    async with opened(provider, url_at(provider, spot := odd.at("drip"))) as wire:
        call = asyncio.create_task(wire.call(Request(ASKED, max_tokens=5), timeout_sec=30))
        async with asyncio.timeout(20):
            while not spot.received:
                await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait({call}, timeout=15)
        assert call.cancelled(), "it would have lasted for thirty seconds"


@pytest.mark.parametrize("provider", NINE)
async def test_a_model_that_rejects_temperature_is_named_with_the_parameter(odd: OddServer, provider: str) -> None:
    error = await failure(provider, odd.at("temperature"), temperature=0.2)
    assert (error.kind, error.rejected_parameter) == (Kind.INVALID, "temperature")


@pytest.mark.parametrize("provider", ["openai", "xai", "deepseek"])
async def test_a_completion_cut_off_while_json_was_asked_for_keeps_the_tokens_it_cost(
    odd: OddServer, provider: str
) -> None:
    error = await failure(provider, odd.at("length"), schema=FORM)
    assert (error.kind, error.usage) == (Kind.TRUNCATED, Usage(11, 7))


@pytest.mark.parametrize("provider", NINE)
@pytest.mark.parametrize("mode", ["401", "reset", "html200"])
async def test_neither_key_nor_prompt_is_in_an_error_its_chain_or_a_log(
    odd: OddServer, provider: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        error = await failure(provider, odd.at(mode))
    assert error.__cause__ is None
    assert error.__context__ is None
    for text in (str(error), str(error.as_dict()), caplog.text):
        assert KEY not in text
        assert "weather" not in text
        assert "verysecret" not in text


# --- what is sent --------------------------------------------------------------------------------------------------

SENT = {
    "gemini": lambda body: {
        "max": body["generationConfig"].get("maxOutputTokens"),
        "temperature": body["generationConfig"].get("temperature"),
        "seed": body["generationConfig"].get("seed"),
    },
    "ollama": lambda body: {
        "max": body["options"].get("num_predict"),
        "temperature": body["options"].get("temperature"),
        "seed": body["options"].get("seed"),
    },
    "openai": lambda body: {"max": body.get("max_completion_tokens"), **_plain(body)},
    "mistral": lambda body: {"max": body.get("max_tokens"), **_plain(body), "seed": body.get("random_seed")},
}


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    return {"temperature": body.get("temperature"), "seed": body.get("seed")}


def limits_sent(provider: str, body: dict[str, Any]) -> dict[str, Any]:
    read = SENT.get(provider, lambda body: {"max": body.get("max_tokens"), **_plain(body)})
    return read(body)


@pytest.mark.parametrize("provider", NINE)
async def test_max_tokens_temperature_and_seed_reach_the_server(odd: OddServer, provider: str) -> None:
    spot = odd.at("ok")
    await ask(provider, spot, max_tokens=321, temperature=0.0, seed=7)
    seed = None if provider == "anthropic" else 7  # its wire knows none
    assert limits_sent(provider, spot.body) == {"max": 321, "temperature": 0.0, "seed": seed}


@pytest.mark.parametrize("provider", NINE)
async def test_what_a_request_leaves_open_is_not_sent(odd: OddServer, provider: str) -> None:
    spot = odd.at("ok")
    await ask(provider, spot, max_tokens=None)
    needed = 8192 if provider == "anthropic" else None  # its wire has no request without
    body = {"generationConfig": {}, "options": {}} | spot.body
    assert limits_sent(provider, body) == {"max": needed, "temperature": None, "seed": None}
    assert "temperature" not in body


@pytest.mark.parametrize("model", ["gpt-5-mini", "o3-mini", "o4-mini", "o1"])
async def test_reasoning_models_of_openai_get_their_own_token_limit_and_no_temperature(
    odd: OddServer, model: str
) -> None:
    spot = odd.at("ok")
    await ask("openai", spot, model=model, temperature=0.3)
    assert spot.body["max_completion_tokens"] == 50
    assert not {"temperature", "max_tokens"} & spot.body.keys()


@pytest.mark.parametrize("provider", NINE)
async def test_the_conversation_reaches_the_server_in_order_with_its_roles(odd: OddServer, provider: str) -> None:
    spot = odd.at("ok")
    told = (*ASKED, Message(Role.ASSISTANT, "Where?"), Message(Role.USER, "Here."))
    async with opened(provider, url_at(provider, spot)) as wire:
        await wire.call(Request(told, max_tokens=5), timeout_sec=30)
    assert said(provider, spot.body) == [
        ("system", "Be brief."),
        ("user", "What is the weather?"),
        ("assistant", "Where?"),
        ("user", "Here."),
    ]


def said(provider: str, body: dict[str, Any]) -> list[tuple[str, str]]:
    if provider == "gemini":
        roles = {"model": "assistant", "user": "user"}
        rest = [(roles[one["role"]], one["parts"][0]["text"]) for one in body["contents"]]
        return [("system", body["systemInstruction"]["parts"][0]["text"]), *rest]
    rest = [("developer" if one["role"] == "developer" else one["role"], _text(one)) for one in body["messages"]]
    return [("system", body["system"]), *rest] if provider == "anthropic" else rest


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else content[0]["text"]


NATIVE = {"type": "json_schema", "json_schema": {"name": "weather", "schema": dict(FORM.schema), "strict": True}}
SWITCHES = {
    "openai": ("gpt-4o-mini", "response_format", NATIVE),
    "xai": ("grok-4.3", "response_format", NATIVE),
    "mistral": ("mistral-small-latest", "response_format", NATIVE),
    "nvidia": ("meta/llama-3.3-70b-instruct", "response_format", NATIVE),
    "groq": ("openai/gpt-oss-120b", "response_format", NATIVE),
    "deepseek": ("deepseek-v4-flash", "response_format", {"type": "json_object"}),
    "ollama": ("llama3.2", "format", dict(FORM.schema)),
    "anthropic": (
        "claude-sonnet-4-6",
        "output_config",
        {"format": {"type": "json_schema", "schema": dict(FORM.schema)}},
    ),
    "gemini": ("gemini-2.5-flash", "generationConfig", {"responseJsonSchema": dict(FORM.schema)}),
}


@pytest.mark.parametrize("provider", NINE)
async def test_the_form_of_the_answer_is_asked_for_in_the_providers_own_way(odd: OddServer, provider: str) -> None:
    model, field, expected = SWITCHES[provider]
    spot = odd.at("ok")
    await ask(provider, spot, model=model, schema=FORM)
    sent = spot.body[field]
    if provider == "gemini":
        assert sent["responseMimeType"] == "application/json"
        sent = {"responseJsonSchema": sent["responseJsonSchema"]}
    assert sent == expected


@pytest.mark.parametrize(
    ("provider", "model", "switch"),
    [
        ("deepseek", "deepseek-v4-flash", {"type": "json_object"}),
        ("groq", "llama-3.3-70b-versatile", {"type": "json_object"}),
        ("openai", "gpt-4-turbo", {"type": "json_object"}),
        ("anthropic", "claude-sonnet-4-20250514", None),
    ],
)
async def test_models_without_a_schema_switch_are_told_the_schema_in_words(
    odd: OddServer, provider: str, model: str, switch: dict[str, str] | None
) -> None:
    spot = odd.at("ok")
    await ask(provider, spot, model=model, schema=FORM)
    assert spot.body.get("response_format") == switch
    assert "output_config" not in spot.body
    assert '"additionalProperties":false' in said(provider, spot.body)[0][1]


# --- where it is sent ----------------------------------------------------------------------------------------------

PATHS = {
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
    "groq": "/openai/v1/chat/completions",
}
ENDS = [
    *((one, end, PATHS.get(one, "/v1/chat/completions")) for one in NINE for end in ("", "/")),
    *((one, "/v1", "/v1/chat/completions") for one in OPENAI_LIKE),
    *((one, "/v1/", "/v1/chat/completions") for one in OPENAI_LIKE),
    *((one, "/v1/chat/completions", "/v1/chat/completions") for one in OPENAI_LIKE),
    *((one, "/gw/openai/v1", "/gw/openai/v1/chat/completions") for one in OPENAI_LIKE),
    ("groq", "/openai/v1", "/openai/v1/chat/completions"),
    ("groq", "/groq/openai/v1", "/groq/openai/v1/chat/completions"),
    ("groq", "/groq", "/groq/openai/v1/chat/completions"),
    ("openai", "/gw/openai", "/gw/openai/chat/completions"),
    ("nvidia", "/nim", "/nim/v1/chat/completions"),
    ("gemini", "/v1beta", PATHS["gemini"]),
    ("gemini", "/v1", PATHS["gemini"]),
    ("gemini", "/gw/v1beta/models", "/gw" + PATHS["gemini"]),
    ("anthropic", "/v1", "/v1/messages"),
    ("anthropic", "/v1/messages", "/v1/messages"),
    ("anthropic", "/gw/anthropic", "/gw/anthropic/v1/messages"),
    ("ollama", "/api", "/api/chat"),
    ("ollama", "/v1", "/api/chat"),
    ("ollama", "/api/chat", "/api/chat"),
]


@pytest.mark.parametrize(("provider", "end", "path"), ENDS, ids=[f"{one[0]}{one[1]}" for one in ENDS])
async def test_a_base_url_may_end_where_anybodys_ends(odd: OddServer, provider: str, end: str, path: str) -> None:
    odd.root.received.clear()
    try:
        async with opened(provider, odd.root.url + end) as wire:
            await wire.call(Request(ASKED, max_tokens=5), timeout_sec=30)
        assert [one.path.partition("?")[0] for one in odd.root.received] == [path]
    finally:
        odd.root.received.clear()


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://", "http://host/v1?key=x", "http://host#part"])
async def test_a_base_url_that_is_none_is_refused_by_its_variable(url: str) -> None:
    with pytest.raises(ConfigError, match="GEMINI_BASE_URL"):
        await connect(PROVIDERS["gemini"], model="m", api_key="k", base_url=url)


@pytest.mark.parametrize("provider", NINE)
async def test_the_key_goes_into_a_header_and_never_into_the_url(odd: OddServer, provider: str) -> None:
    spot = odd.at("ok")
    await ask(provider, spot)
    request = spot.received[0]
    assert KEY not in request.path
    assert any(KEY in value for value in request.headers.values())


@pytest.mark.parametrize("provider", [one for one in NINE if PROVIDERS[one].key_needed])
async def test_without_a_key_nothing_is_built_or_sent(odd: OddServer, provider: str) -> None:
    spot = odd.at("ok")
    for key in (None, ""):
        with pytest.raises(LLMError) as caught:
            await connect(PROVIDERS[provider], model="m", api_key=key, base_url=spot.url)
        assert caught.value.kind is Kind.NO_KEY
        assert PROVIDERS[provider].key_variables[0] in caught.value.message
    assert not spot.received


async def test_ollama_needs_no_key(odd: OddServer) -> None:
    wire = await connect(PROVIDERS["ollama"], model="llama3.2", api_key=None, base_url=(spot := odd.at("ok")).url)
    await wire.call(Request(ASKED, max_tokens=5), timeout_sec=30)
    await wire.close()
    assert "authorization" not in spot.received[0].headers


async def test_nvidia_asks_no_server_about_a_model_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a request while building")

    monkeypatch.setattr(requests.Session, "request", refuse)
    wire = await connect(PROVIDERS["nvidia"], model="nvidia/not-in-any-table", api_key="k", base_url=None)
    await wire.close()


async def test_the_private_places_that_are_used_are_still_there() -> None:
    """Two adapters take no HTTP client. If an upgrade moves where theirs is kept, this says so by name."""
    nvidia = await connect(PROVIDERS["nvidia"], model="meta/llama-3.3-70b-instruct", api_key="k", base_url="http://h")
    anthropic = await connect(PROVIDERS["anthropic"], model="claude-sonnet-4-6", api_key="k", base_url="http://h")
    sessions = nvidia._built.model._async_client.get_async_session_fn
    assert sessions.__self__.__class__.__module__ == "src.worker.llm.adapters"
    client = anthropic._built.model._async_client
    assert client is anthropic._built.model.__dict__["_async_client"]
    assert (client.max_retries, type(client).__module__) == (0, "anthropic")
    await nvidia.close()
    await anthropic.close()


async def test_a_line_belongs_to_its_event_loop(odd: OddServer) -> None:
    async with opened("openai", odd.root.url) as wire:
        other = asyncio.to_thread(asyncio.run, wire.call(Request(ASKED, max_tokens=5), timeout_sec=20))
        with pytest.raises(RuntimeError, match="another event loop"):
            await other
    assert odd.root.received == []


@pytest.mark.parametrize("provider", NINE)
async def test_lines_of_one_process_work_in_one_loop_after_another(odd: OddServer, provider: str) -> None:
    async def once() -> str:
        return (await ask(provider, odd.at("ok"))).text

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, once()) == TEXT


@pytest.mark.parametrize("provider", NINE)
async def test_calls_that_run_at_once_over_one_line_get_each_its_own_answer(odd: OddServer, provider: str) -> None:
    async with opened(provider, url_at(provider, odd.at("echo"))) as wire:

        async def one(number: int) -> tuple[str, str | None]:
            words = f"echo-{number}"
            reply = await wire.call(Request((Message(Role.USER, words),), max_tokens=5), timeout_sec=20)
            return reply.text, reply.served_model

        found = await asyncio.gather(*(one(number) for number in range(20)))
    assert found == [(f"echo-{number}", f"echo-{number}") for number in range(20)]


async def test_traces_and_telemetry_stay_off_unless_the_user_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "NVIDIA_USAGE_TELEMETRY_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    await (await connect(PROVIDERS["ollama"], model="m", api_key=None)).close()
    assert (os.environ["LANGSMITH_TRACING"], os.environ["NVIDIA_USAGE_TELEMETRY_ENABLED"]) == ("false", "false")
    monkeypatch.delenv("LANGSMITH_TRACING")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    await (await connect(PROVIDERS["ollama"], model="m", api_key=None)).close()
    assert "LANGSMITH_TRACING" not in os.environ


@pytest.mark.parametrize("provider", NINE)
async def test_a_password_in_a_base_url_is_in_no_error(provider: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(LLMError) as caught:
            await ask(provider, Spot(f"http://me:hush-hush@127.0.0.1:{held.getsockname()[1]}"))
    assert "hush-hush" not in str(caught.value.as_dict())


# --- the event loop ------------------------------------------------------------------------------------------------

TURNS_PROBE = """
import asyncio, gc, sys, time
from src.worker.llm.exchange import Message, Request, Role
from src.worker.llm.providers import PROVIDERS
from src.worker.llm.wire import connect

async def main(name, url):
    turns = []
    async def probe():
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            turns.append(time.thread_time() - before)
    gc.disable()
    task = asyncio.create_task(probe())
    await asyncio.sleep(0.02)
    began = time.process_time()
    wire = await connect(PROVIDERS[name], model=PROVIDERS[name].default_model, api_key="k", base_url=url)
    await wire.call(Request((Message(Role.USER, "Hi"),), max_tokens=5), timeout_sec=20)
    took = time.process_time() - began
    await asyncio.sleep(0.02)
    task.cancel()
    await wire.close()
    print(max(turns), took)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("provider", NINE)
async def test_importing_building_and_the_first_call_do_not_block_the_event_loop(odd: OddServer, provider: str) -> None:
    """In a fresh process, so that the import is real. Not milliseconds, which are the machine's: what the loop's own
    thread works in its longest turn is a small part of all the work there is, most of which is the import."""
    command = [sys.executable, "-c", TURNS_PROBE, provider, odd.at("ok").url + "/v1"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    longest, everything = map(float, done.stdout.split())
    assert longest < everything / 4, f"{longest:.3f} s of {everything:.3f} s of work in one turn of the loop"


# --- servers that others wrote -------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", NINE)
async def test_all_nine_are_answered_by_aimock(aimock: Aimock, provider: str) -> None:
    async with opened(provider, aimock.url) as wire:
        reply = await wire.call(Request((Message(Role.USER, "Say hello"),), max_tokens=50), timeout_sec=30)
    assert (reply.text, check(reply)) == ("Hello there.", None)


async def test_a_scripted_conversation_is_answered_turn_by_turn(aimock: Aimock) -> None:
    for provider in ("openai", "anthropic", "ollama", "gemini"):
        told = [Message(Role.USER, "A scenario, first turn")]
        answers = []
        async with opened(provider, aimock.url) as wire:
            for turn in range(3):
                reply = await wire.call(Request(tuple(told), max_tokens=50), timeout_sec=30)
                answers.append(reply.text)
                told += [Message(Role.ASSISTANT, reply.text), Message(Role.USER, f"scenario, after turn {turn}")]
        assert answers == ["Turn one.", "Turn two.", "Turn three."], provider


async def test_one_429_of_aimock_is_one_failed_call_and_the_next_is_answered(aimock: Aimock) -> None:
    request = Request((Message(Role.USER, "Busy once"),), max_tokens=50)
    async with opened("openai", aimock.url) as wire:
        with pytest.raises(LLMError) as caught:
            await wire.call(request, timeout_sec=30)
        assert (caught.value.kind, caught.value.status, caught.value.retry_after_sec) == (Kind.RATE_LIMITED, 429, 2.0)
        assert (await wire.call(request, timeout_sec=30)).text == "Free again."


@pytest.mark.parametrize("provider", JUDGED)
async def test_llmock_sees_one_request_per_call_and_nothing_to_blame(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 429, retry_after=3)
    async with opened(provider, llmock_server.base_url(provider)) as wire:
        with pytest.raises(LLMError) as caught:
            await wire.call(Request(ASKED, max_tokens=50), timeout_sec=30)
        assert (caught.value.kind, caught.value.retry_after_sec) == (Kind.RATE_LIMITED, 3.0)
        assert len(llmock_server.requests()) == 1
    assert llmock_server.verdict()["errors"] == 0, llmock_server.report()
