"""Structured JSON logs on standard error."""

from src.worker.evaluation.compat.logging import (
    Logger,
    get_logger,
)

__all__ = [
    "Logger",
    "get_logger",
]
