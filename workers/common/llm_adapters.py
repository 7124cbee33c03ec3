"""One synchronous call to any model."""

from src.worker.evaluation.compat.llm_adapters import (
    AnthropicAdapter,
    BaseAdapter,
    DeepSeekAdapter,
    GeminiAdapter,
    LLMResponse,
    MistralAdapter,
    OpenAIAdapter,
    XAIAdapter,
    close,
    generate,
)

__all__ = [
    "AnthropicAdapter",
    "BaseAdapter",
    "DeepSeekAdapter",
    "GeminiAdapter",
    "LLMResponse",
    "MistralAdapter",
    "OpenAIAdapter",
    "XAIAdapter",
    "close",
    "generate",
]
