"""The machine under a benchmark: how busy others keep it, what a process of ours uses. Reads /proc, where it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_HAS_PROC = Path("/proc/stat").exists()
QUIET_CORES = 0.25
"""Other programs, and the kernel for all, may use this much of one core before a run is called noisy."""
QUIET_SEC = float(os.environ.get("BENCH_QUIET_SEC", "15"))
"""How long a run waits for other programs to leave the machine alone. On a shared machine, give it a minute or two."""


def busy_seconds() -> float:
    """CPU seconds that the whole machine has worked since it started (idle and waiting for disks not counted)."""
    if not _HAS_PROC:
        return 0.0
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(word) for word in words[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def process_seconds(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(word) for word in fields[11:15]) / _TICKS


def rss_mb(pid: int) -> float:
    """Memory of a process that is in RAM now."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


class OthersLoad:
    """Cores that programs other than ours (`pids` and this process) use while the block runs: `cores` afterwards."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = [*pids, os.getpid()]
        self.cores = 0.0

    def start(self) -> None:
        self._at = time.monotonic()
        self._busy = busy_seconds()
        self._ours = self._sum()

    def stop(self) -> float:
        """To be called while the processes still live."""
        wall = time.monotonic() - self._at
        others = (busy_seconds() - self._busy) - (self._sum() - self._ours)
        self.cores = max(0.0, others / wall) if wall > 0 else 0.0
        return self.cores

    def _sum(self) -> float:
        return sum(process_seconds(pid) for pid in self._pids)


def wait_for_quiet(pids: Iterable[int], seconds: float = QUIET_SEC) -> bool:
    """Wait at most `seconds` until other programs leave the machine alone for half a second."""
    deadline = time.monotonic() + seconds
    while _HAS_PROC:
        load = OthersLoad(pids)
        load.start()
        time.sleep(0.5)
        if load.stop() <= QUIET_CORES:
            return True
        if time.monotonic() >= deadline:
            return False
    return True
