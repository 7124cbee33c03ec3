"""What can go wrong with a model call, as kinds. The loop, the queue and the evaluation workers decide by them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from ..errors import WorkerError
from .exchange import Attempt, Target, Usage


class Kind(StrEnum):
    """Kinds of failure that call for different answers."""

    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTH = "auth"
    QUOTA = "quota"
    """The account has no money or no quota left: not a rate limit, waiting seconds does not help."""
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    """The provider says the request itself is wrong."""
    CONTEXT_LENGTH = "context_length"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    MALFORMED = "malformed"
    """The body, or the JSON inside the answer, is not what was asked for."""
    NO_KEY = "no_key"
    UNSUPPORTED = "unsupported"
    """No provider is known for the model's name."""
    BUDGET = "budget"
    """The daily budget does not allow the call, or cannot be kept because the model's price is unknown."""
    RESTING = "resting"
    """Not sent: the provider has to be left alone for a while."""
    UNKNOWN = "unknown"


_CODES: Final = {
    Kind.RATE_LIMITED: "RATE_LIMIT",
    Kind.RESTING: "RATE_LIMIT",
    Kind.SERVER: "SERVER_ERROR",
    Kind.TIMEOUT: "TIMEOUT",
    Kind.CONNECTION: "NETWORK_ERROR",
    Kind.AUTH: "AUTH_ERROR",
    Kind.QUOTA: "AUTH_ERROR",
    Kind.NOT_FOUND: "NOT_FOUND",
    Kind.INVALID: "VALIDATION_ERROR",
    Kind.CONTEXT_LENGTH: "VALIDATION_ERROR",
    Kind.REFUSED: "INVALID_RESPONSE",
    Kind.TRUNCATED: "INVALID_RESPONSE",
    Kind.EMPTY: "INVALID_RESPONSE",
    Kind.MALFORMED: "INVALID_RESPONSE",
    Kind.NO_KEY: "MISSING_API_KEY",
    Kind.UNSUPPORTED: "UNSUPPORTED_PROVIDER",
    Kind.BUDGET: "BUDGET_EXHAUSTED",
    Kind.UNKNOWN: "UNKNOWN",
}
"""The codes of the evaluation specification; `BUDGET_EXHAUSTED` is ours."""
_RETRYABLE: Final = frozenset({Kind.RATE_LIMITED, Kind.RESTING, Kind.SERVER, Kind.TIMEOUT, Kind.CONNECTION})


class LLMError(WorkerError):
    """A model could not be made to answer. `message` never holds a key, a prompt, an answer or a provider's text."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        target: Target | None = None,
        status: int | None = None,
        retry_after_sec: float | None = None,
        usage: Usage | None = None,
        detail: str | None = None,
        rejected_parameter: str | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message, not_before_sec=retry_after_sec)
        self.kind = kind
        self.code = _CODES[kind]
        self.retryable = kind in _RETRYABLE
        self.target = target
        self.status = status
        self.retry_after_sec = retry_after_sec
        """Seconds to leave the provider alone, by its own word."""
        self.usage = usage
        """Tokens that were spent although it failed."""
        self.detail = detail
        """The provider's own text, shortened and with keys taken out; for people, never decided by."""
        self.rejected_parameter = rejected_parameter
        """Name of a request parameter that this model does not take, e.g. `temperature`."""
        self.attempts = attempts
        """Every attempt of the question, in the error that ends it."""

    def as_dict(self) -> dict[str, Any]:
        """As records and REST answers show it: no prompt, no key."""
        out = {**super().as_dict(), "kind": self.kind.value}
        if self.target is not None:
            out |= {"provider": self.target.provider, "model": self.target.model}
        if self.status is not None:
            out["status"] = self.status
        if self.detail is not None:
            out["detail"] = self.detail
        if self.attempts:
            out["attempts"] = [
                {"target": str(one.target), "outcome": one.outcome, "status": one.status, "seconds": one.seconds}
                for one in self.attempts
            ]
        return out
