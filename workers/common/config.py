"""Configuration of the evaluation workers."""

from src.worker.evaluation.compat.config import (
    Config,
    get_config,
    reload_config,
)

__all__ = [
    "Config",
    "get_config",
    "reload_config",
]
