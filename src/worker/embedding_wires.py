"""The wire formats of the providers' embedding calls: what is sent, and vectors out of what comes back. Pure.

One request takes many texts. Formats: OpenAI and NVIDIA `POST /v1/embeddings`, Gemini
`POST /v1beta/models/{model}:batchEmbedContents`, Ollama `POST /api/embed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `path` follows the server's URL."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EmbeddingWire:
    """One provider's. `model` and `dimensions` are the defaults of a deployment that names none."""

    model: str
    dimensions: int
    batch: int
    """Texts per request: what the provider takes, at most a hundred, so that one failure costs little."""
    call: Callable[[str, int, Sequence[str], str | None], Call]
    """(model, dimensions, texts, key)"""
    vectors: Callable[[Any], list[Any]]
    """The decoded body as one vector per text, in order. Raises KeyError, TypeError or ValueError."""
    tokens: Callable[[Any], Any]
    """Input tokens as the decoded body counts them; None where it does not. Raises like `vectors`."""


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _openai(model: str, dimensions: int, texts: Sequence[str], key: str | None) -> Call:
    body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "float"}
    if model.startswith("text-embedding-3"):  # the only models that can be told
        body["dimensions"] = dimensions
    return Call("/embeddings", _bearer(key), body)


def _nvidia(model: str, dimensions: int, texts: Sequence[str], key: str | None) -> Call:
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    # All texts are documents to each other: nobody asks a query here.
    return Call("/embeddings", _bearer(key), body | {"input_type": "passage", "truncate": "END"})


def _gemini(model: str, dimensions: int, texts: Sequence[str], key: str | None) -> Call:
    name = f"models/{model.removeprefix('models/')}"
    common = {"model": name, "taskType": "CLUSTERING", "outputDimensionality": dimensions}
    requests = [{**common, "content": {"parts": [{"text": text}]}} for text in texts]
    headers = {"x-goog-api-key": key} if key else {}
    return Call(f"/v1beta/{name}:batchEmbedContents", headers, {"requests": requests})


def _ollama(model: str, dimensions: int, texts: Sequence[str], key: str | None) -> Call:
    return Call("/api/embed", _bearer(key), {"model": model, "input": list(texts), "truncate": True})


def _indexed(body: Any) -> list[Any]:
    """OpenAI's form: every vector with the number of its text, in whatever order."""
    rows = sorted(body["data"], key=lambda row: row["index"])
    if [row["index"] for row in rows] != list(range(len(rows))):
        raise ValueError("the vectors are not numbered from 0 on")
    return [row["embedding"] for row in rows]


def _openai_tokens(body: Any) -> Any:
    return (body.get("usage") or {}).get("prompt_tokens")


def _gemini_tokens(body: Any) -> Any:
    return (body.get("usageMetadata") or {}).get("promptTokenCount")


WIRES: Final[Mapping[str, EmbeddingWire]] = {
    "gemini": EmbeddingWire(
        "gemini-embedding-001",
        768,
        100,
        _gemini,
        lambda body: [row["values"] for row in body["embeddings"]],
        _gemini_tokens,
    ),
    "openai": EmbeddingWire("text-embedding-3-small", 1536, 100, _openai, _indexed, _openai_tokens),
    "ollama": EmbeddingWire(
        "nomic-embed-text",
        768,
        64,
        _ollama,
        lambda body: list(body["embeddings"]),
        lambda body: body.get("prompt_eval_count"),
    ),
    "nvidia": EmbeddingWire("nvidia/nv-embed-v1", 4096, 50, _nvidia, _indexed, _openai_tokens),
}
