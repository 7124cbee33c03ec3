"""The evaluation workers' view of the environment: six keys, a switch and a deadline.

config = get_config()
if config.has_api_key("anthropic"): ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..environment import KEY_VARIABLES, api_key, read_environment, worker_timeout

_TRUE: Final = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Config:
    """Keys are None where there is none; an empty variable is none. Never shown by `repr`."""

    openai_api_key: str | None = field(default=None, repr=False)
    anthropic_api_key: str | None = field(default=None, repr=False)
    google_api_key: str | None = field(default=None, repr=False)
    xai_api_key: str | None = field(default=None, repr=False)
    deepseek_api_key: str | None = field(default=None, repr=False)
    mistral_api_key: str | None = field(default=None, repr=False)
    debug: bool = False
    """PYTHON_WORKER_DEBUG: the scripts log from `debug` on unless LOG_LEVEL says otherwise."""
    timeout: float = 270.0
    """PYTHON_WORKER_TIMEOUT: seconds one worker process may take in all."""

    def get_api_key(self, provider: str) -> str | None:
        """Raises `KeyError` for a provider that is none of the six."""
        return {
            "openai": self.openai_api_key,
            "anthropic": self.anthropic_api_key,
            "google": self.google_api_key,
            "xai": self.xai_api_key,
            "deepseek": self.deepseek_api_key,
            "mistral": self.mistral_api_key,
        }[provider.lower()]

    def has_api_key(self, provider: str) -> bool:
        """False for an unknown provider too: there is no key for it."""
        return provider.lower() in KEY_VARIABLES and bool(self.get_api_key(provider))

    def get_configured_providers(self) -> list[str]:
        return [provider for provider in KEY_VARIABLES if self.has_api_key(provider)]


_cached: Config | None = None


def load_config(environ: Mapping[str, str]) -> Config:
    """Raises `ConfigError` naming a variable that cannot be used."""
    return Config(
        **{f"{provider}_api_key": api_key(environ, provider) for provider in KEY_VARIABLES},
        debug=is_debug(environ),
        timeout=worker_timeout(environ),
    )


def is_debug(environ: Mapping[str, str]) -> bool:
    return environ.get("PYTHON_WORKER_DEBUG", "").strip().lower() in _TRUE


def get_config() -> Config:
    """The configuration of the process, read once."""
    global _cached  # noqa: PLW0603 - the specification's interface: one cached configuration per process
    if _cached is None:
        _cached = load_config(read_environment())
    return _cached


def reload_config() -> Config:
    """Read again, e.g. after the environment has changed."""
    global _cached  # noqa: PLW0603 - see `get_config`
    _cached = load_config(read_environment())
    return _cached
