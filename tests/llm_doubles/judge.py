"""The PyPI package llmock as a judge: it makes faults that are asked for and grades how the client took them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

# Where llmock serves which provider's wire. Providers it has no path of their own for speak OpenAI's; Ollama none.
_PATHS = {
    "openai": "/v1",
    "deepseek": "/v1",
    "nvidia": "/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini",
    "groq": "/groq/openai/v1",
    "mistral": "/mistral/v1",
    "xai": "/xai/v1",
}
JUDGED = tuple(_PATHS)
"""Providers that llmock can stand for."""


class Judge:
    """One llmock server on 127.0.0.1, driven by its HTTP interface as any client in any language would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=10)

    def base_url(self, provider: str) -> str:
        """The `<PROVIDER>_BASE_URL` that points a provider here."""
        return self.url + _PATHS[provider]

    def script(self, *behaviors: dict[str, Any]) -> None:
        """Queues behaviours, e.g. `{"type": "fail", "status": 503, "times": 2, "match": {"model": "gpt-*"}}`.

        `times: None` means for ever. Providers that share a path (openai, deepseek, nvidia) are told apart by model.
        """
        self._http.post("/_llmock/scenario", json={"behaviors": list(behaviors)}).raise_for_status()

    def fail(
        self, provider: str, status: int, *, times: int | None = 1, retry_after: float | None = None, **extra: Any
    ) -> None:
        """The next `times` requests to the provider's path get this status."""
        name = "openai" if _PATHS[provider] == "/v1" else provider
        behavior = {"type": "fail", "status": status, "times": times, "match": {"provider": name}, **extra}
        self.script(behavior if retry_after is None else behavior | {"retry_after": retry_after})

    def requests(self) -> list[dict[str, Any]]:
        """Every request that was served since the reset, oldest first."""
        return list(self._http.get("/_llmock/requests").raise_for_status().json()["requests"])

    def verdict(self) -> dict[str, Any]:
        """`passed`, `calls`, `attempts`, `errors`, `warnings`, `findings`: see llmock's documentation."""
        return dict(self._http.get("/_llmock/verdict").raise_for_status().json())

    def report(self) -> str:
        """The verdict for people: what an assertion shows when it fails."""
        return self._http.get("/_llmock/verdict", params={"format": "text"}).raise_for_status().text

    def reset(self) -> None:
        self._http.post("/_llmock/reset").raise_for_status()

    def close(self) -> None:
        self._http.close()


@contextmanager
def judge_server() -> Iterator[Judge]:
    from llmock.testing import LLMockServer

    with LLMockServer() as server:
        judge = Judge(server.url)
        try:
            yield judge
        finally:
            judge.close()
