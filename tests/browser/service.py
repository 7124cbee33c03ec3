"""One worker process on a port of its own, as `make run` starts it, and what it says over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
_START_SEC = 60.0


class Service:
    """`restart()` takes the same port again, with the same data."""

    def __init__(self, directory: Path, **env: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
        quick = {"HEARTBEAT_INTERVAL_SEC": "5", "LOG_FORMAT": "json", "WORKER_ID": "browser-tests"}
        self.env = {**clean, **quick, "HTTP_PORT": str(self.port), **env}
        self.url = f"http://127.0.0.1:{self.port}"
        self._said = directory / "service.log"
        key = env.get("WORKER_API_KEY")
        self.http = httpx.Client(base_url=self.url, timeout=30, headers={"X-API-Key": key} if key else {})
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._said.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "src.worker.app"], cwd=ROOT, env=self.env, stdout=out, stderr=out
            )
        deadline = time.monotonic() + _START_SEC
        while True:
            try:
                if self.http.get("/ready").status_code == 200:
                    return process
            except httpx.TransportError:
                pass  # not listening yet
            assert process.poll() is None, self._said.read_text()
            assert time.monotonic() < deadline, f"not ready: {self._said.read_text()}"
            time.sleep(0.05)

    def get(self, path: str, **query: Any) -> Any:
        response = self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def log(self) -> str:
        """Everything it has said so far."""
        return self._said.read_text("utf-8")

    def restart(self) -> None:
        self._process = self._started()

    def cli(self, *words: str) -> str:
        """Standard output of a command of the operator's command line."""
        done = subprocess.run(
            [sys.executable, "-m", "src.worker.cli", *words],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        self.http.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
