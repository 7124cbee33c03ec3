"""Brand worker and evaluation workers: one service over Redis, MongoDB and language models."""

__version__ = "0.1.0"
