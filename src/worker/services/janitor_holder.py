"""Who holds the janitor's lock, and whether that process is alive, where this machine can tell.

A janitor that was killed leaves its lock behind until it runs out. On the same machine nobody has to wait for that.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import orjson

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PIDS: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Holder:
    """`space` names what process ids mean something in: one boot of one machine and one namespace of processes (a
    container has its own); None where the system does not say. `began` is the process' start in clock ticks since the
    boot, as another process may have the number later."""

    host: str
    pid: int
    since: str
    space: str | None
    began: int | None
    nonce: str

    @classmethod
    def this_process(cls, since: str) -> Self:
        """`since`: now, in ISO 8601. Every call gives another nonce: each run holds a lock of its own."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, since, _space(), _began(pid), uuid.uuid4().hex[:12])

    @classmethod
    def read(cls, text: bytes) -> Self | None:
        """None for a text that no janitor has written."""
        try:
            fields: Any = orjson.loads(text)
            if not (type(fields["pid"]) is int and fields["pid"] > 0 and isinstance(fields["host"], str)):
                return None
            return cls(**fields)
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return None

    def text(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def alive(self) -> bool | None:
        """None where this machine cannot tell."""
        if self.space is None or self.began is None or self.space != _space():
            return None
        return _began(self.pid) == self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, at work since {self.since}"


def _space() -> str | None:
    try:
        return f"{_BOOT.read_text().strip()}/{os.readlink(_PIDS)}"
    except OSError:
        return None


def _began(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat (proc(5)); None for a process that is not there, or waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None
