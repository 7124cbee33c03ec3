"""Settings of the language models: part of `Settings`, in a module of their own as nine providers have three each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

PROVIDERS: Final = ("gemini", "openai", "groq", "nvidia", "ollama", "anthropic", "xai", "deepseek", "mistral")
"""In the order in which they are asked when LLM_PROVIDER names none."""


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach one provider, as far as the settings say."""

    provider: str
    api_key: str | None
    model: str | None
    base_url: str | None


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests and tokens per minute; 0 = no limit."""

    requests: int
    tokens: int


_Url = Annotated[str | None, Field(repr=False)]
"""May hold a user name and a password."""
_Model = Annotated[str | None, Field(max_length=200, pattern=r"^\S+$")]


class LLMSettings(BaseSettings):
    """Settings of the providers; `Settings` inherits them."""

    llm_provider: str = ""

    gemini_api_key: SecretStr | None = None
    google_api_key: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    groq_api_key: SecretStr | None = None
    nvidia_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    xai_api_key: SecretStr | None = None
    deepseek_api_key: SecretStr | None = None
    mistral_api_key: SecretStr | None = None

    gemini_model: _Model = None
    openai_model: _Model = None
    groq_model: _Model = None
    nvidia_model: _Model = None
    ollama_model: _Model = None
    anthropic_model: _Model = None
    xai_model: _Model = None
    deepseek_model: _Model = None
    mistral_model: _Model = None

    gemini_base_url: _Url = None
    google_base_url: _Url = None
    openai_base_url: _Url = None
    groq_base_url: _Url = None
    nvidia_base_url: _Url = None
    ollama_base_url: _Url = None
    anthropic_base_url: _Url = None
    xai_base_url: _Url = None
    deepseek_base_url: _Url = None
    mistral_base_url: _Url = None

    llm_timeout_sec: Annotated[float, Field(gt=0, le=3600)] = 60.0
    llm_deadline_sec: Annotated[float, Field(gt=0, le=86400)] = 120.0
    llm_max_concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    llm_rate_limit_rpm: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    llm_rate_limit_tpm: Annotated[int, Field(ge=0, le=10_000_000_000)] = 0
    llm_rate_limits: str = ""
    llm_max_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    llm_cache_ttl_sec: Annotated[int, Field(ge=0, le=365 * 86400)] = 604800
    llm_redact_pii: bool = True

    embeddings_provider: Literal["local", "gemini", "openai", "ollama", "nvidia"] = "local"
    embeddings_model: _Model = None
    embeddings_dimensions: Annotated[int | None, Field(ge=1, le=16_384)] = None

    @field_validator("llm_provider")
    @classmethod
    def _known_providers(cls, value: str) -> str:
        _order(value)
        return value

    @field_validator("llm_rate_limits")
    @classmethod
    def _rates_per_provider(cls, value: str) -> str:
        _rates(value)
        return value

    @field_validator(*(f"{name}_base_url" for name in (*PROVIDERS, "google")))
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip()
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must be a URL that starts with http:// or https://")
        if not parts.hostname or parts.query or parts.fragment or any(one.isspace() for one in value):
            raise ValueError("must be the URL of a server: with a host, without blanks, query and fragment")
        try:
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            raise ValueError("must be a URL whose port is a number up to 65535") from None
        return value

    @field_validator(*(f"{name}_api_key" for name in (*PROVIDERS, "google") if name != "ollama"), mode="before")
    @classmethod
    def _no_blank_key(cls, value: Any) -> Any:
        return (value.strip() or None) if isinstance(value, str) else value

    @property
    def llm_order(self) -> tuple[str, ...]:
        """Providers as LLM_PROVIDER orders them. One name is the first choice, the others follow; several are all."""
        named = _order(self.llm_provider)
        return named if len(named) > 1 else (*named, *(name for name in PROVIDERS if name not in named))

    @property
    def llm_named(self) -> tuple[str, ...]:
        """Providers that LLM_PROVIDER names."""
        return _order(self.llm_provider)

    @property
    def llm_accounts(self) -> dict[str, Account]:
        """Key, model and address of each provider, by its name; None where the provider's own default holds."""
        rows = (
            (
                "gemini",
                self.gemini_api_key or self.google_api_key,
                self.gemini_model,
                self.gemini_base_url or self.google_base_url,
            ),
            ("openai", self.openai_api_key, self.openai_model, self.openai_base_url),
            ("groq", self.groq_api_key, self.groq_model, self.groq_base_url),
            ("nvidia", self.nvidia_api_key, self.nvidia_model, self.nvidia_base_url),
            ("ollama", None, self.ollama_model, self.ollama_base_url),
            ("anthropic", self.anthropic_api_key, self.anthropic_model, self.anthropic_base_url),
            ("xai", self.xai_api_key, self.xai_model, self.xai_base_url),
            ("deepseek", self.deepseek_api_key, self.deepseek_model, self.deepseek_base_url),
            ("mistral", self.mistral_api_key, self.mistral_model, self.mistral_base_url),
        )
        return {
            name: Account(name, key.get_secret_value() if key else None, model, url) for name, key, model, url in rows
        }

    def llm_rates(self, provider: str) -> Rates:
        """The provider's own limits, or those for all."""
        return _rates(self.llm_rate_limits).get(provider, Rates(self.llm_rate_limit_rpm, self.llm_rate_limit_tpm))


def _order(text: str) -> tuple[str, ...]:
    """`gemini, openai` as names, each once."""
    words = (part.strip().lower() for part in text.split(",") if part.strip())
    names = tuple(dict.fromkeys("gemini" if word == "google" else word for word in words))
    for name in names:
        if name not in PROVIDERS:
            raise ValueError(f"{name!r} is no provider; known are {', '.join(PROVIDERS)}")
    return names


def _rates(text: str) -> dict[str, Rates]:
    """`groq=30/6000, openai=500` as requests and tokens per minute."""
    out: dict[str, Rates] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, figures = part.partition("=")
        requests, _, tokens = figures.partition("/")
        if name.strip() not in PROVIDERS or not requests.isdigit() or not (tokens or "0").isdigit():
            raise ValueError("must be a list such as groq=30/6000,openai=500 (requests, or requests/tokens per minute)")
        out[name.strip()] = Rates(int(requests), int(tokens or 0))
    return out
