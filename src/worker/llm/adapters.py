"""Builds the chat model of a row: imports its package and gives it HTTP clients of ours. Blocks; runs in a thread.

Clients of ours, because the adapters' own differ in what they lose: all share one TLS context (building one takes 50 to
100 ms), none follows redirects (the key would go along), and each answer's status, headers and body are kept for the
caller that asked, whatever the adapter makes of them.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import ssl
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..imports import collector_resting
from .heard import keep, keep_or_raise, refuse_redirect
from .providers import Provider, Transport

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SILENCE_SEC: Final = 600
"""Longest silence between two bytes. The caller's own limit is shorter; this frees what nobody waits for."""
# A thread that imports gives way to the event loop as often: each time, the loop waits one such interval. 5 ms, the
# interpreter's own, adds up to 10 and more; below 0.5 ms imports get slower and the loop gains nothing.
_SWITCH_SEC: Final = 0.0005
_TALKATIVE: Final = tuple("openai anthropic groq ollama google_genai httpx httpx2 httpcore httpcore2 langsmith".split())
# What langchain-core and the HTTP clients import in the middle of a first call: 10 to 30 ms the event loop is spared.
_LATE_IMPORTS: Final = """
    langchain_core.tracers.langchain langchain_core.tracers.run_collector langchain_core.tracers.stdout
    langchain_core.messages.block_translators.langchain_v0 langsmith.run_helpers anyio._backends._asyncio
    anyio.streams.stapled anyio.streams.tls
""".split()
# The same for google-genai, which builds the validators of its types when they are first used.
_LATE_TYPES: Final = """
    GenerateContentConfig GenerateContentResponse GenerationConfig HttpResponse HttpRetryOptions
    _GenerateContentParameters
""".split()

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Built:
    """A chat model and how to close its connections."""

    model: BaseChatModel
    close: Callable[[], Awaitable[None]]


def build(row: Provider, model: str, api_key: str | None, url: str) -> Built:
    """The chat model, ready to be called in the event loop of the caller.

    Raises:
        ImportError: the adapter's package is missing.
        Exception: the adapter does not accept the model's name, the key or the URL; each in a class of its own.
    """
    with _lock, _giving_way(first=row.module not in sys.modules):
        _quiet(row.module)
        adapter = getattr(importlib.import_module(row.module), row.adapter)
        _early(*_LATE_IMPORTS)
        _tls()
        return _BUILDERS[row.transport](adapter, row, model, api_key, url)


def _early(*modules: str) -> None:
    for module in modules:
        with suppress(ImportError):  # only brought forward: whoever needs it will say so
            importlib.import_module(module)


@contextmanager
def _giving_way(*, first: bool) -> Iterator[None]:
    """Lets the event loop run while this thread works; a first import is not searched for garbage meanwhile."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_SEC))
    try:
        with collector_resting() if first else nullcontext():
            yield
    finally:
        sys.setswitchinterval(interval)


def _quiet(module: str) -> None:
    """No traces to LangSmith and no usage reports to NVIDIA unless the user's own environment asks for them.

    Prompts and answers are in no log at any level: below warnings, SDKs and HTTP clients write whole requests.
    The adapters also warn about models that are newer or older than they are; the provider's own answer decides.
    """
    tracing = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")
    if not any(name in os.environ for name in tracing):
        os.environ["LANGSMITH_TRACING"] = "false"
    os.environ.setdefault("NVIDIA_USAGE_TELEMETRY_ENABLED", "false")
    for noisy in (module, "google.genai"):
        warnings.filterwarnings("ignore", module=re.escape(noisy))
    for logger in map(logging.getLogger, (*_TALKATIVE, module)):
        logger.setLevel(max(logger.level, logging.WARNING))


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients. SSL_CERT_FILE and SSL_CERT_DIR name authorities of the user's own."""
    import certifi

    return ssl.create_default_context(
        cafile=os.environ.get("SSL_CERT_FILE") or certifi.where(), capath=os.environ.get("SSL_CERT_DIR") or None
    )


def _client_options() -> dict[str, Any]:
    return {"verify": _tls(), "timeout": SILENCE_SEC, "follow_redirects": False}


def _clients(httpx: Any, **options: Any) -> tuple[Any, Any, Callable[[], Awaitable[None]]]:
    """A synchronous client (adapters want one, nothing uses it), an asynchronous one, and how to close both."""
    options = {**_client_options(), **options}
    hooks = {"response": [keep]}
    plain, ours = httpx.Client(**options), httpx.AsyncClient(**options, event_hooks=hooks)

    async def close() -> None:
        plain.close()
        await ours.aclose()

    return plain, ours, close


def _build_httpx2(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    plain, ours, close = _clients(importlib.import_module("httpx2"))
    key = {row.key_argument: api_key}
    chat = adapter(
        model=model, base_url=url, timeout=SILENCE_SEC, http_client=plain, http_async_client=ours, **key, **row.fixed
    )
    chat.temperature = None  # for o1 the adapter would send 1
    return Built(chat, close)


def _build_groq(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    httpx, groq = importlib.import_module("httpx"), importlib.import_module("groq")
    plain, ours, close = _clients(httpx)

    async def at_our_url(request: Any) -> None:
        # The SDK puts /openai/v1 behind every base URL; a gateway may serve the same wire elsewhere.
        request.url = httpx.URL(f"{url}/chat/completions")

    ours.event_hooks = {**ours.event_hooks, "request": [at_our_url]}
    key = {row.key_argument: api_key}
    chat = adapter(
        model=model, base_url=url, timeout=SILENCE_SEC, http_client=plain, http_async_client=ours, **key, **row.fixed
    )
    chat.temperature = groq.NOT_GIVEN  # the adapter would send 0.7, and null for None
    return Built(chat, close)


def _build_mistral(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
    plain, ours, close = _clients(importlib.import_module("httpx"), base_url=url, headers=headers)
    key = {row.key_argument: api_key}
    chat = adapter(model=model, base_url=url, timeout=SILENCE_SEC, client=plain, async_client=ours, **key, **row.fixed)
    chat.temperature = None  # the adapter would send 0.7
    return Built(chat, close)


def _build_anthropic(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    plain, ours, close = _clients(importlib.import_module("httpx2"))
    sdk = importlib.import_module("anthropic")
    _early("opentelemetry.propagate")
    key = {row.key_argument: api_key}
    chat = adapter(model=model, base_url=url, timeout=SILENCE_SEC, **key, **row.fixed)
    client = sdk.AsyncAnthropic(
        api_key=api_key, base_url=url, timeout=SILENCE_SEC, http_client=ours, max_retries=row.fixed["max_retries"]
    )
    client.messages  # noqa: B018 - a lazy import of its own, done here and not in the event loop
    plain.close()
    # A cached property, and the only way in. Its own value is a client shared by all models and event loops.
    chat.__dict__["_async_client"] = client
    return Built(chat, close)


def _build_google(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    # `verify` is for httpx clients; the rest for aiohttp, which does the calls. Each side takes out what it knows.
    options = {"verify": _tls(), "ssl": _tls(), "allow_redirects": False, "raise_for_status": keep_or_raise}
    key = {row.key_argument: api_key}
    chat = adapter(model=model, base_url=url, timeout=SILENCE_SEC, client_args=options, **key, **row.fixed)
    types = importlib.import_module("google.genai.types")
    for late in _LATE_TYPES:
        getattr(types, late).model_rebuild()

    async def close() -> None:
        await chat.client.aio.aclose()
        chat.client.close()

    return Built(chat, close)


def _build_ollama(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    options = _client_options()
    if api_key:
        options["headers"] = {"Authorization": f"Bearer {api_key}"}
    hooks = {"event_hooks": {"response": [keep]}}
    chat = adapter(model=model, base_url=url, client_kwargs=options, async_client_kwargs=hooks, **row.fixed)

    async def close() -> None:
        chat._client.close()
        await chat._async_client.close()

    return Built(chat, close)


def _build_nvidia(adapter: Any, row: Provider, model: str, api_key: str | None, url: str) -> Built:
    aiohttp, package = importlib.import_module("aiohttp"), importlib.import_module(row.module)
    tables = importlib.import_module(f"{row.module}._statics")
    if tables.lookup_model(model) is None:
        # For a model that is not in its table the adapter would ask the server, here and now, and then guess.
        endpoint = "{base_url}/chat/completions"
        package.register_model(package.Model(id=model, model_type="chat", client=row.adapter, endpoint=endpoint))
    key = {row.key_argument: api_key}
    chat = adapter(model=model, base_url=url, timeout=SILENCE_SEC, **key, **row.fixed)
    chat.max_tokens = None  # the adapter would send 1,024
    sessions = _Sessions(aiohttp)
    chat._async_client.get_async_session_fn = sessions.open
    return Built(chat, sessions.close)


class _Sessions:
    """Sessions over one pool of connections. ChatNVIDIA opens one for every call and would lose status and headers."""

    def __init__(self, aiohttp: Any) -> None:
        self._aiohttp = aiohttp
        self._pool: Any = None
        self._no_redirects = aiohttp.TraceConfig()
        self._no_redirects.on_request_redirect.append(refuse_redirect)

    def open(self) -> Any:
        if self._pool is None:  # belongs to the event loop of the first call
            self._pool = self._aiohttp.TCPConnector(ssl=_tls())
        return self._aiohttp.ClientSession(
            connector=self._pool,
            connector_owner=False,
            raise_for_status=keep_or_raise,
            timeout=self._aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_SEC, sock_read=SILENCE_SEC),
            trace_configs=[self._no_redirects],
            trust_env=True,
        )

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


_BUILDERS: Final[Mapping[Transport, Callable[[Any, Provider, str, str | None, str], Built]]] = {
    Transport.HTTPX2: _build_httpx2,
    Transport.HTTPX: _build_groq,
    Transport.MISTRAL: _build_mistral,
    Transport.ANTHROPIC: _build_anthropic,
    Transport.GOOGLE: _build_google,
    Transport.OLLAMA: _build_ollama,
    Transport.NVIDIA: _build_nvidia,
}
