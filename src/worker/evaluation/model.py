"""The seam between the evaluation and the language models: one model is asked, never another instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..llm.exchange import Purpose, Reply, Request, Target

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


class AdapterModel:
    """A model behind the worker's LLM layer."""

    def __init__(self, adapter: LLMAdapter, target: Target) -> None:
        self._adapter = adapter
        self._target = target

    async def ask(self, request: Request, *, deadline: float, purpose: Purpose) -> Reply:
        answered = await self._adapter.ask(
            request, purpose=purpose, deadline=deadline, targets=(self._target,), check=lambda _, reply: reply
        )
        return answered.reply


def models_of(adapter: LLMAdapter) -> Models:
    """All models an adapter can reach. Its providers with a key decide between two that know a name."""

    def find(name: str) -> Model:
        from ..llm.model_names import resolve

        return AdapterModel(adapter, resolve(name, [target.provider for target in adapter.targets]))

    return find
