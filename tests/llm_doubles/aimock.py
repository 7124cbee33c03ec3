"""The npm package @copilotkit/aimock (pinned in package.json): scripted conversations on all wires, Ollama's too.

`make test` installs it into node_modules beside this file. Without Node.js or without it, tests that need it skip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_CLI = _HERE / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
_LISTENING = re.compile(r"http://127\.0\.0\.1:\d+")
_START_SEC = 20.0


@dataclass(frozen=True)
class Aimock:
    url: str


@contextmanager
def aimock_server() -> Iterator[Aimock]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is missing: aimock cannot run")
    if not _CLI.exists():
        pytest.skip("aimock is not installed: `make test` does that where npm is")
    command = [
        node,
        str(_CLI),
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--fixtures",
        str(_HERE / "aimock.json"),
        "--strict",
    ]
    environment = os.environ | {"AIMOCK_STRICT_TURN_INDEX": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            yield Aimock(_url_of(process))
        finally:
            process.terminate()


def _url_of(process: subprocess.Popen[str]) -> str:
    """The URL it says it listens on. What it writes afterwards is read too, or its pipe would fill up."""
    assert process.stdout is not None
    said: list[str] = []
    stop = threading.Timer(_START_SEC, process.kill)
    stop.start()
    try:
        for line in process.stdout:
            said.append(line)
            found = _LISTENING.search(line)
            if found:
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return found[0]
    finally:
        stop.cancel()
    raise AssertionError("aimock does not start: " + "".join(said))
