"""What our own doubles share: an HTTP server in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Server:
    """A double says in `respond` what it answers."""

    def __init__(self, name: str) -> None:
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def respond(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        """Write the answer; False when the connection is to be closed."""
        raise AssertionError(f"{type(self).__name__} answers nothing")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30), "the double does not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self.respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away, which is what some tests are about
        except asyncio.CancelledError:
            return  # the double stops; asyncio's own callback would report a cancelled handler as a failure
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        content = b""
        while size := int((await reader.readline()).strip(), 16):
            content += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, orjson.loads(content) if content else None)
