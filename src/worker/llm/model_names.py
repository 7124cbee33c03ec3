"""Which provider a model's name belongs to. Pure.

`provider:model` says it. For bare names each provider's own ways of naming decide, as whole words and from the start of
a name: "ada" inside "claude-ada" is nobody's model. Where two serve models of one name, the configured one is asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from .errors import Kind, LLMError
from .exchange import Target
from .providers import PROVIDER_NAMES

_RULES: Final = tuple(
    (re.compile(pattern, re.VERBOSE), tuple(providers.split()))
    for pattern, providers in (
        # Names with a path come first: the part before the slash says more than a word behind it.
        (r"^models/(gemini|gemma|learnlm)", "gemini"),
        (r"^openai/gpt-oss-", "groq nvidia"),
        (r"^(meta-llama|groq|canopylabs)/ | ^moonshotai/kimi | ^qwen/qwen3-32b$", "groq nvidia"),
        (
            r"^(nvidia|nvdev|meta|mistralai|deepseek-ai|qwen|google|microsoft|moonshotai|writer|ibm|01-ai|abacusai"
            r"|bytedance|minimaxai|stepfun-ai|upstage|z-ai|sarvamai)/",
            "nvidia",
        ),
        # Amazon's and others' names of Anthropic's models have the vendor in front and a revision behind a colon.
        (r"(^|[./])claude(-|$)", "anthropic"),
        (r"^(ft:)?(gpt-(?!oss)|chatgpt-|codex-|o[1345](-|$|:)|davinci(-\d+)?(:|$)|babbage(-\d+)?(:|$))", "openai"),
        (r"^mixtral-8x7b-32768$", "groq"),
        (r"^text-[a-z] | ^(ada|curie)$ | ^openai/", "openai"),
        (
            r"^(ft:)?(open-)?(mistral|mixtral|codestral|ministral|pixtral|magistral|devstral|voxtral)(-[^:]*)?($|:[^:]+:)",
            "mistral",
        ),
        # A tag behind a colon is how Ollama names what it has: llama3.2:latest, deepseek-r1:7b, user/model:tag.
        (r"^(?!ft:)[\w./-]+:[\w.-]+$", "ollama"),
        (
            r"^llama-?\d[\w.]*-.*(versatile|instant|specdec|preview|8192)$ | ^llama-guard-\d | -distill-(llama|qwen)-",
            "groq",
        ),
        (r"^qwen-(qwq|2\.5)- | ^(allam|whisper)-", "groq"),
        (r"^(gemini|gemma|learnlm)(-|\d|$)", "gemini"),
        (r"^grok(-|$)", "xai"),
        (r"^deepseek(-|$)", "deepseek"),
        (r"^nemotron(-|$) | ^llama-[\d.]+-nemotron-", "nvidia"),
        (
            r"^(llama|qwen|phi|codellama|tinyllama|smollm|granite|vicuna|orca|yi|command-r)[\d.]*(-vision|-coder|-mini)?$",
            "ollama",
        ),
    )
)
"""First match wins; among its providers the first that is configured, else the first."""
_NVIDIA_SHORT: Final = {
    "nemotron-70b": "nvidia/llama-3.1-nemotron-70b-instruct",
    "llama-3.1-nemotron-70b-instruct": "nvidia/llama-3.1-nemotron-70b-instruct",
}
"""Names that people use for a model whose id is longer."""


def resolve(name: str, configured: Collection[str] = ()) -> Target:
    """The provider and the model a name means.

    Args:
        name: `provider:model` (any case, aliases such as `google:` too) or a model's own name. A colon only splits
            where a provider's name stands before it: `llama3.2:latest` and `ft:gpt-4o-mini:org::id` stay whole.
        configured: names of providers that can be used; they only decide between several that know a name.

    Raises:
        LLMError: UNSUPPORTED, no provider is known for it, or no model is named.
    """
    name = name.strip()
    prefix, colon, rest = name.partition(":")
    provider = PROVIDER_NAMES.get(prefix.strip().lower()) if colon else None
    if provider is not None:
        if not rest.strip():
            raise LLMError(Kind.UNSUPPORTED, f"{provider}: names no model")
        return _target(provider, rest.strip())
    lower = name.lower()
    for pattern, providers in _RULES:
        if pattern.search(lower):
            return _target(next((one for one in providers if one in configured), providers[0]), name)
    raise LLMError(Kind.UNSUPPORTED, "no provider is known for this model; write it as provider:model")


def _target(provider: str, model: str) -> Target:
    return Target(provider, _NVIDIA_SHORT.get(model.lower(), model) if provider == "nvidia" else model)
