"""Answers to questions that were asked before, and one call for questions asked at the same time.

Content-addressed: the key is the hash of everything that decides the answer, so nothing has ever to be invalidated.
Stored as JSON, never as code: whoever can write to Redis must not be able to run anything here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from .. import strictjson
from ..errors import InvalidTask, QueueUnavailable
from ..logging import get_logger
from ..redis_client import RedisClient
from .exchange import Reply, Request, Stop, Target, Usage

log = get_logger(__name__)

T = TypeVar("T")

FORMAT: Final = 1
"""Part of every key: raised when the stored form or the meaning of a reply changes."""
PATIENCE_SEC: Final = 0.5
"""Longest wait for Redis, a thousand times what it takes when it is well: this time is the question's, and an answer
that is there must not be lost because it cannot be kept."""


def cache_key(request: Request, targets: tuple[Target, ...], prompt_hash: str | None) -> str:
    """SHA-256 of what decides the answer: messages, parameters, schema, prompt and the models that may be asked."""
    content = {
        "format": FORMAT,
        "messages": [[message.role.value, message.text] for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "schema": dict(request.schema.schema) if request.schema else None,
        "prompt": prompt_hash,
        "targets": [str(target) for target in targets],
    }
    return hashlib.sha256(strictjson.dumps(content)).hexdigest()


class ResponseCache:
    """Replies in Redis under `worker:llm:cache:<key>`, each with a time to live. A cache that does not answer is a
    cache that knows nothing: the question is asked."""

    def __init__(self, redis: RedisClient | None, *, ttl_sec: int) -> None:
        self._redis = redis if ttl_sec > 0 else None
        self._ttl_sec = ttl_sec

    async def get(self, key: str) -> Reply | None:
        if self._redis is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SEC):
                raw = await self._redis.call("GET", _name(key))
        except (QueueUnavailable, TimeoutError) as error:
            log.warning("the cache of answers does not answer", problem=_problem(error))
            return None
        return _reply(raw) if raw is not None else None

    async def put(self, key: str, reply: Reply) -> None:
        if self._redis is None:
            return
        document = strictjson.dumps(_document(reply))
        try:
            async with asyncio.timeout(PATIENCE_SEC):
                await self._redis.call("SET", _name(key), document, "EX", self._ttl_sec)
        except (QueueUnavailable, TimeoutError) as error:
            log.warning("an answer could not be kept", problem=_problem(error))


def _problem(error: QueueUnavailable | TimeoutError) -> str:
    return error.message if isinstance(error, QueueUnavailable) else f"no answer in {PATIENCE_SEC} s"


def _name(key: str) -> str:
    return f"worker:llm:cache:{key}"


def _document(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "provider": reply.target.provider,
        "model": reply.target.model,
        "served_model": reply.served_model,
        "text": reply.text,
        "stop": reply.stop.value,
        "usage": [usage.input_tokens, usage.output_tokens] if usage else None,
    }


def _reply(raw: bytes) -> Reply | None:
    try:
        one = strictjson.loads(raw)
        tokens, served = one["usage"], one["served_model"]
        return Reply(
            target=Target(_text(one["provider"]), _text(one["model"])),
            text=_text(one["text"]),
            stop=Stop(one["stop"]),
            usage=Usage(int(tokens[0]), int(tokens[1])) if tokens else None,
            served_model=None if served is None else _text(served),
            seconds=0.0,
        )
    except (InvalidTask, ValueError, KeyError, TypeError, IndexError) as error:
        log.warning("a kept answer cannot be read and is ignored", problem=f"{type(error).__name__}: {error}")
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text should be")
    return value


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SingleFlight(Generic[T]):
    """Equal questions at the same time make one call. Whoever stops waiting leaves it to the others; the last one out
    cancels it."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    def under_way(self, key: str) -> bool:
        return key in self._flights

    async def do(self, key: str, call: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The outcome of the call under way for `key`, or of a new one; and whether it was somebody else's."""
        flight = self._flights.get(key)
        joined = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(_run(call)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), joined
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 or flight.task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()  # does nothing to one that is done


async def _run(call: Callable[[], Awaitable[T]]) -> T:
    return await call()
