"""The language models of the soak: a server in OpenAI's wire format, in a process of its own that can be restarted.

`python -m tests.soak.scripted_llm PORT SHARE SEED` answers every question the worker asks in the form asked for
(`answers`), and makes the given share of its answers faults, as providers do: 429 with Retry-After, 500, bodies that
are cut off, answers that are no JSON, and slow ones. `GET /counts` says how many of each there were.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from random import Random
from typing import Any

from tests.llm_doubles.serving import Received, read_request
from tests.soak.answers import answer, operation_of

FAULTS = ("rate_limited", "server_error", "cut_body", "nonsense", "slow")
USUAL_SEC = (0.02, 0.25)
"""What an answer takes: as long as the shortest of real ones, so that calls overlap."""
SLOW_SEC = (1.5, 6.0)
"""Of a slow answer; above the worker's timeout in the soak's settings for a part of them."""
RETRY_AFTER_SEC = 1


class Model:
    """One server."""

    def __init__(self, share: float, rng: Random) -> None:
        self._share = share
        self._rng = rng
        self.counts: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone, as clients do whose time is up
        finally:
            writer.close()

    async def _respond(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        if request.method == "GET":
            _write(writer, 200, dict(self.counts))
            await writer.drain()
            return True
        messages = request.body["messages"]
        system = next((one["content"] for one in messages if one["role"] == "system"), "")
        operation = operation_of(system)
        self.counts[f"asked:{operation or 'conversation'}"] += 1
        fault = self._rng.choice(FAULTS) if self._rng.random() < self._share else "ok"
        self.counts[f"answered:{fault}"] += 1
        await asyncio.sleep(self._rng.uniform(*(SLOW_SEC if fault == "slow" else USUAL_SEC)))
        if fault in ("rate_limited", "server_error"):
            _write_fault(writer, fault)
        else:
            question = next(one["content"] for one in messages if one["role"] == "user")
            text = "Well, {that depends" if fault == "nonsense" else _text(answer(operation, question))
            _write(writer, 200, _completion(request.body["model"], messages, text), cut=fault == "cut_body")
        await writer.drain()
        return fault != "cut_body"


def _text(found: Any) -> str:
    return found if isinstance(found, str) else f"Here it is:\n```json\n{json.dumps(found)}\n```"


def _completion(model: str, messages: list[dict[str, str]], text: str) -> dict[str, Any]:
    asked, said = sum(len(one["content"]) for one in messages) // 4, len(text) // 4
    return {
        "id": "soak",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


def _write_fault(writer: asyncio.StreamWriter, fault: str) -> None:
    error = {"error": {"message": f"scripted: {fault}", "type": "scripted", "code": None}}
    if fault == "rate_limited":
        _write(writer, 429, error, f"Retry-After: {RETRY_AFTER_SEC}\r\n")
    else:
        _write(writer, 500, error)


def _write(writer: asyncio.StreamWriter, status: int, body: Any, extra: str = "", *, cut: bool = False) -> None:
    raw = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n{extra}\r\n"
    writer.write(head.encode() + (raw[: len(raw) // 2] if cut else raw))


async def main(port: int, share: float, seed: int) -> None:
    model = Model(share, Random(seed))
    server = await asyncio.start_server(model.serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
