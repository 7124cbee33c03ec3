"""A small deployment to be hurt: real servers that are restarted in place, worker processes that come back.

Everything here is synchronous and driven by the test's main thread: Linux ends the processes together with the thread
that started them, so nothing outlives a test run, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pymongo
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from src.worker import keys
from src.worker.embedded.catalogue import MONGO, REDIS, Kind, ask_pid, knock
from src.worker.embedded.directory import free_port
from src.worker.embedded.servers import _DIE_WITH_PARENT, STOP_SECONDS
from src.worker.models import TaskPriority

ROOT = Path(__file__).resolve().parents[2]
LEASE_SEC = 2
START_SEC = 30.0
"""Redis reads its whole append-only file, a worker imports everything, on cores that others are busy on."""

_T = TypeVar("_T")
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")
# `always`: written to the file and flushed before the reply leaves. The embedded default `everysec` may hold a write
# back for up to two seconds while the flush before it is busy; a SIGKILL would then take back what a producer or a
# worker was told is done, and a "lost" task would prove nothing about the worker.
_REDIS_SAFE = ("--appendfsync", "always")


def wait_until(condition: Callable[[], _T], seconds: float, what: str, every: float = 0.05) -> _T:
    """The first true answer; fails with the name of what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(every)


def _spawn(command: list[str], *, out: Path, err: Path, env: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
    clean = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # Files, not pipes: nobody reads while the process runs, and a full pipe would stop it.
    with out.open("ab") as stdout, err.open("ab") as stderr:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env={**clean, **env}, cwd=cwd
        )


class Server:
    """One Redis or SecantusDB. Its port and its data stay the same over all restarts."""

    def __init__(self, kind: Kind, directory: Path, *more: str) -> None:
        self.kind = kind
        self.port = free_port(kind, None)
        self._dir = directory
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_at = 0.0
        (directory / kind.key).mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        return self.kind.url.format(self.port)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until this very process answers."""
        log = self._dir / f"{self.kind.key}.log"
        command = [*self.kind.command(self._dir, self.port), *self._more]
        self._process = process = _spawn(command, out=log, err=log, env={}, cwd=self._dir)

        def answers() -> bool:
            assert process.poll() is None, f"{self.kind.title} ended at start:\n{log.read_text()[-2000:]}"
            return asyncio.run(ask_pid(self.kind, self.port)) == process.pid

        wait_until(answers, START_SEC, f"{self.kind.title} answers")

    def send(self, signum: int) -> None:
        self._asked_at = time.monotonic()
        if self.running and self._process is not None:
            self._process.send_signal(signum)

    def ended(self) -> bool:
        """Has it ended? Asking makes SecantusDB notice that it shall; one that hangs is killed, as the worker does."""
        if self.running:
            asyncio.run(knock(self.port))
        if self.running and time.monotonic() - self._asked_at > STOP_SECONDS:
            self.send(signal.SIGKILL)
        return not self.running

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        self.send(signum)
        wait_until(self.ended, 2 * STOP_SECONDS, f"{self.kind.title} ends", every=0.02)

    def freeze(self, seconds: float) -> None:
        """It keeps its connections and answers nobody, as over a network that is gone."""
        self.send(signal.SIGSTOP)
        time.sleep(seconds)
        self.send(signal.SIGCONT)


class WorkerProcess:
    """A place for a worker: one port and one log for all processes that run there one after another."""

    def __init__(self, name: str, directory: Path, env: Mapping[str, str], module: str = "src.worker.app") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = directory / f"{name}.log"
        self.printed = directory / f"{name}.out"
        self.kills = 0
        self._module = module
        self._dir = directory
        self._env = {**env, "HTTP_PORT": str(self.port), "LOG_FORMAT": "json", "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> WorkerProcess:
        # Not in the repository's directory, where a developer's .env would be read.
        command = [sys.executable, "-m", self._module]
        self._process = _spawn(command, out=self.printed, err=self.log, env=self._env, cwd=self._dir)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def end(self, seconds: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def get(self, path: str) -> httpx.Response | None:
        """None while nobody answers."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        return None

    def must_live(self) -> None:
        code = self.process.poll()
        assert code is None, f"the worker ended by itself with {code}:\n{self.log.read_text()[-4000:]}"

    def ready(self) -> bool:
        self.must_live()
        answer = self.get("/ready")
        return answer is not None and answer.status_code == 200

    def metric(self, name: str) -> float:
        """Sum over all labels, 0 when the worker cannot be reached."""
        answer = self.get("/metrics")
        lines = answer.text.splitlines() if answer is not None else []
        found = (line.rpartition(" ") for line in lines if line.startswith((f"{name} ", f"{name}{{")))
        return sum(float(value) for _, _, value in found)

    def rss_mb(self) -> float:
        """Memory in use, from Linux' /proc; 0 elsewhere."""
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return 0.0

    def log_lines(self) -> list[dict[str, Any]]:
        """What the worker said; the last line of a killed one may be cut off."""
        lines = []
        for line in self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    lines.append(entry)
        return lines


class Cluster:
    """One Redis, one SecantusDB and some workers, in a directory of its own that is removed afterwards."""

    def __init__(self, workers: int = 0, **env: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.redis = Server(REDIS, self.directory, *_REDIS_SAFE)
        self.mongo = Server(MONGO, self.directory)
        self._env = {
            "REDIS_URL": self.redis.url,
            "MONGODB_URI": self.mongo.url,
            "QUEUE_LEASE_SEC": str(LEASE_SEC),
            "HEARTBEAT_INTERVAL_SEC": "0.5",
            "QUEUE_RETRY_BASE_SEC": "0.2",  # the test's time is bounded, and a retry's wait proves nothing here
            "QUEUE_RETRY_MAX_SEC": "2",
            **env,
        }
        self.workers: list[WorkerProcess] = []
        self._wanted = workers
        self.mongo_client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.mongo.url, connect=False)
        self.client = self.new_client()

    def __enter__(self) -> Cluster:
        try:
            self.redis.start()
            self.mongo.start()
            for _ in range(self._wanted):
                self.add_worker()
            for worker in self.workers:
                wait_until(worker.ready, START_SEC, "the worker is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
        self.client.close()
        self.mongo_client.close()
        for server in (self.redis, self.mongo):
            server.stop(signal.SIGKILL)
        if "CHAOS_KEEP" not in os.environ:  # logs and data, for the one who looks for the cause of a failure
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def database(self) -> Any:
        return self.mongo_client.get_default_database()

    def add_worker(self, module: str = "src.worker.app", **env: str) -> WorkerProcess:
        """Start one more. Names of workers here are theirs for ever: use those with workers that are not killed."""
        worker = WorkerProcess(f"worker-{len(self.workers)}", self.directory, {**self._env, **env}, module)
        self.workers.append(worker.start())
        return worker

    def pending(self, consumer: str | None = None) -> dict[tuple[str, bytes], int]:
        """Claimed entries and how often each was delivered, of one worker or of all."""
        found: dict[tuple[str, bytes], int] = {}
        for stream in keys.ALL_STREAMS:
            with contextlib.suppress(redis.ResponseError):  # no group yet: nothing was ever claimed
                for entry in self.client.xpending_range(stream, keys.GROUP, "-", "+", 10_000, consumer):
                    found[stream, entry["message_id"]] = entry["times_delivered"]
        return found

    def push(self, *tasks: Mapping[str, Any], priority: TaskPriority = TaskPriority.NORMAL) -> None:
        pipe = self.client.pipeline(transaction=False)
        for task in tasks:
            pipe.xadd(keys.STREAMS[priority], {"task": json.dumps(task)})
        pipe.execute()

    def record(self, task_id: str) -> dict[str, Any]:
        return json.loads(self.client.get(keys.result(task_id)) or "{}")

    def wait_for_records(self, ids: Collection[str], seconds: float) -> list[dict[str, Any]]:
        """The records of these tasks when all of them are over."""

        def over() -> list[dict[str, Any]]:
            raws = self.client.mget([keys.result(one) for one in ids])
            found = [json.loads(raw or "{}") for raw in raws]
            return found if all(one.get("status") in ("succeeded", "failed") for one in found) else []

        return wait_until(over, seconds, f"{len(ids)} tasks are over")

    def new_client(self, timeout: float = 10.0) -> redis.Redis:
        """A client that never repeats a command by itself: the caller has to know what it has sent."""
        return redis.Redis.from_url(
            self.redis.url, retry=Retry(NoBackoff(), 0), socket_timeout=timeout, socket_connect_timeout=timeout
        )
