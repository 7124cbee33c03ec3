"""What is said to a language model and what comes back, whatever the provider. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Message(NamedTuple):
    role: Role
    text: str


class Target(NamedTuple):
    """A model of a provider: what a request is sent to. `str()` is the form users write, `provider:model`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class ResponseSchema:
    """The form an answer must have: a closed JSON Schema (every object with `additionalProperties: false`)."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. None means: not sent, the provider's own default."""

    messages: tuple[Message, ...]
    max_tokens: int | None
    temperature: float | None = None
    seed: int | None = None
    schema: ResponseSchema | None = None


class Stop(StrEnum):
    """Why a model stopped, in one vocabulary for all providers."""

    COMPLETE = "stop"
    LENGTH = "max_tokens"
    REFUSED = "refusal"
    FILTERED = "content_filter"
    TOOL = "tool_use"
    SYSTEM = "system_error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, normalised so that prices can be applied without knowing the provider.

    `input_tokens` holds all input, cached parts included; `output_tokens` all that is billed as output, reasoning
    included. The other three are parts of these two.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Part of the input that the provider read from its cache."""
    cache_write_tokens: int = 0
    """Part of the input that the provider wrote into its cache."""
    reasoning_tokens: int = 0
    """Part of the output that the model thought and did not say."""
    estimated: bool = False
    """The provider gave no counts; these are ours."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request brought, as it came: it may be empty, cut off or a refusal (`stop` says so)."""

    target: Target
    text: str
    stop: Stop
    usage: Usage | None
    """None: the provider reported none."""
    served_model: str | None
    """The model that answered by the provider's own word; None where the provider does not say (unverified)."""
    seconds: float
    raw_stop: str | None = None
    """The provider's own word for why it stopped."""
    refusal: str | None = None
    """The provider's own words of refusal, where it has a field for them."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whom a call serves: goes into its record, never to the provider."""

    operation: str
    brand: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire, or the reason why none was sent. Every one is recorded, also those that failed."""

    id: str
    """Unique; a record written twice under it is one record."""
    call_id: str
    """The same for all attempts of one question."""
    number: int
    target: Target
    purpose: Purpose
    started_at: datetime
    seconds: float
    outcome: str
    """`ok`, the `Kind` of failure, or `cancelled`: nobody waited for it any more, and it may have been billed."""
    status: int | None = None
    """HTTP status, where there was one."""
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    """None: unknown. Zero is a price."""
    price: str | None = None
    """Which price was applied: name and date; None when none is known."""
    stop: Stop | None = None
    served_model: str | None = None
    repair: bool = False
    """The request asked to mend an answer that did not fit its schema."""
    problem: str | None = None
    """What went wrong in words that hold no key, no prompt and no answer."""
