"""The processes of a run: the servers and the worker of the chaos tests, and the doubles of the world outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymongo
import redis

from src.worker.embedded.catalogue import MONGO, REDIS
from tests.chaos.cluster import ROOT, Server, WorkerProcess, _spawn, wait_until
from tests.soak.settings import LLM_FAULTS, WORKER, Settings

_START_SEC = 60.0
_END_SEC = 60.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Double:
    """A module of ours that serves on a port, the same one after a restart."""

    def __init__(self, module: str, directory: Path, *words: str) -> None:
        self.port = _free_port()
        self.running = False
        self._command = [sys.executable, "-m", module, str(self.port), *words]
        self._directory = directory
        self._log = directory / f"{module.rpartition('.')[2]}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = _spawn(
            self._command, out=self._log, err=self._log, env={"PYTHONPATH": str(ROOT)}, cwd=self._directory
        )
        wait_until(self._answers, _START_SEC, f"{self._log.stem} answers")
        self.running = True

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._log.stem} ended at start:\n{self._log.read_text()[-2000:]}"
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, signum: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signum)

    def ended(self) -> bool:
        self.running = self._process is not None and self._process.poll() is None
        return not self.running


class Deployment:
    """Redis (append-only file flushed every second, as shipped), SecantusDB, the doubles and one worker."""

    def __init__(self, settings: Settings) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="soak-"))
        self.redis = Server(REDIS, self.directory)
        self.mongo = Server(MONGO, self.directory)
        self.llm = Double("tests.soak.scripted_llm", self.directory, str(LLM_FAULTS), str(settings.seed))
        self.outside = Double("tests.soak.outside", self.directory, str(settings.seed))
        self.client = redis.Redis.from_url(self.redis.url, socket_timeout=10, socket_connect_timeout=2)
        self.mongo_client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.mongo.url, connect=False)
        self.worker = WorkerProcess("worker", self.directory, self._env(), "tests.soak.diverted_worker")

    def _env(self) -> dict[str, str]:
        model, site = f"http://127.0.0.1:{self.llm.port}", f"http://127.0.0.1:{self.outside.port}"
        return {
            "REDIS_URL": self.redis.url,
            "MONGODB_URI": self.mongo.url,
            "OPENAI_BASE_URL": f"{model}/v1",
            "GROQ_BASE_URL": model,
            "BLUESKY_BASE_URL": site,
            "WEB_SEARCH_SOURCES": f"rss:{site}/feed?q={{query}}",
            "WEB_ALLOWED_PORTS": str(self.outside.port),
            "SOAK_SITE_PORT": str(self.outside.port),
            **WORKER,
            **{name: os.environ[name] for name in ("SOAK_TRACE", "SOAK_STALLS") if name in os.environ},
        }

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.worker.port}"

    @property
    def database(self) -> Any:
        return self.mongo_client.get_default_database()

    def __enter__(self) -> Deployment:
        try:
            for one in (self.redis, self.mongo, self.llm, self.outside):
                one.start()
            self.worker.start()
            wait_until(self.worker.ready, _START_SEC, "the worker is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.worker._process is not None:
            self.worker.process.kill()
            self.worker.process.wait()
        self.client.close()
        self.mongo_client.close()
        for server in (self.redis, self.mongo):
            server.stop(signal.SIGKILL)
        for double in (self.llm, self.outside):
            double.send(signal.SIGKILL)
            wait_until(double.ended, 5, "a double ends")

    def end_worker(self) -> int:
        """Its exit code after SIGTERM."""
        return self.worker.end(_END_SEC)

    def remove(self) -> None:
        """Logs and data; kept where somebody has to look for a cause."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Fault:
    """One part goes away at a moment of the run and comes back. `step` never waits for long.

    Args:
        name: of the part, as the judge of log lines knows it.
        before: called `lead_sec` before it goes; `after`: when it is back.
    """

    def __init__(
        self,
        name: str,
        what: str,
        at: float,
        part: Server | Double,
        signum: int,
        away_sec: float,
        *,
        lead_sec: float = 0.0,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.what, self.at = name, what, at
        self.from_time: float | None = None
        """Time of day at which it was told to go; `to_time`: at which it answered again."""
        self.to_time: float | None = None
        self._part, self._signum, self._away_sec = part, signum, away_sec
        self._lead_sec, self._before, self._after = lead_sec, before, after
        self._held = False
        self._back_at: float | None = None

    @property
    def done(self) -> bool:
        return self.to_time is not None

    def step(self, elapsed: float) -> None:
        if self.done or elapsed < self.at - self._lead_sec:
            return
        if not self._held:
            self._held = True
            self._before()
        if elapsed < self.at:
            return
        if self.from_time is None:
            self.from_time = time.time()
            self._part.send(self._signum)
        elif self._back_at is None:
            if self._part.ended():
                self._back_at = elapsed + self._away_sec
        elif elapsed >= self._back_at:
            self._part.start()
            self.to_time = time.time()
            self._after()
