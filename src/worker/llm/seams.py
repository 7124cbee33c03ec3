"""What the loop needs from the parts around it. Each has one implementation for the service and others for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from .exchange import Attempt, Message, Purpose, Reply, Request, Target, Usage

Answer = TypeVar("Answer")


class Line(Protocol):
    """An open line to one target. One call is one request on the wire."""

    async def call(self, request: Request, *, timeout_sec: float) -> Reply:
        """Raises `LLMError`; a reply may still be empty, cut off or a refusal."""
        ...

    async def close(self) -> None: ...


class Lines(Protocol):
    async def line(self, target: Target) -> Line:
        """The line to a target, opened by the first who asks. Raises `LLMError` when it cannot be."""
        ...


class Hold(Protocol):
    """Money set aside for one call."""


class Budget(Protocol):
    """What may be spent: set aside before a call, settled after it."""

    async def reserve(self, usd: Decimal) -> Hold:
        """Raises `LLMError` of kind `budget` when so much is not left."""
        ...

    async def settle(self, hold: Hold, actual: Decimal | None) -> None:
        """What the call cost; None: unknown, all that was set aside counts as spent."""
        ...

    @property
    def limited(self) -> bool:
        """Is there a limit that has to be kept?"""
        ...


class Money(Protocol):
    """Prices and token estimates of a deployment."""

    def ceiling(self, target: Target, input_tokens: int, max_tokens: int | None) -> Decimal | None:
        """The most a call can cost, None when the model's price is unknown."""
        ...

    def cost(self, target: Target, usage: Usage) -> tuple[Decimal, str] | None:
        """What a call has cost and which price was applied; None when the price is unknown."""
        ...


class TokenCounts(Protocol):
    """Tokens of a text or of a whole prompt: exact or estimated, at once, never waiting for anything."""

    def count(self, text: str, model: str) -> int: ...

    def count_messages(self, messages: tuple[Message, ...], model: str) -> int: ...

    def observe(self, messages: tuple[Message, ...], model: str, actual: int) -> None:
        """The provider counted `actual` input tokens: estimates learn from it."""
        ...


class Recorder(Protocol):
    def record(self, attempt: Attempt) -> None: ...


@dataclass(frozen=True, slots=True)
class Mending:
    """An answer that does not fit, and how the model can be asked to mend it."""

    problem: str
    request: Request


class Unfit(Exception):
    """Raised by a check for an answer that one more turn may mend."""

    def __init__(self, mending: Mending) -> None:
        super().__init__(mending.problem)
        self.mending = mending


Check = Callable[[Request, Reply], Answer]
"""Turns a reply into the answer. Raises `LLMError` (refused, cut off, empty …) or `Unfit`."""


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One question with everything that is needed to have it answered."""

    request: Request
    targets: tuple[Target, ...]
    """In the order in which they are to be asked; none is added."""
    purpose: Purpose
    deadline: float
    """When an answer is of no use any more, by the executor's clock. No wait and no try goes beyond it."""
    check: Check[Answer]


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """An answer that was checked, the reply it stood in, and all requests it took."""

    answer: Answer
    reply: Reply
    attempts: tuple[Attempt, ...] = field(default=())

    @property
    def cost_usd(self) -> Decimal | None:
        """What all attempts have cost, as far as it is known; None when the answer's own price is unknown."""
        if self.attempts and self.attempts[-1].cost_usd is None:
            return None
        return sum((one.cost_usd for one in self.attempts if one.cost_usd is not None), Decimal(0))
