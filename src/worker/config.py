"""Settings: environment first, then `.env`. Every one is read somewhere and documented in `.env.example`.

An invalid value stops the start with one line that names the variable, what is wrong and what is allowed.
"""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from .config_llm import LLMSettings
from .errors import ConfigError
from .keys import PlatformKeys, normalise_prefix
from .search_sources import SearchSource, read_sources
from .secrecy import remember, secrets_of

_SECRETS_DIR: Final = Path("/run/secrets")
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?", re.ASCII)
_HOST: Final = re.compile(r"(?:[^\[\]:@]*|\[[0-9A-Fa-f:.%]+\])(?::[0-9]{0,5})?", re.ASCII)
"""A host as it stands in a URL, perhaps with a port."""
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
TracesSampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


def _default_worker_id() -> str:
    # Readable in heartbeats and logs, unique across restarts: two processes must never share a consumer name.
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


class Settings(LLMSettings):
    """Names are the environment variables' in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: Annotated[str | None, Field(repr=False)] = None
    mongodb_uri: Annotated[str | None, Field(repr=False)] = None
    data_dir: Path = Path("./data")

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    http_max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 4 * 2**20
    worker_api_key: SecretStr | None = None
    worker_api_keys_file: Path | None = None
    http_cors_origins: Annotated[str, Field(max_length=4_000)] = ""
    http_write_rate: Annotated[int, Field(ge=0, le=10_000_000)] = 6_000

    worker_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = Field(default_factory=_default_worker_id)
    log_level: LogLevel = "info"
    log_format: Literal["auto", "json", "text"] = "auto"

    otel_exporter_otlp_endpoint: Annotated[str | None, Field(max_length=500, repr=False)] = None
    otel_exporter_otlp_headers: SecretStr | None = None
    otel_service_name: Annotated[str, Field(min_length=1, max_length=200)] = "brand-eval-worker"
    otel_resource_attributes: Annotated[str, Field(max_length=2000)] = ""
    otel_traces_sampler: TracesSampler = "parentbased_always_on"
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] = 1.0
    otel_sdk_disabled: bool = False

    standby_for: Annotated[str | None, Field(max_length=500)] = None

    queue_concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    queue_lease_sec: Annotated[float, Field(ge=1, le=3600)] = 15.0
    queue_max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    queue_max_task_bytes: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 4 * 2**20
    queue_retry_base_sec: Annotated[float, Field(gt=0, le=600)] = 2.0
    queue_retry_max_sec: Annotated[float, Field(gt=0, le=86400)] = 300.0
    queue_brand_slots: Annotated[int, Field(ge=0, le=1000)] = 0
    queue_type_slots: str = ""
    task_timeout_sec: Annotated[float, Field(ge=1, le=86400)] = 300.0
    python_worker_timeout: Annotated[float, Field(gt=0, le=86400)] = 270.0
    drain_timeout_sec: Annotated[float, Field(ge=0, le=3600)] = 25.0
    heartbeat_interval_sec: Annotated[float, Field(ge=0.5, le=300)] = 5.0
    task_result_ttl_sec: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    worker_memory_limit_mb: Annotated[int, Field(ge=0, le=1_048_576)] = 0
    dead_letters_max: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000

    dead_letters_max_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 512
    redis_memory_limit_mb: Annotated[int, Field(ge=0, le=16_777_216)] = 0
    janitor_every_hours: Annotated[float, Field(ge=0, le=24 * 31)] = 0.0
    mentions_hot_days: Annotated[int, Field(ge=1, le=3650)] = 90
    archive_keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    archive_url: Annotated[str | None, Field(max_length=1000, repr=False)] = None
    mention_max_chars: Annotated[int, Field(ge=280, le=2**20)] = 100_000
    dedup_window_hours: Annotated[int, Field(ge=1, le=24 * 365)] = 72
    chunk_results_max: Annotated[int, Field(ge=100, le=1_000_000)] = 2_000
    evaluations_ttl_days: Annotated[int, Field(ge=1, le=3650)] = 365
    processed_chunks_ttl_days: Annotated[int, Field(ge=1, le=3650)] = 90

    llm_prices_file: Path | None = None
    llm_daily_budget_usd: Annotated[Decimal | None, Field(gt=0, le=1_000_000, decimal_places=9)] = None
    llm_calls_ttl_days: Annotated[int, Field(ge=1, le=3650)] = 400

    consume_live_lists: bool = False
    publish_summary: bool = True
    redis_queue_prefix: str = "queue:brand:"
    redis_result_prefix: str = "result:brand:"
    redis_failed_prefix: str = "failed:brand:"
    brand_list_key: Annotated[str, Field(min_length=1, max_length=200)] = "brands:set"

    competitor_detection_auto: bool = True

    web_search_sources: Annotated[str, Field(max_length=20_000, repr=False)] = ""
    web_scan_pages: Annotated[int, Field(ge=1, le=50)] = 10

    web_user_agent: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]+[\x20-\x7e]{0,200}$")] = None
    web_timeout_sec: Annotated[float, Field(ge=1, le=300)] = 20.0
    web_max_bytes: Annotated[int, Field(ge=65_536, le=64 * 2**20)] = 5 * 2**20
    web_allowed_ports: str = ""
    web_host_delay_sec: Annotated[float, Field(ge=0, le=60)] = 1.0
    web_cache_mb: Annotated[int, Field(ge=0, le=1024)] = 16

    bluesky_base_url: Annotated[str, Field(repr=False)] = "https://public.api.bsky.app"
    bluesky_pds_url: Annotated[str, Field(repr=False)] = "https://bsky.social"
    bluesky_handle: Annotated[str | None, Field(min_length=3, max_length=253)] = None
    bluesky_app_password: SecretStr | None = None
    bluesky_stream: bool = False
    bluesky_jetstream_url: Annotated[str, Field(repr=False)] = "wss://jetstream2.us-east.bsky.network/subscribe"

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("redis_queue_prefix", "redis_result_prefix", "redis_failed_prefix")
    @classmethod
    def _one_colon(cls, value: str) -> str:
        if not value.strip(": "):
            raise ValueError("must not be empty")
        return normalise_prefix(value)

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str | None) -> str | None:
        return _checked_url(value, ("redis", "rediss", "unix"))

    @field_validator("mongodb_uri")
    @classmethod
    def _mongo_scheme(cls, value: str | None) -> str | None:
        return _checked_url(value, ("mongodb", "mongodb+srv"))

    @field_validator("archive_url")
    @classmethod
    def _archive_place(cls, value: str | None) -> str | None:
        if value is not None and not urlsplit(value.strip()).scheme:
            raise ValueError("must be a URL such as file:///srv/archive, gridfs:// or s3://bucket/archive")
        return None if value is None else value.strip()

    @field_validator("bluesky_base_url", "bluesky_pds_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _http_scheme(cls, value: str | None) -> str | None:
        return _checked_url(value, ("http", "https"))

    @field_validator("bluesky_jetstream_url")
    @classmethod
    def _ws_scheme(cls, value: str) -> str | None:
        return _checked_url(value, ("ws", "wss"))

    @field_validator("queue_type_slots")
    @classmethod
    def _slots_per_type(cls, value: str) -> str:
        _type_slots(value)
        return value

    @field_validator("web_search_sources")
    @classmethod
    def _readable_sources(cls, value: str) -> str:
        read_sources(value)
        return value

    @field_validator("http_cors_origins")
    @classmethod
    def _whole_origins(cls, value: str) -> str:
        _origins(value)
        return value

    @field_validator("web_allowed_ports")
    @classmethod
    def _port_numbers(cls, value: str) -> str:
        _ports(value)
        return value

    @property
    def brand_slots(self) -> int:
        """Slots one brand may hold: as set, else three quarters, so that no brand has them all."""
        return self.queue_brand_slots or max(1, self.queue_concurrency * 3 // 4)

    @property
    def type_slots(self) -> dict[str, int]:
        return _type_slots(self.queue_type_slots)

    @property
    def search_sources(self) -> tuple[SearchSource, ...]:
        return read_sources(self.web_search_sources)

    @property
    def cors_origins(self) -> frozenset[str]:
        """Origins whose pages may ask."""
        return _origins(self.http_cors_origins)

    @property
    def web_ports(self) -> frozenset[int]:
        """Ports that pages may be read from, beside 80 and 443."""
        return _ports(self.web_allowed_ports)

    @property
    def platform_keys(self) -> PlatformKeys:
        return PlatformKeys(
            self.redis_queue_prefix, self.redis_result_prefix, self.brand_list_key, self.redis_failed_prefix
        )


def _type_slots(text: str) -> dict[str, int]:
    """`web_scan=2, probe=4` as a mapping."""
    slots: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = part.partition("=")
        if not name.strip() or not count.strip().isdigit() or int(count) < 1:
            raise ValueError("must be a list such as web_scan=2,probe=4 with numbers from 1")
        slots[name.strip()] = int(count)
    return slots


def _origins(text: str) -> frozenset[str]:
    """`https://a.example, http://localhost:3000` as browsers send them. No `*`: whoever may ask is named."""
    origins = [word for part in text.split(",") if (word := part.strip())]
    if any(not _ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("must be a list of origins such as https://app.example,http://localhost:3000, without a path")
    return frozenset(origins)


def _ports(text: str) -> frozenset[int]:
    """`8080, 8443` as numbers."""
    words = [word for part in text.split(",") if (word := part.strip())]
    if any(not word.isdigit() or not word.isascii() or not 0 < int(word[:9]) < 65_536 for word in words):
        raise ValueError("must be a list of ports from 1 to 65535, such as 8080,8443")
    return frozenset(map(int, words))


def _checked_url(value: str | None, schemes: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    value = value.strip()
    parts = urlsplit(value)  # its own error says that a bracket is missing
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    hosts = parts.netloc.rpartition("@")[2].split(",")
    # A password with a character that ends the part it stands in: what is left of it would pass for host and port.
    odd = "@" in f"{parts.path}{parts.query}{parts.fragment}" or not all(map(_HOST.fullmatch, hosts))
    if odd and not {"redis", "mongodb"}.isdisjoint(schemes):
        raise ValueError("must be a URL whose user name and password have / ? # @ : written as %2F %3F %23 %40 %3A")
    return value


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment (tests, command line).

    Files under /run/secrets come last: one per setting, named as it is in lower case (Compose, Swarm, Kubernetes).
    From then on the secrets among them are masked in whatever this process logs or reports.

    Raises:
        ConfigError: one line naming the first variable that cannot be used; never its value, which may be a secret.
    """
    overrides.setdefault("_secrets_dir", _SECRETS_DIR if _SECRETS_DIR.is_dir() else None)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidSettings([_problem(one["loc"], one["msg"]) for one in found]) from None
    remember(secrets_of(settings))
    return settings


class InvalidSettings(ConfigError):
    """Settings that cannot be used. The message is the first of `problems`, each one line without any value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.problems = tuple(problems)


def _problem(where: tuple[int | str, ...], message: str) -> str:
    problem = message.removeprefix("Value error, ")
    return f"{str(where[0]).upper() if where else 'settings'}: {problem[:1].lower()}{problem[1:]}"
