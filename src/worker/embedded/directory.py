"""DATA_DIR: who owns it, which ports and processes belong to it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .catalogue import HOST, KINDS, EmbeddedError, Endpoints, Kind

logger = logging.getLogger(__name__)

# Below the range from which systems take ports for outgoing connections (from 32768 on Linux, 49152 elsewhere), so
# that a port kept for the next start is rarely occupied by then.
_PORTS = range(20_000, 32_768)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What embedded.json says of one server."""

    port: int
    pid: int  # 0: ended in order


def read_state(data_dir: Path) -> Endpoints | None:
    """Endpoints of the servers that run under `data_dir` at this moment, None when none does."""
    data_dir = data_dir.resolve()
    running = {
        kind: recorded.port
        for kind, recorded in read_record(data_dir).items()
        if runs_in(recorded.pid, data_dir / kind.key)
    }
    return Endpoints.on(running) if running else None


def claim(data_dir: Path) -> int:
    """Make the directories and lock them for this process; the lock ends with the descriptor or the process.

    Raises EmbeddedError when another worker owns the directory, OSError when it cannot be written.
    """
    try:
        import fcntl
    except ImportError:
        mend = "set REDIS_URL and MONGODB_URI"
        raise EmbeddedError("embedded servers", "this operating system cannot run them", mend) from None
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that exists keeps the mode its owner gave it
    for kind in KINDS:
        (data_dir / kind.key).mkdir(exist_ok=True)
        (data_dir / kind.key).chmod(0o700)
    with contextlib.ExitStack() as undo:
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        undo.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
            mend = "stop that worker, or give this one another DATA_DIR, or set REDIS_URL and MONGODB_URI"
            problem = f"{data_dir} is in use by another worker (process {owner})"
            raise EmbeddedError("data directory", problem, mend) from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        undo.pop_all()
    return lock


def read_record(data_dir: Path) -> dict[Kind, Recorded]:
    """What embedded.json says; nothing for a file that is missing or damaged, which costs only the choice of ports."""
    path = data_dir / "embedded.json"
    try:
        content = json.loads(path.read_text())
        return {
            kind: Recorded(int(content[kind.key]["port"]), int(content[kind.key]["pid"]))
            for kind in KINDS
            if kind.key in content
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.warning("cannot use %s (%s: %s): choosing new ports", path, type(error).__name__, error)
        return {}


def write_record(data_dir: Path, record: Mapping[Kind, Recorded]) -> None:
    """Replace embedded.json as a whole. Not flushed to the disk, which may take long: all it can cost is the ports."""
    content = {kind.key: {"port": recorded.port, "pid": recorded.pid} for kind, recorded in record.items()}
    temporary = data_dir / "embedded.json.new"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(data_dir / "embedded.json")


def runs_in(pid: int, directory: Path) -> bool:
    """Is `pid` a live process whose command line names `directory`? The number alone may be someone else's by now."""
    if pid <= 0:
        return False
    if sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for one that waits to be reaped
        except OSError:
            return False
        return os.fsencode(directory) in words
    show = ["ps", "-o", "command=", "-p", str(pid)]
    listing = subprocess.run(show, capture_output=True, text=True, timeout=5, check=False)
    return f" {directory} " in f" {listing.stdout.strip()} "


def free_port(kind: Kind, kept: int | None) -> int:
    """The port of the last start if nobody has it, else a random free one of loopback."""
    candidates = secrets.SystemRandom().sample(_PORTS, 100)
    for port in [kept, *candidates] if kept else candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not occupy a port
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError):
                continue
        if kept not in (None, port):
            logger.warning("port %d of %s is taken: it is on port %d from now on", kept, kind.title, port)
        return port
    raise EmbeddedError(kind.title, f"no free port on {HOST}", f"free one, or set {kind.variable}")
