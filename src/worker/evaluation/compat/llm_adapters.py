"""`generate` of the evaluation specification: one synchronous call to any model, from any thread.

response = generate(model="claude-3-5-sonnet-20241022", messages=[...], temperature=0.7, max_tokens=1024)

The call runs on an event loop of this module's own, in a thread, so that it also works where a loop is running. All
else - keys, base URLs, one request per attempt, waits of 30, 60, 90 and 120 s after rate limits, Retry-After - is the
worker's LLM layer. Waits and tries end with the deadline, PYTHON_WORKER_TIMEOUT.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..environment import read_environment, worker_timeout
from .errors import ErrorCode, LLMError, ValidationError

if TYPE_CHECKING:
    from ...llm.exchange import Message, Reply, Request, Target
    from ...llm_adapter import LLMAdapter

T = TypeVar("T")

_GRACE_SEC: Final = 2.0
"""The LLM layer ends by itself at the deadline; the waiting thread gives up this much later."""
_ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """What a model answered. Counts and version are None where the provider did not tell them."""

    content: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    model_version: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "content": self.content,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "modelVersion": self.model_version,
        }


class BaseAdapter:
    """All providers are asked in the same way; each class only names one."""

    provider: str = ""
    """Name in the worker's table of providers; empty: by the model's name."""

    def generate(
        self,
        model: Any,
        messages: Any,
        *,
        temperature: float | None = None,
        max_tokens: int | None = 1024,
        model_config: Mapping[str, Any] | None = None,
        timeout_sec: float | None = None,
    ) -> LLMResponse:
        """One answer.

        Args:
            temperature: None: the provider's default.
            model_config: `temperature`, `maxTokens` and `seed` in it beat the arguments.
            timeout_sec: for all tries and waits together; PYTHON_WORKER_TIMEOUT when None.

        Raises:
            LLMError: with the specification's codes; INVALID_RESPONSE for an answer without content.
            ValidationError: messages, model or settings that cannot be sent.
            ConfigError: a variable of the environment cannot be used.
        """
        own = dict(model_config or {})
        request = _request(
            messages, own.get("maxTokens", max_tokens), own.get("temperature", temperature), own.get("seed")
        )
        if not isinstance(model, str) or not model.strip():
            raise ValidationError("model must be the name of a model")
        environ = read_environment()
        seconds = worker_timeout(environ) if timeout_sec is None else timeout_sec
        call = _call(self.provider, model.strip(), request, environ, time.monotonic() + seconds)
        return _response(_BACKGROUND.run(call, seconds + _GRACE_SEC))


class OpenAIAdapter(BaseAdapter):
    provider = "openai"


class AnthropicAdapter(BaseAdapter):
    provider = "anthropic"


class GeminiAdapter(BaseAdapter):
    provider = "gemini"


class XAIAdapter(BaseAdapter):
    provider = "xai"


class DeepSeekAdapter(BaseAdapter):
    provider = "deepseek"


class MistralAdapter(BaseAdapter):
    provider = "mistral"


def generate(
    model: str,
    messages: Sequence[Mapping[str, str]],
    *,
    temperature: float | None = None,
    max_tokens: int | None = 1024,
    model_config: Mapping[str, Any] | None = None,
    timeout_sec: float | None = None,
) -> LLMResponse:
    """One answer of the model of that name, `provider:model` or bare. See `BaseAdapter.generate`."""
    return BaseAdapter().generate(
        model,
        messages,
        temperature=temperature,
        max_tokens=max_tokens,
        model_config=model_config,
        timeout_sec=timeout_sec,
    )


class _Background:
    """An event loop in a daemon thread, started by the first call, and the LLM layer that belongs to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._adapter: LLMAdapter | None = None
        self._accounts: object = None

    def run(self, call: Coroutine[Any, Any, T], timeout_sec: float) -> T:
        future = asyncio.run_coroutine_threadsafe(call, self._started())
        try:
            return future.result(timeout_sec)
        except TimeoutError as error:
            raise LLMError("No answer came in time", ErrorCode.TIMEOUT) from error
        finally:
            future.cancel()  # of use when waiting ended early, by Ctrl-C for one

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            return self._loop

    async def adapter(self, environ: Mapping[str, str]) -> LLMAdapter:
        """The LLM layer for the keys and URLs as they are now."""
        from ..standalone import llm_settings, standalone_adapter

        accounts = llm_settings(environ).llm_accounts
        if self._adapter is None or accounts != self._accounts:
            if self._adapter is not None:
                await self._adapter.close()
            self._adapter, self._accounts = standalone_adapter(environ), accounts
        return self._adapter

    def close(self) -> None:
        """Close connections, end the thread. The next call starts anew."""
        with self._lock:
            loop, thread, adapter = self._loop, self._thread, self._adapter
            self._loop = self._thread = self._adapter = None
        atexit.unregister(self.close)
        if loop is None or thread is None:
            return
        if adapter is not None:
            asyncio.run_coroutine_threadsafe(adapter.close(), loop).result(5)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


_BACKGROUND: Final = _Background()


def close() -> None:
    """Close the connections of all adapters of this process; done at its exit as well."""
    _BACKGROUND.close()


async def _call(provider: str, model: str, request: Request, environ: Mapping[str, str], deadline: float) -> Reply:
    from ...llm.errors import LLMError as ModelError
    from ...llm.exchange import Purpose
    from ..model import AdapterModel

    adapter = await _BACKGROUND.adapter(environ)
    try:
        target = _target(provider, model, [one.provider for one in adapter.targets])
        return await AdapterModel(adapter, target).ask(request, deadline=deadline, purpose=Purpose("generate"))
    except ModelError as error:
        raise _translated(error) from error


def _target(provider: str, model: str, configured: Sequence[str]) -> Target:
    from ...llm.exchange import Target
    from ...llm.model_names import resolve

    if not provider:
        return resolve(model, configured)
    prefix, colon, rest = model.partition(":")
    known = {"google": "gemini"}.get(prefix.strip().lower(), prefix.strip().lower())
    return Target(provider, rest.strip() if colon and known == provider else model)


def _translated(error: Any) -> LLMError:
    from ..outcome import details_of, error_object

    shown = error_object(error)
    code = ErrorCode(shown["code"]) if shown["code"] in ErrorCode.__members__ else ErrorCode.UNKNOWN
    return LLMError(shown["message"], code, error.status, details_of(error))


def _request(messages: Any, max_tokens: Any, temperature: Any, seed: Any) -> Request:
    from ...llm.exchange import Request
    from ..validation import InvalidInput, a_number, an_integer

    try:
        return Request(
            _messages(messages),
            None if max_tokens is None else an_integer(max_tokens, "max_tokens", low=1, high=10_000_000),
            None if temperature is None else a_number(temperature, "temperature", low=0, high=2),
            None if seed is None else an_integer(seed, "seed", low=-(2**63), high=2**63 - 1),
        )
    except InvalidInput as error:
        raise ValidationError(error.message) from error


def _messages(messages: Any) -> tuple[Message, ...]:
    from ...llm.exchange import Message, Role

    if not isinstance(messages, list | tuple) or not messages:
        raise ValidationError("messages must be a list of at least one message")
    out = []
    for index, message in enumerate(messages):
        role, text = (message.get("role"), message.get("content")) if isinstance(message, Mapping) else (None, None)
        if role not in _ROLES or not isinstance(text, str):
            raise ValidationError(f"messages[{index}] must have a role ({', '.join(_ROLES)}) and text as content")
        out.append(Message(Role(role), text))
    return tuple(out)


def _response(reply: Reply) -> LLMResponse:
    text = reply.text.strip() or (reply.refusal or "").strip()
    if not text:
        spent = "unknown" if reply.usage is None else reply.usage.output_tokens
        raise LLMError(
            f"{reply.target} answered nothing (finish reason {reply.stop.value}, output_tokens={spent})",
            ErrorCode.INVALID_RESPONSE,
        )
    usage = reply.usage
    return LLMResponse(
        text,
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.output_tokens,
        reply.served_model,
    )
