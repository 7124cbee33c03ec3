"""The evaluation scripts' settings: environment first, then `.env` of the working directory.

The standard library alone: health_check has to answer before anything heavy is imported, and when it is missing. The
language models' settings are `config.Settings`, which reads the same two places.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigError

KEY_VARIABLES: Final = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "xai": ("XAI_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
}
"""The six providers of the specification. The worker's other name for Google's key counts as well."""

TIMEOUT_VARIABLE: Final = "PYTHON_WORKER_TIMEOUT"
DEFAULT_TIMEOUT_SEC: Final = 270.0
"""The orchestrator kills a worker after 300 s; what is left is for writing the answer on a busy machine."""
_LONGEST_SEC: Final = 86_400.0


def read_environment(directory: Path | None = None) -> dict[str, str]:
    """All variables; those of the process win over those of `.env`.

    Raises:
        ConfigError: there is a `.env` that cannot be read.
    """
    file = (directory or Path()) / ".env"  # relative: a working directory may have been removed
    found: dict[str, str] = {}
    if file.is_file():
        try:
            from dotenv import dotenv_values
        except ImportError as error:
            raise ConfigError(
                ".env is there but python-dotenv is not installed: run `python -m pip install python-dotenv`"
            ) from error
        try:
            found = {name: value for name, value in dotenv_values(file).items() if value is not None}
        except (OSError, ValueError) as error:  # no right to read it, or no text
            raise ConfigError(f".env of the working directory cannot be read: {type(error).__name__}") from error
    return found | dict(os.environ)


def api_key(environ: Mapping[str, str], provider: str) -> str | None:
    """The key of one of the six providers; blank is not configured."""
    for name in KEY_VARIABLES.get(provider, ()):
        value = environ.get(name, "").strip()
        if value:
            return value
    return None


def worker_timeout(environ: Mapping[str, str]) -> float:
    """Seconds one worker process may take in all.

    Raises:
        ConfigError: PYTHON_WORKER_TIMEOUT is no positive number of seconds.
    """
    text = environ.get(TIMEOUT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_TIMEOUT_SEC
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_SEC:  # NaN fails too
        raise ConfigError(f"{TIMEOUT_VARIABLE}: must be a number of seconds over 0 and up to {_LONGEST_SEC:.0f}")
    return seconds
