"""One line to one model: exactly one HTTP request per call, a real deadline, and failures as `LLMError`.

Nothing here tries again, waits or falls over to another provider: that is the executor's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from .adapters import Built, build
from .arguments import arguments, messages
from .classify import classify
from .errors import Kind, LLMError
from .exchange import Reply, Request, Target
from .heard import HEARD, Heard
from .providers import Provider
from .reply import to_reply


class Wire(Protocol):
    """An open line to one target. It belongs to the event loop in which it was opened."""

    @property
    def target(self) -> Target: ...

    async def call(self, request: Request, *, timeout_sec: float) -> Reply:
        """Sends one request and waits for the whole answer, `timeout_sec` at most.

        What the request leaves open (None) is not sent. Two exceptions, because of their wires: Anthropic gets the
        row's `max_tokens_needed`, and models that take no temperature get none (`row.takes_temperature`).

        Raises:
            LLMError: whatever went wrong. A reply may still be empty, cut off or a refusal: `reply.check` says so.
        """
        ...

    async def close(self) -> None: ...


async def connect(row: Provider, *, model: str, api_key: str | None, base_url: str | None = None) -> Wire:
    """Opens a line. Nothing is sent; importing and building happen in a thread, one at a time in the process.

    Args:
        base_url: another server of the same wire format, in any form that `row.server_url` reads.

    Raises:
        LLMError: NO_KEY, or UNSUPPORTED where the adapter is missing or does not accept these settings.
        ConfigError: `base_url` is no URL.
    """
    target = Target(row.name, model)
    if row.key_needed and not api_key:
        raise LLMError(Kind.NO_KEY, f"{' or '.join(row.key_variables)} is not set", target=target)
    url = row.server_url(base_url)
    failure: LLMError | None = None
    try:
        built = await asyncio.to_thread(build, row, model, api_key, url)
    except Exception as error:  # noqa: BLE001 - each adapter has its own classes for settings it does not accept
        failure = _not_built(error, target)
    else:
        return _AdapterWire(row, target, built)
    # Outside the handler: the adapter's own error may show the key, and a traceback would show the error.
    raise failure


class _AdapterWire:
    """A line through a LangChain adapter."""

    def __init__(
        self, row: Provider, target: Target, built: Built, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._row = row
        self._target = target
        self._built = built
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    @property
    def target(self) -> Target:
        return self._target

    async def call(self, request: Request, *, timeout_sec: float) -> Reply:
        self._check_loop()
        heard = Heard()
        started = self._clock()
        failure: LLMError | None = None
        kept = HEARD.set(heard)
        try:
            async with asyncio.timeout(timeout_sec):
                message = await self._sent(request)
        except Exception as error:  # noqa: BLE001 - nine packages raise what they like; classify knows them
            failure = classify(error, self._target, heard=heard.evidence())
        else:
            return to_reply(message, self._row, self._target, self._clock() - started, heard.evidence().body)
        finally:
            HEARD.reset(kept)
        # Outside the handler: the adapter's own error may quote prompt, answer or key, and tracebacks are logged.
        raise failure

    async def close(self) -> None:
        """Closes the connections; calls that still run break off."""
        self._check_loop()
        await self._built.close()

    async def _sent(self, request: Request) -> Any:
        model = self._target.model
        return await self._built.model.ainvoke(
            messages(self._row, request, model), **arguments(self._row, request, model)
        )

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(f"the line to {self._target} belongs to another event loop")


def _not_built(error: Exception, target: Target) -> LLMError:
    if isinstance(error, ImportError):
        return LLMError(
            Kind.UNSUPPORTED, f"{target.provider}: the package of its adapter is not installed", target=target
        )
    return LLMError(
        Kind.UNSUPPORTED,
        f"{target.provider}: its adapter does not accept the model's name, the key or the base URL",
        target=target,
        detail=type(error).__name__,
    )
