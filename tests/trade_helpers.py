"""What the tests of task types share: a running worker with a scripted model or none, and strict looks into Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from src.worker import keys
from src.worker.config_llm import PROVIDERS
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from tests.audience_helpers import strict
from tests.helpers import finished, push, running
from tests.llm_doubles.scripted import Answering, Asked, Fault, ScriptedServer

DAY = 86_400
_NOBODY = {
    **{f"{name}_api_key": None for name in (*PROVIDERS, "google") if name != "ollama"},
    "ollama_base_url": None,
    "llm_provider": "",
}


@asynccontextmanager
async def advised(
    redis_url: str, mongo_uri: str, server: ScriptedServer, answer: Answering, **overrides: Any
) -> AsyncIterator[Runtime]:
    """A worker whose one model is the double, which answers by `answer`."""
    server.answer = answer
    server.asked.clear()
    account = {"llm_provider": "openai", "openai_api_key": "key", "openai_base_url": server.url, "llm_max_share": 0.0}
    async with running(redis_url, mongo_uri, **{**_NOBODY, **account, **overrides}) as runtime:
        yield runtime


@asynccontextmanager
async def alone(redis_url: str, mongo_uri: str, **overrides: Any) -> AsyncIterator[Runtime]:
    """A worker without any model, whatever keys the environment holds."""
    async with running(redis_url, mongo_uri, **{**_NOBODY, **overrides}) as runtime:
        assert runtime.llm.targets == ()
        yield runtime


async def outcome(runtime: Runtime, document: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a task that has ended."""
    named = document.get("id")
    if named is not None:  # sent before, perhaps: what is waited for is the record of this time
        await runtime.redis.call("DEL", keys.result(named))
    pushed = await push(runtime.redis, dict(document))
    return await finished(runtime, named or pushed)


async def result(runtime: Runtime, document: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a task that has succeeded."""
    record = await outcome(runtime, document)
    assert record["status"] == "succeeded", record
    found: dict[str, Any] = record["result"]
    return found


async def entries(client: RedisClient, key: str) -> list[dict[str, Any]]:
    """A list as a strict reader sees it, head first."""
    return [strict(raw) for raw in await client.call("LRANGE", key, 0, -1)]


async def value(client: RedisClient, key: str) -> Any:
    raw = await client.call("GET", key)
    return None if raw is None else strict(raw)


async def expires(client: RedisClient, key: str, days: int) -> None:
    ttl = await client.call("TTL", key)
    assert days * DAY - 60 <= ttl <= days * DAY, (key, ttl)


def says(document: Any) -> Answering:
    """A model that always gives this answer, as most do: with prose and a fence around it."""
    return lambda asked: f"Here it is:\n```json\n{json.dumps(document)}\n```"


def fails(status: int) -> Answering:
    return lambda asked: Fault(status)


def unasked(asked: Asked) -> str:
    pytest.fail("a model was asked")
