"""Promises of the name table: every name people use goes to its provider, and a look-alike to none."""

from __future__ import annotations

import pytest

from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.model_names import resolve
from src.worker.llm.providers import PROVIDER_NAMES, PROVIDERS

BARE = {
    "openai": """
        gpt-4o gpt-4o-mini gpt-4.1 gpt-5 gpt-5-chat-latest chatgpt-4o-latest o1 o1-preview o3-mini o4-mini
        text-davinci-003 davinci-002 babbage-002 ft:gpt-4o-mini:org::id ft:davinci-002:org::id openai/gpt-4o GPT-4o
    """,
    "anthropic": """
        claude-sonnet-4-20250514 claude-3-5-haiku-latest claude-ada anthropic.claude-3-5-sonnet-20241022-v2:0
        us.anthropic.claude-3-haiku-v1:0 anthropic/claude-3-opus
    """,
    "gemini": "gemini-2.5-flash gemini-3-pro-preview gemma-3-27b-it learnlm-2.0-flash models/gemini-2.5-pro",
    "xai": "grok-4 grok-3-mini grok-4.3",
    "deepseek": "deepseek-chat deepseek-reasoner deepseek-v4-flash",
    "mistral": """
        mistral-large-latest mistral-small codestral-latest ministral-8b-latest pixtral-12b magistral-medium-latest
        devstral-small-2507 open-mixtral-8x22b open-mistral-nemo ft:open-mistral-7b:org:name:id
    """,
    "nvidia": """
        nvidia/llama-3.1-nemotron-70b-instruct meta/llama-3.3-70b-instruct mistralai/mixtral-8x7b-instruct
        google/gemma-2-2b-it deepseek-ai/deepseek-v4-pro qwen/qwen3.5-122b-a10b
    """,
    "groq": """
        llama-3.3-70b-versatile llama-3.1-8b-instant llama3-70b-8192 deepseek-r1-distill-llama-70b mixtral-8x7b-32768
        meta-llama/llama-4-scout-17b-16e-instruct groq/compound openai/gpt-oss-120b
    """,
    "ollama": "llama3.2:latest qwen2.5:7b deepseek-r1:7b mixtral:8x7b gpt-oss:20b user/model:tag llama3.2 phi3 qwen2.5",
}
NAMES = [(provider, name) for provider, names in BARE.items() for name in names.split()]


@pytest.mark.parametrize(("provider", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_bare_name_goes_to_its_provider_and_stays_whole(provider: str, name: str) -> None:
    assert resolve(name) == (provider, name)


@pytest.mark.parametrize("name", "llama-3-adapter qwen-o1-like canada agrok o10 omni supergpt-4 not-a-model x".split())
def test_a_look_alike_is_nobodys_model(name: str) -> None:
    with pytest.raises(LLMError) as caught:
        resolve(name)
    assert caught.value.kind is Kind.UNSUPPORTED
    assert caught.value.code == "UNSUPPORTED_PROVIDER"


@pytest.mark.parametrize("prefix", PROVIDER_NAMES)
def test_a_prefix_decides_in_any_case_whatever_follows(prefix: str) -> None:
    for written in (prefix, prefix.upper(), prefix.title()):
        for model in ("claude-3", "a:b", "llama3.2:latest", "ft:gpt-4o-mini:org::id"):
            assert resolve(f"{written}:{model}") == (PROVIDER_NAMES[prefix], model)


def test_every_row_has_a_default_model_that_its_own_prefix_names() -> None:
    for row in PROVIDERS.values():
        assert resolve(f"{row.name}:{row.default_model}") == (row.name, row.default_model)
        assert resolve(row.default_model) == (row.name, row.default_model)


@pytest.mark.parametrize("name", ["openai:", "google: ", "", ":", " "])
def test_a_name_without_a_model_is_refused(name: str) -> None:
    with pytest.raises(LLMError) as caught:
        resolve(name)
    assert caught.value.kind is Kind.UNSUPPORTED


def test_of_two_that_serve_a_name_the_configured_one_is_asked() -> None:
    assert resolve("openai/gpt-oss-120b", {"nvidia"}).provider == "nvidia"
    assert resolve("openai/gpt-oss-120b", {"nvidia", "groq"}).provider == "groq"
    assert resolve("gpt-4o", {"groq"}).provider == "openai", "a provider that does not know the name is no choice"


def test_nvidias_short_name_is_given_its_full_id() -> None:
    assert resolve("nvidia:nemotron-70b").model == "nvidia/llama-3.1-nemotron-70b-instruct"
    assert resolve("nemotron-70b").model == "nvidia/llama-3.1-nemotron-70b-instruct"
