"""The nine providers as one table: what each calls things, how its server is named, what its adapter needs. Data only.

Nothing heavy is imported here; `adapters` builds from a row, `wire` calls, `reply` reads. What a row says about an
adapter holds for the versions in requirements.txt; tests/test_llm_wire.py asserts it against requests on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import ConfigError
from .exchange import Stop


class Transport(StrEnum):
    """How an adapter takes the HTTP client it is to use."""

    HTTPX2 = "httpx2"
    """Two arguments, `http_client` and `http_async_client`, with clients of httpx2."""
    HTTPX = "httpx"
    """The same with clients of httpx."""
    ANTHROPIC = "anthropic"
    """None: the SDK's client is put in its place."""
    GOOGLE = "google"
    """None: aiohttp inside the SDK, which takes the TLS context by `client_args`."""
    OLLAMA = "ollama"
    """The arguments of httpx clients, by `client_kwargs`."""
    NVIDIA = "nvidia"
    """A factory of aiohttp sessions."""
    MISTRAL = "mistral"
    """`client` and `async_client`, with base URL and headers in them."""


class JsonSwitch(StrEnum):
    """How a provider is told the form of an answer."""

    SCHEMA = "response_format"
    """`response_format={"type": "json_schema", ...}`"""
    OBJECT = "json_object"
    """`response_format={"type": "json_object"}`; the schema goes into the instructions."""
    FORMAT = "format"
    """Ollama: `format=<schema>`."""
    GEMINI = "response_json_schema"
    ANTHROPIC = "output_config"
    NONE = "none"
    """No switch: the schema goes into the instructions and nothing else holds the model to it."""


class UsageRule(StrEnum):
    """What the adapter's `output_tokens` holds."""

    AS_GIVEN = "as_given"
    """All output, reasoning included."""
    REASONING_ADDED = "reasoning_added"
    """The adapter adds reasoning to the server's count, which may have held it already: the total decides."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A row. `default_url` and what `server_url` returns are in the form the adapter's `base_url` takes."""

    name: str
    module: str
    adapter: str
    """Class in `module`."""
    default_model: str
    transport: Transport
    default_url: str
    stops: Mapping[str, Stop]
    """The provider's words for why a model stopped, in lower case."""
    aliases: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key, first come first."""
    key_needed: bool = True
    key_argument: str = "api_key"
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments of construction that never change: no retries of its own, no telemetry, no hidden defaults."""
    whole_seconds: bool = False
    """The adapter takes its timeout as an integer only."""
    json_switch: JsonSwitch = JsonSwitch.SCHEMA
    weaker_json: tuple[re.Pattern[str], JsonSwitch] | None = None
    """Models that know less than the provider's switch, and what they do know."""
    max_tokens: str = "max_tokens"
    max_tokens_needed: int | None = None
    """What is sent where a request leaves `max_tokens` open and the wire does not allow that."""
    temperature: str = "temperature"
    no_temperature: re.Pattern[str] | None = None
    """Models that reject any temperature: it is not sent to them."""
    seed: str | None = "seed"
    options: str | None = None
    """Name of the mapping in which max tokens, temperature and seed are sent, where they are not arguments."""
    system_anywhere: bool = True
    """System messages may stand between others; where not, all of them are joined in front."""
    usage: UsageRule = UsageRule.AS_GIVEN
    names_served_model: bool = True
    """The adapter reports the model that answered. Where it repeats the one asked for, the raw body is read."""
    url_suffixes: tuple[str, ...] = ("/chat/completions",)
    """Ends of a base URL that are taken off because the adapter adds them itself."""
    url_path: str = "/v1"
    """Path of the API on a server whose URL names none."""
    url_versioned: bool = False
    """`url_path` is added to every URL that does not end with `/v1`, not only to one without a path."""

    def variables(self, suffix: str) -> tuple[str, ...]:
        """Names of environment variables for a setting, e.g. `GEMINI_BASE_URL`, `GOOGLE_BASE_URL`."""
        return tuple(f"{name.upper()}_{suffix}" for name in (self.name, *self.aliases))

    def takes_temperature(self, model: str) -> bool:
        """Whether a temperature is sent to this model at all; records need what was sent."""
        return self.no_temperature is None or self.no_temperature.search(model.lower()) is None

    def switch_for(self, model: str) -> JsonSwitch:
        if self.weaker_json is not None and self.weaker_json[0].search(model.lower()):
            return self.weaker_json[1]
        return self.json_switch

    def server_url(self, base_url: str | None) -> str:
        """`<PROVIDER>_BASE_URL` in the form the adapter takes; None gives the provider's own server.

        A URL may end where the provider's documentation, a gateway's or a test double's ends: with or without a slash,
        a version, or the path of the call itself. A path of its own (`/gateway/openai`) is kept.

        Raises:
            ConfigError: not an http or https URL, or one with a query or a fragment.
        """
        if base_url is None:
            return self.default_url
        parts = urlsplit(base_url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"{self.variables('BASE_URL')[0]}: must be an http:// or https:// URL without a query")
        path = parts.path.rstrip("/")
        for suffix in self.url_suffixes:
            path = path.removesuffix(suffix).rstrip("/")
        if not path or (self.url_versioned and not path.endswith("/v1")):
            path += self.url_path
        return parts._replace(path=path).geturl()


_OPENAI_STOPS: Final = MappingProxyType(
    {
        "stop": Stop.COMPLETE,
        "length": Stop.LENGTH,
        "content_filter": Stop.FILTERED,
        "tool_calls": Stop.TOOL,
        "function_call": Stop.TOOL,
    }
)
_GEMINI_FILTERS: Final = """
    safety recitation language blocklist prohibited_content spii image_safety image_prohibited_content image_recitation
    model_armor jailbreak
"""
_NO_RETRIES: Final = MappingProxyType({"max_retries": 0})
_USAGE_TOO: Final = MappingProxyType({"max_retries": 0, "stream_usage": True})
# Reasoning models: any temperature but 1 is a 400. The chat variants of gpt-5 take one. `ft:` names a tuned model.
_OPENAI_REASONING: Final = re.compile(r"^(ft:)?(o[134](-|:|$)|gpt-5(?!.*-chat))")

_ROWS: Final = (
    Provider(
        name="gemini",
        aliases=("google",),
        module="langchain_google_genai",
        adapter="ChatGoogleGenerativeAI",
        default_model="gemini-2.5-flash",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        key_argument="google_api_key",
        transport=Transport.GOOGLE,
        default_url="https://generativelanguage.googleapis.com",
        # 0 attempts would mean the SDK's own five here: 1 is the first request alone. Without a temperature of None the
        # adapter sends 0.7. Vertex AI would be chosen by a variable of Google's own.
        fixed=MappingProxyType({"max_retries": 1, "temperature": None, "vertexai": False, "api_version": "v1beta"}),
        json_switch=JsonSwitch.GEMINI,
        max_tokens="max_output_tokens",
        system_anywhere=False,
        usage=UsageRule.REASONING_ADDED,
        url_suffixes=("/models", "/v1beta", "/v1alpha", "/v1"),
        url_path="",
        stops=MappingProxyType(
            {
                "stop": Stop.COMPLETE,
                "max_tokens": Stop.LENGTH,
                "malformed_function_call": Stop.TOOL,
                "unexpected_tool_call": Stop.TOOL,
                **dict.fromkeys(_GEMINI_FILTERS.split(), Stop.FILTERED),
            }
        ),
    ),
    Provider(
        name="openai",
        module="langchain_openai",
        adapter="ChatOpenAI",
        default_model="gpt-4o-mini",
        key_variables=("OPENAI_API_KEY",),
        transport=Transport.HTTPX2,
        default_url="https://api.openai.com/v1",
        fixed=_USAGE_TOO,
        weaker_json=(re.compile(r"^(ft:)?gpt-(3\.5|4-turbo|4-\d)"), JsonSwitch.OBJECT),
        no_temperature=_OPENAI_REASONING,
        stops=MappingProxyType(
            # The second line: words of the Responses API, which the adapter uses for models that know no other.
            {**_OPENAI_STOPS, "completed": Stop.COMPLETE, "max_output_tokens": Stop.LENGTH, "failed": Stop.SYSTEM}
        ),
    ),
    Provider(
        name="groq",
        module="langchain_groq",
        adapter="ChatGroq",
        default_model="llama-3.3-70b-versatile",
        key_variables=("GROQ_API_KEY",),
        transport=Transport.HTTPX,
        default_url="https://api.groq.com/openai/v1",
        fixed=_NO_RETRIES,
        # Of Groq's models few know schemas (the adapter's own list of models says which); to others it is a 400.
        weaker_json=(re.compile(r"^(?!.*(gpt-oss-\d|llama-4-(maverick|scout)|kimi-k2))"), JsonSwitch.OBJECT),
        names_served_model=False,
        url_path="/openai/v1",
        url_versioned=True,
        stops=_OPENAI_STOPS,
    ),
    Provider(
        name="nvidia",
        module="langchain_nvidia_ai_endpoints",
        adapter="ChatNVIDIA",
        default_model="nvidia/llama-3.1-nemotron-70b-instruct",
        key_variables=("NVIDIA_API_KEY",),
        transport=Transport.NVIDIA,
        default_url="https://integrate.api.nvidia.com/v1",
        fixed=MappingProxyType({"usage_telemetry_enabled": False}),
        names_served_model=False,
        url_versioned=True,
        stops=_OPENAI_STOPS,
    ),
    Provider(
        name="ollama",
        module="langchain_ollama",
        adapter="ChatOllama",
        default_model="llama3.2",
        key_variables=("OLLAMA_API_KEY",),
        key_needed=False,
        transport=Transport.OLLAMA,
        default_url="http://localhost:11434",
        json_switch=JsonSwitch.FORMAT,
        max_tokens="num_predict",
        options="options",
        url_suffixes=("/api/chat", "/api", "/v1"),
        url_path="",
        # `load` and `unload`: the server was asked to do that and said nothing.
        stops=MappingProxyType({**_OPENAI_STOPS, "load": Stop.SYSTEM, "unload": Stop.SYSTEM}),
    ),
    Provider(
        name="anthropic",
        module="langchain_anthropic",
        adapter="ChatAnthropic",
        default_model="claude-sonnet-4-6",
        key_variables=("ANTHROPIC_API_KEY",),
        transport=Transport.ANTHROPIC,
        default_url="https://api.anthropic.com",
        fixed=_NO_RETRIES,
        json_switch=JsonSwitch.ANTHROPIC,
        # Structured output came with the 4.5 models and Opus 4.1.
        weaker_json=(re.compile(r"claude-([123]|instant|(sonnet|opus)-4(-0|-20\d|$))"), JsonSwitch.NONE),
        max_tokens_needed=8192,  # the value of the evaluation specification; the adapter's own would be 64,000
        seed=None,
        system_anywhere=False,
        url_suffixes=("/messages", "/v1"),
        url_path="",
        stops=MappingProxyType(
            {
                "end_turn": Stop.COMPLETE,
                "stop_sequence": Stop.COMPLETE,
                "max_tokens": Stop.LENGTH,
                "model_context_window_exceeded": Stop.LENGTH,
                "tool_use": Stop.TOOL,
                "pause_turn": Stop.TOOL,
                "refusal": Stop.REFUSED,
            }
        ),
    ),
    Provider(
        name="xai",
        module="langchain_xai",
        adapter="ChatXAI",
        default_model="grok-4.3",
        key_variables=("XAI_API_KEY",),
        transport=Transport.HTTPX2,
        default_url="https://api.x.ai/v1",
        fixed=_USAGE_TOO,
        usage=UsageRule.REASONING_ADDED,
        stops=_OPENAI_STOPS,
    ),
    Provider(
        name="deepseek",
        module="langchain_deepseek",
        adapter="ChatDeepSeek",
        default_model="deepseek-v4-flash",
        key_variables=("DEEPSEEK_API_KEY",),
        transport=Transport.HTTPX2,
        default_url="https://api.deepseek.com/v1",
        fixed=_USAGE_TOO,
        json_switch=JsonSwitch.OBJECT,
        stops=MappingProxyType({**_OPENAI_STOPS, "insufficient_system_resource": Stop.SYSTEM}),
    ),
    Provider(
        name="mistral",
        module="langchain_mistralai",
        adapter="ChatMistralAI",
        default_model="mistral-small-latest",
        key_variables=("MISTRAL_API_KEY",),
        transport=Transport.MISTRAL,
        default_url="https://api.mistral.ai/v1",
        fixed=_NO_RETRIES,
        whole_seconds=True,
        seed="random_seed",
        names_served_model=False,
        stops=MappingProxyType({**_OPENAI_STOPS, "model_length": Stop.LENGTH, "error": Stop.SYSTEM}),
    ),
)

PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({row.name: row for row in _ROWS})
"""All rows by name."""
PROVIDER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name: row.name for row in _ROWS for name in (row.name, *row.aliases)}
)
"""Every name and alias a user may write, with the row's name."""
