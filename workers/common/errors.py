"""Error types with retry classification."""

from src.worker.evaluation.compat.errors import (
    RETRYABLE_CODES,
    ErrorCode,
    LLMError,
    RetryableError,
    ValidationError,
    WorkerError,
    classify_exception,
    classify_http_error,
)

__all__ = [
    "RETRYABLE_CODES",
    "ErrorCode",
    "LLMError",
    "RetryableError",
    "ValidationError",
    "WorkerError",
    "classify_exception",
    "classify_http_error",
]
