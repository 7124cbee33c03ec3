"""What a run looks like from outside, every five seconds: memory, handles, threads, processor, event loop, queue."""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.soak.processes import Deployment

EVERY_SEC = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BUCKET = re.compile(r'worker_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)')
_DEPTH = re.compile(r'worker_queue_depth\{priority="[a-z]+"\} (\S+)')


@dataclass(frozen=True, slots=True)
class Sample:
    """None: it could not be read just then."""

    at: float
    """Seconds since the run began."""
    rss_mb: float
    uss_mb: float | None
    fds: int
    threads: int
    worker_cpu: float
    """Share of one core since the sample before."""
    machine_cpu: float
    """Share of all cores."""
    queue: float | None
    dead: float | None
    redis_mb: float | None
    redis_keys: int | None


@dataclass(slots=True)
class Lags:
    """The worker's own histogram of how late its event loop comes round, as counts per bucket (upper bound, s)."""

    counts: dict[float, float] = field(default_factory=dict)

    def read(self, text: str) -> Lags:
        return Lags({float(bound.replace("+Inf", "inf")): float(count) for bound, count in _BUCKET.findall(text)})

    def since(self, before: Lags) -> Lags:
        return Lags({bound: count - before.counts.get(bound, 0) for bound, count in self.counts.items()})

    @property
    def total(self) -> float:
        return self.counts.get(float("inf"), 0)

    def within(self, seconds: float) -> float:
        """Share of all turns that were at most so late."""
        return self.counts[seconds] / self.total

    def quantile(self, share: float) -> float:
        """Linear inside its bucket, as Prometheus does; the bound below for the last one."""
        below, counted = 0.0, 0.0
        for bound, count in sorted(self.counts.items()):
            if count >= share * self.total:
                if bound == float("inf"):
                    return below
                return below + (bound - below) * (share * self.total - counted) / max(1e-9, count - counted)
            below, counted = bound, count
        return below

    def worst(self) -> float:
        """Upper bound of the highest bucket that is not empty."""
        counted, worst = 0.0, 0.0
        for bound, count in sorted(self.counts.items()):
            if count > counted:
                worst = bound
            counted = count
        return worst


class Sampler:
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._pid = deployment.worker.process.pid
        self.samples: list[Sample] = []
        self.lags: list[tuple[float, Lags]] = []
        """The histogram as it stood at each moment."""
        self._before = (time.monotonic(), _cpu_of(self._pid), _cpu_of_all())
        self._next = 0.0

    def step(self, elapsed: float) -> bool:
        """Take a sample where it is time. True: one was taken."""
        if elapsed < self._next:
            return False
        self._next = elapsed + EVERY_SEC
        self._take(elapsed)
        return True

    def _take(self, elapsed: float) -> None:
        now, own, machine = time.monotonic(), _cpu_of(self._pid), _cpu_of_all()
        then, own_then, machine_then = self._before
        self._before = (now, own, machine)
        busy, total = (a - b for a, b in zip(machine, machine_then, strict=True))
        answer = self._deployment.worker.get("/metrics")
        text = answer.text if answer is not None else ""
        lags = Lags().read(text)
        if lags.counts:
            self.lags.append((elapsed, lags))
        depths = [float(count) for count in _DEPTH.findall(text)]
        statm = Path(f"/proc/{self._pid}/statm").read_text().split()
        self.samples.append(
            Sample(
                at=round(elapsed, 2),
                rss_mb=int(statm[1]) * _PAGE / 2**20,
                uss_mb=_uss_mb(self._pid),
                fds=len(os.listdir(f"/proc/{self._pid}/fd")),
                threads=len(os.listdir(f"/proc/{self._pid}/task")),
                worker_cpu=(own - own_then) / max(1e-6, now - then),
                machine_cpu=busy / max(1, total),
                queue=sum(depths) if depths else None,
                dead=_gauge(text, "worker_queue_dead_letters"),
                **self._redis(),
            )
        )

    def _redis(self) -> dict[str, Any]:
        try:
            memory = self._deployment.client.info("memory")["used_memory"] / 2**20
            return {"redis_mb": memory, "redis_keys": self._deployment.client.dbsize()}
        except (redis.RedisError, OSError):
            return {"redis_mb": None, "redis_keys": None}

    def documents(self) -> list[dict[str, Any]]:
        return [asdict(sample) for sample in self.samples]


def _gauge(text: str, name: str) -> float | None:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def _uss_mb(pid: int) -> float | None:
    """Memory that is this process's alone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", text, re.MULTILINE)) / 1024


def _cpu_of(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _cpu_of_all() -> tuple[int, int]:
    """Ticks of all cores: busy, and altogether."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)
