"""The seam between the evaluation and the language models: one model is asked, never another instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

from ..llm.errors import Kind, LLMError
from ..llm.exchange import Purpose, Reply, Request, Target
from ..llm.providers import PROVIDERS

if TYPE_CHECKING:
    from ..llm_adapter import LLMAdapter


class Model(Protocol):
    async def ask(self, request: Request, *, deadline: float, purpose: Purpose) -> Reply:
        """The model's reply, however it ended: it may be empty, cut off or a refusal.

        Args:
            deadline: by `time.monotonic`; waits and repeated tries end before it.

        Raises:
            LLMError: no reply could be had.
        """
        ...


Models = Callable[[str], Model]
"""The model of a name. Raises `LLMError` of kind `unsupported` where no provider is known for it."""


@dataclass(frozen=True, slots=True)
class WithoutTemperature(Reply):
    """The reply of a model that takes no temperature: the LLM layer asked once more without."""


class AdapterModel:
    """A model behind the worker's LLM layer."""

    def __init__(self, adapter: LLMAdapter, target: Target) -> None:
        self._adapter = adapter
        self._target = target

    async def ask(self, request: Request, *, deadline: float, purpose: Purpose) -> Reply:
        answered = await self._adapter.ask(
            request, purpose=purpose, deadline=deadline, targets=(self._target,), check=lambda sent, reply: sent
        )
        if request.temperature is None or answered.answer.temperature is not None:
            return answered.reply
        return WithoutTemperature(**{part.name: getattr(answered.reply, part.name) for part in fields(Reply)})


def _is_a_guess(name: str, target: Target, configured: list[str]) -> bool:
    """A local server that nobody has named or set up: `typo:gpt-4` looks like a local model's `name:tag`, and asking
    for it would look like a network that fails, for ever."""
    if PROVIDERS[target.provider].key_needed or target.provider in configured:
        return False
    return not name.strip().lower().startswith(f"{target.provider}:")


def models_of(adapter: LLMAdapter) -> Models:
    """All models an adapter can reach. Its providers with a key decide between two that know a name."""

    def find(name: str) -> Model:
        from ..llm.model_names import resolve

        configured = [target.provider for target in adapter.targets]
        target = resolve(name, configured)
        if _is_a_guess(name, target, configured):
            raise LLMError(
                Kind.UNSUPPORTED,
                f"no provider is known for this model; write it as provider:model, e.g. {target.provider}:model",
                target=target,
            )
        return AdapterModel(adapter, target)

    return find
