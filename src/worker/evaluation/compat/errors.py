"""Structured errors with retry classification, as the evaluation specification names them.

They are `WorkerError`s of the worker, so one harness describes both kinds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from ...errors import WorkerError as BaseWorkerError


class ErrorCode(StrEnum):
    """Codes of error documents."""

    RATE_LIMIT = "RATE_LIMIT"
    TIMEOUT = "TIMEOUT"
    NETWORK_ERROR = "NETWORK_ERROR"
    SERVER_ERROR = "SERVER_ERROR"

    AUTH_ERROR = "AUTH_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    NOT_FOUND = "NOT_FOUND"
    UNSUPPORTED_PROVIDER = "UNSUPPORTED_PROVIDER"
    MISSING_API_KEY = "MISSING_API_KEY"
    INVALID_RESPONSE = "INVALID_RESPONSE"

    UNKNOWN = "UNKNOWN"


RETRYABLE_CODES: Final = frozenset(
    {
        ErrorCode.RATE_LIMIT,
        ErrorCode.TIMEOUT,
        ErrorCode.NETWORK_ERROR,
        ErrorCode.SERVER_ERROR,
        ErrorCode.UNKNOWN,  # a fault of ours: the specification retries it
    }
)
_STATUS: Final = {
    401: ErrorCode.AUTH_ERROR,
    402: ErrorCode.AUTH_ERROR,  # "payment required": the account, not the request
    403: ErrorCode.AUTH_ERROR,
    404: ErrorCode.NOT_FOUND,
    408: ErrorCode.TIMEOUT,
    409: ErrorCode.SERVER_ERROR,  # a conflict with another request of the moment
    425: ErrorCode.SERVER_ERROR,  # "too early"
    429: ErrorCode.RATE_LIMIT,
}
_NO_MONEY: Final = (
    "insufficient_quota",
    "insufficient quota",
    "exceeded your current quota",
    "credit balance is too low",
)


class WorkerError(BaseWorkerError):
    """Base of the errors under this name: a message, a code, and whether another try can help."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.UNKNOWN, details: Any = None) -> None:
        super().__init__(message)
        self.code = ErrorCode(code)
        self.retryable = self.code in RETRYABLE_CODES
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {"message": self.message, "code": self.code, "retryable": self.retryable}
        if self.details is not None:
            out["details"] = self.details
        return out

    def as_dict(self) -> dict[str, Any]:
        return self.to_dict()


class LLMError(WorkerError):
    """A model's API failed. Without a code, the HTTP status decides."""

    def __init__(
        self,
        message: str,
        code: ErrorCode = ErrorCode.UNKNOWN,
        status_code: int | None = None,
        details: Any = None,
    ) -> None:
        if code == ErrorCode.UNKNOWN and status_code is not None:
            code = code_of_status(status_code, f"{message} {details or ''}")
        super().__init__(message, code, details)
        self.status_code = status_code

    def to_dict(self) -> dict[str, Any]:
        out = super().to_dict()
        if self.status_code is not None:
            out["statusCode"] = self.status_code
        return out


class ValidationError(WorkerError):
    """Input that has to be changed before another try."""

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message, ErrorCode.VALIDATION_ERROR, details)


class RetryableError(WorkerError):
    """A network or time fault. A code that is not retryable becomes NETWORK_ERROR."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.NETWORK_ERROR, details: Any = None) -> None:
        known = code in RETRYABLE_CODES and code != ErrorCode.UNKNOWN
        super().__init__(message, code if known else ErrorCode.NETWORK_ERROR, details)


def code_of_status(status: int, text: str = "") -> ErrorCode:
    """The code for an HTTP status. `text` only tells an empty account from a rate limit, which share a status."""
    if status == 429 and any(words in text.lower() for words in _NO_MONEY):
        return ErrorCode.AUTH_ERROR
    if status in _STATUS:
        return _STATUS[status]
    if 400 <= status < 500:
        return ErrorCode.VALIDATION_ERROR
    return ErrorCode.SERVER_ERROR if 500 <= status < 600 else ErrorCode.INVALID_RESPONSE


def classify_http_error(status_code: int, message: str, details: Any = None) -> LLMError:
    return LLMError(message, status_code=status_code, details=details)


def classify_exception(error: BaseException) -> WorkerError:
    """An error of this family for any exception: by its type, and by its text only where the type says nothing."""
    if isinstance(error, WorkerError):
        return error
    text = str(error)
    lower = text.lower()
    if isinstance(error, TimeoutError) or "timeout" in lower or "timed out" in lower:
        return RetryableError(text, ErrorCode.TIMEOUT)
    if isinstance(error, ConnectionError) or any(
        word in lower for word in ("connection", "network", "socket", "econnrefused", "enotfound")
    ):
        return RetryableError(text, ErrorCode.NETWORK_ERROR)
    if "rate limit" in lower or "429" in lower:
        return LLMError(text, ErrorCode.RATE_LIMIT, 429)
    return LLMError(text, ErrorCode.UNKNOWN)
