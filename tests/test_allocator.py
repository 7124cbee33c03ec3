"""Memory that was freed leaves the process, whichever thread had asked for it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")

# Each thread asks outside of the interpreter's lock, as drivers and NumPy do: zlib compresses large input without it.
_THREADS = """
import sys, threading, zlib
from src.worker.allocator import bound_arenas
from src.worker.app import main

def arenas():
    begins = [line.split("-")[0] for line in open("/proc/self/maps")]
    return sum(int(begin, 16) % (64 << 20) == 0 for begin in begins)

if "bound" in sys.argv:
    assert bound_arenas()
start = threading.Barrier(16)

def work():
    start.wait()
    for _ in range(5):
        zlib.compress(b"x" * 400_000, 1)

before = arenas()
threads = [threading.Thread(target=work) for _ in range(16)]
[one.start() for one in threads]
[one.join() for one in threads]
print(arenas() - before)
"""


def _arenas(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _THREADS, *words], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_threads_share_two_arenas_and_would_have_more() -> None:
    assert _arenas("bound") <= 1, "one beside the main one"
    assert _arenas() > 2


def test_the_service_bounds_them_before_anything_else_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from src.worker import app

    told: list[str] = []
    monkeypatch.setattr(app, "bound_arenas", lambda: told.append("bounded"))
    monkeypatch.setattr(app, "load_settings", lambda: pytest.fail("begun") if not told else _stop())
    with pytest.raises(KeyboardInterrupt):
        app.main([])


def _stop() -> None:
    raise KeyboardInterrupt
