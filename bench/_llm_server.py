"""A model server for benchmarks, in a process of its own so that its CPU is not counted: the same short answer at once,
in the wire formats of OpenAI (and those that speak it), Gemini, Anthropic and Ollama. Prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
OPENAI = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "served-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fine"}}],
    "usage": USAGE,
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "fine"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 15},
    "modelVersion": "served-1",
}
ANTHROPIC = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "served-1",
    "content": [{"type": "text", "text": "fine"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 3},
}
OLLAMA = {
    "model": "served-1",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "fine"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 12,
    "eval_count": 3,
}
BY_PATH = ((b":generateContent", GEMINI), (b"/messages", ANTHROPIC), (b"/api/chat", OLLAMA))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            await reader.readexactly(length)
            answer = next((answer for part, answer in BY_PATH if part in path), OPENAI)
            body = json.dumps(answer).encode() + b"\n"  # Ollama's is a stream of lines
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends when whoever started it ends


if __name__ == "__main__":
    asyncio.run(main())
