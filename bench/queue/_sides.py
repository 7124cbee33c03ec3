"""The workers that are compared: which program each is, in which environment, and whether that is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import _peers

STREAM = "worker:tasks:normal"
KINDS = ("noop", "sleep", "latency")


@dataclass(frozen=True)
class Side:
    """One worker process. `command` is its program without the role; `why_not` says what is missing, if anything."""

    name: str
    command: tuple[str, ...]
    concurrency: int = 100
    kinds: tuple[str, ...] = KINDS
    environment: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""
    stream: str = ""
    """Must be empty when all is done."""
    records: bool = False
    """Leaves a key per task: its result."""
    peer: bool = False
    """A queue library of Python: one of those the worker is measured against."""


def _own(name: str, module: str, kinds: tuple[str, ...] = KINDS, **environment: str) -> Side:
    command = (sys.executable, "-m", f"bench.queue.{module}")
    return Side(name, command, 100, kinds, environment, stream=STREAM, records=module == "ours")


def _peer(
    name: str,
    module: str,
    package: str,
    where: _peers.Environment = _peers.PEERS,
    *,
    concurrency: int = 100,
    kinds: tuple[str, ...] = KINDS,
) -> Side:
    missing = "" if where.has(package) else f"not installed: {_peers.INSTALL}"
    command = (str(where.python), "-m", f"bench.queue.peers.{module}")
    return Side(name, command, concurrency, kinds, {}, missing, peer=True)


def _bullmq() -> Side:
    node = _peers.node()
    missing = "" if node else f"Node or the package bullmq is not installed: install Node, then {_peers.INSTALL}"
    command = (node or "node", str(_peers.BULLMQ_SOURCE / "bullmq_peer.js"))
    return Side("bullmq", command, 100, KINDS, {"NODE_PATH": str(_peers.BULLMQ / "node_modules")}, missing)


def all_sides() -> list[Side]:
    """Ours first, then the ceiling, then the others. Huey also with 8 threads, which suit it when no task waits."""
    return [
        _own("ours", "ours"),
        _own("raw-slots", "raw", BENCH_RAW="slots"),
        _own("raw-ahead", "raw", BENCH_RAW="ahead"),
        _own("raw-one", "raw", ("noop", "latency"), BENCH_RAW="one"),
        _bullmq(),
        _peer("dramatiq", "dramatiq_peer", "dramatiq"),
        _peer("huey", "huey_peer", "huey"),
        _peer("huey-8", "huey_peer", "huey", concurrency=8, kinds=("noop", "latency")),
        _peer("faststream", "faststream_peer", "faststream"),
        _peer("taskiq", "taskiq_peer", "taskiq_redis", _peers.TASKIQ),
        _peer("saq", "saq_peer", "saq"),
        _peer("arq", "arq_peer", "arq"),
    ]


def environment_of(side: Side) -> dict[str, str]:
    """This process's environment without settings of a worker: a `.env` or a REDIS_URL must not reach a measurement."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "BENCH_PROFILE")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    return {
        **inherited,
        "PYTHONPATH": str(_peers.ROOT),
        "PYTHONUNBUFFERED": "1",
        "LOG_LEVEL": "error",
        **side.environment,
    }


def working_directory() -> Path:
    return _peers.ROOT
