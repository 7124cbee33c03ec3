"""An OpenAI-shaped server whose answers a test writes: `server.answer = lambda prompt: "text"`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from .serving import Received, Server


@dataclass(frozen=True)
class Fault:
    """An answer that is none."""

    status: int
    retry_after: float | None = None


@dataclass(frozen=True)
class Asked:
    """One request, as the tests look at it."""

    system: str
    user: str
    messages: list[dict[str, str]]
    body: dict[str, Any]


Answering = Callable[[Asked], "str | Fault"]


class ScriptedServer(Server):
    """`delay_sec` is waited before each answer."""

    def __init__(self) -> None:
        super().__init__("scripted")
        self.answer: Answering = lambda asked: "fine"
        self.asked: list[Asked] = []
        self.delay_sec = 0.0

    async def respond(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        messages = request.body["messages"]
        system = next((one["content"] for one in messages if one["role"] == "system"), "")
        asked = Asked(system, messages[-1]["content"], messages, request.body)
        self.asked.append(asked)
        if self.delay_sec:
            await asyncio.sleep(self.delay_sec)
        writer.write(_response(self.answer(asked), asked))
        await writer.drain()
        return True


def _response(answer: str | Fault, asked: Asked) -> bytes:
    if isinstance(answer, Fault):
        status, document = answer.status, {"error": {"message": "scripted", "type": "scripted", "code": None}}
        extra = f"Retry-After: {answer.retry_after}\r\n" if answer.retry_after is not None else ""
    else:
        tokens = sum(len(one["content"]) for one in asked.messages) // 4, len(answer) // 4
        status, extra = 200, ""
        document = {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": asked.body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
        }
    body = orjson.dumps(document)
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
