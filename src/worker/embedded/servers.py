"""The life of the embedded servers: started, watched over, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from .catalogue import MONGO, REDIS, EmbeddedError, Endpoints, Kind, ask_pid, knock
from .directory import Recorded, claim, free_port, read_record, runs_in, write_record

logger = logging.getLogger(__name__)

MAX_LOG_BYTES = 5_000_000
MAX_RESTARTS_PER_MINUTE = 3
STOP_SECONDS = 10.0  # SecantusDB gives its connections up to 7 s to end, and then writes a checkpoint

_POLL_SECONDS = 0.02
_LINUX = sys.platform == "linux"
# Nothing else of the worker's environment reaches the servers: it holds API keys.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
# Run in the child before the server: the kernel ends it when the worker dies, however that happens. A small program
# rather than `preexec_fn`, which is not safe in a process with threads and makes the worker fork as a whole.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG; it stays across execv
if os.getppid() != int(sys.argv[1]):
    sys.exit("the worker ended before its server started")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One embedded server, for the status line."""

    name: str
    pid: int
    port: int
    restarts: int
    log: Path


@dataclass(slots=True)
class _Server:
    kind: Kind
    port: int
    log: Path
    process: asyncio.subprocess.Process
    log_start: int  # bytes that were in the log before this process
    deaths: list[float] = field(default_factory=list)  # monotonic seconds, the last minute
    restarts: int = 0

    @property
    def running(self) -> bool:
        return self.process.returncode is None


class EmbeddedServers:
    """Starts the servers, watches over them, and ends them. An async context manager that gives the `Endpoints`.

    Start it in a thread that lives as long as the servers shall (the main thread): Linux ends them with that thread.
    Its few small files are read and written in place: measured, that holds up the event loop for 15 ms at most.
    """

    def __init__(self, data_dir: Path, *, redis: bool = True, mongo: bool = True, start_timeout: float = 20.0) -> None:
        """`start_timeout` in seconds, for each server: Redis reads its whole log of writes before it answers."""
        self._dir = data_dir.resolve()
        self._wanted = [kind for kind, wanted in ((REDIS, redis), (MONGO, mongo)) if wanted]
        self._start_timeout = start_timeout
        self._record: dict[Kind, Recorded] = {}
        self._servers: list[_Server] = []
        self._lock: int | None = None  # descriptor of the locked file
        self._stopping = False
        self._changing = asyncio.Lock()  # held while a server is replaced, so that stop() never misses the new one

    async def __aenter__(self) -> Endpoints:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def processes(self) -> tuple[ServerStatus, ...]:
        """The servers that are alive."""
        return tuple(
            ServerStatus(server.kind.title, server.process.pid, server.port, server.restarts, server.log)
            for server in self._servers
            if server.running
        )

    async def start(self) -> Endpoints:
        """Start what was asked for and wait until it answers; on any failure nothing stays behind.

        Raises EmbeddedError: directory in use or not writable, package missing, server died or does not answer.
        """
        if self._lock is not None:
            raise RuntimeError("already started")
        self._stopping = False
        try:
            self._lock = claim(self._dir)
            self._record = read_record(self._dir)
            for kind, recorded in self._record.items():
                await self._end_stray(kind, recorded)
            for kind in self._wanted:
                known = self._record.get(kind)
                server = await self._spawn(kind, free_port(kind, known.port if known else None))
                self._servers.append(server)
                self._note(server)
                await self._wait_ready(server)
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError("data directory", f"{self._dir}: {error}", "choose another DATA_DIR") from error
            raise
        return Endpoints.on({server.kind: server.port for server in self._servers})

    async def stop(self) -> None:
        """End the servers in order (SIGTERM, after 10 s SIGKILL) and let go of the directory. May be called twice."""
        self._stopping = True
        async with self._changing:
            if self._lock is None:
                return
            try:
                await asyncio.gather(*(self._end(server) for server in self._servers))
                try:
                    write_record(self._dir, self._record)
                except OSError as error:  # it costs the ports; raised, it would hide why the servers had to end
                    logger.warning("%s: the ports of this start are not kept for the next one: %s", self._dir, error)
            finally:
                self._servers.clear()
                os.close(self._lock)
                self._lock = None

    async def supervise(self) -> None:
        """Restart servers that die, on their ports, until `stop()`.

        Raises EmbeddedError when one dies more often than 3 times in a minute, or does not come back.
        """
        keepers = [asyncio.create_task(self._keep(server)) for server in self._servers]
        try:
            await asyncio.gather(*keepers)
        finally:
            for keeper in keepers:
                keeper.cancel()

    async def _keep(self, server: _Server) -> None:
        while True:
            code = await server.process.wait()
            async with self._changing:
                if self._stopping:
                    return
                now = time.monotonic()
                server.deaths = [*(death for death in server.deaths if now - death < 60), now]
                what = f"ended by itself ({_how(code)}), {len(server.deaths)} times within a minute"
                if len(server.deaths) > MAX_RESTARTS_PER_MINUTE:
                    raise self._error(server, what)
                logger.error("%s %s; starting it again on port %d", server.kind.title, what, server.port)
                new = await self._spawn(server.kind, server.port)
                server.process, server.log_start = new.process, new.log_start
                server.restarts += 1
                self._note(server)
                await self._wait_ready(server)

    async def _end_stray(self, kind: Kind, recorded: Recorded) -> None:
        """End a server that a killed worker left: two servers on one directory would spoil its data."""
        directory = self._dir / kind.key
        # Linux has told it to end already, when the worker died. Else, and where that did not help: ask, then insist.
        for number, patience in ((0, 3.0 if _LINUX else 0.0), (signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
            if runs_in(recorded.pid, directory):
                logger.warning("ending %s (process %d) of a worker that was killed", kind.title, recorded.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(recorded.pid, number)
            deadline = time.monotonic() + patience
            while runs_in(recorded.pid, directory) and time.monotonic() < deadline:
                await knock(recorded.port)
                await asyncio.sleep(_POLL_SECONDS)
        if runs_in(recorded.pid, directory):
            problem = f"process {recorded.pid} of an earlier worker does not end"
            raise EmbeddedError(kind.title, problem, f"end that process, or set {kind.variable}")
        self._record[kind] = Recorded(recorded.port, 0)

    async def _spawn(self, kind: Kind, port: int) -> _Server:
        command = kind.command(self._dir, port)
        if _LINUX:
            command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
        path = self._dir / f"{kind.key}.log"
        too_long = path.exists() and path.stat().st_size > MAX_LOG_BYTES
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if too_long else 0), 0o600)
        try:
            log_start = os.fstat(log).st_size
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._dir,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,  # a Ctrl-C reaches the worker only, which drains before it ends the servers
                umask=0o077,
            )
        finally:
            os.close(log)
        return _Server(kind, port, path, process, log_start)

    def _note(self, server: _Server) -> None:
        self._record[server.kind] = Recorded(server.port, server.process.pid)
        write_record(self._dir, self._record)

    async def _wait_ready(self, server: _Server) -> None:
        """Wait until this very process answers on its port: a stranger there must not get our data."""
        deadline = time.monotonic() + self._start_timeout
        while not self._stopping:
            answering = await ask_pid(server.kind, server.port)
            if not server.running:
                raise self._error(server, f"ended at start ({_how(server.process.returncode)})")
            if answering == server.process.pid:
                return
            if answering is not None:
                raise self._error(server, f"another process ({answering}) answers on port {server.port}")
            if time.monotonic() > deadline:
                raise self._error(server, f"did not answer on port {server.port} within {self._start_timeout:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def _end(self, server: _Server) -> None:
        try:
            if server.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.process.pid, signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                while server.running:
                    await asyncio.sleep(_POLL_SECONDS)
                    await knock(server.port)
        except TimeoutError:
            logger.error("%s did not end within %g s: killing it", server.kind.title, STOP_SECONDS)
        finally:
            if server.running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.process.pid, signal.SIGKILL)  # with the child that rewrites Redis' log, if any
                await server.process.wait()
            self._record[server.kind] = Recorded(server.port, 0)

    def _error(self, server: _Server, what: str) -> EmbeddedError:
        """The error with the last lines that this process of the server wrote."""
        with contextlib.suppress(OSError), server.log.open("rb") as log:
            log.seek(max(server.log_start, log.seek(0, os.SEEK_END) - 2_000))
            lines = log.read().decode(errors="replace").splitlines()[-8:]
            what += "".join(f"\n    {line}" for line in [f"last lines of {server.log}:", *lines])
        mend = f"mend what the lines above name, or set {server.kind.variable} to the URL of a server"
        return EmbeddedError(server.kind.title, what, mend)


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
