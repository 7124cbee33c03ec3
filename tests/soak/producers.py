"""Producers of the soak: chunks of mentions through every door, tasks of every type, and malformed items among them.

Each goes on through restarts: what got no reply is sent again under the same id until there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import orjson
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from src.worker import keys
from src.worker.keys import PlatformKeys
from tests.chaos import malformed
from tests.chaos.malformed import Bad
from tests.soak.generator import BRANDS, CHUNK_MAX, Chunk, Generator
from tests.soak.ledger import Ledger, Sent
from tests.soak.tasks import MAKERS

MALFORMED = 0.01
"""Share of the tasks."""
_MAKE_MALFORMED = 20_000
"""More than any run takes."""
_AGAIN_SEC = 0.2
_STREAMS = tuple(keys.STREAMS.values())
_STREAM_WEIGHTS = (1, 3, 8, 2)
_PLATFORM = PlatformKeys()
Clock = Callable[[], float]
"""Seconds since the run began."""


def new_redis(url: str) -> redis.asyncio.Redis:
    """A client that never repeats a command by itself: a producer has to know what it has sent."""
    return redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, socket_connect_timeout=5)


class Producers:
    """`run` sends until it is cancelled or `seconds` are over. `gate` is closed while nobody may send."""

    def __init__(
        self, client: redis.asyncio.Redis, http: httpx.AsyncClient, made: Generator, rate: float, clock: Clock
    ) -> None:
        """`rate`: mentions per second."""
        self._redis = client
        self._http = http
        self._made = made
        self._rng = made.rng
        self._chunks_per_sec = rate / ((1 + CHUNK_MAX) / 2)
        self._clock = clock
        self._bad: Iterator[Bad] = malformed.make(_MAKE_MALFORMED)
        self.ledger = Ledger()
        self.gate = asyncio.Event()
        self.gate.set()

    async def tell_history(self) -> None:
        """All of it at once, before the run: a backlog for the worker to begin with, as when a brand moves in."""
        await self._until(self._announce_brands)
        for chunk in self._made.history():
            self.ledger.took(chunk, "xadd")
            self.ledger.history += 1
            fields = {"brand": chunk.brand, "chunkId": chunk.chunk_id, "mentions": chunk.items}
            await self._send_task("analyze_mentions", f"task-{chunk.chunk_id}", fields, rest=False)

    async def run(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._steady(self._chunks_per_sec, self._send_chunk, seconds))
            per_minute = sum(rate for rate, _ in MAKERS.values())
            bad = MALFORMED * (self._chunks_per_sec + per_minute / 60)
            group.create_task(self._steady(bad, self._send_bad, seconds))
            for name, (rate, _) in MAKERS.items():
                if rate:
                    group.create_task(self._type(name, rate / 60, seconds))

    async def _steady(self, per_second: float, send: Callable[[], Awaitable[None]], seconds: float) -> None:
        """So many a second on the whole: what was put off by an outage is made up for."""
        count = 0
        while (elapsed := self._clock()) < seconds:
            if count < elapsed * per_second:
                count += 1
                await self.gate.wait()
                await send()
            else:
                await asyncio.sleep(min(1.0, (count + 1) / per_second - elapsed))

    async def _type(self, name: str, per_second: float, seconds: float) -> None:
        number = 0

        async def send() -> None:
            nonlocal number
            number += 1
            fields = MAKERS[name][1](self._made, number)
            await self._send_task(name, f"{name}-{number}", fields, rest=number % 2 == 0)

        await self._steady(per_second, send, seconds)

    async def _announce_brands(self) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.sadd(_PLATFORM.brands, *BRANDS, malformed.BRAND)
        for brand in BRANDS:
            meta = {"name": brand, "slug": brand, "aliases": [], "keywords": [brand], "rssFeeds": []}
            pipe.set(_PLATFORM.meta(brand), orjson.dumps(meta))
        await pipe.execute()

    # -- one thing ---------------------------------------------------------------------------------------------

    async def _send_chunk(self) -> None:
        chunk, dice = self._made.chunk(self._clock()), self._rng.random()
        fields = {"chunkId": chunk.chunk_id, "mentions": chunk.items}
        if dice < 0.25:
            document = {"brand": chunk.brand, "createdAt": chunk.items[0]["created_at"], **fields}
            await self._send_to_list(chunk, document)
        elif dice < 0.40:
            task = {
                "type": "cluster_mentions",
                "brand": chunk.brand,
                "mentions": chunk.items,
                "keywords": [chunk.brand],
            }
            envelope = {"envelope_id": chunk.chunk_id, "batch_id": "soak", "secure_context": {}, "task": task}
            await self._send_to_list(chunk, envelope)
        elif dice < 0.45:
            await self._send_single()
        else:
            task_id = f"task-{chunk.chunk_id}"
            fields["brand"] = chunk.brand
            door = "rest" if dice > 0.85 else "xadd"
            self.ledger.took(chunk, door)
            await self._send_task("analyze_mentions", task_id, fields, rest=door == "rest")

    async def _send_single(self) -> None:
        """A mention alone, in the platform's shape (a): its chunk has no id of its own."""
        chunk = self._made.chunk(self._clock(), size=1)
        await self._send_to_list(chunk, chunk.items[0], keeps_id=False)

    async def _send_to_list(self, chunk: Chunk, document: Any, *, keeps_id: bool = True) -> None:
        raw = orjson.dumps(document)

        async def push() -> None:
            self.ledger.tries[chunk.chunk_id] += 1
            await self._redis.rpush(_PLATFORM.chunks(chunk.brand), raw)

        await self._until(push)
        self.ledger.took(chunk, "list" if keeps_id else "single", keeps_id=keeps_id)

    async def _send_task(self, name: str, task_id: str, fields: dict[str, Any], *, rest: bool) -> None:
        task = {"type": name, "id": task_id, **fields}
        stream = self._rng.choices(_STREAMS, _STREAM_WEIGHTS)[0]
        raw = orjson.dumps(task)

        async def add() -> None:
            self.ledger.tries[task_id] += 1
            await self._redis.xadd(stream, {"task": raw})

        async def post() -> None:
            self.ledger.tries[task_id] += 1
            answer = await self._http.post("/v1/tasks", content=raw, headers={"content-type": "application/json"})
            if answer.status_code == 503:
                raise RedisConnectionError("the worker says that Redis is away")
            assert answer.status_code == 202, f"{answer.status_code} for {raw[:300]!r}: {answer.text[:300]}"

        await self._until(post if rest else add)
        self.ledger.tasks[task_id] = Sent(name, "rest" if rest else "xadd", self._clock())

    async def _send_bad(self) -> None:
        bad = next(self._bad)

        async def push() -> None:
            self.ledger.tries[f"bad:{len(self.ledger.malformed)}"] += 1
            if bad.key == malformed.LIST:
                await self._redis.rpush(bad.key, bad.raw or b"")
            else:
                await self._redis.xadd(bad.key, {"task": bad.raw} if bad.raw is not None else {"note": "no task"})

        await self._until(push)
        self.ledger.malformed.append(bad)

    async def _until(self, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await send()
            except (RedisConnectionError, RedisTimeoutError, httpx.TransportError):
                self.ledger.lost_replies += 1
                await asyncio.sleep(_AGAIN_SEC)
                await self.gate.wait()
            else:
                return
